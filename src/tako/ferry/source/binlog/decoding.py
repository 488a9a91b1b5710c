"""Which tables are followed, and how their rows become changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tako.ferry.changes import Rows
from tako.ferry.errors import Stopped
from tako.ferry.plan import PlannedTable
from tako.ferry.rules import Rules
from tako.ferry.schema import Column, Table
from tako.ferry.source.binlog import events, images, tables
from tako.ferry.source.binlog.images import Image, Sink
from tako.ferry.source.binlog.stream import Event
from tako.ferry.source.binlog.tables import Charsets, TableMap
from tako.ferry.translate import streamed
from tako.ferry.translate.streamed import Ask

LabelsOf = Callable[[PlannedTable, Column, tuple[bytes, ...]], Callable[[int], bytes]]
"""What gives the labels of an enum or set; the last are those that stand in the log, if there are any."""
MINIMAL_IMAGE = (
    "The log has only a part of a row of {table} ({place}): some session, or the server, has binlog_row_image = "
    "MINIMAL or NOBLOB. What the other columns hold cannot be known. SET GLOBAL binlog_row_image = 'FULL'; see that no "
    "session sets another one; then `tako ferry abort` and copy anew."
)


@dataclass(frozen=True, slots=True)
class Followed:
    """A table as it is now. `whole`: rows that go are wanted with all their columns, not only the key."""

    schema: Table
    planned: PlannedTable
    whole: bool


@dataclass(frozen=True, slots=True)
class _Decoder:
    """How to read the images of one table map."""

    table: str
    columns: int
    line: Image
    gone: Image


@dataclass(slots=True)
class Decoders:
    """By the numbers that the log gives to tables. A number that is not here is of a table that is not followed."""

    database: str
    followed: dict[str, Followed]
    rules: Rules
    charsets: Charsets
    ask: Ask
    labels: LabelsOf
    known: frozenset[str] = frozenset()
    """Tables of the database that are not followed on purpose, in lower case."""
    _made: dict[bytes, _Decoder | None] = field(default_factory=dict, init=False)
    _now: dict[int, _Decoder | None] = field(default_factory=dict, init=False)

    def amend(self, name: str, schema: Table, planned: PlannedTable) -> None:
        """From here on the table is another one."""
        self.followed[name] = Followed(schema, planned, self.followed[name].whole)
        self._made.clear()
        self._now.clear()

    def map(self, event: Event) -> None:
        """Remember what number a table has from here on. Raises `Stopped` if it is not the planned table any more."""
        key = event.body[6:]
        if key not in self._made:
            self._made[key] = self._decoder(event)
        self._now[int.from_bytes(event.body[:6], "little")] = self._made[key]

    def rows(self, event: Event) -> Rows | None:
        """The changes in an event of rows; None if they are of no followed table."""
        id = int.from_bytes(event.body[:6], "little")
        if id not in self._now:
            raise ValueError(f"rows of the table number {id}, which the log has not described")
        decoder = self._now[id]
        if decoder is None:
            return None
        head = events.rows_head(event)
        full = (1 << decoder.columns) - 1
        if head.columns == decoder.columns and full & ~(head.present & head.after):
            said = MINIMAL_IMAGE.format(table=decoder.table, place=event.place)
            raise Stopped(said, place=event.place, table=decoder.table)
        if head.columns != decoder.columns:
            raise ValueError("a row has another number of columns than its table")
        return _rows(decoder, events.ROWS[event.type][0], head)

    def concerns(self, event: Event) -> str | None:
        """The followed table that an event of rows of any kind is about."""
        decoder = self._now.get(int.from_bytes(event.body[:6], "little"))
        return None if decoder is None else decoder.table

    def _decoder(self, event: Event) -> _Decoder | None:
        _, database, name = tables.name_of(event.body)
        if database.lower() != self.database.lower():
            return None
        followed = self.followed.get(name) or self._by_case(name)
        if followed is None:
            if name.lower() not in self.known:
                raise Stopped(
                    f"The log has rows of a table {name} ({event.place}), which was not there when the plan was made. "
                    "Plan and copy anew; or, if it is not to be moved, "
                    f"`tako ferry follow --past {event.place}`.",
                    place=event.place,
                    table=name,
                )
            return None
        return _compiled(self, tables.parse(event.body), followed, event)

    def _by_case(self, name: str) -> Followed | None:
        return next((found for key, found in self.followed.items() if key.lower() == name.lower()), None)


def _compiled(made: Decoders, map: TableMap, followed: Followed, event: Event) -> _Decoder:
    columns = followed.schema.columns
    for said in tables.differences(map, columns, made.charsets):
        raise Stopped(
            f"The table {map.table} in the log ({event.place}) is not the planned one: {said}. Somebody has changed it "
            "in a way that cannot be followed: `tako ferry abort`, then plan and copy anew.",
            place=event.place,
            table=map.table,
        )
    places = {column.name: n for n, column in enumerate(columns)}
    planned = followed.planned
    sinks = []
    for column in planned.copied:
        place = places[column.source]
        sinks.append(Sink(place, _field(made, planned, columns[place], map.labels.get(place, ()))))
    key = [places[name] for name in planned.key]
    line = images.compiled(columns, map.columns, sinks, key)
    only_key = [sink for sink in sinks if sink.place in key]
    gone = line if followed.whole or not key else images.compiled(columns, map.columns, only_key, key)
    return _Decoder(planned.source, len(columns), line, gone)


def _field(made: Decoders, planned: PlannedTable, column: Column, labels: tuple[bytes, ...]) -> streamed.Field | None:
    rule = made.rules.column(planned.source, column)
    target = planned.column(column.name)
    if streamed.is_plain_text(column, target, rule) or streamed.is_plain_integer(column, target):
        return None
    return streamed.field(column, target, rule, made.ask, made.labels(planned, column, labels))


def _rows(decoder: _Decoder, what: str, head: events.RowsHead) -> Rows:
    gone: list[bytes] = []
    before: list[bytes] = []
    keys: list[bytes] = []
    lines: list[bytes] = []
    data, at, end = head.data, head.at, len(head.data)
    while at < end:
        if what != "insert":
            at, key, line = decoder.gone(data, at)
            gone.append(key)
            if line:
                before.append(line)
        if what != "delete":
            at, key, line = decoder.line(data, at)
            keys.append(key)
            lines.append(line or key + b"\n")
    if at != end:
        raise ValueError("the last row is cut off")
    return Rows(decoder.table, gone, before, keys, lines, head.unchecked)


def followed(
    schemas: Mapping[str, Table], planned: Mapping[str, PlannedTable], cascading: frozenset[str]
) -> dict[str, Followed]:
    """Of each planned table. `cascading` are those whose rows take others with them."""
    return {name: Followed(schemas[name], table, name in cascading or not table.key) for name, table in planned.items()}
