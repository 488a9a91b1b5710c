import { useNumbers, useWords } from "../../words";
import type { FerryStatus } from "../data";
import { Said } from "./Said";

// Rows that PostgreSQL does not take, and what it would not do after the copy.
export function Refused({ status }: { status: FerryStatus }) {
  const words = useWords();
  const number = useNumbers();
  return (
    <>
      {status.rejected > 0 && (
        <section aria-label={words.ferry.refused}>
          <h2>{words.ferry.refused}</h2>
          <p className="quiet">
            {words.ferry.refusedCount(number(status.rejected))}
            {status.rejected > status.rejects.length && words.sentences("", words.ferry.refusedFirst(status.rejects.length))}
          </p>
          <ul className="rows refused" tabIndex={0}>
            {status.rejects.map((row, n) => (
              <li key={n} className="row">
                <div className="what">
                  <span><strong>{row.table}</strong> {row.key?.join(", ")}</span>
                  <span className="quiet"><Said text={row.error} /></span>
                </div>
              </li>
            ))}
          </ul>
        </section>
      )}
      {status.failed_steps.length > 0 && (
        <section aria-label={words.ferry.refusedSteps}>
          <h2>{words.ferry.refusedSteps}</h2>
          <ul className="rows refused" tabIndex={0}>
            {status.failed_steps.map((step) => (
              <li key={step.command} className="row">
                <div className="what"><code lang="en">{step.statement}</code><span className="quiet"><Said text={step.error} /></span></div>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
