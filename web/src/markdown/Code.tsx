import { createElement, memo, type ReactNode, useEffect, useState } from "react";
import { Copy } from "../parts/Copy";
import { useWords } from "../words";
import type { Highlighter } from "./highlight";

// Longer code is shown without colours; while it grows it is coloured anew with every piece, so only as long as that is quick.
const LONGEST = 100_000;
const LONGEST_GROWING = 5_000;

interface Props { source: string; language: string; growing: boolean }

export const Code = memo(function Code({ source, language, growing }: Props) {
  const words = useWords();
  const text = source.replace(/\n$/, "");
  const coloured = useColours(text, language, growing);
  return (
    <figure className="code">
      <figcaption>
        <span>{language || words.code}</span>
        <Copy text={text} />
      </figcaption>
      <pre tabIndex={0}><code>{coloured ?? text}</code></pre>
    </figure>
  );
});

// The highlighter comes when the first code block does.
function useColours(text: string, language: string, growing: boolean): ReactNode[] | null {
  const [highlighter, setHighlighter] = useState<Highlighter | null>(null);
  const wanted = language !== "" && text.length <= (growing ? LONGEST_GROWING : LONGEST);
  useEffect(() => {
    if (!wanted) return;
    let here = true;
    import("./highlight").then(({ highlight }) => here && setHighlighter(() => highlight), console.warn);
    return () => {
      here = false;
    };
  }, [wanted]);
  const tree = wanted && highlighter?.(text, language);
  return tree ? tree.map(element) : null;
}

type Node = ReturnType<Highlighter> extends (infer T)[] | null ? T : never;

function element(node: Node, key: number): ReactNode {
  if (node.type === "text") return node.value;
  if (node.type !== "element") return null;
  const names = node.properties.className;
  return createElement("span", { key, className: Array.isArray(names) ? names.join(" ") : undefined }, node.children.map(element as never));
}
