import { useEffect, useState } from "react";
import { Ask } from "./Ask";
import { ApiError, type Conversation, listConversations } from "./api";
import { useConversation } from "./conversation";
import { Conversations } from "./Conversations";
import { Messages } from "./Messages";
import { words } from "./words";

const idInAddress = () => /^\/c\/(\w+)$/.exec(location.pathname)?.[1] ?? "";

export function Chat({ onSignedOut }: { onSignedOut: () => void }) {
  const [id, setId] = useState(idInAddress);
  const [conversations, setConversations] = useState<Conversation[]>([]);
  const [problem, setProblem] = useState("");
  const conversation = useConversation(id, go, refresh, fail);

  useEffect(() => {
    refresh();
    const moved = () => setId(idInAddress());
    const visible = () => document.visibilityState === "visible" && refresh();
    window.addEventListener("popstate", moved);
    document.addEventListener("visibilitychange", visible);
    return () => {
      window.removeEventListener("popstate", moved);
      document.removeEventListener("visibilitychange", visible);
    };
  }, []);

  function go(to: string) {
    history.pushState(null, "", to ? `/c/${to}` : "/");
    setId(to);
  }

  function refresh() {
    listConversations().then(({ data }) => setConversations(data), fail);
  }

  function fail(error: Error | null) {
    if (error instanceof ApiError && error.status === 401) onSignedOut();
    setProblem(error?.message ?? "");
  }

  return (
    <div className="chat">
      <Conversations list={conversations} current={id} onChoose={go} />
      <main>
        <Messages list={conversation.messages} running={conversation.running}>
          {conversation.more && <button className="quiet" onClick={conversation.showEarlier}>{words.earlier}</button>}
        </Messages>
        {conversation.running && !conversation.connected && <p className="notice" role="status">{words.offline}</p>}
        {problem && <p className="problem" role="alert">{problem}</p>}
        <Ask
          running={conversation.running}
          stopping={conversation.stopping}
          onAsk={conversation.ask}
          onStop={conversation.stop}
          onProblem={fail}
        />
      </main>
    </div>
  );
}
