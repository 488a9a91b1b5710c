import { expect, test } from "vitest";
import { type Answer, NOTHING_YET, withEvent } from "./answer";
import { EventParser } from "./sse";

const TEXT = "八本の腕 🐙 and one head";
const METADATA = { conversation_id: "conv_1", question_id: "mesg_1", answer_id: "mesg_2", response_id: "resp_1", model: "m", cursor: 0 };
const DONE = { status: "completed", reason: null, usage: {} };
export const WIRE = [
  `event: metadata\ndata: ${JSON.stringify(METADATA)}\n\n`,
  `id: 1\ndata: ${JSON.stringify({ r: "hm" })}\n\n`,
  ...Array.from(TEXT, (v, n) => `id: ${n + 2}\ndata: ${JSON.stringify({ v })}\n\n`),
  `id: ${Array.from(TEXT).length + 2}\nevent: done\ndata: ${JSON.stringify(DONE)}\n\n`,
];

const folded = (start: Answer, wire: string, parser = new EventParser()) =>
  parser.feed(new TextEncoder().encode(wire)).reduce(withEvent, start);

test("an answer is what its events say", () => {
  expect(folded(NOTHING_YET, WIRE.join(""))).toMatchObject({
    conversation: "conv_1", question: "mesg_1", message: "mesg_2", response: "resp_1", text: TEXT, reasoning: "hm", ended: { status: "completed" },
  });
});

test("from every place at which a reader comes back it is the same answer, whatever is sent again", () => {
  const whole = folded(NOTHING_YET, WIRE.join(""));
  for (let had = 1; had <= WIRE.length; had++) {
    for (let again = 1; again <= had; again++) {
      const before = folded(NOTHING_YET, WIRE.slice(0, had).join(""));
      expect(folded(before, WIRE[0]! + WIRE.slice(again).join(""))).toEqual(whole);
    }
  }
});

test("a failure is kept with the text that came before it", () => {
  const wire = `id: 1\ndata: {"v":"half"}\n\nid: 2\nevent: error\ndata: {"code":"upstream_cut","message":"cut"}\n\nid: 3\nevent: done\ndata: {"status":"failed"}\n\n`;
  expect(folded(NOTHING_YET, wire)).toMatchObject({ text: "half", error: { code: "upstream_cut" }, ended: { status: "failed" } });
});

test("what a newer server says besides changes nothing", () => {
  expect(folded(NOTHING_YET, 'event: title\ndata: {"title":"x"}\n\nid: 5\nevent: news\ndata: {}\n\n')).toEqual(NOTHING_YET);
});
