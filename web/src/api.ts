// The one place that talks to the server, except for following an answer: see follow.ts.

import { words } from "./words";

export interface Site { name: string; registration: "open" | "invite" | "closed"; needs_setup: boolean }
export interface User { id: string; email: string; admin: boolean }
export interface Model { id: string; name: string; note: string | null }
export interface Conversation { id: string; title: string; created_at: number; running: string | null }
export interface Item {
  id: string;
  type: string;
  role?: string;
  status: string;
  content: { type: string; text: string }[];
}
interface Page<T> { data: T[]; has_more: boolean }
interface SignedIn { user: User }

// What the server answered, or that it did not answer (status 0), in words for people.
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
  }).catch(() => {
    throw new ApiError(words.unreachable, 0);
  });
  if (!response.ok) throw await failure(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

// /api answers with problem+json, /v1 with OpenAI's error object, a proxy in between with anything.
export async function failure(response: Response): Promise<ApiError> {
  const told = await response.json().catch(() => ({}));
  const message = told.detail ?? told.title ?? told.error?.message;
  return new ApiError(typeof message === "string" ? message : words.broken(response.status), response.status);
}

export const getSite = () => call<Site>("GET", "/api/site");
export const setUp = (token: string, email: string, password: string) =>
  call<SignedIn>("POST", "/api/setup", { token, email, password });
export const signUp = (email: string, password: string, invite?: string) =>
  call<SignedIn>("POST", "/api/users", { email, password, invite });
export const signIn = (email: string, password: string) =>
  call<SignedIn>("POST", "/api/session", { email, password });
export const signOut = () => call<void>("DELETE", "/api/session");

// The user, or null for a visitor.
export const getUser = () =>
  call<SignedIn>("GET", "/api/session").then(
    ({ user }) => user,
    (error: ApiError) => {
      if (error.status === 401) return null;
      throw error;
    },
  );

export const listModels = () => call<Page<Model>>("GET", "/v1/models");
export const listConversations = () => call<Page<Conversation>>("GET", "/v1/conversations?limit=50");
export const createConversation = (title: string) =>
  call<Conversation>("POST", "/v1/conversations", { metadata: { title } });
export const cancel = (response: string) => call<unknown>("POST", `/v1/responses/${response}/cancel`);

const getConversation = (id: string) => call<Conversation>("GET", `/v1/conversations/${id}`);

// The newest items before the item `before`, oldest first.
export async function listItems(id: string, before = ""): Promise<{ items: Item[]; more: boolean }> {
  const after = before && `&after=${before}`;
  const page = await call<Page<Item>>("GET", `/v1/conversations/${id}/items?order=desc&limit=100${after}`);
  return { items: page.data.reverse(), more: page.has_more };
}

// A conversation's newest items and the answer that is being made, as of one moment: an answer that ended between
// the two requests would otherwise be there twice or not at all.
export async function readConversation(id: string): Promise<{ items: Item[]; more: boolean; running: string | null }> {
  for (let before = await getConversation(id); ; ) {
    const { items, more } = await listItems(id);
    const after = await getConversation(id);
    if (after.running === before.running) return { items, more, running: after.running };
    before = after;
  }
}
