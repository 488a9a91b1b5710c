// What a reader has of one answer: a value, made from the events of its stream alone.

import type { Delta, Done, Failure, Metadata } from "../api/client";
import type { ServerEvent } from "./sse";

export interface Answer {
  conversation: string;
  question: string | null;
  message: string; // the message that it fills; "" until the server has said so
  response: string;
  cursor: number; // the number of the last event in it
  text: string;
  reasoning: string;
  error: Failure | null;
  ended: Done | null;
}

export const NOTHING_YET: Answer = {
  conversation: "", question: null, message: "", response: "", cursor: 0, text: "", reasoning: "", error: null, ended: null,
};

// The answer with one event more. An event that it has already changes nothing, so nothing is ever shown twice.
export function withEvent(answer: Answer, { event, id, data }: ServerEvent): Answer {
  if (event === "metadata") return begun(answer, JSON.parse(data) as Metadata);
  const number = Number(id);
  if (!Number.isSafeInteger(number) || number <= answer.cursor) return answer;
  switch (event) {
    case "message": {
      const { v, r } = JSON.parse(data) as Delta;
      return { ...answer, cursor: number, text: answer.text + (v ?? ""), reasoning: answer.reasoning + (r ?? "") };
    }
    case "error":
      return { ...answer, cursor: number, error: JSON.parse(data) as Failure };
    case "done":
      return { ...answer, cursor: number, ended: JSON.parse(data) as Done };
    default:
      return answer; // what a newer server says besides
  }
}

function begun(answer: Answer, told: Metadata): Answer {
  return {
    ...answer,
    conversation: told.conversation_id,
    question: told.question_id,
    message: told.answer_id,
    response: told.response_id,
  };
}
