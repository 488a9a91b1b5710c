// What happens to the answers of everybody, while the owner looks at them.

import { useEffect, useState } from "react";
import { fail } from "../chat/watching";
import { queries } from "../data";
import { whileSeen } from "../stream/seen";
import { shareFeed } from "../stream/tabs";
import { runningAnswers, usage } from "./data";

// Reads the lists again whenever an answer begins or ends. Returns whether that is still heard of.
export function useRunningAnswers(): boolean {
  const [connected, setConnected] = useState(true);
  useEffect(() => {
    const read = oneAtATime(() =>
      Promise.all([queries.invalidateQueries({ queryKey: runningAnswers.queryKey }), queries.invalidateQueries({ queryKey: usage.queryKey })]),
    );
    return whileSeen({
      seen: (signal) => void shareFeed("/api/owner/feed", read, setConnected, signal).catch(fail),
      back: read,
    });
  }, []);
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
