import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import type { Message as Told } from "../api/client";
import { models } from "../data";
import { keep, kept } from "../kept";
import { Act } from "../parts/Act";
import { IconMenu, IconPlus } from "../parts/icons";
import { Trouble } from "../parts/Trouble";
import { useWords } from "../words";
import { Ask } from "./Ask";
import { Greeting } from "./Greeting";
import type { Acts } from "./Message";
import { Messages } from "./Messages";
import { MessagesSkeleton } from "./Skeletons";
import { type Open, useConversation } from "./useConversation";
import { useConnected } from "./watching";
import "./conversation.css";

interface Props { id: string; title: string; isOwner: boolean; inert: boolean; openList: () => void }

export function Conversation({ id, title, isOwner, inert, openList }: Props) {
  const words = useWords();
  const open = useConversation(id);
  const model = useModel(id, open);
  const acts = useActs(open, model.chosen);
  const isNew = id === "" && open.places.length === 0;
  const [draft, setDraft] = useDraft(id);

  async function ask(text: string) {
    setDraft("", false);
    if (await open.ask(text, model.chosen)) keep(`draft.${id}`, "");
    else setDraft((since) => since || text, true);
  }

  return (
    <main className="conversation" inert={inert || undefined}>
      <header className="bar">
        <Act className="for-narrow" label={words.openList} onClick={openList}><IconMenu /></Act>
        <h1 className={isNew ? "visually-hidden" : undefined} title={title || undefined}>{title || words.newConversation}</h1>
        <Link href="/" className="act for-narrow" aria-label={words.newConversation}><IconPlus /></Link>
      </header>
      {open.error ? (
        <div className="sorry"><Trouble error={open.error} /><Link href="/">{words.home}</Link></div>
      ) : open.loading ? (
        <MessagesSkeleton />
      ) : isNew ? (
        <Greeting start={(text) => { setDraft(text, true); document.getElementById("ask")?.focus(); }} />
      ) : (
        <Messages key={id} conversation={open.conversation} places={open.places} acts={acts} />
      )}
      {!open.error && (
        <div className="below">
          <Connection />
          <Ask
            models={model.all}
            chosen={model.chosen}
            choose={model.choose}
            draft={draft}
            write={(text) => setDraft(text, true)}
            running={open.isRunning}
            stopping={open.stopping}
            ask={ask}
            stop={open.stop}
            isOwner={isOwner}
            conversation={id}
          />
        </div>
      )}
    </main>
  );
}

// The model that answers next: the one chosen here, else the conversation's last, else the last that was chosen anywhere.
function useModel(id: string, open: Open) {
  const { data: all } = useQuery(models);
  const [choice, setChoice] = useState({ id: "", model: "" });
  const last = open.places.findLast(({ message }) => message.role === "assistant" && message.model)?.message.model;
  const offered = (model: string | null | undefined) => all?.find((one) => one.id === model)?.id;
  const chosen = offered(choice.id === id ? choice.model : "") ?? offered(last) ?? offered(kept("model")) ?? all?.[0]?.id ?? "";
  const choose = (model: string) => {
    keep("model", model);
    setChoice({ id, model });
  };
  return { all, chosen, choose };
}

// What the messages' buttons do, the same objects from one picture to the next, so that only changed messages are drawn.
function useActs(open: Open, model: string): Acts {
  const now = useRef({ open, model });
  now.current = { open, model };
  const [acts] = useState<Acts>(() => ({
    edit: (question: Told, text: string) => now.current.open.edit(question, text, now.current.model),
    regenerate: (answer: Told) => now.current.open.regenerate(answer, now.current.model),
    goOn: (answer: Told) => now.current.open.goOn(answer),
    walk: (message: string) => now.current.open.walk(message),
    isRunning: () => now.current.open.isRunning,
  }));
  return acts;
}

// What is being written in this conversation; a reload, or a look at another conversation, keeps it.
function useDraft(id: string) {
  const [draft, set] = useState(() => kept(`draft.${id}`) ?? "");
  const here = useRef(id);
  useEffect(() => {
    if (here.current === id) return;
    here.current = id;
    set(kept(`draft.${id}`) ?? "");
  }, [id]);
  const setDraft = useCallback((next: string | ((now: string) => string), keeping: boolean) => {
    set((now) => {
      const text = typeof next === "string" ? next : next(now);
      if (keeping) keep(`draft.${here.current}`, text);
      return text;
    });
  }, []);
  return [draft, setDraft] as const;
}

function Connection() {
  const words = useWords();
  const connected = useConnected();
  return (
    <p className={connected ? "connection" : "connection lost"} role="status">{connected ? "" : words.offline}</p>
  );
}
