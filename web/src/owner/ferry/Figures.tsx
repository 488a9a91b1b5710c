import { useNumbers, useWords } from "../../words";
import type { FerryStatus } from "../data";
import { useUnits } from "./units";

const NOTHING = "–";

export function Figures({ status }: { status: FerryStatus }) {
  const words = useWords();
  const number = useNumbers();
  const units = useUnits();
  const { stream, tables, working } = status;
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const about = tables.reduce((sum, table) => sum + (table.copied ? table.rows : Math.max(table.about, table.rows)), 0);
  const rate = stream ? stream.rows_per_s : status.copied_per_s;
  const lag = stream?.followed ? stream.lag : null;
  return (
    <dl className="figures">
      <div><dt>{words.ferry.rowsCopied}</dt><dd>{number(rows)}</dd>{rows < about && <dd className="of">{words.ferry.ofAbout(number(about))}</dd>}</div>
      <div><dt>{words.ferry.perSecond}</dt><dd>{working && rate !== null ? number(Math.round(rate)) : NOTHING}</dd></div>
      <div><dt>{words.ferry.lag}</dt><dd>{lag === null ? NOTHING : units.seconds(lag)}</dd></div>
      <div><dt>{words.ferry.spooled}</dt><dd>{stream?.followed ? units.size(stream.spooled) : NOTHING}</dd></div>
    </dl>
  );
}
