// What this browser keeps for its reader: drafts, the language, the appearance. A browser may refuse to keep anything.

const PREFIX = "tako.";

export function kept(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

// Keeps `value`; an empty one is forgotten.
export function keep(name: string, value: string): void {
  try {
    if (value === "") localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // Full, or forbidden: then it lasts as long as the page does.
  }
}
