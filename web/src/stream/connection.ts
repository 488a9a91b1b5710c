// One connection to a stream of the server. Not an EventSource: one 502 ends that for good.

import { ApiError, refusal } from "../api/client";
import type { Network } from "./network";
import { EventParser, type ServerEvent } from "./sse";

// The server says something every 20 seconds at most, if only that it is there.
const SILENCE = 21_000;
const STALL = 45_000;
const LONGEST_PAUSE = 15_000;

// The events of one connection, as they arrive: first none, when it is open; null at once where the server has nothing
// more (204). It is given up on a stall, when the network has gone or come back, and when the reader has come back and
// nothing was heard for longer than a heartbeat: a laptop that slept does not know that its connection is dead. Throws `ApiError` for what trying again
// would not mend.
export async function* connection(
  network: Network,
  open: (cut: AbortSignal) => Promise<Response>,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent[] | null> {
  const cut = new AbortController();
  const close = () => cut.abort();
  let heard = Date.now();
  let stall = setTimeout(close, STALL);
  signal.addEventListener("abort", close);
  const forget = network.onReturn((changed) => {
    if (changed || Date.now() - heard > SILENCE) close();
  });
  const forgetLoss = network.onLoss(close);
  try {
    const response = await open(cut.signal);
    if (!response.ok) throw await judged(response);
    if (response.status === 204) return yield null;
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
    forgetLoss();
    close();
  }
}

// A server or proxy in trouble may be well again soon; being told no is final.
async function judged(response: Response): Promise<Error> {
  const error = await refusal(response);
  return response.status >= 500 ? new Error(error.message) : error;
}

export const isFinal = (error: unknown): error is ApiError => error instanceof ApiError;

// Milliseconds before the next attempt after so many failures, different for each reader.
export const growing = (failures: number) => Math.min(LONGEST_PAUSE, 300 * 2 ** failures) * (0.5 + Math.random());
