import { memo, useLayoutEffect, useRef, useState } from "react";

type Katex = typeof import("./katex").default;

// Longer formulas are shown as they were written.
const LONGEST = 5_000;

interface Props { source: string; block: boolean; growing: boolean }

// KaTeX comes when the first formula does; until then, and where it cannot read it, the formula is shown as written.
export const Formula = memo(function Formula({ source, block, growing }: Props) {
  const place = useRef<HTMLSpanElement>(null);
  const [katex, setKatex] = useState<Katex | null>(null);
  const wanted = source.length <= LONGEST && !(growing && block);

  useLayoutEffect(() => {
    if (!wanted) return;
    let here = true;
    import("./katex").then((found) => here && setKatex(() => found.default), console.warn);
    return () => {
      here = false;
    };
  }, [wanted]);

  // It builds nodes, not HTML, and sets styles one by one, which a strict policy allows.
  useLayoutEffect(() => {
    if (!katex || !wanted || !place.current) return;
    katex.render(source, place.current, {
      displayMode: block,
      throwOnError: false,
      trust: false,
      strict: "ignore",
      maxExpand: 200,
      maxSize: 20,
      errorColor: "currentColor",
    });
  }, [katex, wanted, source, block]);

  const shown = wanted && katex;
  return (
    <span className={block ? "formula block" : "formula"} tabIndex={block ? 0 : undefined}>
      <span ref={place} />
      {shown ? null : <code>{source}</code>}
    </span>
  );
});
