import { expect, test } from "vitest";
import { EventParser } from "./sse";

const wire = "id: 0\nevent: a\ndata: 1\n\n: hb\nid: 1\nevent: b\ndata: 章鱼🐙\n\n";

test("events arrive whole however the bytes are cut", () => {
  const bytes = new TextEncoder().encode(wire);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const parser = new EventParser();
    const events = [...parser.feed(bytes.slice(0, cut)), ...parser.feed(bytes.slice(cut))];
    expect(events).toEqual([
      { id: "0", event: "a", data: "1" },
      { id: "1", event: "b", data: "章鱼🐙" },
    ]);
  }
});

test("an event that is not complete is not given", () => {
  expect(new EventParser().feed(new TextEncoder().encode("id: 0\ndata: 1\n"))).toEqual([]);
});
