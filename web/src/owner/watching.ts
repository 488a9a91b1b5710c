// What happens to the answers of everybody and to a migration, while the owner looks at them.

import type { QueryKey } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { fail } from "../chat/watching";
import { queries } from "../data";
import type { Feed } from "../stream/feed";
import { whileSeen } from "../stream/seen";
import { shareFeed } from "../stream/tabs";
import { ferry, runningAnswers, usage } from "./data";

// Reads the lists again whenever an answer begins or ends. Returns whether that is still heard of.
export const useRunningAnswers = () => useFollowed("/api/owner/feed", ANSWERS);
const ANSWERS = [runningAnswers.queryKey, usage.queryKey];

// The same for a migration, whenever something of it has changed.
export const useMigration = () => useFollowed("/api/owner/ferry/feed", MIGRATION);
const MIGRATION = [ferry.queryKey];

function useFollowed(feed: Feed, keys: QueryKey[]): boolean {
  const [connected, setConnected] = useState(true);
  useEffect(() => {
    const read = oneAtATime(() => Promise.all(keys.map((queryKey) => queries.invalidateQueries({ queryKey }))));
    return whileSeen({
      seen: (signal) => void shareFeed(feed, read, setConnected, signal).catch(fail),
      back: read,
    });
  }, [feed, keys]);
  return connected;
}

// A busy site begins and ends answers faster than it can be asked about them: what comes during one reading is found
// by one more after it.
function oneAtATime(read: () => Promise<unknown>): () => void {
  let reading = false;
  let again = false;
  const go = async () => {
    reading = true;
    do {
      again = false;
      await read();
    } while (again);
    reading = false;
  };
  return () => {
    again = true;
    if (!reading) void go();
  };
}
