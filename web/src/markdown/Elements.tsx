// The parser's tokens as React elements. No string of an answer ever becomes HTML.

import { createElement, type ReactNode } from "react";
import { Code } from "./Code";
import { Formula } from "./Formula";
import { safeAddress } from "./links";
import type { Token } from "./parse";

const SIMPLE = new Set([
  "p", "ul", "ol", "li", "blockquote", "thead", "tbody", "tr", "th", "td", "em", "strong", "s", "h1", "h2", "h3", "h4", "h5", "h6",
]);

export function Elements({ tokens, growing }: { tokens: Token[]; growing: boolean }) {
  return <>{elementsOf(tokens, growing)}</>;
}

function elementsOf(tokens: Token[], growing: boolean): ReactNode[] {
  const open: { token: Token | null; children: ReactNode[] }[] = [{ token: null, children: [] }];
  tokens.forEach((token, n) => {
    if (token.nesting === 1) {
      open.push({ token, children: [] });
      return;
    }
    const made = token.nesting === -1 && open.length > 1 ? closed(open.pop()!, n) : leaf(token, n, growing);
    open.at(-1)!.children.push(made);
  });
  return open[0]!.children;
}

function closed({ token, children }: { token: Token | null; children: ReactNode[] }, key: number): ReactNode {
  const { tag, hidden } = token!;
  if (hidden) return children; // the paragraph of a tight list
  if (tag === "a") return <Link key={key} address={token!.attrGet("href") ?? ""}>{children}</Link>;
  if (tag === "table") return <div key={key} className="table" tabIndex={0} role="group"><table>{children}</table></div>;
  if (!SIMPLE.has(tag)) return children;
  return createElement(lower(tag), { key, ...attributesOf(token!) }, ...children);
}

// The page's own headings are the first two levels.
const lower = (tag: string) => (/^h[1-4]$/.test(tag) ? `h${Number(tag[1]) + 2}` : tag);

function attributesOf(token: Token): Record<string, unknown> {
  if (token.tag === "ol") return { start: Number(token.attrGet("start") ?? 1) };
  const align = /text-align:(left|center|right)/.exec(token.attrGet("style") ?? "")?.[1];
  return align ? { className: `align-${align}` } : {};
}

function leaf(token: Token, key: number, growing: boolean): ReactNode {
  switch (token.type) {
    case "inline":
      return elementsOf(token.children ?? [], growing);
    case "code_inline":
      return <code key={key}>{token.content}</code>;
    case "fence":
      if (token.info.trim() === "math") return <Formula key={key} source={token.content} block growing={growing} />;
      return <Code key={key} source={token.content} language={languageOf(token)} growing={growing} />;
    case "code_block":
      return <Code key={key} source={token.content} language="" growing={growing} />;
    case "hr":
      return <hr key={key} />;
    case "hardbreak":
    case "softbreak":
      return <br key={key} />;
    case "image":
      return <Link key={key} address={token.attrGet("src") ?? ""}>{token.content || token.attrGet("src")}</Link>;
    case "math_inline":
    case "math_block":
      return <Formula key={key} source={token.content} block={token.type === "math_block"} growing={growing} />;
    default:
      return token.content;
  }
}

const languageOf = (token: Token) => token.info.trim().split(/[\s{,]/, 1)[0]!.toLowerCase();

// Pictures are links too: one that is loaded from elsewhere tells that site who reads what.
function Link({ address, children }: { address: string; children: ReactNode }) {
  const safe = safeAddress(address);
  if (safe === null) return <>{children}</>;
  return <a href={safe} target="_blank" rel="noopener noreferrer nofollow">{children}</a>;
}
