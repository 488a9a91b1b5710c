// One open conversation: its messages, and the answer that is being made in it.

import { useEffect, useRef, useState } from "react";
import { type Answer, newAnswer } from "./answer";
import { createConversation, type Item, listItems, readConversation } from "./api";
import { follow, type Question, stop as stopSurely } from "./follow";
import { words } from "./words";

export interface Shown { id: string; role: string; text: string; reasoning: string; note: string }
interface Past { messages: Shown[]; first: string; more: boolean }

const NOTHING: Past = { messages: [], first: "", more: false };

// `opened` is called with the id that a new conversation gets, `changed` when the list of conversations may be another,
// `fail` with what went wrong, or null when that is over.
export function useConversation(
  id: string,
  opened: (id: string) => void,
  changed: () => void,
  fail: (error: Error | null) => void,
) {
  const [past, setPast] = useState(NOTHING);
  const [asked, setAsked] = useState("");
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [connected, setConnected] = useState(true);
  const [stopping, setStopping] = useState(false);
  const here = useRef(""); // the id of the conversation that is open, "" for a new one
  const work = useRef(new AbortController()); // what goes on in it; aborted when another is opened
  const busy = useRef(false); // from asking to the end of the answer

  useEffect(() => {
    if (id !== "" && id === here.current) return; // it has just been begun here
    here.current = id;
    fail(null);
    show(NOTHING, "", null);
    void read();
  }, [id]);

  // Another device may have gone on meanwhile.
  useEffect(() => {
    const visible = () => {
      if (document.visibilityState === "visible" && !busy.current) void read();
    };
    document.addEventListener("visibilitychange", visible);
    return () => document.removeEventListener("visibilitychange", visible);
  }, []);

  // Stop may be pressed before the answer has an id: then it is stopped as soon as it has one.
  const stoppable = stopping && answer ? answer.id : "";
  useEffect(() => {
    if (stoppable) stopSurely(stoppable, work.current.signal).catch(fail);
  }, [stoppable]);

  function show(newPast: Past, newAsked: string, next: Answer | null) {
    setPast(newPast);
    setAsked(newAsked);
    setAnswer(next);
  }

  function restart(): AbortSignal {
    work.current.abort();
    work.current = new AbortController();
    busy.current = false;
    setStopping(false);
    setConnected(true);
    return work.current.signal;
  }

  // Everything anew from the server; the answer that is being made from its first event on.
  async function read() {
    const signal = restart();
    if (!here.current) return;
    try {
      const { items, more, running } = await readConversation(here.current);
      if (signal.aborted) return;
      show({ messages: items.flatMap(shown), first: items[0]?.id ?? "", more }, "", null);
      if (running) await watch(newAnswer(running), null, signal, () => undefined);
    } catch (error) {
      if (!signal.aborted) fail(error as Error);
    }
  }

  async function watch(start: Answer, question: Question | null, signal: AbortSignal, begun: () => void) {
    busy.current = true;
    setAnswer(start);
    const showAnswer = (next: Answer, isConnected: boolean) => {
      if (signal.aborted) return;
      if (next.id) begun();
      setAnswer(next);
      setConnected(isConnected);
    };
    try {
      await follow(start, question, showAnswer, signal);
    } finally {
      if (!signal.aborted) {
        busy.current = false;
        setStopping(false);
        changed();
      }
    }
  }

  // Asks, and watches the answer to its end. False if the question did not reach the server: then nothing has changed.
  async function ask(model: string, input: string): Promise<boolean> {
    if (busy.current) return false;
    const signal = restart();
    busy.current = true;
    let begun = false;
    fail(null);
    try {
      if (!here.current) {
        here.current = (await createConversation(titleOf(input))).id;
        opened(here.current);
        changed();
      }
      show({ ...past, messages: [...past.messages, ...latest(asked, answer)] }, input, null);
      await watch(newAnswer(), { model, input, conversation: here.current }, signal, () => (begun = true));
    } catch (error) {
      if (signal.aborted) return begun;
      busy.current = false;
      if (!begun) show(past, asked, answer);
      fail(error as Error);
      return begun;
    }
    return true;
  }

  async function showEarlier() {
    const signal = work.current.signal;
    try {
      const { items, more } = await listItems(here.current, past.first);
      if (signal.aborted) return;
      setPast((now) => ({ messages: [...items.flatMap(shown), ...now.messages], first: items[0]?.id ?? now.first, more }));
    } catch (error) {
      if (!signal.aborted) fail(error as Error);
    }
  }

  return {
    messages: [...past.messages, ...latest(asked, answer)],
    running: answer !== null && answer.ended === null,
    connected,
    stopping,
    more: past.more,
    ask,
    stop: () => setStopping(true),
    showEarlier,
  };
}

// What was asked and answered since the conversation was read.
function latest(asked: string, answer: Answer | null): Shown[] {
  const messages: Shown[] = [];
  if (asked) messages.push({ id: `question-${answer?.id ?? ""}`, role: "user", text: asked, reasoning: "", note: "" });
  if (answer) {
    const { id, text, reasoning, ended } = answer;
    const note = [noteOf(ended?.status), ended?.message].filter(Boolean).join(" ");
    messages.push({ id: id || "answer", role: "assistant", text, reasoning, note });
  }
  return messages;
}

function shown(item: Item): Shown[] {
  const text = item.content?.map((part) => part.text).join("") ?? "";
  const note = item.role === "user" ? "" : noteOf(item.status);
  if (item.type === "message") return [{ id: item.id, role: item.role ?? "assistant", text, reasoning: "", note }];
  if (item.type === "reasoning") return [{ id: item.id, role: "assistant", text: "", reasoning: text, note: "" }];
  return [];
}

const noteOf = (status = "") =>
  ({ cancelled: words.cancelled, incomplete: words.incomplete, failed: words.failed })[status] ?? "";

// The first words, cut between characters.
const titleOf = (text: string) => Array.from(text.split("\n", 1)[0]!).slice(0, 60).join("");
