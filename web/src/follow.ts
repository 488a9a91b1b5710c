// Follows an answer to its end through every loss of the connection. Not an EventSource: one 502 ends that for good.

import { type Answer, withEvent } from "./answer";
import { ApiError, cancel, failure } from "./api";
import { browser, type Network } from "./network";
import { EventParser } from "./sse";

export interface Question { model: string; input: string; conversation: string }

// The server says something every 15 seconds, if only that it is there.
const SILENCE = 16_000;
const STALL = 35_000;
const LONGEST_PAUSE = 15_000;

// Joins `start`, or begins it by asking `question`, and calls `show` with every state of it; `connected` tells whether
// more is on its way. Ends with the answer, or when `signal` aborts. Throws `ApiError` for what trying again would not mend.
export async function follow(
  start: Answer,
  question: Question | null,
  show: (answer: Answer, connected: boolean) => void,
  signal: AbortSignal,
  network: Network = browser,
): Promise<void> {
  const key = randomKey();
  let answer = start;
  for (let failures = 0; answer.ended === null && !signal.aborted; ) {
    try {
      for await (const events of connection(network, (cut) => request(network, answer, question, key, cut), signal)) {
        if (events.length > 0) failures = 0;
        for (const event of events) answer = withEvent(answer, event.data);
        show(answer, true);
      }
    } catch (error) {
      if (error instanceof ApiError) throw error;
    }
    if (answer.ended !== null || signal.aborted) return;
    show(answer, false);
    await network.pause(growing(failures++), signal);
  }
}

// Stops an answer, however often that must be said.
export async function stop(id: string, signal: AbortSignal, network: Network = browser): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      await cancel(id);
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || (error.status > 0 && error.status < 500)) throw error;
    }
    await network.pause(growing(failures++), signal);
  }
}

// The events of one connection, as they arrive. It is given up on a stall, and when the network has come back and
// nothing was heard for longer than a heartbeat: a laptop that slept does not know that its connection is dead.
async function* connection(network: Network, open: (cut: AbortSignal) => Promise<Response>, signal: AbortSignal) {
  const cut = new AbortController();
  const close = () => cut.abort();
  let heard = Date.now();
  let stall = setTimeout(close, STALL);
  signal.addEventListener("abort", close);
  const forget = network.onReturn((changed) => {
    if (changed || Date.now() - heard > SILENCE) close();
  });
  try {
    const response = await open(cut.signal);
    if (!response.ok) throw await refusal(response);
    const reader = response.body!.getReader();
    const parser = new EventParser();
    yield [];
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      heard = Date.now();
      clearTimeout(stall);
      stall = setTimeout(close, STALL);
      yield parser.feed(chunk.value);
    }
  } finally {
    clearTimeout(stall);
    signal.removeEventListener("abort", close);
    forget();
    close();
  }
}

// Asks, again with the same key if nothing came of it (the server then gives the same answer); else reads what is missing.
function request(network: Network, answer: Answer, question: Question | null, key: string, signal: AbortSignal) {
  if (answer.id === "" && question !== null) {
    return network.fetch("/v1/responses", {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ ...question, background: true, stream: true, truncation: "auto" }),
      signal,
    });
  }
  const after = answer.cursor < 0 ? "" : `&starting_after=${answer.cursor}`;
  return network.fetch(`/v1/responses/${answer.id}?stream=true${after}`, { signal });
}

// A server or proxy in trouble may be well again soon; being told no is final.
async function refusal(response: Response): Promise<Error> {
  const error = await failure(response);
  return response.status >= 500 ? new Error(error.message) : error;
}

const growing = (failures: number) => Math.min(LONGEST_PAUSE, 300 * 2 ** failures) * (0.5 + Math.random());

// crypto.randomUUID is missing on plain http, where many a site in a home network is.
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
