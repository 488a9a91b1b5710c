"""Events become whole transactions: what was committed together, with where the log stands behind it."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Literal

from tako.ferry import changes
from tako.ferry.changes import Amended, Change, Rows, Truncated
from tako.ferry.errors import Stopped
from tako.ferry.source.binlog import events
from tako.ferry.source.binlog.decoding import Decoders
from tako.ferry.source.binlog.events import checked
from tako.ferry.source.binlog.statements import Meaning, meaning
from tako.ferry.source.binlog.stream import FORMAT, ROTATE, Event

IN_MEMORY = 8 << 20  # bytes of a transaction; a larger one lies on the disk until it is applied
_SMALL_EVENTS = frozenset({5, 13, 14})  # values for a statement that follows, which says more
_LOADED = frozenset({6, 7, 8, 9, 10, 11, 12, 17, 18})  # LOAD DATA in STATEMENT format
Outcome = Literal["commit", "prepare", "xa commit", "xa rollback"]
Amend = Callable[[str, Meaning, str, Event], Amended]
"""(table, what the statement does to it, the statement, its event) -> the table from there on."""


@dataclass(slots=True)
class Transaction:
    """`gtid` is empty on servers without. `xid` names an XA transaction that is prepared, committed or rolled back."""

    gtid: str = ""
    file: str = ""
    offset: int = 0
    timestamp: int = 0
    outcome: Outcome = "commit"
    xid: str = ""
    count: int = 0
    size: int = 0
    _changes: list[Change] = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)
    _in_memory: int = 0
    _file: IO[bytes] | None = None

    @property
    def length(self) -> int:
        """How many changes it has, each of any number of rows."""
        return len(self._sizes) + len(self._changes)

    def add(self, change: Change) -> None:
        size = change.size
        self.count += change.count
        self.size += size
        self._in_memory += size
        self._changes.append(change)
        if self._in_memory > IN_MEMORY:
            self.spill()

    def spill(self) -> None:
        """What is in memory goes to the disk."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="tako-ferry-")  # noqa: SIM115 (it lives as long as this does)
        self._file.seek(0, 2)
        for change in self._changes:
            data = changes.encode(change)
            self._sizes.append(len(data))
            self._file.write(data)
        self._changes = []
        self._in_memory = 0

    def changes(self) -> Iterator[Change]:
        """In order; as often as needed."""
        if self._file is not None:
            at = 0
            for size in self._sizes:
                self._file.seek(at)
                yield changes.decode(self._file.read(size))
                at += size
        yield from self._changes

    def keep(self, wanted: Sequence[Change]) -> None:
        """These are left of it."""
        self.close()
        self._file, self._sizes, self._changes = None, [], []
        self.count = self.size = self._in_memory = 0
        for change in wanted:
            self.add(change)

    @property
    def spilled(self) -> bool:
        return self._file is not None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@dataclass(frozen=True, slots=True)
class Quiet:
    """The source has nothing more to say for now; its log stands here."""

    file: str
    offset: int


class Assembler:
    """Feed it events; it gives what is complete. What it does not know raises `Stopped`, and stays where it was."""

    def __init__(
        self, decoders: Decoders, amend: Amend, *, mariadb: bool, passed: frozenset[str] = frozenset()
    ) -> None:
        self._decoders = decoders
        self._amend = amend
        self._mariadb = mariadb
        self._passed = passed
        self._open: Transaction | None = None
        self._explicit = False
        self._savepoints: dict[str, int] = {}

    def feed(self, event: Event) -> Iterator[Transaction | Quiet]:
        with checked(event):
            if event.type == events.PAYLOAD:
                for inner in events.unpacked(event):
                    yield from self._one(inner)
            else:
                yield from self._one(event)

    def _one(self, event: Event) -> Iterator[Transaction | Quiet]:
        type = event.type
        if type in events.ROWS:
            change = self._decoders.rows(event)
            if change is not None:
                self._begun().add(change)
        elif type == events.TABLE_MAP:
            self._map(event)
        elif type == events.XID:
            yield self._ended(event)
        elif type in (events.QUERY, events.QUERY_COMPRESSED):
            yield from self._query(event)
        elif type in (events.GTID, events.ANONYMOUS, events.TAGGED_GTID):
            self._begin(events.mysql_gtid(event), explicit=False)
        elif type == events.MARIADB_GTID:
            gtid, standalone = events.mariadb_gtid(event)
            self._begin(gtid, explicit=not standalone)
        elif type == events.XA_PREPARE:
            xid, one_phase = events.prepared(event)
            yield self._ended(event, "commit" if one_phase else "prepare", xid)
        elif type in events.HEARTBEATS:
            if self._open is None:
                yield Quiet(event.file, event.end)
        elif type == FORMAT:
            if event.end:  # a file begins; what the last one left open was cut off by a crash, and rolled back
                self._drop()
        elif type not in events.SILENT and type != ROTATE and type not in _SMALL_EVENTS:
            self._unknown(event)

    def _map(self, event: Event) -> None:
        try:
            self._decoders.map(event)
        except Stopped as stop:
            if stop.place not in self._passed:
                raise
            self._decoders.known |= {stop.table.lower()}
            self._decoders.map(event)

    def _begin(self, gtid: str, *, explicit: bool) -> Transaction:
        if self._open is not None:
            raise ValueError("a transaction begins before the last one has ended")
        self._open = Transaction(gtid)
        self._explicit = explicit
        self._savepoints = {}
        return self._open

    def _begun(self) -> Transaction:
        return self._begin("", explicit=False) if self._open is None else self._open

    def _ended(self, event: Event, outcome: Outcome = "commit", xid: str = "") -> Transaction:
        made = self._begun()
        made.file, made.offset, made.timestamp = event.file, event.end, event.timestamp
        made.outcome, made.xid = outcome, xid
        self._open = None
        return made

    def _drop(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None

    def _query(self, event: Event) -> Iterator[Transaction]:
        query = events.query(event)
        said = meaning(query.sql, query.database)
        made = self._begun()
        match said.kind:
            case "begin":
                self._explicit = True
            case "commit":
                yield self._ended(event)
            case "rollback":
                self._roll_back(made, 0)
                yield self._ended(event)
            case "savepoint":
                self._savepoints[said.name] = made.length
            case "rollback to":
                self._roll_back(made, self._savepoints.get(said.name, 0))
            case "xa":
                yield from self._xa(event, said)
            case _:
                self._statement(event, said, query.sql, made)
                if not self._explicit:
                    yield self._ended(event)

    def _xa(self, event: Event, said: Meaning) -> Iterator[Transaction]:
        if said.verb == "start":
            self._explicit = True
        elif said.verb == "commit":
            yield self._ended(event, "xa commit", said.name)
        elif said.verb == "rollback":
            yield self._ended(event, "xa rollback", said.name)

    def _roll_back(self, made: Transaction, since: int) -> None:
        """Tables of engines that cannot take back keep what they have: that is why the log shows it at all."""
        every = list(made.changes())
        made.keep(every[:since] + [change for change in every[since:] if not self._takes_back(change)])

    def _takes_back(self, change: Change) -> bool:
        if not isinstance(change, Rows):
            return False
        return self._decoders.followed[change.table].schema.engine.lower() not in ("myisam", "aria", "memory", "csv")

    def _statement(self, event: Event, said: Meaning, sql: str, made: Transaction) -> None:
        if event.place in self._passed:
            return
        ours = [self._ours(database, name) for database, name in said.tables if self._is_here(database)]
        followed = [name for name in ours if name is not None]
        match said.kind:
            case "truncate" if followed:
                made.add(Truncated(followed[0]))
            case "columns" | "indexes" if followed:
                made.add(self._amend(followed[0], said, sql, event))
            case "stop":
                self._stop(event, said, sql, followed)

    def _stop(self, event: Event, said: Meaning, sql: str, followed: list[str]) -> None:
        here = [name for database, name in said.tables if self._is_here(database)]
        if said.only_if_missing and followed:
            return
        strange = [name for name in here if name and said.makes_table and name not in self._decoders.known]
        if not (followed or strange or "" in here or not said.tables):
            return
        raise Stopped(
            f"The source's log has a statement that cannot be followed, at {event.place}: {_shown(sql)}. If it changes "
            "no row and no column of what is moved, or if you have done the same to the target, go on behind it: "
            f"`tako ferry follow --past {event.place}`. Else `tako ferry abort`, plan and copy anew.",
            place=event.place,
            statement=sql,
            table=strange[0] if strange else "",
        )

    def _is_here(self, database: str) -> bool:
        return database.lower() == self._decoders.database.lower()

    def _ours(self, database: str, name: str) -> str | None:
        return next((table for table in self._decoders.followed if table.lower() == name.lower()), None)

    def _unknown(self, event: Event) -> None:
        if event.type == events.INCIDENT:
            raise Stopped(
                f"The source says at {event.place} that its log lacks something (an incident). Nobody can say what: "
                "`tako ferry abort` and copy anew.",
                place=event.place,
            )
        if event.type == events.PARTIAL_JSON:
            table = self._decoders.concerns(event)
            if table is None:
                return
            raise Stopped(
                f"The log has a JSON value of {table} only in part ({event.place}): some session, or the server, has "
                "binlog_row_value_options = PARTIAL_JSON. SET GLOBAL binlog_row_value_options = ''; see that no "
                "session sets it; then `tako ferry abort` and copy anew.",
                place=event.place,
                table=table,
            )
        if event.type in _LOADED:
            raise Stopped(
                f"The log has a LOAD DATA without its rows ({event.place}): binlog_format is not ROW. "
                "SET GLOBAL binlog_format = 'ROW', then `tako ferry abort` and copy anew.",
                place=event.place,
            )
        if not event.flags & events.IGNORABLE:
            raise Stopped(
                f"The log has an event of type {event.type} at {event.place}, which this version of ferry does not "
                "know and which is not marked as one to be passed over. Ask for a newer ferry.",
                place=event.place,
            )


def _shown(sql: str) -> str:
    said = " ".join(sql.encode(errors="surrogateescape").decode(errors="replace").split())
    return said if len(said) <= 300 else f"{said[:297]}…"
