// A browser opens six connections to a site and no more, however many of its tabs and windows show it. So one of them
// follows each feed, and one each answer, and tells the others. Where a browser cannot arrange turns (plain http), each
// tab follows for itself.

import type { Answer } from "./answer";
import { follow } from "./follow";
import { type Feed, followFeed, type News } from "./feed";
import { browser, type Network } from "./network";

const canShare = () => "locks" in navigator && "BroadcastChannel" in globalThis;

type FeedTold = { news: News } | { connected: boolean };

// Calls `hear` with all news, by way of the tab whose turn it is, until `signal` aborts.
export async function shareFeed(feed: Feed, hear: (news: News) => void, connected: (yes: boolean) => void, signal: AbortSignal): Promise<void> {
  if (!canShare()) return followFeed(feed, hear, connected, signal);
  const name = `tako-${feed}`;
  const channel = new BroadcastChannel(name);
  channel.onmessage = ({ data }: MessageEvent<FeedTold>) => ("news" in data ? hear(data.news) : connected(data.connected));
  const tell = (told: FeedTold) => channel.postMessage(told);
  const lead = () =>
    followFeed(
      feed,
      (news) => {
        hear(news);
        tell({ news });
      },
      (yes) => {
        connected(yes);
        tell({ connected: yes });
      },
      signal,
    );
  try {
    await navigator.locks.request(name, { signal }, lead);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    channel.close();
  }
}

type Show = (answer: Answer, connected: boolean) => void;

// `follow` for an answer that has begun, by way of the tab whose turn it is.
export async function followTogether(start: Answer, show: Show, signal: AbortSignal, network: Network = browser): Promise<boolean> {
  if (!canShare()) return follow(start, null, show, signal, network);
  const waiting = new AbortController();
  const leave = () => waiting.abort();
  signal.addEventListener("abort", leave);
  const relay = new Relay(start, (answer, connected) => {
    show(answer, connected);
    if (answer.ended) waiting.abort();
  });
  relay.want();
  try {
    return await navigator.locks.request(lockOf(start), { signal: waiting.signal }, () => {
      if (relay.answer.ended) return true;
      return follow(relay.answer, null, relay.lead(show), signal, network);
    });
  } catch (error) {
    if (!waiting.signal.aborted) throw error;
    return relay.answer.ended !== null;
  } finally {
    signal.removeEventListener("abort", leave);
    relay.close();
  }
}

// The tab that asked follows the answer already: it tells the others until `done`.
export function leadTogether(start: Answer, show: Show, done: Promise<unknown>): Show {
  if (!canShare()) return show;
  const relay = new Relay(start, () => undefined);
  void navigator.locks.request(lockOf(start), { ifAvailable: true }, () => done).finally(() => relay.close());
  return relay.lead(show);
}

const lockOf = ({ response }: Answer) => `tako-${response}`;

// What has been added to an answer after the event `after`; `whole`: all of it.
interface Piece extends Pick<Answer, "cursor" | "text" | "reasoning" | "error" | "ended"> {
  after: number;
  whole: boolean;
  connected: boolean;
}

class Relay {
  private readonly channel: BroadcastChannel;
  private leads = false;
  private connected = true;

  constructor(
    public answer: Answer,
    private readonly heard: Show,
  ) {
    this.channel = new BroadcastChannel(lockOf(answer));
    this.channel.onmessage = ({ data }: MessageEvent<Piece | "want">) => this.hear(data);
  }

  // Others may be ahead.
  want(): void {
    this.channel.postMessage("want");
  }

  // From now on this tab tells the others what it shows.
  lead(show: Show): Show {
    this.leads = true;
    return (answer, connected) => {
      const { cursor, text, reasoning } = this.answer;
      this.tell({ ...answer, after: cursor, whole: false, connected, text: answer.text.slice(text.length), reasoning: answer.reasoning.slice(reasoning.length) });
      this.answer = answer;
      this.connected = connected;
      show(answer, connected);
    };
  }

  close(): void {
    this.channel.close();
  }

  private hear(told: Piece | "want"): void {
    if (told === "want") {
      if (this.leads) this.tell({ ...this.answer, after: 0, whole: true, connected: this.connected });
      return;
    }
    if (this.leads) return;
    const { answer } = this;
    const { cursor, text, reasoning, error, ended } = told;
    if (cursor > answer.cursor) {
      if (told.whole) this.answer = { ...answer, cursor, text, reasoning, error, ended };
      else if (told.after !== answer.cursor) return this.want();
      else this.answer = { ...answer, cursor, text: answer.text + text, reasoning: answer.reasoning + reasoning, error, ended };
    }
    this.heard(this.answer, told.connected);
  }

  private tell({ after, whole, connected, cursor, text, reasoning, error, ended }: Piece): void {
    this.channel.postMessage({ after, whole, connected, cursor, text, reasoning, error, ended } satisfies Piece);
  }
}
