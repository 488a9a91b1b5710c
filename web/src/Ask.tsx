import { type FormEvent, type KeyboardEvent, useEffect, useState } from "react";
import { listModels, type Model } from "./api";
import { words } from "./words";

interface Props {
  running: boolean;
  stopping: boolean;
  onAsk: (model: string, text: string) => Promise<boolean>;
  onStop: () => void;
  onProblem: (error: Error) => void;
}

export function Ask({ running, stopping, onAsk, onStop, onProblem }: Props) {
  const [models, setModels] = useState<Model[]>([]);
  const [chosen, setChosen] = useState("");
  const [draft, setDraft] = useState("");
  const model = models.find(({ id }) => id === chosen) ?? models[0];

  useEffect(() => {
    listModels().then(({ data }) => setModels(data), onProblem);
  }, []);

  async function submit(event?: FormEvent) {
    event?.preventDefault();
    const text = draft.trim();
    if (!text || !model || running) return;
    setDraft("");
    if (!(await onAsk(model.id, text))) setDraft((typedSince) => typedSince || text);
  }

  // Enter sends, but not the one that chooses a word in an input method.
  function keyed(event: KeyboardEvent) {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void submit();
  }

  return (
    <form className="ask" onSubmit={submit}>
      <textarea
        aria-label={words.ask}
        placeholder={words.ask}
        rows={2}
        value={draft}
        autoFocus
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={keyed}
      />
      <div className="row">
        <select aria-label={words.model} value={model?.id ?? ""} onChange={(event) => setChosen(event.target.value)}>
          {models.map(({ id, name }) => <option key={id} value={id}>{name}</option>)}
        </select>
        {running
          ? <button type="button" disabled={stopping} onClick={onStop}>{words.stop}</button>
          : <button disabled={!draft.trim() || !model}>{words.send}</button>}
      </div>
      {model?.note && <small>{model.note}</small>}
    </form>
  );
}
