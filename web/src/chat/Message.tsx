import Button from "@douyinfe/semi-ui-19/lib/es/button";
import { memo, type ReactNode, useEffect, useRef, useState } from "react";
import type { Message as Told } from "../api/client";
import { saidOf } from "../api/errors";
import { nameOfModel } from "../data";
import { Markdown } from "../markdown/Markdown";
import { Act } from "../parts/Act";
import { Copy } from "../parts/Copy";
import { IconAgain, IconAlert, IconEdit, IconGoOn, IconLeft, IconRight } from "../parts/icons";
import { Mark } from "../parts/Mark";
import { useNumbers, useWords } from "../words";
import { isRunning, type Place, type Shown, shownOf } from "./places";
import { useLive } from "./watching";
import "./message.css";
import "../markdown/markdown.css";

export interface Acts {
  edit: (question: Told, text: string) => Promise<boolean>;
  regenerate: (answer: Told) => Promise<boolean>;
  goOn: (answer: Told) => Promise<boolean>;
  walk: (message: string) => Promise<void>;
  isRunning: () => boolean;
}

interface Props extends Place { last: boolean; acts: Acts }

export const Message = memo(function Message(props: Props) {
  return props.message.role === "assistant" ? <Answer {...props} /> : <Question {...props} />;
});

function Question({ message, siblings, asked, acts }: Props) {
  const words = useWords();
  const [editing, setEditing] = useState(false);
  const { text } = shownOf({ message, asked: false }, undefined);
  if (editing) return <Editor text={text} cancel={() => setEditing(false)} save={(next) => acts.edit(message, next)} />;
  return (
    <article className="question" aria-label={words.you} data-message={message.id}>
      <div className="bubble">{text}</div>
      {!asked && (
        <footer>
          <Tokens count={message.token_count} />
          <Copy text={text} label={words.copyQuestion} />
          <Act label={words.edit} onClick={() => setEditing(true)}><IconEdit /></Act>
          <Siblings message={message} siblings={siblings} walk={acts.walk} />
        </footer>
      )}
    </article>
  );
}

function Answer({ message, siblings, asked, last, acts }: Props) {
  const words = useWords();
  const live = useLive(message.id);
  const shown = shownOf({ message, asked }, live);
  const running = isRunning(shown.status);
  const waiting = running && shown.text === "" && shown.reasoning === "";
  return (
    <article className={last ? "answer last" : "answer"} aria-label={words.answer} aria-busy={running} data-message={message.id} data-status={shown.status}>
      <Mark size={26} waving={running} />
      <div className="body">
        <Reasoning text={shown.reasoning} growing={running && shown.text === ""} />
        {waiting && <p className="waiting" role="status"><span>{message.running?.place ? words.place(message.running.place) : words.waiting}</span></p>}
        <div className={running ? "text growing" : "text"} aria-live={last ? "polite" : undefined} aria-busy={running}><Markdown text={shown.text} growing={running} /></div>
        <Ending shown={shown}>
          {last && !asked && shown.text !== "" && (
            <Button size="small" icon={<IconGoOn />} onClick={() => void acts.goOn(message)}>{words.continue}</Button>
          )}
          {last && !asked && shown.status === "failed" && (
            <Button size="small" icon={<IconAgain />} onClick={() => void acts.regenerate(message)}>{words.again}</Button>
          )}
        </Ending>
        {!running && !asked && (
          <footer>
            {shown.text !== "" && <Copy text={shown.text} label={words.copyAnswer} />}
            <Act label={words.regenerate} onClick={() => void (acts.isRunning() || acts.regenerate(message))}><IconAgain /></Act>
            <Siblings message={message} siblings={siblings} walk={acts.walk} />
            {message.model && <span className="model">{nameOfModel(message.model)}</span>}
            <Tokens count={message.token_count} />
          </footer>
        )}
        {last && <p className="visually-hidden" aria-live="polite">{running ? words.answering : ""}</p>}
      </div>
    </article>
  );
}

function Reasoning({ text, growing }: { text: string; growing: boolean }) {
  const words = useWords();
  if (text === "") return null;
  return (
    <details className="reasoning">
      <summary>{growing ? <span className="shimmer">{words.thinking}</span> : words.thought}</summary>
      <div>{text}</div>
    </details>
  );
}

// Why an answer is not whole, and what can be done about it.
function Ending({ shown: { status, reason, error }, children }: { shown: Shown; children: ReactNode }) {
  const words = useWords();
  if (status !== "cancelled" && status !== "incomplete" && status !== "failed") return null;
  const why = error ? saidOf(error.code, error.message, words) : (reason && words.reasons[reason]) || "";
  return (
    <div className={status === "failed" ? "ending failed" : "ending"}>
      {status === "failed" && <IconAlert />}
      <p className="note">{why && why !== words[status] ? words.sentences(words[status], why) : words[status]}</p>
      {children}
    </div>
  );
}

function Tokens({ count }: { count: number | null }) {
  const words = useWords();
  const number = useNumbers();
  if (!count) return null;
  return <span className="tokens" title={words.tokensOf}>{words.tokens(number(count))}</span>;
}

function Siblings({ message, siblings, walk }: { message: Told; siblings: string[]; walk: Acts["walk"] }) {
  const words = useWords();
  const at = siblings.indexOf(message.id);
  if (siblings.length < 2 || at < 0) return null;
  const to = (n: number) => () => void walk(siblings[n]!);
  return (
    <span className="siblings" role="group" aria-label={words.sibling(at + 1, siblings.length)}>
      <Act label={words.previousSibling} disabled={at === 0} onClick={to(at - 1)}><IconLeft /></Act>
      <span aria-hidden="true">{at + 1}/{siblings.length}</span>
      <Act label={words.nextSibling} disabled={at === siblings.length - 1} onClick={to(at + 1)}><IconRight /></Act>
    </span>
  );
}

// An earlier question asked in other words. The first one stays.
function Editor({ text, save, cancel }: { text: string; save: (text: string) => Promise<boolean>; cancel: () => void }) {
  const words = useWords();
  const [draft, setDraft] = useState(text);
  const area = useRef<HTMLTextAreaElement>(null);
  const trimmed = draft.trim();

  useEffect(() => {
    const { current } = area;
    current?.focus();
    current?.setSelectionRange(text.length, text.length);
  }, [text]);

  async function send() {
    if (trimmed === "") return;
    cancel();
    await save(trimmed);
  }

  return (
    <form
      className="editor"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") cancel();
        if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing || event.keyCode === 229) return;
        event.preventDefault();
        void send();
      }}
    >
      <textarea ref={area} aria-label={words.edit} value={draft} rows={Math.min(12, draft.split("\n").length + 1)} onChange={(event) => setDraft(event.target.value)} />
      <div className="row">
        <p className="quiet">{words.editHint}</p>
        <Button type="tertiary" onClick={cancel}>{words.cancel}</Button>
        <Button htmlType="submit" theme="solid" disabled={trimmed === ""}>{words.send}</Button>
      </div>
    </form>
  );
}
