import type { MouseEvent } from "react";
import type { Conversation } from "./api";
import { words } from "./words";

interface Props { list: Conversation[]; current: string; onChoose: (id: string) => void }

export function Conversations({ list, current, onChoose }: Props) {
  // With a modifier key it is the browser's link: a new tab, for example.
  const choose = (id: string) => (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    onChoose(id);
  };
  return (
    <nav aria-label={words.conversations}>
      <a className="new" href="/" onClick={choose("")}>{words.newChat}</a>
      {list.map(({ id, title, running }) => (
        <a key={id} href={`/c/${id}`} aria-current={id === current ? "page" : undefined} onClick={choose(id)}>
          {running && <span className="dot" role="img" aria-label={words.running} />}
          {title || words.untitled}
        </a>
      ))}
    </nav>
  );
}
