// Short notices at the edge of the page: what went wrong, and what can be undone.

export interface Notice { key: number; error?: unknown; text?: string; undo?: () => void }

// In milliseconds. What can be undone waits for slow readers, hands and machines; who has read it closes it.
const LASTS = 8_000;
const UNDO_LASTS = 60_000;
let notices: Notice[] = [];
let last = 0;
const listeners = new Set<() => void>();

export function notice(told: Omit<Notice, "key">): void {
  const key = ++last;
  change([...notices.slice(-2), { ...told, key }]);
  setTimeout(() => dismiss(key), told.undo ? UNDO_LASTS : LASTS);
}

export const dismiss = (key: number) => change(notices.filter((one) => one.key !== key));

function change(next: Notice[]) {
  notices = next;
  for (const listener of listeners) listener();
}

export const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
};
export const current = () => notices;
