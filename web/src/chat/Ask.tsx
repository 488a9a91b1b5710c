import TextArea from "@douyinfe/semi-ui-19/lib/es/input/textarea";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type KeyboardEvent, useEffect, useRef } from "react";
import { Link } from "wouter";
import type { Model } from "../api/client";
import { quota } from "../data";
import { IconDown, IconSend, IconStop } from "../parts/icons";
import { useNumbers, useWords } from "../words";
import "./ask.css";

interface Props {
  conversation: string;
  models: Model[] | undefined;
  chosen: string;
  choose: (model: string) => void;
  draft: string;
  write: (text: string) => void;
  running: boolean;
  stopping: boolean;
  ask: (text: string) => Promise<void>;
  stop: () => void;
  isOwner: boolean;
}

// Where one writes. Enter sends, but not the one that chooses a word in an input method.
export function Ask({ conversation, models, chosen, choose, draft, write, running, stopping, ask, stop, isOwner }: Props) {
  const words = useWords();
  const area = useRef<HTMLTextAreaElement>(null);
  const model = models?.find(({ id }) => id === chosen);
  const ready = draft.trim() !== "" && model !== undefined && !running;

  // A finger would be met by a keyboard over half of the screen.
  useEffect(() => {
    if (window.matchMedia("(pointer: fine)").matches) area.current?.focus();
  }, [conversation]);

  function submit(event?: FormEvent) {
    event?.preventDefault();
    if (ready) void ask(draft.trim());
  }

  function keyed(event: KeyboardEvent) {
    // Safari ends a composition before it tells of the key; only the code 229 then says so.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  }

  if (models?.length === 0) {
    return <p className="no-models">{words.noModels} {isOwner && <Link href="/owner/models">{words.addModel}</Link>}</p>;
  }
  return (
    <form className="ask" onSubmit={submit}>
      <div className="box">
        <TextArea
          id="ask"
          ref={area}
          aria-label={words.ask}
          aria-keyshortcuts="Enter"
          placeholder={words.ask}
          autosize={{ minRows: 1, maxRows: 9 }}
          borderless
          value={draft}
          onChange={write}
          onKeyDown={keyed}
        />
        <div className="row">
          <ModelChoice models={models ?? []} chosen={chosen} choose={choose} />
          <LeftToday />
          {/* Two buttons, not one that changes: the click that stops would go on to send what it gives back. */}
          {running ? (
            <button key="stop" type="button" className="round" aria-label={stopping ? words.stopping : words.stop} title={words.stop} disabled={stopping} onClick={stop}><IconStop /></button>
          ) : (
            <button key="send" type="submit" className="round" aria-label={words.send} title={words.askHint} disabled={!ready}><IconSend /></button>
          )}
        </div>
      </div>
      <p className="careful">{model?.demo ? words.demoNote : words.careful}</p>
    </form>
  );
}

// The browser's own list: phones have a better one than any page.
function ModelChoice({ models, chosen, choose }: { models: Model[]; chosen: string; choose: (model: string) => void }) {
  const words = useWords();
  return (
    <span className="models">
      <select aria-label={words.model} value={chosen} onChange={(event) => choose(event.target.value)}>
        {models.map(({ id, name, demo }) => <option key={id} value={id}>{demo ? `${name} · ${words.demo}` : name}</option>)}
      </select>
      <IconDown />
    </span>
  );
}

// What is left of today's tokens, where there is a limit.
function LeftToday() {
  const words = useWords();
  const number = useNumbers();
  const { data } = useQuery(quota);
  if (!data || data.limit === null) return null;
  const left = Math.max(0, data.limit - data.used - data.reserved);
  return <span className={left === 0 ? "left none" : "left"}>{left === 0 ? words.noneLeft : words.leftToday(number(left), number(data.limit))}</span>;
}
