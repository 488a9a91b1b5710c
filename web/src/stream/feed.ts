// What changes, on every device: hints of what to read again. `/api/feed` tells of one's conversations,
// `/api/owner/feed` that answers begin and end, whosever they are, `/api/owner/ferry/feed` that a migration goes on.

import type { Hint } from "../api/client";
import { connection, growing, isFinal } from "./connection";
import { browser, type Network } from "./network";

// `all`: hints may have been lost, so read everything again.
export type News = { kind: "all" } | { kind: string; id: string; version: number };

export type Feed = "/api/feed" | "/api/owner/feed" | "/api/owner/ferry/feed";

// Calls `hear` with all news until `signal` aborts; `connected` tells whether there will be any.
export async function followFeed(
  feed: Feed,
  hear: (news: News) => void,
  connected: (yes: boolean) => void,
  signal: AbortSignal,
  network: Network = browser,
): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      for await (const events of connection(network, (cut) => network.fetch(feed, { signal: cut }), signal)) {
        if (signal.aborted) return;
        connected(true);
        if (events && events.length > 0) failures = 0;
        for (const event of events ?? []) hear(newsOf(event.event, event.data));
      }
    } catch (error) {
      if (isFinal(error)) throw error;
    }
    if (signal.aborted) return;
    connected(false);
    await network.pause(growing(failures++), signal);
  }
}

function newsOf(kind: string, data: string): News {
  if (kind === "ready" || kind === "reload") return { kind: "all" };
  return { kind, ...(JSON.parse(data) as Hint) };
}
