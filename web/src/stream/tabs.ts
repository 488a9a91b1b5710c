// A browser opens six connections to a site and no more, however many of its tabs and windows show it. So one of them
// follows the feed for all.

import { isFinal } from "./connection";
import { followFeed, type News } from "./feed";

const LOCK = "tako-feed";

type Said = { news: News } | { connected: boolean };

// Calls `hear` with all news, by way of the tab whose turn it is, until `signal` aborts. Where a browser cannot arrange
// turns (plain http), each tab follows the feed itself.
export async function shareFeed(hear: (news: News) => void, connected: (yes: boolean) => void, signal: AbortSignal): Promise<void> {
  if (!("locks" in navigator)) return followFeed(hear, connected, signal);
  const others = new BroadcastChannel(LOCK);
  others.onmessage = ({ data }: MessageEvent<Said>) => ("news" in data ? hear(data.news) : connected(data.connected));
  const tell = (said: Said) => {
    if ("news" in said) hear(said.news);
    else connected(said.connected);
    others.postMessage(said);
  };
  try {
    await navigator.locks.request(LOCK, { signal }, () =>
      followFeed((news) => tell({ news }), (yes) => tell({ connected: yes }), signal),
    );
  } catch (error) {
    if (!signal.aborted || isFinal(error)) throw error;
  } finally {
    others.close();
  }
}
