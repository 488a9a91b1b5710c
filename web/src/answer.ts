// What a reader has of one answer: a value, made from events alone.

export interface Answer {
  id: string;
  cursor: number; // the number of the last event in it
  text: string;
  reasoning: string;
  ended: null | { status: string; message: string };
}

export const newAnswer = (id = ""): Answer => ({ id, cursor: -1, text: "", reasoning: "", ended: null });

const ENDS = ["completed", "failed", "cancelled", "incomplete"];

// The answer with one event more. An event that it has already changes nothing, so nothing is ever shown twice.
export function withEvent(answer: Answer, data: string): Answer {
  const event = JSON.parse(data);
  if (event.sequence_number <= answer.cursor) return answer;
  const next = { ...answer, cursor: event.sequence_number as number };
  if (event.type === "response.created") next.id = event.response.id;
  else if (event.type === "response.output_text.delta") next.text += event.delta;
  else if (event.type === "response.reasoning_text.delta") next.reasoning += event.delta;
  else if (event.response && ENDS.includes(event.response.status)) {
    next.ended = { status: event.response.status, message: event.response.error?.message ?? "" };
  }
  return next;
}
