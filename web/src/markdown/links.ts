// Which addresses in an answer a reader may follow.

const SCHEMES = new Set(["http:", "https:", "mailto:"]);

// The address as a browser would go to it, or null for one that names no scheme, or one that does more than open a page.
export function safeAddress(address: string): string | null {
  try {
    const url = new URL(address);
    return SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}
