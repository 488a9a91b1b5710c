"""`tako` with a promise of ferry broken, or a death at a bad moment: `python -m tests.ferry.mutants NAME ferry copy`.

A test that stays green with a broken one proves nothing. The deaths are no mistakes: the copy must survive them.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from tako import cli
from tako.ferry import copy, followable
from tako.ferry.plan import Plan, PlannedTable
from tako.ferry.source import Source, chunks, connection, rows
from tako.ferry.source.binlog import events, transactions
from tako.ferry.target import Target, following, state
from tako.ferry.throttle import Throttle

DIES_AT = 4  # chunks


def progress_before_rows() -> None:
    """Progress is committed by itself, and the tool dies before the rows are."""
    original = state.record

    def record(target: Target, plan_hash: str, chunk: state.Chunk) -> None:
        with psycopg.connect(target.connection.info.dsn) as other:
            original(Target(other, target.shown), plan_hash, chunk)
        if _is_time(chunk):
            _die()

    state.record = record


def rows_before_progress() -> None:
    """Rows are committed by themselves, and the tool dies before the progress is."""
    original = state.record

    def record(target: Target, plan_hash: str, chunk: state.Chunk) -> None:
        if _is_time(chunk):
            target.connection.pgconn.exec_(b"COMMIT")
            _die()
        original(target, plan_hash, chunk)

    state.record = record


def chunks_overlap() -> None:
    """Each chunk begins with the last row of the one before it."""
    original = chunks.behind

    def behind(table: PlannedTable, after: Sequence[str]) -> str:
        return original(table, after).replace(">", ">=")

    chunks.behind = behind


def chunks_leave_gaps() -> None:
    """Each chunk begins one row too late."""
    original = chunks.select

    def select(table: PlannedTable, after: Sequence[str] | None, limit: int) -> str:
        return original(table, after, limit) + (" OFFSET 1" if after and not table.whole else "")

    chunks.select = select


def local_time() -> None:
    """Sessions on the source keep its time zone."""
    connection.SESSION = connection.SESSION.replace("time_zone = '+00:00', ", "")


def backslashes_as_they_are() -> None:
    """Text is not escaped for COPY."""
    rows._ESCAPES = ((b"\\", b"\\"), *rows._ESCAPES[1:])


def dies_before_the_commit() -> None:
    """No mistake: rows and progress are sent, not committed."""
    original = state.record

    def record(target: Target, plan_hash: str, chunk: state.Chunk) -> None:
        original(target, plan_hash, chunk)
        if _is_time(chunk):
            _die()

    state.record = record


def dies_after_the_commit() -> None:
    """No mistake: the chunk is committed, nobody was told."""
    original = copy.run

    def run(
        plan: Plan,
        connect: Callable[[], Source],
        target: Target,
        pace: Throttle,
        say: copy.Say,
        *,
        rows_only: bool = False,
    ) -> None:
        def told(event: dict[str, object]) -> None:
            if event["event"] == "chunk" and event["n"] in range(2, 1000, DIES_AT):
                _die()
            say(event)

        original(plan, connect, target, pace, told, rows_only=rows_only)

    copy.run = run


def position_before_the_rows() -> None:
    """The position is committed by itself, and the tool dies before the rows are."""
    original = following.advance

    def advance(target: Target, plan_hash: str, batch: int, *rest: Any, **more: Any) -> bool:
        with psycopg.connect(target.connection.info.dsn) as other:
            moved = original(Target(other, target.shown), plan_hash, batch, *rest, **more)
        if batch % 4 == 2:
            _die()
        return moved

    following.advance = advance


def position_too_late() -> None:
    """Where to follow from is read when the copy is over."""
    original = state.end_run

    def end_run(target: Target, plan_hash: str, gtid: str, file: str, offset: int) -> None:
        original(target, plan_hash, gtid, file, offset)
        target.execute("UPDATE ferry.runs SET from_gtid = %s, from_file = %s, from_offset = %s", (gtid, file, offset))

    state.end_run = end_run


def cascades_ignored() -> None:
    """What the source's foreign keys do to other rows is not done."""
    followable.cascades_of = lambda plan: {}


def unknown_events_skipped() -> None:
    """Rows that are compressed are an event that is not known, and passed over."""
    for type in range(166, 172):
        del events.ROWS[type]
    transactions.Assembler._unknown = lambda self, event: None  # type: ignore[method-assign]


FOLLOWING = (
    position_before_the_rows,
    position_too_late,
    cascades_ignored,
    unknown_events_skipped,
)
BROKEN = (
    progress_before_rows,
    rows_before_progress,
    chunks_overlap,
    chunks_leave_gaps,
    local_time,
    backslashes_as_they_are,
)
DYING = (dies_before_the_commit, dies_after_the_commit)


def _is_time(chunk: state.Chunk) -> bool:
    """Every few chunks; the next run does not die at the same one."""
    return (chunk.n + chunk.run) % DIES_AT == 0


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    name, *sys.argv[1:] = sys.argv[1:]
    {mutant.__name__: mutant for mutant in (*BROKEN, *DYING, *FOLLOWING)}[name]()
    cli.main()
