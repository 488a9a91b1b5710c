"""Applies transactions of the source: their net effect per row, and the position, in one transaction of the target.

A row that was touched is deleted by its old and its new key, and its last image copied in: that is right whatever the
target held before, and unique values may change owners within it. What the source's foreign keys did to other rows is
done here in the same order, because InnoDB's own cascades are not in the log (MariaDB, and MySQL before 9.6; `cascades`
has what that costs). Rows of tables without a key are counted, not named.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tako.ferry import changes
from tako.ferry.changes import Amended, Change, Rows, Truncated
from tako.ferry.errors import Blocked
from tako.ferry.plan import PlannedColumn, PlannedTable
from tako.ferry.target import state
from tako.ferry.target.connection import Target
from tako.ferry.target.load import Table
from tako.ferry.translate import values
from tako.ferry.translate.names import postgres

AT_ONCE = 16 << 20  # bytes of images that are put together before they are sent, within the transaction
PIECE = 1000  # neighbouring whole keys that are compared together before the cutover
MOST_PIECES = 20_000  # of a batch; more and the table is compared whole
WHOLE = "*"
_INTEGERS = frozenset({"smallint", "integer", "bigint"})
Values = tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class Cascade:
    """A foreign key that changes rows of `child` (a source's table) when a row that it refers to goes or changes.

    `columns` and `references` are names in the target, of the child and of the table that it refers to.
    """

    child: str
    columns: tuple[str, ...]
    references: tuple[str, ...]
    on_delete: str
    on_update: str


def ranged(table: PlannedTable) -> bool:
    """Touched rows are remembered by ranges of the key's first column, not each by its key."""
    first = table.key_columns[0] if table.key else None
    return first is not None and first.compare == "number" and first.type in _INTEGERS


class Applied:
    """One table of the target, and what has been collected for it."""

    def __init__(
        self,
        target: Target,
        schema: str,
        planned: PlannedTable,
        repair: Callable[[bytes], bytes],
        cascades: Sequence[Cascade],
    ) -> None:
        self.planned = planned
        self.cascades = cascades
        self.name = f"{postgres(schema)}.{postgres(planned.target)}"
        self.into = Table(target, schema, planned.target, [column.target for column in planned.copied], repair)
        self.places = {column.target: n for n, column in enumerate(planned.copied)}
        self.net: dict[bytes, bytes | None] = {}
        self.counted: Counter[bytes] = Counter()
        self.pieces: set[str] = set()
        self.ranged = ranged(planned)

    def values_of(self, line: bytes, columns: Sequence[str]) -> Values:
        fields = line.removesuffix(b"\n").split(b"\t")
        return tuple(values.value(fields[self.places[column]]) for column in columns)

    def touch(self, keys: Iterable[bytes]) -> None:
        if WHOLE in self.pieces:
            return
        if not self.planned.key:
            self.pieces = {WHOLE}
        elif self.ranged:
            self.pieces.update(str(int(key.partition(b"\t")[0]) // PIECE) for key in keys)
        else:
            self.pieces.update(key.decode("latin1") for key in keys)
        if len(self.pieces) > MOST_PIECES:
            self.pieces = {WHOLE}


class Batch:
    """What is applied within one transaction of the target. Used once; what is left of a failed one is thrown away."""

    def __init__(self, target: Target, plan_hash: str, tables: Mapping[str, Applied], rejected: set[str]) -> None:
        self._target = target
        self._plan_hash = plan_hash
        self._tables = tables
        self._rejected = rejected
        self._size = 0

    def add(self, found: Iterable[Change], amend: Callable[[Amended], None], skip: Callable[[str], bool]) -> None:
        """Changes of a transaction, in order. `skip` says of tables that have it already."""
        for change in found:
            if isinstance(change, Amended):
                self.flush()
                amend(change)
            elif isinstance(change, Truncated):
                self.flush()
                self._truncate(self._tables[change.table])
            elif not skip(change.table):
                self._rows(self._tables[change.table], change)
            if self._size > AT_ONCE:
                self.flush()

    def flush(self) -> None:
        """Send what was collected."""
        for table in self._tables.values():
            if table.net:
                self._replace(table)
            if table.counted:
                self._recount(table)
        self._size = 0

    def touched(self) -> Iterator[tuple[str, list[str]]]:
        for name, table in self._tables.items():
            if table.pieces:
                yield name, sorted(table.pieces)
                table.pieces = set()

    def _rows(self, table: Applied, rows: Rows) -> None:
        self._size += rows.size
        if not table.planned.key:
            table.counted.subtract(rows.before)
            table.counted.update(rows.lines)
        elif table.cascades and rows.before and not rows.unchecked:
            self._cascading(table, rows)
        elif not rows.lines:
            table.net.update(dict.fromkeys(rows.gone))
        else:
            _collect(table, rows)

    def _cascading(self, table: Applied, rows: Rows) -> None:
        """One row after the other: what one takes with it, the next may bring back."""
        if not rows.lines:
            self.flush()
            table.net.update(dict.fromkeys(rows.gone))
            self.flush()
            for cascade in table.cascades:
                self._deleted(cascade, [table.values_of(line, cascade.references) for line in rows.before])
            return
        for before, gone, key, line in zip(rows.before, rows.gone, rows.keys, rows.lines, strict=True):
            table.net[gone] = None
            table.net[key] = line
            changed = [
                cascade
                for cascade in table.cascades
                if table.values_of(before, cascade.references) != table.values_of(line, cascade.references)
            ]
            if changed:
                self.flush()
                for cascade in changed:
                    old, new = (table.values_of(image, cascade.references) for image in (before, line))
                    self._updated(cascade, old, new)

    def _deleted(self, cascade: Cascade, gone: Sequence[Values]) -> None:
        """Rows that referred to these go too, or refer to nothing any more."""
        if cascade.on_delete not in ("CASCADE", "SET NULL"):
            return
        child = self._tables[cascade.child]
        wanted = [row for row in gone if None not in row]
        if not wanted:
            return
        if cascade.on_delete == "SET NULL":
            nulls: Values = (None,) * len(cascade.columns)
            for row in wanted:
                self._set(cascade, row, nulls)
            return
        condition, parameters = self._matching(child, cascade.columns, wanted)
        wide = [column.target for column in child.planned.copied]
        returned = ", ".join(f"t.{postgres(column)}::text" for column in wide)
        found = self._target.rows(
            f"DELETE FROM {child.name} AS t USING {condition} RETURNING {returned}",  # noqa: S608 (names from the plan)
            parameters,
        )
        if not found:
            return
        lines = [_line(row) for row in found]
        child.touch(self._key(child, line) for line in lines)
        for deeper in child.cascades:
            self._deleted(deeper, [child.values_of(line, deeper.references) for line in lines])

    def _updated(self, cascade: Cascade, old: Values, new: Values) -> None:
        """Rows that referred to the old values refer to the new ones, or to nothing any more."""
        if cascade.on_update not in ("CASCADE", "SET NULL") or None in old:
            return
        self._set(cascade, old, new if cascade.on_update == "CASCADE" else (None,) * len(new))

    def _set(self, cascade: Cascade, old: Values, new: Values) -> None:
        child = self._tables[cascade.child]
        condition, parameters = self._matching(child, cascade.columns, [old])
        columns = {column.target: column for column in child.planned.copied}
        sets = ", ".join(f"{postgres(name)} = %s::text::{columns[name].type}" for name in cascade.columns)
        before = ", ".join(f"t.{postgres(column.target)}::text" for column in child.planned.copied)
        found = self._target.rows(f"SELECT {before} FROM {child.name} AS t, {condition}", parameters)  # noqa: S608
        if not found:
            return
        self._target.execute(
            f"UPDATE {child.name} AS t SET {sets} FROM {condition}",  # noqa: S608
            [*(_sql(value, columns[name]) for name, value in zip(cascade.columns, new, strict=True)), *parameters],
        )
        lines = [_line(row) for row in found]
        child.touch(self._key(child, line) for line in lines)
        changed = dict(zip(cascade.columns, new, strict=True))
        for line in lines:
            after = [changed.get(c.target, v) for c, v in zip(child.planned.copied, values.fields(line), strict=True)]
            made = b"\t".join(map(values.field, after)) + b"\n"
            child.touch([self._key(child, made)])
            for deeper in child.cascades:
                inner_old, inner_new = (
                    child.values_of(line, deeper.references),
                    child.values_of(made, deeper.references),
                )
                if inner_old != inner_new:
                    self._updated(deeper, inner_old, inner_new)

    def _key(self, table: Applied, line: bytes) -> bytes:
        found = table.values_of(line, [column.target for column in table.planned.key_columns])
        return b"\t".join(map(values.field, found))

    def _matching(
        self, table: Applied, names: Sequence[str], rows: Sequence[Values]
    ) -> tuple[str, list[list[str | None]]]:
        """`unnest(…) AS k(…) WHERE …`, which finds rows by the values of some columns."""
        columns = {column.target: column for column in table.planned.columns}
        arrays = ", ".join(f"%s::text[]::{_bare(columns[name].type)}[]" for name in names)
        aliases = ", ".join(f"k{n}" for n in range(len(names)))
        same = " AND ".join(f"t.{postgres(name)} = k.k{n}" for n, name in enumerate(names))
        found = [[_sql(row[n], columns[name]) for row in rows] for n, name in enumerate(names)]
        return f"unnest({arrays}) AS k({aliases}) WHERE {same}", found

    def _truncate(self, table: Applied) -> None:
        self._target.execute(f"TRUNCATE TABLE {table.name}")
        table.pieces = {WHOLE}
        self._forget_rejects(table, None)

    def _replace(self, table: Applied) -> None:
        keys = [key for key in table.net if _possible(key)]
        names = [column.target for column in table.planned.key_columns]
        condition, parameters = self._matching(table, names, [tuple(values.fields(key)) for key in keys])
        self._target.execute(f"DELETE FROM {table.name} AS t USING {condition}", parameters)  # noqa: S608
        table.touch(table.net)
        if table.planned.source in self._rejected:
            self._forget_rejects(table, table.net)
        self._put(table, [line for line in table.net.values() if line is not None])
        table.net = {}

    def _put(self, table: Applied, lines: list[bytes]) -> None:
        if not lines:
            return
        for refusal in table.into.put(b"".join(lines)):
            key = self._key(table, refusal.line) if table.planned.key else None
            state.reject(
                self._target,
                self._plan_hash,
                table.planned.source,
                None if key is None else _words(key),
                refusal.sqlstate,
                refusal.error,
                refusal.line,
            )
            self._rejected.add(table.planned.source)

    def _forget_rejects(self, table: Applied, keys: Iterable[bytes] | None) -> None:
        """Rows that PostgreSQL refused are other ones now."""
        if keys is None:
            self._target.execute(
                "DELETE FROM ferry.rejects WHERE plan_hash = %s AND table_name = %s",
                (self._plan_hash, table.planned.source),
            )
            return
        said = [json.dumps(_words(key)) for key in keys]
        self._target.execute(
            "DELETE FROM ferry.rejects WHERE plan_hash = %s AND table_name = %s "
            "AND key::jsonb = ANY(%s::text[]::jsonb[])",
            (self._plan_hash, table.planned.source, [word for word in said if "\\u0000" not in word]),
        )

    def _recount(self, table: Applied) -> None:
        """As many rows of each kind as there are in the source: those that are too many go, whichever they are."""
        gone = [line for line, n in table.counted.items() for _ in range(-n)]
        if gone:
            columns = ", ".join(postgres(column.target) for column in table.planned.copied)
            row = ", ".join(f"x.{postgres(column.target)}" for column in table.planned.copied)
            self._target.execute(
                f"CREATE TEMP TABLE ferry_gone ON COMMIT DROP AS SELECT {columns} FROM {table.name} WITH NO DATA"  # noqa: S608
            )
            refused = Table(
                self._target, "pg_temp", "ferry_gone", [c.target for c in table.planned.copied], table.into.repair
            ).put(b"".join(gone))
            removed = self._target.execute(
                f"WITH gone AS (SELECT ROW({row})::text AS r, count(*) AS n FROM pg_temp.ferry_gone AS x GROUP BY 1), "  # noqa: S608
                f"there AS (SELECT x.ctid AS c, ROW({row})::text AS r, "
                f"row_number() OVER (PARTITION BY ROW({row})::text) AS i FROM {table.name} AS x "
                f"WHERE ROW({row})::text IN (SELECT r FROM gone)) "
                f"DELETE FROM {table.name} AS t USING there JOIN gone USING (r) WHERE t.ctid = there.c AND i <= n"
            )
            self._target.execute("DROP TABLE pg_temp.ferry_gone")
            self._forget_lines(table, [refusal.line for refusal in refused])
            if removed + len(refused) != len(gone):
                raise Blocked(
                    f"The source removes {len(gone)} rows of {table.planned.source}, of which the target has only "
                    f"{removed}: somebody has changed the target. `tako ferry abort` and copy anew."
                )
        table.touch(())
        self._put(table, [line for line, n in table.counted.items() for _ in range(n)])
        table.counted = Counter()

    def _forget_lines(self, table: Applied, lines: Sequence[bytes]) -> None:
        """Rows that go and were never there, because PostgreSQL had refused them."""
        for line in lines:
            self._target.execute(
                "DELETE FROM ferry.rejects WHERE id = (SELECT min(id) FROM ferry.rejects WHERE plan_hash = %s "
                "AND table_name = %s AND line = %s)",
                (self._plan_hash, table.planned.source, line),
            )


def _collect(table: Applied, rows: Rows) -> None:
    if not rows.gone:
        table.net.update(zip(rows.keys, rows.lines, strict=True))
        return
    for gone, key, line in zip(rows.gone, rows.keys, rows.lines, strict=True):
        table.net[gone] = None
        table.net[key] = line


def _possible(key: bytes) -> bool:
    """PostgreSQL has no row with another one."""
    try:
        return b"\0" not in key and key.decode() is not None
    except UnicodeDecodeError:
        return False


def _words(key: bytes) -> list[str]:
    return [(value or b"").decode("latin1") for value in values.fields(key)]


def _line(row: Sequence[str | None]) -> bytes:
    return b"\t".join(values.field(None if value is None else value.encode()) for value in row) + b"\n"


def _sql(value: bytes | None, column: PlannedColumn) -> str | None:
    return None if value is None else (values.repaired(value, column) or b"").decode()


def _bare(type: str) -> str:
    """A type's array wants no precision: rounding a key would find another row."""
    return type if type.startswith(("bit", '"')) else type.partition("(")[0]


def encoded(found: Iterable[Change]) -> list[bytes]:
    return [changes.encode(change) for change in found]


def decoded(found: Iterable[bytes]) -> Iterator[Change]:
    return (changes.decode(change) for change in found)
