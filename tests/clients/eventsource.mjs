// EventSource as in a browser, whose connection is cut again and again.
import { EventSource } from "eventsource";

const headers = { authorization: `Bearer ${process.env.TAKO_KEY}` };
const made = await fetch(`${process.env.TAKO_URL}/v1/responses`, {
  method: "POST",
  headers,
  body: JSON.stringify({ model: "scripted", input: "hi", background: true }),
});
const { id } = await made.json();

let cuts = 0;
let cut = () => {};
const seen = new Set();
let twice = 0;
let text = "";
const source = new EventSource(`${process.env.TAKO_URL}/v1/responses/${id}?stream=true`, {
  fetch: async (url, init) => {
    const response = await fetch(url, { ...init, headers: { ...init.headers, ...headers } });
    if (response.body === null) return response;
    const reader = response.body.getReader();
    const body = new ReadableStream({
      start(controller) {
        cut = () => {
          controller.error(new TypeError("the network is gone"));
          reader.cancel();
        };
      },
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
    });
    return { body, url: response.url, status: response.status, redirected: false, headers: response.headers };
  },
});
source.addEventListener("response.output_text.delta", (event) => {
  if (seen.has(event.lastEventId)) twice += 1;
  seen.add(event.lastEventId);
  text += JSON.parse(event.data).delta;
  if (seen.size % 8 === 0 && cuts < 3) {
    cuts += 1;
    cut();
  }
});
// Its timer for the next try does not keep the process alive.
const awake = setInterval(() => {}, 1000);
await new Promise((resolve) => {
  source.onerror = () => source.readyState === EventSource.CLOSED && resolve();
});
clearInterval(awake);
console.log(JSON.stringify({ text, twice, cuts, stopped: source.readyState === EventSource.CLOSED }));
