import { useEffect, useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import {
  cancel, createConversation, follow, getConversation, listConversations, listItems, listModels, newAnswer,
  type Answer, type Conversation, type Item, type Model,
} from "./api";
import { Message } from "./Message";
import { words } from "./words";

interface Shown { id: string; role: string; text: string; reasoning: string; note: string }

export function Chat() {
  const [conversations, setConversations] = useState<Conversation[]>([]);
  const [id, setId] = useState(() => /^\/c\/(\w+)$/.exec(location.pathname)?.[1] ?? "");
  const [messages, setMessages] = useState<Shown[]>([]);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [online, setOnline] = useState(true);
  const [problem, setProblem] = useState("");
  const [models, setModels] = useState<Model[]>([]);
  const [model, setModel] = useState("");
  const [draft, setDraft] = useState("");
  const following = useRef<AbortController | null>(null);
  const running = answer !== null && answer.ended === null;

  useEffect(() => {
    listModels().then(({ data }) => {
      setModels(data);
      setModel(data[0]?.id ?? "");
    }).catch(fail);
    refresh();
    if (id) open(id);
    const back = () => open(/^\/c\/(\w+)$/.exec(location.pathname)?.[1] ?? "");
    window.addEventListener("popstate", back);
    return () => {
      window.removeEventListener("popstate", back);
      following.current?.abort();
    };
  }, []);

  function fail(error: Error) {
    setProblem(error.message);
  }

  function refresh() {
    listConversations().then(({ data }) => setConversations(data)).catch(fail);
  }

  function watch(start: Answer, ask: Record<string, unknown> | null) {
    const here = new AbortController();
    following.current?.abort();
    following.current = here;
    setAnswer(start);
    follow(start, ask, (next, connected) => {
      if (here.signal.aborted) return;
      setAnswer(next);
      setOnline(connected);
    }, here.signal)
      .then(refresh)
      .catch((error: Error) => {
        setAnswer(null);
        fail(error);
      });
  }

  async function open(conversation: string) {
    following.current?.abort();
    setId(conversation);
    setAnswer(null);
    setProblem("");
    setMessages([]);
    if (!conversation) return;
    try {
      const [found, items] = await Promise.all([getConversation(conversation), listItems(conversation)]);
      setMessages(items.data.filter((item) => item.type === "message" || item.type === "reasoning").map(shown));
      if (found.running) watch(newAnswer(found.running), null);
    } catch (error) {
      fail(error as Error);
    }
  }

  async function submit(event?: FormEvent) {
    event?.preventDefault();
    const text = draft.trim();
    if (!text || running) return;
    setProblem("");
    try {
      let conversation = id;
      if (!conversation) {
        conversation = (await createConversation(text.slice(0, 40))).id;
        setId(conversation);
        history.pushState(null, "", `/c/${conversation}`);
      }
      setMessages((before) => [...before, ...past(answer), { id: crypto.randomUUID(), role: "user", text, reasoning: "", note: "" }]);
      setDraft("");
      watch(newAnswer(), { model, input: text, conversation });
    } catch (error) {
      fail(error as Error);
    }
  }

  function keyed(event: KeyboardEvent) {
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      void submit();
    }
  }

  const chosen = models.find((known) => known.id === model);
  return (
    <div className="chat">
      <nav aria-label={words.conversations}>
        <a href="/" onClick={(event) => { event.preventDefault(); history.pushState(null, "", "/"); void open(""); }}>＋ {words.newChat}</a>
        {conversations.map((row) => (
          <a
            key={row.id}
            href={`/c/${row.id}`}
            aria-current={row.id === id ? "page" : undefined}
            onClick={(event) => { event.preventDefault(); history.pushState(null, "", `/c/${row.id}`); void open(row.id); }}
          >
            {row.title || row.id && words.untitled}
            {row.running && <span className="dot" title={words.running} />}
          </a>
        ))}
      </nav>
      <main>
        <div className="messages" aria-live="polite">
          {messages.length === 0 && answer === null && <p className="empty">{words.empty}</p>}
          {messages.map((message) => <Message key={message.id} {...message} />)}
          {past(answer, true).map((message) => <Message key="running" {...message} running={running} />)}
        </div>
        {!online && running && <p className="notice" role="status">{words.offline}</p>}
        {problem && <p className="problem" role="alert">{problem}</p>}
        <form className="ask" onSubmit={submit}>
          <textarea
            aria-label={words.ask} placeholder={words.ask} rows={2} value={draft} autoFocus
            onChange={(event) => setDraft(event.target.value)} onKeyDown={keyed}
          />
          <div className="row">
            <select aria-label={words.model} value={model} onChange={(event) => setModel(event.target.value)}>
              {models.map((known) => <option key={known.id} value={known.id}>{known.name}</option>)}
            </select>
            {chosen?.note && <small>{chosen.note}</small>}
            {running
              ? <button type="button" onClick={() => answer && answer.id && cancel(answer.id).catch(fail)}>{words.stop}</button>
              : <button disabled={!draft.trim() || !model}>{words.send}</button>}
          </div>
        </form>
      </main>
    </div>
  );
}

function shown(item: Item): Shown {
  const text = item.content.map((part) => part.text).join("");
  const reasoning = item.type === "reasoning";
  return {
    id: item.id, role: item.role ?? "assistant", text: reasoning ? "" : text, reasoning: reasoning ? text : "",
    note: item.status === "cancelled" ? words.cancelled : item.status === "incomplete" ? words.incomplete : "",
  };
}

function past(answer: Answer | null, withEmpty = false): Shown[] {
  if (answer === null || (!withEmpty && !answer.text && !answer.ended)) return [];
  const status = answer.ended?.status ?? "";
  const note = status === "cancelled" ? words.cancelled
    : status === "incomplete" ? words.incomplete
    : status === "failed" ? `${words.failed} ${answer.ended?.message ?? ""}` : "";
  return [{ id: answer.id || "answer", role: "assistant", text: answer.text, reasoning: answer.reasoning, note }];
}
