"""The thread that reads the source's log into the spool, and begins again where it was when the source went away."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tako.ferry import amending
from tako.ferry.changes import Amended
from tako.ferry.errors import NeedsResync, SourceGone, Stopped
from tako.ferry.plan import Plan
from tako.ferry.source import Source, position
from tako.ferry.source.binlog import asking, decoding, gtid, stream
from tako.ferry.source.binlog.decoding import Decoders
from tako.ferry.source.binlog.statements import Meaning
from tako.ferry.source.binlog.stream import Event, From
from tako.ferry.source.binlog.transactions import Assembler, Quiet, Transaction
from tako.ferry.spool import Spool

LONGEST_PAUSE = 10.0  # seconds between two tries to reach the source


@dataclass(slots=True)
class Reader:
    """`start` is the position to begin behind; `cascading` are tables whose removed rows are wanted whole."""

    plan: Plan
    connect: Callable[[], Source]
    start: From
    server_id: str
    spool: Spool
    cascading: frozenset[str]
    passed: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    trouble: str | None = None
    """Why the source does not answer, while it does not."""
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Reader":
        self._thread = threading.Thread(target=self._run, name="ferry-log", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.spool.close()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        asker = asking.Asker(self.connect)
        try:
            reached = gtid.parse(self.start.gtid, mariadb=self.plan.source.server == "mariadb")
            at = self.start
            pause = 0.1
            decoders: Decoders | None = None
            while not self._stopped.is_set():
                try:
                    decoders = decoders or self._decoders(asker)
                    with self.connect() as source:
                        for item in self._read(source, at, decoders):
                            self.trouble, pause = None, 0.1
                            if isinstance(item, Transaction):
                                if item.gtid:
                                    reached.add(item.gtid)
                                at = From(str(reached), item.file, item.offset)
                            self.spool.put(item)
                            if self._stopped.is_set():
                                return
                except SourceGone as error:
                    self.trouble = error.message
                    self._stopped.wait(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
        except BaseException as error:  # raised again where transactions are taken
            self.spool.end(error)
        finally:
            asker.close()

    def _read(self, source: Source, at: From, decoders: Decoders) -> Iterator[Transaction | Quiet]:
        self._same_history(source, at)
        assembler = Assembler(
            decoders, lambda *about: self._amended(decoders, *about), mariadb=source.is_mariadb, passed=self.passed
        )
        for event in stream.read(source, at):
            if self._stopped.is_set():
                return
            yield from assembler.feed(event)

    def _same_history(self, source: Source, at: From) -> None:
        """What answers may be another server than before; its log must still continue what the target has."""
        if at.gtid:
            if lacking := position.lacking(source, at.gtid):
                raise NeedsResync(
                    f"The source needs resync: the target has transactions that it has not ({lacking}). It was "
                    "replaced by a replica that had not read them, or has lost the end of its log. `tako ferry abort` "
                    "and copy anew."
                )
            return
        found = position.identity(source)
        if found != self.server_id:
            raise Stopped(
                f"The source is another server now ({found}, not {self.server_id}), and without GTIDs nobody knows "
                "where its log continues that of the other one. `tako ferry abort` and copy anew.",
                place=f"{at.file}:{at.offset}",
            )

    def _decoders(self, asker: asking.Asker) -> Decoders:
        plan = self.plan
        schemas = {table.name: table for table in plan.schema.tables}
        planned = {table.source: table for table in plan.tables}
        known = {name.lower() for name in schemas.keys() - planned.keys()} | self.ignored
        return Decoders(
            plan.source.database,
            decoding.followed(schemas, planned, self.cascading),
            plan.rules,
            asker.charsets(),
            asker.read,
            asker.labels,
            frozenset(known),
        )

    def _amended(self, decoders: Decoders, table: str, said: Meaning, sql: str, event: Event) -> Amended:
        followed = decoders.followed[table]
        with self.connect() as source:
            made = amending.amended(source, self.plan, followed.schema, followed.planned, said, sql, event)
        decoders.amend(table, made.table, made.planned)
        return made
