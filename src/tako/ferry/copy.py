"""Copies all rows: the position first, then chunks, each with its progress in one transaction of the target.

Why what this leaves behind can be followed, however often it was killed on the way:

Let P1 be the position of the first run, written down before its first chunk is read, and V the target after the last
chunk of the last run. Every row of V is a row as the source had it at some moment not before P1, since everything in
the log before P1 is visible to every later read (`source.position`). A restart reads under a new snapshot, so V mixes
moments: chunks of run 1 are as old as P1, those of run 2 as P2 (P1 < P2), and so on. A row can therefore be missing or
stale (it was changed after its chunk was read) or from the future of P1 (its chunk was read later). Apply now the log
from P1 on, each change idempotently: delete the row's old and new key, insert the whole new image. For each key,
- if no change of it is in the log after P1, then V holds it as it has been ever since, or both do not hold it;
- else its last change decides what it ends as, whatever V held before: stale, missing, or from the future.
So the target equals the source as soon as the log has been applied from P1 up to any position that is not before the
end of the last run: only then has every change that some chunk may have seen been applied too. In between, a row may
step back into its past and unique values may clash for a moment; that is why unique indexes and foreign keys belong
after the copy, and after the first catching up if the source was written to. What the log has no word of, changes by
the source's own foreign keys, needs one more look (`cascades`). (DBLog, arXiv 2010.12597, comes to the same by
watermarks per chunk; one position for the whole copy needs only that it is the earliest.)

`follow from` is thus the position of run 1, `consistent at` the end of the last run. With a single run under one exact
snapshot the two are one: V is the source at P1, and whoever follows starts where V is. Tables without a key are copied
in one transaction and are right at their run's position only; they cannot be followed, which the plan says.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from tako.ferry import schema, throttle
from tako.ferry.errors import Blocked, Refused, SnapshotLost, SourceChanged
from tako.ferry.plan import Plan, PlannedTable
from tako.ferry.source import Source, catalog, chunks, load, position, rows
from tako.ferry.source.rows import Block
from tako.ferry.target import Target, following, state
from tako.ferry.target.load import Refusal, Table
from tako.ferry.translate import values
from tako.ferry.translate.names import literal, postgres

T = TypeVar("T")
Key = tuple[str, ...]
Say = Callable[[dict[str, object]], None]

AHEAD = 3  # blocks of 1 MiB that are read before they are needed
FEWEST, MOST = 1, 200_000  # rows of a chunk
GROWTH = 4


@dataclass(frozen=True, slots=True)
class End:
    """Behind the blocks of a chunk. `high` is None if the chunk had no rows."""

    table: str
    low: Key | None
    high: Key | None
    last: bool


def run(
    plan: Plan,
    connect: Callable[[], Source],
    target: Target,
    pace: throttle.Throttle,
    say: Say,
    *,
    rows_only: bool = False,
) -> None:
    """Copy what is not copied yet, then make keys and constraints. Safe to be killed and called again at any point.

    `rows_only` leaves keys and constraints, and refused rows, to whoever follows the source from here.
    """
    _allowed(plan)
    with connect() as source:
        _unchanged(plan, source)
        state.prepare(target)
        following.prepare(target)
        with state.locked(target, plan.target.schema):
            _begin(plan, target)
            while True:
                try:
                    _copy_all(plan, source, target, pace, say, to_be_followed=rows_only)
                    break
                except SnapshotLost as error:
                    say({"event": "trouble", "message": f"{error.message} Going on under a new snapshot."})
                    source.execute("ROLLBACK")
                    _unchanged(plan, source)
            if rows_only:
                return
            _retry(plan, source, target, say)
            _finish(plan, source, target, say)


def _allowed(plan: Plan) -> None:
    if plan.open_questions:
        first = plan.open_questions[0]
        raise Refused(
            f"The plan has {len(plan.open_questions)} open questions; the first: "
            f"{first.table} {first.column}: {first.says} "
            "Answer them in ferry.toml (`tako ferry plan` says what to write) and plan again."
        )


def _unchanged(plan: Plan, source: Source) -> None:
    found = catalog.read(source)
    if schema.digest(found) != plan.schema_hash:
        changes = "; ".join(schema.differences(plan.schema, found)[:5]) or "views or routines are not as they were"
        raise SourceChanged(f"The source has changed since the plan: {changes}. Run `tako ferry plan` again.")


def _begin(plan: Plan, target: Target) -> None:
    """Tables and state in one transaction; nothing if that was done before."""
    active = state.active(target, plan.target.schema)
    if active is not None and active[0] != plan.hash:
        raise Blocked(
            f"The target's schema {plan.target.schema} is being filled by another plan ({active[0][:12]}). "
            "Go on with that plan's file, or end it with `tako ferry abort`."
        )
    if active is not None:
        return
    taken = target.taken(plan.target.schema, [table.target for table in plan.tables])
    if taken:
        raise Blocked(
            f"The target has a table {plan.target.schema}.{taken[0]} already: drop it, or name another schema."
        )
    made_schema = not target.has_schema(plan.target.schema)
    with target.transaction():
        for statement in plan.ddl.before:
            target.execute(statement)
        state.begin(
            target,
            plan.hash,
            plan.target.schema,
            msgspec.json.encode(plan),
            {table.source: table.target for table in plan.tables},
            made_schema=made_schema,
        )


def _copy_all(
    plan: Plan, source: Source, target: Target, pace: throttle.Throttle, say: Say, *, to_be_followed: bool
) -> None:
    done = state.progress(target, plan.hash)
    left = [table for table in plan.tables if not done[table.source].copied]
    if not left:
        return
    begin = position.begin(source, insist=to_be_followed)
    at = position.snapshot(source, exact=any(not table.key for table in left))
    if plan.copy.snapshot == "chunks":
        source.execute("COMMIT")
    number = state.start_run(target, plan.hash, at.gtid, at.file, at.offset, at.server_id, exact=at.exact)
    following.note_from(target, plan.hash, number, begin.gtid, begin.file, begin.offset)
    say({"event": "position", "run": number, **msgspec.structs.asdict(at)})
    rows.raw(source)
    with ahead(_read(plan, left, done, source, pace), AHEAD) as pieces:
        for table in left:
            _copy_table(plan, table, done[table.source], number, pieces, target, say)
    source.execute("ROLLBACK")
    _note_end(plan, source, target)


def _note_end(plan: Plan, source: Source, target: Target) -> None:
    end = position.current(source)
    state.end_run(target, plan.hash, end.gtid, end.file, end.offset)


def _read(
    plan: Plan, tables: Sequence[PlannedTable], done: dict[str, state.Progress], source: Source, pace: throttle.Throttle
) -> Iterator[Block | End]:
    """All pieces of all tables, in order."""
    for table in tables:
        average = table.bytes / table.rows if table.rows else 0
        limit = _limit(plan.copy.chunk_bytes, average or 256)
        low = done[table.source].high
        last = False
        while not last:
            started = time.monotonic()
            size = count = 0
            high: Key | None = None
            for block in rows.read(source, chunks.select(table, literals(table, low), limit), _forms(table)):
                size += len(block.text)
                count += block.rows
                high = _key(table, block.last())
                yield block
            last = table.whole or count < limit
            yield End(table.source, low, high, last)
            low = high
            if count:
                limit = min(_limit(plan.copy.chunk_bytes, size / count), limit * GROWTH)
            pace.wait(size, time.monotonic() - started, lambda: load.running(source))


def _limit(size: int, average: float) -> int:
    return max(FEWEST, min(MOST, int(size / average)))


def _forms(table: PlannedTable) -> list[rows.Form]:
    return [column.form for column in table.copied]


def _key(table: PlannedTable, fields: Sequence[bytes]) -> Key | None:
    """The values of a line's key as they came; latin1 keeps every byte through JSON."""
    if table.whole:
        return None
    places = [column.source for column in table.copied]
    return tuple((values.value(fields[places.index(name)]) or b"").decode("latin1") for name in table.key)


def literals(table: PlannedTable, key: Key | None) -> list[str] | None:
    if key is None:
        return None
    pairs = zip(table.key_columns, key, strict=True)
    return [values.source_literal(value.encode("latin1"), column.key) for column, value in pairs]


def _copy_table(
    plan: Plan,
    table: PlannedTable,
    done: state.Progress,
    number: int,
    pieces: Iterator[Block | End],
    target: Target,
    say: Say,
) -> None:
    into = Table(target, plan.target.schema, table.target, [c.target for c in table.copied], repairs(table))
    rejected = done.rejected
    n = done.chunks
    last = False
    while not last:
        with target.transaction():
            chunk = _copy_chunk(plan, table, into, n, number, pieces, target, rejected)
            state.record(target, plan.hash, chunk)
        n += 1
        rejected += chunk.rejected
        last = chunk.last
        say({"event": "chunk", "table": table.source, "n": chunk.n, "rows": chunk.rows, "bytes": chunk.bytes})
        if chunk.rejected:
            say({"event": "reject", "table": table.source, "rows": chunk.rejected})
    say({"event": "table", "table": table.source})


def _copy_chunk(
    plan: Plan,
    table: PlannedTable,
    into: Table,
    n: int,
    number: int,
    pieces: Iterator[Block | End],
    target: Target,
    rejected_before: int,
) -> state.Chunk:
    count = size = rejected = 0
    for piece in pieces:
        if isinstance(piece, End):
            return state.Chunk(
                table.source, n, number, piece.low, piece.high, count - rejected, size, rejected, piece.last
            )
        refused = into.put(piece.text)
        count += piece.rows
        size += len(piece.text)
        rejected += len(refused)
        _reject(plan, table, target, refused)
        if rejected_before + rejected > plan.copy.max_rejects:
            raise Blocked(
                f"PostgreSQL refuses more than {plan.copy.max_rejects} rows of {table.source}, the last one with: "
                f"{refused[-1].error}. Write a rule for them and plan again, or raise copy.max_rejects."
            )
    raise AssertionError("the reader ends each chunk")


def _reject(plan: Plan, table: PlannedTable, target: Target, refused: Sequence[Refusal]) -> None:
    for refusal in refused:
        key = _key(table, refusal.line.rstrip(b"\n").split(b"\t"))
        state.reject(target, plan.hash, table.source, key, refusal.sqlstate, refusal.error, refusal.line)


def repairs(table: PlannedTable) -> Callable[[bytes], bytes]:
    """What the rules want done to a line that PostgreSQL refuses."""
    columns = table.copied

    def repair(line: bytes) -> bytes:
        fields = values.fields(line)
        repaired = (values.repaired(value, column) for value, column in zip(fields, columns, strict=True))
        return b"\t".join(map(values.field, repaired)) + b"\n"

    return repair


def _retry(plan: Plan, source: Source, target: Target, say: Say) -> None:
    """Rejected rows again, as the source has them now: somebody may have repaired them there."""
    repaired = False
    for reject in state.rejects(target, plan.hash):
        table = plan.table(reject.table)
        found = literals(table, reject.key)
        if reject.accepted or found is None:
            continue
        rows.raw(source)
        into = Table(target, plan.target.schema, table.target, [c.target for c in table.copied], repairs(table))
        text = b"".join(block.text for block in rows.read(source, chunks.of_keys(table, [found]), _forms(table)))
        with target.transaction():
            if not text or not into.put(text):
                state.forget_reject(target, reject)
                repaired = True
                say({"event": "repaired", "table": table.source})
    if repaired:
        _note_end(plan, source, target)  # these rows are younger than the run's other ones
    left = [reject for reject in state.rejects(target, plan.hash) if not reject.accepted]
    if left:
        names = sorted({reject.table for reject in left})
        raise Blocked(
            f"PostgreSQL refused {len(left)} rows of {', '.join(names)} (first: {left[0].error}); they are in "
            "ferry.rejects of the target. Repair them in the source and run `tako ferry copy` again, "
            f"or give them up by name: `tako ferry accept {names[0]}`."
        )


def _finish(plan: Plan, source: Source, target: Target, say: Say) -> None:
    """Sequences, indexes, triggers, foreign keys: each once, each in a transaction with its mark.

    What PostgreSQL refuses (orphans under a foreign key, a text too long for an index) keeps none of the others back.
    """
    done = state.steps(target, plan.hash)
    steps = [*sequences(plan, source), *plan.ddl.after]
    for n, statement in enumerate(steps):
        if n not in done:
            say({"event": "step", "n": n + 1, "of": len(steps), "statement": statement.splitlines()[0]})
            state.step(target, plan.hash, n, statement)
    failed = state.failed_steps(target, plan.hash)
    if failed:
        n, statement, error = failed[0]
        raise Blocked(
            f"All rows are copied, but PostgreSQL refuses {len(failed)} of the {len(steps)} steps after that; the "
            f"first is {statement.splitlines()[0]}: {error}. Repair the rows and run `tako ferry copy` again, or "
            f"leave it to your own hands: `tako ferry accept {n}`."
        )
    state.finish(target, plan.hash)
    say({"event": "finished"})


def sequences(plan: Plan, source: Source) -> Iterator[str]:
    """The next id is behind every row that is there, and behind every one that ever was."""
    for table in plan.tables:
        for column in table.columns:
            if column.counts:
                name = f"{postgres(plan.target.schema)}.{postgres(table.target)}"
                value = catalog.next_value(source, table.source)
                yield (
                    f"SELECT setval(pg_get_serial_sequence({literal(name)}, {literal(column.target)}), "  # noqa: S608 (from the plan)
                    f"greatest({value}, coalesce((SELECT max({postgres(column.target)}) FROM {name}), 0) + 1), false)"
                )


_ENDED = object()


@contextmanager
def ahead(items: Iterator[T], depth: int) -> Iterator[Iterator[T]]:
    """The items, made by a thread that is at most `depth` of them ahead. Its failure is raised where they are used."""
    made: queue.Queue[object] = queue.Queue(depth)
    stopped = threading.Event()

    def make() -> None:
        try:
            for item in items:
                if stopped.is_set():
                    break
                made.put(item)
            made.put(_ENDED)
        except BaseException as error:  # raised again where the items are used
            made.put(error)
            made.put(_ENDED)

    def used() -> Iterator[T]:
        while (item := made.get()) is not _ENDED:
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]
        made.put(_ENDED)

    thread = threading.Thread(target=make, name="ferry-source", daemon=True)
    thread.start()
    try:
        yield used()
    finally:
        stopped.set()
        while made.get() is not _ENDED:
            pass
        thread.join()
