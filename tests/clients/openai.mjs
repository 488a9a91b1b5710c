// OpenAI's client for JavaScript: create in background, break, resume, stream by id, cancel twice, delete.
import OpenAI from "openai";

const api = new OpenAI({ baseURL: `${process.env.TAKO_URL}/v1`, apiKey: process.env.TAKO_KEY });
const ask = { model: "scripted", input: "hi", background: true };

let resumed = "";
let cursor = -1;
let id = "";
for await (const event of await api.responses.create({ ...ask, stream: true })) {
  cursor = event.sequence_number;
  if (event.type === "response.created") id = event.response.id;
  if (event.type === "response.output_text.delta") resumed += event.delta;
  if (resumed.length > 10) break;
}
for await (const event of await api.responses.retrieve(id, { stream: true, starting_after: cursor })) {
  if (event.type === "response.output_text.delta") resumed += event.delta;
}

const helper = (await api.responses.stream({ response_id: id }).finalResponse()).output_text;

const running = await api.responses.create(ask);
const cancelled = [];
for (let n = 0; n < 2; n++) cancelled.push((await api.responses.cancel(running.id)).status);

await api.responses.delete(running.id);
const deleted = await api.responses.retrieve(running.id).then(() => 200, (error) => error.status);

console.log(JSON.stringify({ resumed, helper, cancelled, deleted }));
