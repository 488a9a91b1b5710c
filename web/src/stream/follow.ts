// Follows an answer to its end through every loss of the connection.

import { type Answer, withEvent } from "./answer";
import { connection, growing, isFinal } from "./connection";
import { browser, type Network } from "./network";

// What begins an answer. The same key never begins a second one.
export interface Request { path: string; body: unknown; key: string }

// Joins `start`, or begins it by sending `request`, and calls `show` with every state of it; `connected` tells whether
// more is on its way. Ends with the answer, or when `signal` aborts. Throws `ApiError` for what trying again would not
// mend. True if it has ended.
export async function follow(
  start: Answer,
  request: Request | null,
  show: (answer: Answer, connected: boolean) => void,
  signal: AbortSignal,
  network: Network = browser,
): Promise<boolean> {
  let answer = start;
  for (let failures = 0; !signal.aborted; ) {
    try {
      for await (const events of connection(network, (cut) => open(network, answer, request, cut), signal)) {
        if (events === null) return true;
        if (events.length > 0) failures = 0;
        for (const event of events) answer = withEvent(answer, event);
        if (!signal.aborted) show(answer, true);
        if (answer.ended !== null) return true; // whatever keeps the connection open, there is nothing more
      }
    } catch (error) {
      if (isFinal(error)) throw error;
    }
    if (signal.aborted) return false;
    show(answer, false);
    await network.pause(growing(failures++), signal);
  }
  return false;
}

// Asks, again with the same key while nothing came of it; then reads what is missing.
function open(network: Network, answer: Answer, request: Request | null, signal: AbortSignal): Promise<Response> {
  if (answer.message === "" || answer.response === "") {
    if (request === null) throw new Error("Neither an answer to join nor a question to ask.");
    return network.fetch(request.path, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": request.key },
      body: JSON.stringify(request.body),
      signal,
    });
  }
  const query = new URLSearchParams({ after: String(answer.cursor), response_id: answer.response });
  return network.fetch(`/api/messages/${answer.message}/stream?${query}`, { signal });
}

// crypto.randomUUID is missing on plain http, where many a site in a home network is.
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
