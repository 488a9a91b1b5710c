import { memo } from "react";
import { words } from "./words";

interface Props { role: string; text: string; reasoning: string; note: string; running: boolean }

export const Message = memo(function Message({ role, text, reasoning, note, running }: Props) {
  return (
    <article className={role}>
      {reasoning && <details><summary>{words.thinking}</summary>{reasoning}</details>}
      <div className="text">{text}{running && <span className="caret" aria-hidden="true" />}</div>
      {note && <p className="note">{note}</p>}
    </article>
  );
});
