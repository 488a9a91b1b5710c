import { IconAlert } from "../../parts/icons";
import { useMoments, useWords } from "../../words";
import type { FerryStream } from "../data";
import { Said } from "./Said";
import { useUnits } from "./units";

type Steps = FerryStream["cutover"];

// Every attempt to switch over, the last one first, with how long each step took.
export function Cutover({ steps }: { steps: Steps }) {
  const words = useWords();
  const attempts = [...new Set(steps.map(({ attempt }) => attempt))].reverse();
  if (attempts.length === 0) return null;
  return (
    <section aria-label={words.ferry.cutover}>
      <h2>{words.ferry.cutover}</h2>
      {attempts.map((attempt) => <Attempt key={attempt} steps={steps.filter((step) => step.attempt === attempt)} only={attempts.length === 1} />)}
    </section>
  );
}

function Attempt({ steps, only }: { steps: Steps; only: boolean }) {
  const words = useWords();
  const units = useUnits();
  const moment = useMoments();
  const first = steps[0]!;
  const name = only ? moment(first.started_at) : `${words.ferry.attempt(first.attempt)} · ${moment(first.started_at)}`;
  const failed = steps.find(({ error }) => error);
  return (
    <div className="table-box attempt" tabIndex={0} role="group" aria-label={name}>
      <table>
        <caption>{name}</caption>
        <thead><tr><th scope="col">{words.ferry.step}</th><th scope="col">{words.ferry.took}</th></tr></thead>
        <tbody>
          {steps.map(({ step, took, error }) => (
            <tr key={step} className={error ? "bad" : undefined}>
              <th scope="row">{words.ferry.steps[step] ?? step}</th>
              <td>{took === null ? "…" : units.seconds(took, 2)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {failed?.error && <p className="trouble"><IconAlert /><Said text={failed.error} /></p>}
    </div>
  );
}
