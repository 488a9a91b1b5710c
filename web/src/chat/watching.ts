// The answers that this tab watches, as React sees them, and what follows from their ends.

import { useEffect, useSyncExternalStore } from "react";
import { ApiError } from "../api/client";
import { followOthers, hear, queries, quota, session } from "../data";
import { notice } from "../parts/notices";
import { Answers } from "../stream/answers";
import { whileSeen } from "../stream/seen";
import { shareFeed } from "../stream/tabs";

export const answers = new Answers(fail, () => {
  void queries.invalidateQueries({ queryKey: ["conversation"] });
  void queries.invalidateQueries({ queryKey: ["conversations"] });
  void queries.invalidateQueries({ queryKey: quota.queryKey });
});

// What went wrong is said; who is not signed in any more is asked to.
export function fail(error: unknown): void {
  if (error instanceof ApiError && error.status === 401) {
    void queries.invalidateQueries({ queryKey: session.queryKey });
    return;
  }
  notice({ error });
}

export const useAsking = (id: string) => useSyncExternalStore(answers.subscribe, () => answers.asking(id));
export const useLive = (message: string) => useSyncExternalStore(answers.subscribe, () => answers.live(message));

let feedConnected = true;
const feedListeners = new Set<() => void>();

function subscribe(listener: () => void) {
  feedListeners.add(listener);
  const leave = answers.subscribe(listener);
  return () => {
    feedListeners.delete(listener);
    leave();
  };
}

// Whether all that is shown is also followed.
export const useConnected = () => useSyncExternalStore(subscribe, () => feedConnected && answers.connected);

// Follows the feed while this tab is seen. One that comes back reads again what it may have missed.
export function useFeed(): void {
  useEffect(() => {
    const connected = (yes: boolean) => {
      feedConnected = yes;
      for (const listener of feedListeners) listener();
    };
    const leave = whileSeen({
      seen(signal) {
        answers.show();
        shareFeed("/api/feed", hear, connected, signal).catch(fail);
      },
      hidden: () => answers.hide(),
      back() {
        followOthers();
        void queries.invalidateQueries();
      },
    });
    return () => {
      leave();
      answers.leaveAll();
    };
  }, []);
}
