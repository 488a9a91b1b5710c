// Light or dark: as the system is, unless the reader chose.

import { useSyncExternalStore } from "react";
import { keep, kept } from "./kept";

export type Appearance = "system" | "light" | "dark";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

export function appearance(): Appearance {
  const value = kept("appearance");
  return value === "light" || value === "dark" ? value : "system";
}

// Our own colours follow the attribute on the root, Semi's the one on the body.
function apply() {
  const choice = appearance();
  const isDark = choice === "dark" || (choice === "system" && dark.matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  document.body.toggleAttribute("theme-mode", isDark);
  if (isDark) document.body.setAttribute("theme-mode", "dark");
  for (const changed of listeners) changed();
}

export function choose(next: Appearance): void {
  keep("appearance", next === "system" ? "" : next);
  apply();
}

export function followSystem(): void {
  dark.addEventListener("change", apply);
  apply();
}

function subscribe(changed: () => void) {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

export const useAppearance = () => useSyncExternalStore(subscribe, appearance);
