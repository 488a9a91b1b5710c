// What following an answer needs of the browser, so that a test can do without one.

export interface Network {
  fetch(path: string, options: RequestInit): Promise<Response>;
  // Waits that many milliseconds, or less when the network or the reader comes back or `signal` aborts.
  pause(milliseconds: number, signal: AbortSignal): Promise<void>;
  // Calls `back` when the network (`changed`) or the reader comes back, until the function that it returns is called.
  onReturn(back: (changed: boolean) => void): () => void;
  // Calls `lost` when the browser thinks that it has no network. It may be wrong: a site on this machine needs none.
  onLoss(lost: () => void): () => void;
}

export const browser: Network = {
  fetch: (path, options) => fetch(path, options),

  pause: (milliseconds, signal) =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        forget();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      const forget = browser.onReturn(done);
      signal.addEventListener("abort", done);
    }),

  onReturn(back) {
    const online = () => back(true);
    const visible = () => {
      if (document.visibilityState === "visible") back(false);
    };
    window.addEventListener("online", online);
    document.addEventListener("visibilitychange", visible);
    return () => {
      window.removeEventListener("online", online);
      document.removeEventListener("visibilitychange", visible);
    };
  },

  onLoss(lost) {
    window.addEventListener("offline", lost);
    return () => window.removeEventListener("offline", lost);
  },
};
