// Loaded when the first code block is shown.

import type { ElementContent, RootContent } from "hast";
import { common, createLowlight } from "lowlight";

const lowlight = createLowlight(common);

export type Highlighter = (source: string, language: string) => (RootContent | ElementContent)[] | null;

// The coloured pieces of `source`, or null in a language that it does not know.
export const highlight: Highlighter = (source, language) =>
  lowlight.registered(language) ? lowlight.highlight(language, source).children : null;
