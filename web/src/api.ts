// The one place that talks to the server.

import { EventParser } from "./sse";

export interface Site { name: string; registration: "open" | "invite" | "closed"; needs_setup: boolean }
export interface User { id: string; email: string; admin: boolean }
export interface Model { id: string; name: string; note: string | null }
export interface Conversation { id: string; title: string; created_at: number; running: string | null }
export interface Item { id: string; type: string; role?: string; status: string; content: { type: string; text: string }[] }

export class ApiError extends Error {
  constructor(message: string, readonly status: number) {
    super(message);
  }
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? null : JSON.stringify(body),
  });
  if (!response.ok) throw await failure(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function failure(response: Response): Promise<ApiError> {
  const told = await response.json().catch(() => ({}));
  return new ApiError(told.detail ?? told.error?.message ?? response.statusText, response.status);
}

export const getSite = () => call<Site>("GET", "/api/site");
export const getSession = () => call<{ user: User }>("GET", "/api/session");
export const signIn = (email: string, password: string) => call<{ user: User }>("POST", "/api/session", { email, password });
export const signUp = (email: string, password: string, invite?: string) =>
  call<{ user: User }>("POST", "/api/users", { email, password, invite });
export const setUp = (token: string, email: string, password: string) =>
  call<{ user: User }>("POST", "/api/setup", { token, email, password });
export const signOut = () => call<void>("DELETE", "/api/session");
export const listModels = () => call<{ data: Model[] }>("GET", "/v1/models");
export const listConversations = () => call<{ data: Conversation[] }>("GET", "/v1/conversations?limit=50");
export const getConversation = (id: string) => call<Conversation>("GET", `/v1/conversations/${id}`);
export const createConversation = (title: string) => call<Conversation>("POST", "/v1/conversations", { metadata: { title } });
export const listItems = (id: string) => call<{ data: Item[] }>("GET", `/v1/conversations/${id}/items?order=asc&limit=100`);
export const cancel = (id: string) => call<unknown>("POST", `/v1/responses/${id}/cancel`);

export interface Answer { id: string; cursor: number; text: string; reasoning: string; ended: null | { status: string; message: string } }

export const newAnswer = (id = ""): Answer => ({ id, cursor: -1, text: "", reasoning: "", ended: null });

// Applies one event. An event that was seen already changes nothing, so nothing is ever shown twice.
export function apply(answer: Answer, name: string, data: string): Answer {
  const event = JSON.parse(data);
  if (event.sequence_number <= answer.cursor) return answer;
  const next = { ...answer, cursor: event.sequence_number as number };
  if (name === "response.created") next.id = event.response.id;
  else if (name === "response.output_text.delta") next.text += event.delta;
  else if (name === "response.reasoning_text.delta") next.reasoning += event.delta;
  else if (event.response && ["completed", "failed", "cancelled", "incomplete"].includes(event.response.status)) {
    next.ended = { status: event.response.status, message: event.response.error?.message ?? "" };
  }
  return next;
}

const STALL = 35_000;
const LONGEST_PAUSE = 15_000;

// Follows an answer to its end through every loss of connection. `ask` begins it; without it a running one is joined.
export async function follow(
  start: Answer,
  ask: Record<string, unknown> | null,
  show: (answer: Answer, online: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  let answer = start;
  const key = crypto.randomUUID();
  for (let failures = 0; !signal.aborted && answer.ended === null; ) {
    const connection = new AbortController();
    const stop = () => connection.abort();
    signal.addEventListener("abort", stop);
    let stall = setTimeout(stop, STALL);
    try {
      const response = await request(answer, ask, key, connection.signal);
      if (!response.ok) {
        const error = await failure(response);
        if (response.status < 500) throw error;
        throw new TypeError(error.message);
      }
      const reader = response.body!.getReader();
      const parser = new EventParser();
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
        clearTimeout(stall);
        stall = setTimeout(stop, STALL);
        failures = 0;
        for (const event of parser.feed(chunk.value)) answer = apply(answer, event.event, event.data);
        show(answer, true);
      }
    } catch (error) {
      if (error instanceof ApiError) throw error;
    } finally {
      clearTimeout(stall);
      signal.removeEventListener("abort", stop);
    }
    if (answer.ended === null && !signal.aborted) {
      show(answer, false);
      await pause(Math.min(LONGEST_PAUSE, 300 * 2 ** failures++) * (0.5 + Math.random()), signal);
    }
  }
}

function request(answer: Answer, ask: Record<string, unknown> | null, key: string, signal: AbortSignal): Promise<Response> {
  if (answer.id === "" && ask !== null) {
    return fetch("/v1/responses", {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ ...ask, background: true, stream: true, truncation: "auto" }),
      signal,
    });
  }
  const after = answer.cursor >= 0 ? `&starting_after=${answer.cursor}` : "";
  return fetch(`/v1/responses/${answer.id}?stream=true${after}`, { signal });
}

// Waits, but not after the network or the page has come back.
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      document.removeEventListener("visibilitychange", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    window.addEventListener("online", done);
    document.addEventListener("visibilitychange", done);
    signal.addEventListener("abort", done, { once: true });
  });
}
