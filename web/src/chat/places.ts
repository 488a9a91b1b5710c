// What is shown of a conversation: the branch that the server gave, and after it what was just asked here.

import type { Conversation, Message } from "../api/client";
import { type Asking, type Live, reasoningOf, textOf } from "../stream/answers";

// One message where it stands. `siblings`: it and what else follows the same message. `asked`: the server has not given
// what this tab knows of it.
export interface Place { message: Message; siblings: string[]; asked: boolean }

const ALONE: string[] = [];

export function placesOf(conversation: Conversation | undefined, asking: Asking | undefined): Place[] {
  const messages = conversation?.messages ?? [];
  const known = asking?.message ? messages.some(({ id }) => id === asking.message) : false;
  if (!asking || known) return places(conversation, messages, asking?.message);
  const until = asking.parent === null ? 0 : messages.findIndex(({ id }) => id === asking.parent) + 1;
  const base = places(conversation, messages.slice(0, until), undefined);
  const question = asking.text === null ? [] : [pending("asked-question", "user", asking.text)];
  return [...base, ...question, pending(asking.message || "asked-answer", "assistant", "")];
}

function places(conversation: Conversation | undefined, messages: Message[], asked: string | undefined): Place[] {
  return messages.map((message, n) => ({
    message,
    siblings: siblingsOf(conversation, message, messages[n - 1]),
    asked: message.id === asked,
  }));
}

function siblingsOf(conversation: Conversation | undefined, message: Message, before: Message | undefined): string[] {
  if (message.parent_id === null) return conversation?.root_ids ?? ALONE;
  return before?.id === message.parent_id ? before.children_ids : ALONE;
}

function pending(id: string, role: Message["role"], text: string): Place {
  const message: Message = {
    id,
    parent_id: null,
    children_ids: [],
    role,
    items: text ? [{ id: "", type: "message", text }] : [],
    model: null,
    token_count: null,
    reason: null,
    error: null,
    running: null,
    status: role === "user" ? "completed" : "queued",
    created_at: 0,
  };
  return { message, siblings: ALONE, asked: true };
}

// A message as it is shown: what the server gave, or what its stream has brought since.
export interface Shown {
  text: string;
  reasoning: string;
  status: Message["status"];
  reason: string | null;
  error: { code: string; message: string } | null;
}

export function shownOf({ message, asked }: Pick<Place, "message" | "asked">, live: Live | undefined): Shown {
  if (live && (asked || live.answer.response === message.running?.response_id)) {
    const { text, reasoning, ended, error } = live.answer;
    return { text, reasoning, status: ended?.status ?? "in_progress", reason: ended?.reason ?? null, error };
  }
  return {
    text: textOf(message),
    reasoning: reasoningOf(message),
    status: message.status,
    reason: message.reason ?? null,
    error: message.error ?? null,
  };
}

export const isRunning = (status: Message["status"]) => status === "queued" || status === "in_progress";
