import { memo, useMemo, useRef } from "react";
import { Elements } from "./Elements";
import { type Block, type Blocks, blocksOf, NO_BLOCKS, tokensOf } from "./parse";

// An answer's text. While it grows, only its last block is made anew; `growing` false makes all of it once more, since
// what came late may have changed what an earlier block is.
export function Markdown({ text, growing }: { text: string; growing: boolean }) {
  const earlier = useRef<Blocks>(NO_BLOCKS);
  const blocks = useMemo(() => (earlier.current = blocksOf(text, growing ? earlier.current : NO_BLOCKS)), [text, growing]);
  const last = blocks.list.length - 1;
  return (
    <>
      {blocks.list.map((block, n) => (
        <ShownBlock key={n} source={block.source} plain={block.plain} growing={growing && n === last} />
      ))}
    </>
  );
}

const ShownBlock = memo(function ShownBlock({ source, plain, growing }: Block & { growing: boolean }) {
  const tokens = useMemo(() => tokensOf({ source, plain }), [source, plain]);
  return tokens ? <Elements tokens={tokens} growing={growing} /> : <p className="as-written">{source}</p>;
});
