// Markdown into tokens, block by block. Its source is untrusted and of any size: nothing here may take long or run deep.

import { tex } from "@mdit/plugin-tex";
import MarkdownIt from "markdown-it";
import type Token from "markdown-it/lib/token.mjs";
import { safeAddress } from "./links";

export type { Token };

// What is larger is shown as it was written: the time of some of the parser's rules grows with the square of the length.
export const LIMITS = { text: 300_000, blocks: 3_000, block: 100_000, paragraph: 20_000, nesting: 60 };

// One top-level block. It is done when another has begun after it, or the text has ended; then it never changes again.
export interface Block { source: string; plain: boolean }

export interface Blocks { list: Block[]; text: string; lastAt: number }

export const NO_BLOCKS: Blocks = { list: [], text: "", lastAt: 0 };

const parser = new MarkdownIt("default", {
  html: false, // shown as text
  linkify: true,
  breaks: true, // models mean a line when they write one
  typographer: false,
});
parser.set({ maxNesting: LIMITS.nesting } as never);
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
parser.validateLink = (address) => safeAddress(address) !== null;
parser.use(tex, { delimiters: "all", render: (content) => content });

// The blocks of `text`. Where it goes on from `earlier`, only the last block is looked at again.
export function blocksOf(text: string, earlier: Blocks = NO_BLOCKS): Blocks {
  const goesOn = earlier.list.length > 0 && text.startsWith(earlier.text);
  const from = goesOn ? earlier.lastAt : 0;
  const kept = goesOn ? earlier.list.slice(0, -1) : [];
  const rest = text.slice(from);
  const starts = startsOf(rest.slice(0, Math.max(0, LIMITS.text - from))).slice(0, LIMITS.blocks - kept.length);
  if (starts.length === 0 && rest.trim() !== "") starts.push(0);
  const isTooMuch = text.length > LIMITS.text || kept.length + starts.length >= LIMITS.blocks;
  const list = starts.map((start, n) => {
    const isLast = n === starts.length - 1;
    const source = rest.slice(start, isLast ? rest.length : starts[n + 1]);
    return { source, plain: source.length > LIMITS.block || (isLast && isTooMuch) };
  });
  return { list: [...kept, ...list], text, lastAt: from + (starts.at(-1) ?? 0) };
}

// Where the top-level blocks of `text` begin. What stands before the first block or between two (a definition of a link,
// which shows nothing) belongs to the one before it.
function startsOf(text: string): number[] {
  const lines = lineStarts(text);
  const starts: number[] = [];
  for (const token of parseBlocks(text)) {
    if (token.level === 0 && token.map && token.nesting >= 0) starts.push(lines[token.map[0]]!);
  }
  if (starts.length > 0) starts[0] = 0;
  return starts.length > 0 || text.trim() === "" ? starts : [0];
}

function parseBlocks(text: string): Token[] {
  const tokens: Token[] = [];
  // One character for one, so that places in the text stay what they are.
  parser.block.parse(text.replace(/\0/g, "\uFFFD").replace(/\r/g, " "), parser, {}, tokens);
  return tokens;
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

// The tokens of one block, or null where it is to be shown as it was written.
export function tokensOf({ source, plain }: Block): Token[] | null {
  if (plain) return null;
  const tokens = parseBlocks(source);
  for (const token of tokens) {
    if (token.type === "inline" && token.content.length > LIMITS.paragraph) return null;
    if (token.level >= LIMITS.nesting - 1) return null; // the parser leaves out what lies deeper
  }
  parseInline(source, tokens);
  return tokens;
}

// The rules after the blocks: what stands in paragraphs, and addresses that are links.
function parseInline(source: string, tokens: Token[]) {
  const state = new parser.core.State(source, parser, {});
  state.tokens = tokens;
  const [_normalize, _block, ...rules] = parser.core.ruler.getRules("");
  for (const rule of rules) rule(state);
}
