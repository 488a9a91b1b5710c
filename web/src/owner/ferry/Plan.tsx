import type { ReactNode } from "react";
import { useMoments, useNumbers, useWords } from "../../words";
import type { Ferry, FerryPlan, FerryRisk, FerryStatus } from "../data";
import { Command, Said } from "./Said";

const LEVELS = ["refuse", "change", "note"] as const;

// What was decided before: folded away, except for what waits for an answer.
export function Plan({ ferry, plan }: { ferry: Ferry; plan: FerryPlan }) {
  const words = useWords();
  const moment = useMoments();
  return (
    <section aria-label={words.ferry.plan}>
      <h2>{words.ferry.plan}</h2>
      <div className="folds">
        {LEVELS.map((level) => <Risks key={level} level={level} risks={plan.risks.filter((risk) => risk.level === level)} />)}
        <Fold title={words.ferry.answers} count={plan.answers.length}>
          {plan.answers.length === 0 ? <p className="quiet">{words.ferry.noAnswers}</p> : <pre lang="en" tabIndex={0}>{plan.answers.join("\n")}</pre>}
        </Fold>
        <Fold title={words.ferry.file}>
          <dl className="facts">
            <dt>{words.ferry.file}</dt><dd><code>{ferry.file}</code> <code className="quiet">{plan.hash.slice(0, 12)}</code></dd>
            <dt>{words.ferry.made}</dt><dd>{moment(Date.parse(plan.created_at) / 1000)}</dd>
            <dt>{words.ferry.source}</dt><dd><code>{plan.source}</code></dd>
            <dt>{words.ferry.target}</dt><dd><code>{plan.target}</code></dd>
          </dl>
        </Fold>
      </div>
    </section>
  );
}

function Risks({ level, risks }: { level: FerryRisk["level"]; risks: FerryRisk[] }) {
  const words = useWords();
  if (risks.length === 0) return null;
  return (
    <Fold title={words.ferry.risks[level]} count={risks.length} open={level === "refuse"}>
      <ul className="risks">
        {risks.map((risk, n) => (
          <li key={n}>
            {risk.where && <strong>{risk.where}</strong>}
            <p><Said text={risk.says} /></p>
            {risk.write && <Command text={risk.write} />}
          </li>
        ))}
      </ul>
    </Fold>
  );
}

// Where the copy and the stream stand in the source's log.
export function Positions({ status }: { status: FerryStatus }) {
  const words = useWords();
  const moment = useMoments();
  const number = useNumbers();
  const { runs, stream } = status;
  if (runs.length === 0) return null;
  return (
    <div className="folds">
      <Fold title={words.ferry.positions}>
        <dl className="facts">
          {runs.map(({ n, at, exact, started_at }) => [
            <dt key={`${n} run`}>{words.ferry.run(n)}</dt>,
            <dd key={n}><code>{at || "–"}</code> <span className="quiet">{!exact && `${words.ferry.aboutThen} · `}{moment(started_at)}</span></dd>,
          ])}
          {stream && <dt>{words.ferry.appliedUpTo}</dt>}
          {stream && <dd><code>{stream.at}</code> <span className="quiet">{words.ferry.transactions(number(stream.transactions), number(stream.changes))}</span></dd>}
        </dl>
      </Fold>
    </div>
  );
}

function Fold({ title, count, open, children }: { title: string; count?: number; open?: boolean; children: ReactNode }) {
  return (
    <details open={open}>
      <summary>{title}{count !== undefined && <span className="count">{count}</span>}</summary>
      <div className="inside">{children}</div>
    </details>
  );
}
