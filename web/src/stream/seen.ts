// Work that a tab does while somebody may see it: connections to a site are few, and hidden tabs need none.

interface Work {
  // Begins, until `signal` aborts.
  seen: (signal: AbortSignal) => void;
  hidden?: () => void;
  // It was hidden and is seen again: what has happened meanwhile is not known.
  back: () => void;
}

// Begins now if this tab is seen, and ends when the function that it returns is called.
export function whileSeen({ seen, hidden, back }: Work): () => void {
  let work = new AbortController();
  const isSeen = () => document.visibilityState !== "hidden";
  const follow = () => {
    work.abort();
    if (!isSeen()) return hidden?.();
    work = new AbortController();
    seen(work.signal);
  };
  const changed = () => {
    follow();
    if (isSeen()) back();
  };
  follow();
  document.addEventListener("visibilitychange", changed);
  return () => {
    document.removeEventListener("visibilitychange", changed);
    work.abort();
  };
}
