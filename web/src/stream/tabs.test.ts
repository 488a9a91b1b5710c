import { expect, test } from "vitest";
import { type Answer, NOTHING_YET } from "./answer";
import type { Network } from "./network";
import { followTogether } from "./tabs";

const START: Answer = { ...NOTHING_YET, message: "mesg_1", response: "resp_1" };
const event = (n: number, v: string) => `id: ${n}\ndata: ${JSON.stringify({ v })}\n\n`;
const done = (n: number) => `id: ${n}\nevent: done\ndata: {"status":"completed","reason":null}\n\n`;

// A server that sends to each connection what it lacks and then what comes, and keeps it open, as some proxies do.
function server(response: string) {
  const open = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const asked: string[] = [];
  const log: Uint8Array[] = [];
  let onOpen = () => undefined as void;
  const connected = () =>
    new Promise<void>((resolve) => {
      onOpen = resolve;
      if (open.size > 0) resolve();
    });
  const network: Network = {
    async fetch(path, { signal }) {
      asked.push(path);
      let here: ReadableStreamDefaultController<Uint8Array>;
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          here = controller;
          open.add(controller);
          onOpen();
          for (const bytes of log.slice(Number(/after=(\d+)/.exec(path)![1]))) controller.enqueue(bytes);
        },
      });
      signal!.addEventListener("abort", () => open.delete(here) && here.error(new Error("aborted")));
      return new Response(body);
    },
    pause: async () => undefined,
    onReturn: () => () => undefined,
    onLoss: () => () => undefined,
  };
  const send = (...events: string[]) => {
    for (const text of events) {
      log.push(new TextEncoder().encode(text));
      open.forEach((one) => one.enqueue(log.at(-1)!));
    }
  };
  return { network, asked, connected, send, start: { ...START, response } };
}

// A tab that watches, and waits until it has seen a text.
function tab(start: Answer, network: Network) {
  const work = new AbortController();
  let latest = start;
  let seen = () => undefined as void;
  const ended = followTogether(
    start,
    (answer) => {
      latest = answer;
      seen();
    },
    work.signal,
    network,
  );
  const sees = (text: string) =>
    new Promise<void>((resolve) => {
      seen = () => latest.text === text && resolve();
      seen();
    });
  return { sees, ended, leave: () => work.abort() };
}

test("two tabs share one connection, and one that comes late misses nothing", async () => {
  const site = server("resp_shared");
  const first = tab(site.start, site.network);
  await site.connected();
  site.send(event(1, "one "));
  await first.sees("one ");
  const second = tab(site.start, site.network);
  await second.sees("one ");
  site.send(event(2, "two"));
  await Promise.all([first.sees("one two"), second.sees("one two")]);
  expect(site.asked.length).toBe(1);
  site.send(done(3));
  expect(await Promise.all([first.ended, second.ended])).toEqual([true, true]);
});

test("when the tab that followed for all is closed, another goes on where it was", async () => {
  const site = server("resp_handed");
  const first = tab(site.start, site.network);
  await site.connected();
  const second = tab(site.start, site.network);
  site.send(event(1, "one "));
  await Promise.all([first.sees("one "), second.sees("one ")]);
  first.leave();
  expect(await first.ended).toBe(false);
  await site.connected();
  expect(site.asked.at(-1)).toContain("after=1");
  site.send(event(2, "two"), done(3));
  await second.sees("one two");
  expect(await second.ended).toBe(true);
});
