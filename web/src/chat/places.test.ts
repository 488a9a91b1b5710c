import { expect, test } from "vitest";
import type { Conversation, Message } from "../api/client";
import { NOTHING_YET } from "../stream/answer";
import { placesOf, shownOf } from "./places";

const message = (id: string, parent_id: string | null, children_ids: string[], more: Partial<Message> = {}): Message => ({
  id, parent_id, children_ids, role: parent_id === null || id.startsWith("q") ? "user" : "assistant",
  items: [{ id: `item_${id}`, type: "message", text: id }], model: null, token_count: 1, status: "completed", reason: null, error: null, created_at: 0, running: null,
  ...more,
});
const conversation: Conversation = {
  id: "conv_1", title: "", created_at: 0, updated_at: 0, version: 1, generating: null, leaf_id: "a2", root_ids: ["q0", "q1"], has_more: false,
  messages: [message("q1", null, ["a1", "a2"]), message("a2", "q1", [])],
};
const asking = { parent: "a2", text: "more", message: "", connected: true, begun: false };
const texts = (...asked: Parameters<typeof placesOf>) => placesOf(...asked).map((place) => shownOf(place, undefined).text);

test("siblings are what follows the same message, or begins the conversation", () => {
  expect(placesOf(conversation, undefined).map(({ siblings }) => siblings)).toEqual([["q0", "q1"], ["a1", "a2"]]);
});

test("what was just asked follows the message after which it was asked", () => {
  expect(texts(conversation, asking)).toEqual(["q1", "a2", "more", ""]);
  expect(texts(conversation, { ...asking, parent: null })).toEqual(["more", ""]);
  expect(texts(conversation, { ...asking, parent: "q1", text: null })).toEqual(["q1", ""]);
});

test("what the server has given is not shown a second time", () => {
  expect(texts(conversation, { ...asking, parent: "q1", message: "a2", begun: true })).toEqual(["q1", "a2"]);
});

test("a stream is shown for the response that it belongs to, and for no other", () => {
  const live = { connected: true, answer: { ...NOTHING_YET, response: "resp_1", text: "streamed" } };
  const running = { response_id: "resp_1", cursor: 0, place: null };
  const place = (more: Partial<Message>, asked = false) => ({ message: message("a2", "q1", [], { status: "in_progress", ...more }), asked });
  expect(shownOf(place({ running }), live)).toMatchObject({ text: "streamed", status: "in_progress" });
  expect(shownOf(place({ running: { response_id: "resp_2", cursor: 0, place: null } }), live).text).toBe("a2");
  expect(shownOf(place({ status: "completed" }), live)).toMatchObject({ text: "a2", status: "completed" });
  expect(shownOf(place({ status: "incomplete" }, true), live).text).toBe("streamed");
});
