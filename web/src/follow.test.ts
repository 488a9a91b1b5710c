import { expect, test } from "vitest";
import { type Answer, newAnswer } from "./answer";
import { ApiError } from "./api";
import { follow } from "./follow";
import type { Network } from "./network";

const TEXT = "八本の腕 🐙 and one head";
const EVENTS = [
  { type: "response.created", response: { id: "resp_1", status: "queued" } },
  ...Array.from(TEXT, (delta) => ({ type: "response.output_text.delta", delta })),
  { type: "response.completed", response: { id: "resp_1", status: "completed", error: null } },
].map((event, n) => `id: ${n}\nevent: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: n })}\n\n`);

// A server that has the whole answer and cuts each connection after `lasts` bytes; `lasts` of 0 refuses with a 502.
function network(lasts: () => number) {
  const asked: { path: string; key: string | null }[] = [];
  const fake: Network = {
    async fetch(path, options) {
      asked.push({ path, key: new Headers(options.headers).get("idempotency-key") });
      const after = /starting_after=(\d+)/.exec(path)?.[1];
      const bytes = new TextEncoder().encode(EVENTS.slice(after === undefined ? 0 : Number(after) + 1).join(""));
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
  };
  return { fake, asked };
}

async function followed(fake: Network, start = newAnswer()): Promise<Answer[]> {
  const seen: Answer[] = [];
  const question = start.id ? null : { model: "m", input: "hi", conversation: "conv_1" };
  await follow(start, question, (answer) => seen.push(answer), new AbortController().signal, fake);
  return seen;
}

test("however the connection is cut, the text comes whole, and nothing of it twice", async () => {
  const longest = Math.max(...EVENTS.map((event) => event.length));
  for (let length = longest; length < 3 * longest; length += 7) {
    const { fake } = network(() => length);
    const seen = await followed(fake);
    for (const { text } of seen) expect(TEXT.startsWith(text)).toBe(true);
    expect(seen.at(-1)).toMatchObject({ text: TEXT, ended: { status: "completed" } });
  }
});

test("a question whose answer never began is asked again with the same key, then only read", async () => {
  const lengths = [0, 0, EVENTS[0]!.length, 0, 1e6];
  const { fake, asked } = network(() => lengths.shift()!);
  expect((await followed(fake)).at(-1)!.text).toBe(TEXT);
  expect(asked.map(({ path }) => path)).toEqual([
    "/v1/responses", "/v1/responses", "/v1/responses",
    "/v1/responses/resp_1?stream=true&starting_after=0", "/v1/responses/resp_1?stream=true&starting_after=0",
  ]);
  expect(new Set(asked.slice(0, 3).map(({ key }) => key)).size).toBe(1);
});

test("a running answer is joined from its beginning", async () => {
  const { fake, asked } = network(() => 1e6);
  expect((await followed(fake, newAnswer("resp_1"))).at(-1)!.text).toBe(TEXT);
  expect(asked[0]!.path).toBe("/v1/responses/resp_1?stream=true");
});

test("being told no ends it, in the server's words", async () => {
  const { fake } = network(() => 0);
  fake.fetch = async () => Response.json({ error: { message: "No tokens left today." } }, { status: 429 });
  await expect(followed(fake)).rejects.toEqual(new ApiError("No tokens left today.", 429));
});
