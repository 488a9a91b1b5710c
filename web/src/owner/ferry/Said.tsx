import { Copy } from "../../parts/Copy";

// What ferry says to its operator, always in English; names and commands in it stand between backticks.
export function Said({ text }: { text: string }) {
  return <span lang="en" className="said">{text.split("`").map((part, n) => (n % 2 ? <code key={n}>{part}</code> : part))}</span>;
}

// Something to type or to write into a file.
export function Command({ text }: { text: string }) {
  return (
    <div className="link-box command">
      <code lang="en">{text}</code>
      <Copy text={text} />
    </div>
  );
}
