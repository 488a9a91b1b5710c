// Server-sent events (WHATWG HTML §9.2) out of bytes that arrive in any pieces.

export interface ServerEvent {
  id: string;
  event: string;
  data: string;
}

export class EventParser {
  private rest = "";
  private id = "";
  private event = "";
  private data: string[] = [];
  private readonly decoder = new TextDecoder();

  // The events that `bytes` completes. A carriage return never ends a line by itself here: our server sends none.
  feed(bytes: Uint8Array): ServerEvent[] {
    const lines = (this.rest + this.decoder.decode(bytes, { stream: true })).split("\n");
    this.rest = lines.pop() ?? "";
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) {
          events.push({ id: this.id, event: this.event || "message", data: this.data.join("\n") });
        }
        this.event = "";
        this.data = [];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "id") this.id = value;
      else if (name === "event") this.event = value;
      else if (name === "data") this.data.push(value);
    }
    return events;
  }
}
