// One open conversation: what is shown of it, and what its reader can do.

import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { useLocation } from "wouter";
import { type Message, need, POST, PUT } from "../api/client";
import { conversation, queries, showBranch, stayAt } from "../data";
import { keep, kept } from "../kept";
import { type Question, reasoningOf, textOf, Withdrawn } from "../stream/answers";
import { newKey, type Request } from "../stream/follow";
import { untilTaken } from "../stream/persist";
import { placesOf } from "./places";
import { answers, fail, useAsking } from "./watching";

export type Open = ReturnType<typeof useConversation>;

export function useConversation(id: string) {
  const [, go] = useLocation();
  const reading = useQuery(conversation(id));
  const asking = useAsking(id);
  const known = reading.data?.id === id ? reading.data : undefined;
  const places = useMemo(() => placesOf(known, asking), [known, asking]);
  const last = places.at(-1)?.message;
  const [stopping, setStopping] = useState("");

  useEffect(() => {
    answers.attend(known?.messages ?? []);
  }, [known, asking]);

  // Sends what begins an answer. True when the server has taken it; false leaves everything as it was.
  async function begin(question: Question, path: string, body: unknown, start = {}): Promise<boolean> {
    setStopping("");
    try {
      const { conversation: where, message } = await answers.ask(id, question, start, request(id, path, body));
      keep(`asking.${id}`, "");
      if (where !== id) go(`/c/${where}`, { replace: true });
      void queries.invalidateQueries({ queryKey: ["conversations"] });
      void showBranch(where, message).catch(fail).finally(() => answers.confirm(where));
      return true;
    } catch (error) {
      if (!(error instanceof Withdrawn)) fail(error);
      return false;
    }
  }

  const ask = (text: string, model: string) =>
    id === ""
      ? begin({ parent: null, text, message: "" }, "/api/conversations/messages", { text, model })
      : begin({ parent: last?.id ?? null, text, message: "" }, `/api/conversations/${id}/messages`, { text, model, parent_id: last?.id ?? null });

  const edit = (question: Message, text: string, model: string) =>
    begin(
      { parent: question.parent_id, text, message: "" },
      `/api/conversations/${id}/messages`,
      { text, model, parent_id: question.parent_id },
    );

  const regenerate = (answer: Message, model: string) =>
    begin({ parent: answer.parent_id, text: null, message: "" }, `/api/messages/${answer.id}/regenerate`, { model });

  const goOn = (answer: Message) =>
    begin({ parent: answer.parent_id, text: null, message: answer.id }, `/api/messages/${answer.id}/continue`, {}, {
      text: textOf(answer),
      reasoning: reasoningOf(answer),
    });

  async function walk(message: string): Promise<void> {
    try {
      const path = { conversation_id: id };
      const walked = await need(PUT("/api/conversations/{conversation_id}/leaf", { params: { path }, body: { message_id: message } }));
      stayAt(walked);
    } catch (error) {
      fail(error);
    }
  }

  const running =
    known?.messages.find((message) => message.running)?.running?.response_id ??
    (asking?.begun ? answers.live(asking.message)?.answer.response : undefined);

  // Pressed before the server has taken the question, it counts as soon as it has; without a connection the question is
  // taken back.
  function stop(): void {
    if (asking && !asking.begun && !asking.connected) return answers.withdraw(id);
    setStopping(running ?? "next");
  }

  useEffect(() => {
    if (stopping !== "next") return;
    if (running) setStopping(running);
    else if (!asking) setStopping("");
  }, [stopping, running, asking]);

  const stoppable = stopping === running ? running : undefined;
  useEffect(() => {
    if (!stoppable || id === "") return;
    const work = new AbortController();
    const path = { conversation_id: id };
    untilTaken(() => need(POST("/api/conversations/{conversation_id}/stop", { params: { path }, body: { response_id: stoppable } })), work.signal).then(
      () => void queries.invalidateQueries({ queryKey: conversation(id).queryKey }),
      fail,
    );
    return () => work.abort();
  }, [stoppable, id]);

  return {
    conversation: known,
    error: known ? null : reading.error,
    loading: id !== "" && !known && !asking && reading.isPending,
    places,
    isRunning: running !== undefined || asking !== undefined,
    stopping: stopping === "next" || (stopping !== "" && stopping === running),
    ask,
    edit,
    regenerate,
    goOn,
    walk,
    stop,
  };
}

// The same question, sent again after a reload in the middle of sending it, is still one question.
function request(id: string, path: string, body: unknown): Request {
  const wanted = JSON.stringify([path, body]);
  const [before, key] = JSON.parse(kept(`asking.${id}`) ?? "[]") as string[];
  const request = { path, body, key: before === wanted && key ? key : newKey() };
  keep(`asking.${id}`, JSON.stringify([wanted, request.key]));
  return request;
}
