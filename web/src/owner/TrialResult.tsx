import { IconTick } from "../parts/icons";
import { Trouble } from "../parts/Trouble";
import { useNumbers, useWords } from "../words";
import type { Trial } from "./data";

// What came of asking a model for one word.
export function TrialResult({ trial, error }: { trial: Trial | undefined; error: unknown }) {
  const words = useWords();
  const number = useNumbers();
  if (error) return <Trouble error={error} />;
  if (!trial) return null;
  if (!trial.ok) {
    const { code, message } = trial.error ?? { code: "", message: "" };
    const short = words.errors[code];
    return <Trouble>{short ?? message}{short && message && <span className="told" lang="en">{message}</span>}</Trouble>;
  }
  return (
    <p className="works" role="status">
      <IconTick />
      <span>{words.owner.works(number(Math.round((trial.latency_ms ?? 0) / 100) / 10))} <q>{trial.text?.trim()}</q></span>
    </p>
  );
}
