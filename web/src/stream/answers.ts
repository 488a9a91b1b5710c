// The answers that this tab watches. The server says what they are; here is only what its streams have brought so far.

import type { Message } from "../api/client";
import { type Answer, NOTHING_YET } from "./answer";
import { follow, type Request } from "./follow";
import { browser, type Network } from "./network";
import { followTogether, leadTogether } from "./tabs";

export interface Live { answer: Answer; connected: boolean }

// What was asked here and is not yet among the messages that the server gave. `parent` is the message that it follows
// (null: none); `text` the question, null for another answer to `parent` or for more of the answer `message`.
export interface Question { parent: string | null; text: string | null; message: string }
export interface Asking extends Question { connected: boolean; begun: boolean }

// The reader took the question back before the server had it.
export class Withdrawn extends Error {}

interface Watched extends Live { work: AbortController | null }

export class Answers {
  private readonly watched = new Map<string, Watched>();
  private readonly askings = new Map<string, Asking>();
  private readonly works = new Map<string, AbortController>();
  private readonly listeners = new Set<() => void>();
  private notifying = 0;
  private hidden = false;

  constructor(
    private readonly failed: (error: unknown) => void,
    private readonly ended: (answer: Answer) => void,
    private readonly network: Network = browser,
  ) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  live(message: string): Live | undefined {
    return this.watched.get(message);
  }

  // What is being asked in that conversation ("" for one that is to begin).
  asking(conversation: string): Asking | undefined {
    return this.askings.get(conversation);
  }

  get connected(): boolean {
    const watched = [...this.watched.values()].every((one) => one.connected || one.answer.ended !== null);
    return watched && [...this.askings.values()].every((one) => one.connected);
  }

  // Watch the running ones among these messages, and no others.
  attend(messages: Message[]): void {
    const running = messages.filter((message) => message.running);
    const kept = new Set([...running.map(({ id }) => id), ...[...this.askings.values()].map(({ message }) => message)]);
    for (const [id, one] of this.watched) {
      if (kept.has(id)) continue;
      one.work?.abort();
      this.watched.delete(id);
    }
    for (const message of running) {
      const known = this.watched.get(message.id);
      const { response_id, cursor } = message.running!;
      if (known && known.answer.response === response_id && known.answer.cursor >= cursor) continue;
      known?.work?.abort();
      this.watch(message.id, joined(message));
    }
  }

  // Asks, and watches the answer from its first word. Resolves when the server has taken the question; what was asked is
  // then shown until `confirm`. Throws `ApiError` if it did not take it: then nothing has changed.
  ask(conversation: string, question: Question, start: Partial<Answer>, request: Request): Promise<Answer> {
    const work = new AbortController();
    let begun: Answer | null = null;
    this.setAsking(conversation, { ...question, connected: true, begun: false }, work);
    return new Promise((taken, refused) => {
      let tell = (answer: Answer, connected: boolean) => {
        begun = answer;
        this.watched.set(answer.message, { answer, connected, work });
        this.changed();
      };
      const show = (answer: Answer, connected: boolean) => {
        if (work.signal.aborted) return;
        if (answer.message === "") return this.setAsking(conversation, { ...question, connected, begun: false }, work);
        const isFirst = begun === null;
        if (isFirst) tell = leadTogether(answer, tell, done);
        tell(answer, connected);
        if (!isFirst) return;
        this.setAsking(conversation, null);
        this.setAsking(answer.conversation, { ...question, message: answer.message, connected: true, begun: true });
        taken(answer);
      };
      const done = follow({ ...NOTHING_YET, ...start }, request, show, work.signal, this.network).then(
        (isEnd) => {
          if (begun === null) refused(new Withdrawn());
          else if (isEnd) this.ended(begun);
        },
        (error) => {
          if (begun !== null) return this.failed(error);
          this.setAsking(conversation, null);
          refused(error as Error);
        },
      );
    });
  }

  // Takes back what the server has not answered to.
  withdraw(conversation: string): void {
    this.works.get(conversation)?.abort();
    this.setAsking(conversation, null);
  }

  // The server has given the messages that were asked for here.
  confirm(conversation: string): void {
    this.setAsking(conversation, null);
  }

  // A tab that nobody sees gives its connections to those that are seen.
  hide(): void {
    this.hidden = true;
    for (const one of this.watched.values()) {
      one.work?.abort();
      one.work = null;
    }
  }

  show(): void {
    this.hidden = false;
    for (const [id, { answer, work }] of this.watched) if (work === null && answer.ended === null) this.watch(id, answer);
  }

  leaveAll(): void {
    for (const one of this.watched.values()) one.work?.abort();
    this.watched.clear();
    this.askings.clear();
    this.changed();
  }

  private setAsking(conversation: string, asking: Asking | null, work?: AbortController): void {
    if (asking) this.askings.set(conversation, asking);
    else this.askings.delete(conversation);
    if (work) this.works.set(conversation, work);
    else this.works.delete(conversation);
    this.changed();
  }

  private watch(id: string, start: Answer): void {
    const work = this.hidden ? null : new AbortController();
    this.watched.set(id, { answer: start, connected: true, work });
    this.changed();
    if (work === null) return;
    const show = (answer: Answer, connected: boolean) => {
      if (work.signal.aborted) return;
      this.watched.set(id, { answer, connected, work });
      this.changed();
    };
    followTogether(start, show, work.signal, this.network).then(
      (isEnd) => isEnd && this.ended(this.watched.get(id)?.answer ?? start),
      this.failed,
    );
  }

  // At most once for each picture that the browser draws.
  private changed(): void {
    if (this.notifying) return;
    this.notifying = requestAnimationFrame(() => {
      this.notifying = 0;
      for (const listener of this.listeners) listener();
    });
  }
}

// The answer of a running message, as far as the server gave it with the message.
function joined(message: Message): Answer {
  const running = message.running!;
  return {
    ...NOTHING_YET,
    message: message.id,
    response: running.response_id,
    cursor: running.cursor,
    text: textOf(message),
    reasoning: reasoningOf(message),
  };
}

export const textOf = (message: Message) => joinedItems(message, "message");
export const reasoningOf = (message: Message) => joinedItems(message, "reasoning");

const joinedItems = (message: Message, type: string) =>
  message.items.filter((item) => item.type === type).map(({ text }) => text).join("");
