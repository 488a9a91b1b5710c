import { expect, test } from "vitest";
import { ApiError } from "../api/client";
import { type Answer, NOTHING_YET } from "./answer";
import { follow, type Request } from "./follow";
import type { Network } from "./network";

const TEXT = "八本の腕 🐙 and one head";
const METADATA = `event: metadata\ndata: ${JSON.stringify({ conversation_id: "conv_1", question_id: "mesg_1", answer_id: "mesg_2", response_id: "resp_1", model: "m", cursor: 0 })}\n\n`;
const NUMBERED = [
  ...Array.from(TEXT, (v, n) => `id: ${n + 1}\ndata: ${JSON.stringify({ v })}\n\n`),
  `id: ${Array.from(TEXT).length + 1}\nevent: done\ndata: {"status":"completed","reason":null}\n\n`,
];
const REQUEST: Request = { path: "/api/conversations/messages", body: { text: "hi", model: "m" }, key: "k" };

// A server that has the whole answer and cuts each connection after `lasts` bytes; `lasts` of 0 refuses with a 502.
function network(lasts: () => number) {
  const asked: { path: string; key: string | null }[] = [];
  const fake: Network = {
    async fetch(path, options) {
      asked.push({ path, key: new Headers(options.headers).get("idempotency-key") });
      const after = Number(/after=(\d+)/.exec(path)?.[1] ?? 0);
      if (after === NUMBERED.length) return new Response(null, { status: 204 });
      const bytes = new TextEncoder().encode(METADATA + NUMBERED.slice(after).join(""));
      const length = lasts();
      if (length === 0) return new Response("<h1>Bad gateway</h1>", { status: 502 });
      let sent = false;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (sent) return length < bytes.length ? controller.error(new TypeError("network error")) : controller.close();
          sent = true;
          controller.enqueue(bytes.slice(0, length));
        },
      });
      return new Response(body);
    },
    pause: async () => undefined,
    onReturn: () => () => undefined,
    onLoss: () => () => undefined,
  };
  return { fake, asked };
}

async function followed(fake: Network, start: Answer = NOTHING_YET): Promise<Answer[]> {
  const seen: Answer[] = [];
  const isEnd = await follow(start, start.message ? null : REQUEST, (answer) => seen.push(answer), new AbortController().signal, fake);
  expect(isEnd).toBe(true);
  return seen;
}

test("wherever the connection is cut, the text comes whole, and nothing of it twice", async () => {
  const longest = METADATA.length + Math.max(...NUMBERED.map((event) => new TextEncoder().encode(event).length));
  for (let length = longest; length < longest + 200; length++) {
    const { fake } = network(() => length);
    const seen = await followed(fake);
    for (const { text } of seen) expect(TEXT.startsWith(text)).toBe(true);
    expect(seen.at(-1)).toMatchObject({ text: TEXT, ended: { status: "completed" } });
  }
});

test("a question whose answer never began is asked again with the same key, then only read", async () => {
  const lengths = [0, 0, METADATA.length, 0, 1e6];
  const { fake, asked } = network(() => lengths.shift()!);
  expect((await followed(fake)).at(-1)!.text).toBe(TEXT);
  const read = "/api/messages/mesg_2/stream?after=0&response_id=resp_1";
  expect(asked).toEqual([
    { path: REQUEST.path, key: "k" }, { path: REQUEST.path, key: "k" }, { path: REQUEST.path, key: "k" },
    { path: read, key: null }, { path: read, key: null },
  ]);
});

test("a running answer is joined where the reader is", async () => {
  const { fake, asked } = network(() => 1e6);
  const start = { ...NOTHING_YET, message: "mesg_2", response: "resp_1", cursor: 4, text: TEXT.slice(0, 4) };
  expect((await followed(fake, start)).at(-1)!.text).toBe(TEXT);
  expect(asked[0]!.path).toBe("/api/messages/mesg_2/stream?after=4&response_id=resp_1");
});

test("a reader that has all of it is told so, and asks no more", async () => {
  const { fake, asked } = network(() => 1e6);
  await followed(fake, { ...NOTHING_YET, message: "mesg_2", response: "resp_1", cursor: NUMBERED.length, text: TEXT });
  expect(asked.length).toBe(1);
});

test("being told no ends it, with the server's code", async () => {
  const { fake } = network(() => 0);
  fake.fetch = async () => Response.json({ detail: "No tokens left today.", code: "daily_tokens_exceeded" }, { status: 429 });
  await expect(followed(fake)).rejects.toEqual(new ApiError("No tokens left today.", 429, "daily_tokens_exceeded"));
});

test("what is given up ends without a word more", async () => {
  const { fake } = network(() => METADATA.length + 30);
  const work = new AbortController();
  let shown = 0;
  const isEnd = await follow(NOTHING_YET, REQUEST, () => ++shown === 2 && work.abort(), work.signal, fake);
  expect([isEnd, shown]).toEqual([false, 2]);
});
