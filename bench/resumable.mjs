// The few lines around resumable-stream that its manual shows, to be measured beside us.
//
//   resumable.mjs serve PORT             POST /begin/ID/CHUNKS starts an answer of so many chunks, which then says nothing
//                                        more; GET /ID resumes it; POST /end/ID ends it
//   resumable.mjs write LISTENERS CHUNKS prints how many chunks a second its writer writes, as fast as it can

import http from "node:http";
import { createClient } from "redis";
import { createResumableStreamContext } from "resumable-stream/redis";

const url = process.env.VALKEY_URL;

async function context() {
  const [publisher, subscriber] = [createClient({ url }), createClient({ url })];
  await Promise.all([publisher.connect(), subscriber.connect()]);
  return createResumableStreamContext({ waitUntil: () => {}, publisher, subscriber });
}

// As the AI SDK sends a delta, with the stamp that our readers count.
function chunk() {
  const stamp = String(process.hrtime.bigint()).padStart(16, "0");
  return `data: {"type":"text-delta","id":"0","delta":"~${stamp}~word"}\n\n`;
}

async function serve(port) {
  // The writer and whoever resumes need connections of their own, as two processes of a site have.
  const [writer, readers] = [await context(), await context()];
  const ends = new Map();

  async function begin(id, chunks) {
    const stream = await writer.createNewResumableStream(
      id,
      () =>
        new ReadableStream({
          start(controller) {
            for (let n = 0; n < chunks; n++) controller.enqueue(chunk());
            ends.set(id, () => controller.close());
          },
        }),
    );
    const reader = stream.getReader();
    for (let n = 0; n < chunks; n++) await reader.read();
    drain(reader);
  }

  async function drain(reader) {
    while (!(await reader.read()).done);
  }

  async function resume(id, response) {
    const stream = await readers.resumeExistingStream(id);
    if (!stream) {
      response.writeHead(204).end();
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const reader = stream.getReader();
    response.on("close", () => reader.cancel());
    for (let part = await reader.read(); !part.done; part = await reader.read()) response.write(part.value);
    response.end();
  }

  http
    .createServer(async (request, response) => {
      const [, first, id, chunks] = request.url.split("/");
      if (request.method === "GET") return resume(first, response);
      if (first === "begin") await begin(id, Number(chunks));
      else ends.get(id)();
      response.writeHead(200, { "content-length": 3 }).end("{}\n");
    })
    .listen(port, "127.0.0.1");
}

async function write(listeners, chunks) {
  const [writer, readers] = [await context(), await context()];
  let start;
  const stream = await writer.createNewResumableStream(
    "write",
    () => {
      let sent = 0;
      return new ReadableStream({
        async pull(controller) {
          if (sent === 0) await new Promise((resolve) => (start = resolve));
          if (sent++ < chunks) controller.enqueue(chunk());
          else controller.close();
        },
      });
    },
  );
  const reader = stream.getReader();
  const first = reader.read();
  const resumed = [];
  for (let n = 0; n < listeners; n++) resumed.push(await readers.resumeExistingStream("write"));
  const delivered = resumed.map(async (one) => {
    let length = 0;
    for await (const part of one) length += part.length;
    return length;
  });
  const cpu = process.cpuUsage();
  const began = performance.now();
  start();
  await first;
  while (!(await reader.read()).done);
  const seconds = (performance.now() - began) / 1000;
  const lengths = await Promise.all(delivered);
  const used = process.cpuUsage(cpu);
  const whole = chunks * chunk().length;
  if (lengths.some((length) => length !== whole)) throw new Error(`lost: ${lengths} of ${whole}`);
  console.log(JSON.stringify({ seconds, chunks_per_s: chunks / seconds, cpu_s: (used.user + used.system) / 1e6 }));
  process.exit(0);
}

const [mode, ...rest] = process.argv.slice(2).map((word, n) => (n ? Number(word) : word));
await { serve, write }[mode](...rest);
