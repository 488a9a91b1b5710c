// One open conversation: its messages, and the answer that is being made in it.

import { useCallback, useEffect, useRef, useState } from "react";
import { type Answer, newAnswer } from "./answer";
import { createConversation, type Item, listItems, readConversation } from "./api";
import { follow, type Question, stop as stopSurely } from "./follow";
import { words } from "./words";

export interface Shown { id: string; role: string; text: string; reasoning: string; note: string }
interface Past { items: Item[]; more: boolean }

const EMPTY: Past = { items: [], more: false };

// `changed` is called when the list of conversations may be another, `fail` with what went wrong.
export function useConversation(id: string, opened: (id: string) => void, changed: () => void, fail: (error: Error | null) => void) {
  const [past, setPast] = useState(EMPTY);
  const [asked, setAsked] = useState("");
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [connected, setConnected] = useState(true);
  const [stopping, setStopping] = useState(false);
  const work = useRef(new AbortController()); // of the conversation that is open; aborted when another is
  const here = useRef(""); // its id, "" for a new one
  const busy = useRef(false); // between asking and the end of the answer

  // Everything anew from the server; the answer that is being made from its first event.
  const read = useCallback(async (conversation: string) => {
    const { signal } = restart();
    try {
      const { running, ...found } = await readConversation(conversation);
      if (signal.aborted) return;
      setPast(found);
      setAsked("");
      setAnswer(null);
      if (running) await watch(newAnswer(running), null, signal);
    } catch (error) {
      if (!signal.aborted) fail(error as Error);
    }
  }, []);

  useEffect(() => {
    if (id === here.current && id !== "") return;
    here.current = id;
    fail(null);
    setPast(EMPTY);
    setAsked("");
    setAnswer(null);
    if (id) void read(id);
    else restart();
  }, [id]);

  useEffect(() => {
    // Another device may have gone on meanwhile.
    const visible = () => {
      if (document.visibilityState === "visible" && here.current && !busy.current) void read(here.current);
    };
    document.addEventListener("visibilitychange", visible);
    return () => document.removeEventListener("visibilitychange", visible);
  }, []);

  function restart(): AbortController {
    work.current.abort();
    work.current = new AbortController();
    busy.current = false;
    setStopping(false);
    setConnected(true);
    return work.current;
  }

  async function watch(start: Answer, question: Question | null, signal: AbortSignal) {
    busy.current = true;
    setAnswer(start);
    const show = (next: Answer, isConnected: boolean) => {
      if (signal.aborted) return;
      setAnswer(next);
      setConnected(isConnected);
    };
    try {
      await follow(start, question, show, signal);
    } finally {
      if (!signal.aborted) {
        busy.current = false;
        setStopping(false);
        changed();
      }
    }
  }

  // Asks; whether the question arrived. Throws nothing: `fail` is told.
  async function ask(model: string, input: string): Promise<boolean> {
    if (busy.current) return false;
    const before = { asked, answer };
    const { signal } = restart();
    busy.current = true;
    fail(null);
    try {
      if (!here.current) {
        here.current = (await createConversation(titleOf(input))).id;
        opened(here.current);
      }
      if (answer) setPast({ ...past, items: [...past.items, ...itemsOf(asked, answer)] });
      setAsked(input);
      await watch(newAnswer(), { model, input, conversation: here.current }, signal);
      return true;
    } catch (error) {
      if (signal.aborted) return true;
      busy.current = false;
      setPast(past);
      setAsked(before.asked);
      setAnswer(before.answer);
      fail(error as Error);
      return false;
    }
  }

  async function showEarlier() {
    try {
      const { items, more } = await listItems(here.current, past.items[0]?.id);
      setPast((now) => ({ items: [...items, ...now.items], more }));
    } catch (error) {
      fail(error as Error);
    }
  }

  // Stop may be pressed before the answer has an id: then it is stopped as soon as it has one.
  const answerId = answer?.id ?? "";
  useEffect(() => {
    if (stopping && answerId) stopSurely(answerId, work.current.signal).catch(fail);
  }, [stopping, answerId]);

  const running = answer !== null && answer.ended === null;
  const messages = [...past.items.map(shown), ...(asked ? [question(asked)] : []), ...(answer ? [reply(answer)] : [])];
  return { messages, running, connected, stopping, more: past.more, ask, stop: () => setStopping(true), showEarlier };
}
