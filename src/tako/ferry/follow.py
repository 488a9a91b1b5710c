"""Follows the source: applies everything that happened since the copy's position, exactly once, until the cutover.

A thread reads the log into a spool; here whole transactions are taken from it, several small ones together, and applied
with their position in one transaction of the target. So it may be killed at any moment: the position that is there
says what is there. Foreign keys and triggers wait for the cutover, because what they do is in the log, or done by
`target.apply`; indexes wait until the target is consistent, that is, until the log has been applied up to where the
copy ended (`copy` says why), and what cascades did meanwhile has been made right (`cascades`).
"""

import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from tako.core.errors import TakoError
from tako.ferry import amending, cascades, copy, deferred, followable, schema
from tako.ferry.changes import Amended
from tako.ferry.errors import Blocked, NeedsResync, Refused, SourceGone, Stopped, TargetGone
from tako.ferry.plan import Plan, PlannedTable
from tako.ferry.reading import Reader
from tako.ferry.source import Source, facts
from tako.ferry.source.binlog import gtid
from tako.ferry.source.binlog.stream import From
from tako.ferry.source.binlog.transactions import Transaction
from tako.ferry.source.position import Position
from tako.ferry.spool import MOST, Spool
from tako.ferry.target import Target, apply, following, state
from tako.ferry.target.apply import Applied, Batch, Cascade
from tako.ferry.target.following import Run, Stream
from tako.ferry.translate import ddl

Say = Callable[[dict[str, object]], None]

MOST_CHANGES = 5000  # rows that are applied together
MOST_BYTES = 16 << 20
MOST_SECONDS = 1.0
LONGEST_PAUSE = 10.0  # seconds between two tries to reach the target
REFUSALS = 5  # times that the target may refuse the same thing, a deadlock or what it has no room for


def run(
    plan: Plan,
    connect: Callable[[], Source],
    connect_target: Callable[[], Target],
    say: Say,
    *,
    past: str | None = None,
    most: int = MOST,
    until: threading.Event | None = None,
) -> None:
    """Follow until the cutover is done, or something cannot be followed, or `until` is set.

    `past` is the place of a statement that an operator has looked at (`Stopped.place`); `most` the bytes of the log
    that may wait while the target is away. Raises `Stopped`, `NeedsResync`, `Blocked`, `Refused`, `Damaged`.
    """
    until = until or threading.Event()
    pause, refusals, begun = 0.1, 0, False

    def told(event: dict[str, object]) -> None:
        nonlocal begun
        begun = begun or event["event"] == "following"
        say(event)

    while not until.is_set():
        target: Target | None = None
        try:
            target = connect_target()
            with target:
                if _Follower(plan, connect, connect_target, target, told, most, until).run(past):
                    return
            pause, refusals = 0.1, 0
        except _Lost:
            pass  # the position is read anew
        except SourceGone as error:
            if not begun:
                raise  # perhaps it never answers: a wrong address or password
            say({"event": "trouble", "message": error.message})
            until.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        except TargetGone as error:
            if target is not None and not target.connection.broken:
                refusals += 1  # it is there, and does not want to
            if refusals == REFUSALS:
                raise
            say({"event": "trouble", "message": error.message})
            until.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


class _Lost(Exception):
    """The target came back with an older position than it had: what was read ahead is of no use."""


@dataclass(slots=True)
class _Rate:
    """Rows per second, over the last seconds."""

    since: float = field(default_factory=time.monotonic)
    rows: int = 0
    shown: float = 0.0

    def count(self, rows: int) -> None:
        self.rows += rows

    def read(self) -> float:
        now = time.monotonic()
        if now - self.since >= 1:
            self.shown = self.rows / (now - self.since)
            self.since, self.rows = now, 0
        return self.shown


@dataclass(slots=True)
class _Follower:
    """One life: from the position in the target on, as long as the target's memory is what we think it is."""

    plan: Plan
    connect: Callable[[], Source]
    connect_target: Callable[[], Target]
    target: Target
    say: Say
    most: int
    until: threading.Event
    tables: dict[str, Applied] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    skips: Mapping[str, Run] = field(default_factory=dict)
    original: Plan | None = None
    amended: Plan | None = None
    batch: int = 0
    consistent: bool = False
    logged: bool = False
    unsettled: tuple[str, ...] = ()
    first: Run | None = None
    last: Run | None = None
    rate: _Rate = field(default_factory=_Rate)
    told: float = 0.0
    trouble: str | None = None

    def run(self, past: str | None) -> bool:
        """True when there is nothing left to follow."""
        target = self.target
        if not state.exists(target):
            raise Blocked("This plan has not been copied: run `tako ferry copy` first.")
        state.prepare(target)
        following.prepare(target)
        with state.locked(target, self.plan.target.schema):
            begun = self._begun(past)
            if begun.done:
                self.say({"event": "done"})
                return True
            self._prepare(begun)
            reached = gtid.parse(begun.gtid, mariadb=self.plan.source.server == "mariadb")
            passed, ignored = following.passed(target, self.plan.hash)
            spool = Spool(self.most)
            reader = Reader(
                self._now,
                self.connect,
                From(begun.gtid, begun.file, begun.offset),
                begun.server_id,
                spool,
                frozenset(name for name, table in self.tables.items() if table.cascades or not table.planned.key),
                passed,
                ignored,
            )
            self.say({"event": "following", "gtid": begun.gtid, "file": begun.file, "offset": begun.offset})
            with reader:
                try:
                    return self._apply_all(reader, spool, reached, begun)
                except (Stopped, Blocked, NeedsResync) as error:
                    place, table = (error.place, error.table) if isinstance(error, Stopped) else ("", "")
                    following.stop(self.target, self.plan.hash, error.message, place, table)
                    raise

    @property
    def _now(self) -> Plan:
        """The plan with everything that the source has changed since."""
        return self.amended or self.plan

    def _begun(self, past: str | None) -> Stream:
        plan, target = self.plan, self.target
        active = state.active(target, plan.target.schema)
        if active is None or active[0] != plan.hash:
            raise Blocked("This plan has not been copied: run `tako ferry copy` first.")
        progress = state.progress(target, plan.hash)
        if not all(progress[table.source].copied for table in plan.tables):
            raise Blocked(
                "The copy is not finished: run `tako ferry copy` (or `tako ferry run`) until all rows are there."
            )
        runs = following.runs(target, plan.hash)
        if not runs or not (runs[0].from_file or runs[0].from_gtid):
            raise Refused(
                "The source keeps no binary log, or kept none when it was copied, or an XA transaction stayed prepared "
                "then: this copy cannot be followed. See to that, `tako ferry abort`, and take `tako ferry run`."
            )
        following.begin(target, plan.hash, runs[0].from_gtid, runs[0].from_file, runs[0].from_offset, runs[0].server_id)
        found = following.read(target, plan.hash)
        assert found is not None  # noqa: S101 (begun above)
        if past is not None:
            if found.stopped_place != past:
                raise Blocked(
                    f"The stream did not stop at {past}"
                    + (f", but at {found.stopped_place}." if found.stopped_place else ".")
                    + " `tako ferry status` says where it stands."
                )
            following.let_pass(target, plan.hash, past, found.stopped_table or "")
        return found

    def _prepare(self, begun: Stream) -> None:
        runs = following.runs(self.target, self.plan.hash)
        self.first, self.last = runs[0], runs[-1]
        self.batch, self.consistent = begun.batch, begun.consistent
        with self.connect() as source:
            self.skips = followable.check(self.plan, source, self.target)
            self.logged = facts.logs_cascades(source)
        if not self.consistent:
            children = {cascade.child for found in self._cascades(self.plan).values() for cascade in found}
            self.unsettled = tuple(sorted(children))
        if count := deferred.take_back(self.plan, self.target):
            self.say({"event": "taken back", "statements": count})
        self._load()
        if self.consistent and not deferred.finished(self.plan, self.target):
            deferred.make(self.plan, self._now, self.target, self.say)  # the one before died between the two

    def _load(self) -> None:
        """The tables as they are after everything that the target has."""
        plan = amended(self.plan, self.target)
        self.amended = plan
        acting = self._cascades(plan)
        self.tables.clear()
        for table in plan.tables:
            self.tables[table.source] = self._applied(table, acting)
        self.rejected = {reject.table for reject in state.rejects(self.target, self.plan.hash)}

    def _cascades(self, plan: Plan) -> dict[str, list[Cascade]]:
        """What is to be done here because the source's log does not say it."""
        return {} if self.logged else followable.cascades_of(plan)

    def _applied(self, table: PlannedTable, acting: Mapping[str, list[Cascade]]) -> Applied:
        key = table if followable.has_key(table) else msgspec.structs.replace(table, key=())
        into = self.plan.target.schema
        return Applied(self.target, into, key, copy.repairs(table), acting.get(table.source, []))

    def _apply_all(self, reader: Reader, spool: Spool, reached: gtid.GtidSet, begun: Stream) -> bool:
        """Take, put together, apply; until somebody says stop."""
        waiting: list[Transaction] = []
        since = time.monotonic()
        at = From(begun.gtid, begun.file, begun.offset)
        while not self.until.is_set():
            item = spool.take(0.2 if waiting else 1.0)
            if isinstance(item, Transaction):
                since = since if waiting else time.monotonic()
                waiting.append(item)
            if waiting and (_full(waiting, since) or spool.empty):
                at = self._apply(waiting, reached, at)
                waiting = []
            if not self.consistent and not waiting and self._is_consistent(reached, at):
                at, waiting = self._settled(spool, reached, at)
            if time.monotonic() - self.told >= 1:
                lag = _lag(waiting, spool, quiet=not isinstance(item, Transaction) and reader.trouble is None, at=item)
                if not self._patiently(functools.partial(self._tell, lag, spool.size, reader.trouble)):
                    return True
        return True

    def _settled(self, spool: Spool, reached: gtid.GtidSet, at: From) -> tuple[From, list[Transaction]]:
        """From here on the target is consistent. Returns the position, and what was taken that comes after it."""
        later: list[Transaction] = []

        def up_to(moment: Position) -> None:
            nonlocal at, later
            at, later = self._up_to(moment, later, spool, reached, at)

        def alive(lag: float) -> None:
            self._alive(spool, lag)

        stream = following.read(self.target, self.plan.hash)
        if self.unsettled and stream is not None and stream.changes:
            cascades.settle(lambda: self._now, self.unsettled, self.connect, self.target, up_to, alive, self.say)
        self.unsettled = ()
        self._commit([], str(reached), at, consistent=True)
        return at, later

    def _up_to(
        self, moment: Position, found: list[Transaction], spool: Spool, reached: gtid.GtidSet, at: From
    ) -> tuple[From, list[Transaction]]:
        """Apply what is before the moment, and nothing else. `found` was taken already."""
        began = since = time.monotonic()
        waiting = [transaction for transaction in found if _is_before(moment, transaction, self.plan)]
        later = [transaction for transaction in found if not _is_before(moment, transaction, self.plan)]
        while waiting or not _holds(reached, at, moment):
            item = spool.take(0.2 if waiting else 1.0)
            if isinstance(item, Transaction):
                since = since if waiting else time.monotonic()
                (waiting if _is_before(moment, item, self.plan) else later).append(item)
            if waiting and (_full(waiting, since) or spool.empty):
                at = self._apply(waiting, reached, at)
                waiting = []
            self._alive(spool, time.monotonic() - began)
        return at, later

    def _alive(self, spool: Spool, lag: float) -> None:
        """Told once per second, in the middle of long work."""
        if self.until.is_set():
            raise _Lost
        if time.monotonic() - self.told >= 1:
            self._tell(lag, spool.size, None)

    def _patiently(self, ask: Callable[[], bool]) -> bool:
        """As often as it takes, while the target is away. The log is read on meanwhile."""
        pause = 0.05
        while True:
            try:
                return ask()
            except TargetGone as error:
                if not self.target.connection.broken:
                    raise
                self.say({"event": "trouble", "message": error.message})
                self.trouble = error.message
                if self._reconnected(pause):
                    raise _Lost from error
                pause = min(pause * 2, LONGEST_PAUSE)

    def _tell(self, lag: float, spooled: int, trouble: str | None) -> bool:
        """Once per second. False when the cutover is done."""
        self.told = time.monotonic()
        rate = self.rate.read()
        following.heard(self.target, self.plan.hash, lag, rate, spooled, trouble)
        if trouble != self.trouble:
            self.trouble = trouble
            if trouble:
                self.say({"event": "trouble", "message": trouble})
        self.say({"event": "lag", "seconds": round(lag, 1), "rows_per_s": round(rate), "spooled": spooled})
        found = following.read(self.target, self.plan.hash)
        if found is None or found.done:
            self.say({"event": "done"})
            return False
        return True

    def _apply(self, found: list[Transaction], reached: gtid.GtidSet, at: From) -> From:
        """All of them, or as many as there are before one that stops. Returns the position behind them."""
        for transaction in found:
            if transaction.gtid:
                reached.add(transaction.gtid)
            at = From("", transaction.file, transaction.offset)
        try:
            self._commit(found, str(reached), at, consistent=self.consistent)
        except Stopped:
            self._load()
            if len(found) < 2:
                raise
            return self._one_by_one(found)
        for transaction in found:
            transaction.close()
        self.rate.count(sum(transaction.count for transaction in found))
        return at

    def _one_by_one(self, found: list[Transaction]) -> From:
        stored = following.read(self.target, self.plan.hash)
        assert stored is not None  # noqa: S101 (it was there when we began)
        reached = gtid.parse(stored.gtid, mariadb=self.plan.source.server == "mariadb")
        at = From(stored.gtid, stored.file, stored.offset)
        for transaction in found:
            at = self._apply([transaction], reached, at)
        return at

    def _commit(self, found: list[Transaction], gtid: str, at: From, *, consistent: bool) -> None:
        """Once, whatever becomes of the target meanwhile: its own count says whether it was done."""
        pause = 0.05
        while True:
            try:
                self._write(found, gtid, at, consistent=consistent)
                break
            except TargetGone as error:
                if not self.target.connection.broken:
                    raise
                self.say({"event": "trouble", "message": error.message})
                self.trouble = error.message
                if self._reconnected(pause):
                    break
                pause = min(pause * 2, LONGEST_PAUSE)
        self.batch += 1
        if consistent and not self.consistent:
            self.consistent = True
            self.say({"event": "consistent"})
            deferred.make(self.plan, self._now, self.target, self.say)

    def _reconnected(self, pause: float) -> bool:
        """True if what was sent last was committed after all. Raises `_Lost` if the target knows less than it did."""
        self.until.wait(pause)
        if self.until.is_set():
            raise _Lost
        try:
            self.target.connection.close()
            again = self.connect_target()
        except TargetGone:
            return False
        self.target.connection = again.connection
        state.lock(self.target, self.plan.target.schema)
        stored = following.read(self.target, self.plan.hash)
        self._load()
        if stored is None or stored.batch not in (self.batch, self.batch + 1):
            raise _Lost
        return stored.batch == self.batch + 1

    def _write(self, found: list[Transaction], gtid: str, at: From, *, consistent: bool) -> None:
        plan, target = self.plan, self.target
        try:
            with target.transaction():
                batch = Batch(target, plan.hash, self.tables, self.rejected)
                for transaction in found:
                    self._add(batch, transaction)
                batch.flush()
                for table, pieces in batch.touched():
                    following.touch(target, plan.hash, self.batch + 1, table, pieces)
                moved = following.advance(
                    target,
                    plan.hash,
                    self.batch + 1,
                    gtid,
                    at.file,
                    at.offset,
                    len(found),
                    sum(transaction.count for transaction in found),
                    consistent=consistent,
                )
                if not moved:
                    raise Blocked(
                        "The cutover is done, or another ferry has applied this: nothing is applied any more. "
                        "`tako ferry status` says which."
                    )
        except BaseException:
            if not target.connection.broken:
                self._load()
            raise

    def _add(self, batch: Batch, transaction: Transaction) -> None:
        plan, target = self.plan, self.target

        def skip(table: str) -> bool:
            return table in self.skips and _is_before(self.skips[table], transaction, plan)

        match transaction.outcome:
            case "prepare":
                following.keep_prepared(target, plan.hash, transaction.xid, apply.encoded(transaction.changes()))
            case "xa rollback":
                following.forget_prepared(target, plan.hash, transaction.xid)
            case "xa commit":
                kept = following.prepared(target, plan.hash, transaction.xid)
                if kept is not None:
                    batch.add(apply.decoded(kept), self._amend, skip)
                    following.forget_prepared(target, plan.hash, transaction.xid)
                else:
                    self._unknown(transaction)
            case _:
                batch.add(transaction.changes(), self._amend, skip)

    def _unknown(self, transaction: Transaction) -> None:
        """An XA transaction whose rows stand in the log before the place where we began.

        The copy waited for those that were prepared then (`position.begin`): it has what they were committed with.
        """
        if self.first is not None and _is_before(self.first, transaction, self.plan):
            return
        place = f"{transaction.file}:{transaction.offset}"
        passed, _ = following.passed(self.target, self.plan.hash)
        if place in passed:
            return
        raise Stopped(
            f"An XA transaction ({transaction.xid}) is committed at {place} that was prepared before the copy began: "
            f"its rows are not known. Go on with `tako ferry follow --past {place}`, then mend what is missing with "
            "`tako ferry verify --live --repair`; or `tako ferry abort` and copy anew.",
            place=place,
            statement=f"XA COMMIT {transaction.xid}",
        )

    def _amend(self, change: Amended) -> None:
        """The table gets the column or the indexes that the source's has; from here on it is this one."""
        plan, target = self._now, self.target
        before = next(table for table in plan.schema.tables if table.name == change.table.name)
        into, rules = self.plan.target.schema, self.plan.rules
        for column in change.columns:
            for statement in ddl.added_column(change.planned, column, rules, into):
                target.execute(statement)
        following.amend(
            target,
            self.plan.hash,
            self.batch + 1,
            change.table.name,
            msgspec.json.encode(change.table),
            msgspec.json.encode(change.planned),
            change.statement,
        )
        self.amended = amending.plan_with(plan, change.table, change.planned)
        self.tables[change.table.name] = self._applied(change.planned, self._cascades(self.amended))
        if self.consistent:
            deferred.change_indexes(self.plan, self.target, before, change.table, change.planned)
        self.say({"event": "amended", "table": change.table.name, "statement": change.statement})

    def _is_consistent(self, reached: gtid.GtidSet, at: From) -> bool:
        """The log has been applied up to where the last run of the copy was over."""
        last = self.last
        assert last is not None  # noqa: S101 (set before anything is applied)
        first_only = last.n == 1 and last.exact
        if str(reached):
            return reached.holds(last.gtid if first_only else last.end_gtid)
        end = (last.file, last.offset) if first_only and last.offset > 4 else (last.end_file, last.end_offset)
        return (at.file, at.offset) >= end


def amended(plan: Plan, target: Target) -> Plan:
    """The plan with what the source has changed since, as far as the target has it."""
    if not following.exists(target):
        return plan
    for found in following.amendments(target, plan.hash):
        table = msgspec.json.decode(found.schema_table, type=schema.Table)
        plan = amending.plan_with(plan, table, msgspec.json.decode(found.planned, type=PlannedTable))
    return plan


def is_behind(stream: Stream, end: Position, *, mariadb: bool) -> bool:
    """Whether everything up to `end` of the source's log has been applied."""
    if end.gtid:
        return gtid.parse(stream.gtid, mariadb=mariadb).holds(end.gtid)
    return (stream.file, stream.offset) >= (end.file, end.offset)


def _holds(reached: gtid.GtidSet, at: From, moment: Position) -> bool:
    if moment.gtid:
        return reached.holds(moment.gtid)
    return (at.file, at.offset) >= (moment.file, moment.offset)


def _is_before(run: Run | Position, transaction: Transaction, plan: Plan) -> bool:
    """What the copy of that run, or a snapshot, has seen already."""
    if transaction.gtid and run.gtid:
        return gtid.parse(run.gtid, mariadb=plan.source.server == "mariadb").holds(transaction.gtid)
    return (transaction.file, transaction.offset) <= (run.file, run.offset)


def _full(waiting: list[Transaction], since: float) -> bool:
    return (
        sum(transaction.count for transaction in waiting) >= MOST_CHANGES
        or sum(transaction.size for transaction in waiting) >= MOST_BYTES
        or time.monotonic() - since >= MOST_SECONDS
    )


def _lag(waiting: list[Transaction], spool: Spool, *, quiet: bool, at: object) -> float:
    """Seconds between a commit in the source and here; 0 when there is nothing to apply. Both clocks are believed."""
    if not waiting and spool.empty and quiet:
        return 0.0
    newest = waiting[0].timestamp if waiting else at.timestamp if isinstance(at, Transaction) else 0
    return max(0.0, time.time() - newest) if newest else 0.0


@contextmanager
def beside(
    plan: Plan, connect: Callable[[], Source], connect_target: Callable[[], Target], say: Say
) -> Iterator[threading.Thread]:
    """Somebody follows while the block runs: a thread of ours. Its failure is told, and is in the target's state."""
    until = threading.Event()

    def work() -> None:
        try:
            run(plan, connect, connect_target, say, until=until)
        except TakoError as error:
            say({"event": "stopped", "message": error.message})

    thread = threading.Thread(target=work, name="ferry-follow", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        until.set()
        thread.join()
