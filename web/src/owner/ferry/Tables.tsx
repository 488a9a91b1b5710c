import Button from "@douyinfe/semi-ui-19/lib/es/button";
import Progress from "@douyinfe/semi-ui-19/lib/es/progress";
import { useState } from "react";
import { IconTick } from "../../parts/icons";
import { useNumbers, useWords } from "../../words";
import type { FerryTable } from "../data";
import { useUnits } from "./units";

const FIRST = 12;

// First what is being copied, then what waits, then what is there.
const order = (table: FerryTable) => (table.copied ? 2 : table.rows > 0 ? 0 : 1);
const percent = ({ rows, about }: FerryTable) => (about > 0 ? Math.min(99, Math.floor((100 * rows) / about)) : 0);

export function Tables({ tables }: { tables: FerryTable[] }) {
  const words = useWords();
  const number = useNumbers();
  const [all, setAll] = useState(false);
  const sorted = tables.toSorted((a, b) => order(a) - order(b) || b.about - a.about);
  const done = tables.filter(({ copied }) => copied).length;
  return (
    <section aria-label={words.ferry.tables}>
      <h2>{words.ferry.tables} <span className="quiet">{words.ferry.tablesDone(number(done), number(tables.length))}</span></h2>
      <ul className="rows tables">
        {(all ? sorted : sorted.slice(0, FIRST)).map((table) => <TableRow key={table.table} table={table} />)}
      </ul>
      {!all && sorted.length > FIRST && <Button onClick={() => setAll(true)}>{words.ferry.allTables(number(sorted.length))}</Button>}
    </section>
  );
}

function TableRow({ table }: { table: FerryTable }) {
  const words = useWords();
  const number = useNumbers();
  const units = useUnits();
  const [rows, about] = [number(table.rows), number(table.about)];
  const isBegun = table.rows > 0;
  const said = table.copied ? words.ferry.rows(rows) : isBegun ? words.ferry.rowsOf(rows, about) : words.ferry.aboutRows(about);
  return (
    <li className="row">
      <strong>{table.table}{table.target !== table.table && <span className="quiet"> → {table.target}</span>}</strong>
      <span className="quiet">
        {said}{isBegun && ` · ${units.size(table.bytes)}`}
        {table.rejected > 0 && <b> · {words.ferry.refusedOf(number(table.rejected))}</b>}
        {table.copied && <i role="img" aria-label={words.ferry.isDone}><IconTick /></i>}
      </span>
      {!table.copied && <Progress percent={percent(table)} showInfo motion={false} aria-label={words.ferry.progressOf(table.table)} />}
    </li>
  );
}
