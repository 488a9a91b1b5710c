"""How far the stream is, in the schema `ferry` of the target: in the same transactions as the rows it is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tako.ferry.target.connection import Target

TABLES = """
CREATE TABLE IF NOT EXISTS ferry.streams (
    plan_hash text PRIMARY KEY REFERENCES ferry.migrations ON DELETE CASCADE,
    gtid text NOT NULL, file text NOT NULL, "offset" bigint NOT NULL, server_id text NOT NULL,
    batch bigint NOT NULL DEFAULT 0, transactions bigint NOT NULL DEFAULT 0, changes bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now(), heard_at timestamptz, lag double precision, rate double precision,
    spooled bigint NOT NULL DEFAULT 0, consistent_at timestamptz, trouble text, stopped text, stopped_place text,
    stopped_table text, fence text, done_at timestamptz, hooked_at timestamptz);
CREATE TABLE IF NOT EXISTS ferry.prepared (
    plan_hash text NOT NULL REFERENCES ferry.migrations ON DELETE CASCADE, xid text NOT NULL, n integer NOT NULL,
    change bytea NOT NULL, prepared_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (plan_hash, xid, n));
CREATE TABLE IF NOT EXISTS ferry.passed (
    plan_hash text NOT NULL REFERENCES ferry.migrations ON DELETE CASCADE, place text NOT NULL,
    table_name text NOT NULL, passed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (plan_hash, place));
CREATE TABLE IF NOT EXISTS ferry.amendments (
    plan_hash text NOT NULL REFERENCES ferry.migrations ON DELETE CASCADE, n integer NOT NULL, table_name text NOT NULL,
    schema_table text NOT NULL, planned text NOT NULL, statement text NOT NULL, batch bigint NOT NULL,
    amended_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (plan_hash, n));
CREATE TABLE IF NOT EXISTS ferry.touched (
    plan_hash text NOT NULL REFERENCES ferry.migrations ON DELETE CASCADE, table_name text NOT NULL,
    piece text NOT NULL, batch bigint NOT NULL, PRIMARY KEY (plan_hash, table_name, piece));
CREATE TABLE IF NOT EXISTS ferry.cutovers (
    plan_hash text NOT NULL REFERENCES ferry.migrations ON DELETE CASCADE, attempt integer NOT NULL, n integer NOT NULL,
    step text NOT NULL, started_at timestamptz NOT NULL, seconds double precision, error text,
    PRIMARY KEY (plan_hash, attempt, n));
ALTER TABLE ferry.runs ADD COLUMN IF NOT EXISTS from_gtid text, ADD COLUMN IF NOT EXISTS from_file text,
    ADD COLUMN IF NOT EXISTS from_offset bigint
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the copy: where it reads, from where on it can be followed, and where it was over."""

    n: int
    gtid: str
    file: str
    offset: int
    exact: bool
    server_id: str
    from_gtid: str
    from_file: str
    from_offset: int
    end_gtid: str
    end_file: str
    end_offset: int


@dataclass(frozen=True, slots=True)
class Stream:
    """`batch` counts the transactions of the target that moved the position; `changes` those of rows."""

    gtid: str
    file: str
    offset: int
    server_id: str
    batch: int
    transactions: int
    changes: int
    silent: float | None
    """Seconds since the follower said that it lives."""
    lag: float | None
    rate: float | None
    spooled: int
    consistent: bool
    trouble: str | None
    stopped: str | None
    stopped_place: str | None
    stopped_table: str | None
    fence: str | None
    done: bool


@dataclass(frozen=True, slots=True)
class Amendment:
    table: str
    schema_table: bytes
    planned: bytes


def prepare(target: Target) -> None:
    """Make what is missing, in the schema that `state.prepare` has made."""
    with target.transaction():
        for statement in TABLES.split(";\n"):
            target.execute(statement)


def exists(target: Target) -> bool:
    return bool(target.rows("SELECT to_regclass('ferry.streams')")[0][0])


def runs(target: Target, plan_hash: str) -> list[Run]:
    found = target.rows(
        'SELECT n, gtid, file, "offset", exact, server_id, coalesce(from_gtid, gtid), coalesce(from_file, file), '
        'coalesce(from_offset, "offset"), coalesce(end_gtid, gtid), coalesce(end_file, file), '
        'coalesce(end_offset, "offset") FROM ferry.runs WHERE plan_hash = %s ORDER BY n',
        (plan_hash,),
    )
    return [Run(*row) for row in found]


def note_from(target: Target, plan_hash: str, run: int, gtid: str, file: str, offset: int) -> None:
    """From where on a run's copy can be followed: a little before what it reads."""
    target.execute(
        "UPDATE ferry.runs SET from_gtid = %s, from_file = %s, from_offset = %s WHERE plan_hash = %s AND n = %s",
        (gtid, file, offset, plan_hash, run),
    )


def runs_of(target: Target, plan_hash: str, table: str) -> tuple[int, int]:
    """The first and the last run that copied rows of a table."""
    found = target.rows(
        "SELECT min(run), max(run) FROM ferry.chunks WHERE plan_hash = %s AND table_name = %s", (plan_hash, table)
    )
    return int(found[0][0] or 1), int(found[0][1] or 1)


def begin(target: Target, plan_hash: str, gtid: str, file: str, offset: int, server_id: str) -> None:
    """Once; afterwards the position is what it has become."""
    target.execute(
        'INSERT INTO ferry.streams (plan_hash, gtid, file, "offset", server_id) VALUES (%s, %s, %s, %s, %s) '
        "ON CONFLICT DO NOTHING",
        (plan_hash, gtid, file, offset, server_id),
    )


def read(target: Target, plan_hash: str) -> Stream | None:
    found = target.rows(
        'SELECT gtid, file, "offset", server_id, '
        "batch, transactions, changes, "
        "extract(epoch FROM clock_timestamp() - heard_at)::float8, lag, rate, spooled, "
        "consistent_at IS NOT NULL, trouble, stopped, stopped_place, stopped_table, fence, done_at IS NOT NULL "
        "FROM ferry.streams WHERE plan_hash = %s",
        (plan_hash,),
    )
    return Stream(*found[0]) if found else None


def advance(
    target: Target,
    plan_hash: str,
    batch: int,
    gtid: str,
    file: str,
    offset: int,
    transactions: int,
    changes: int,
    *,
    consistent: bool,
) -> bool:
    """Within the transaction that applied the rows: the position is theirs. False if `batch` is not the next one, or
    if the cutover is done: then nothing must be committed."""
    moved = target.execute(
        'UPDATE ferry.streams SET gtid = %s, file = %s, "offset" = %s, batch = %s, transactions = transactions + %s, '
        "changes = changes + %s, consistent_at = CASE WHEN %s THEN coalesce(consistent_at, now()) END, stopped = NULL, "
        "stopped_place = NULL, stopped_table = NULL WHERE plan_hash = %s AND batch = %s AND done_at IS NULL",
        (gtid, file, offset, batch, transactions, changes, consistent, plan_hash, batch - 1),
    )
    if moved == 1:
        target.tell(plan_hash)
    return moved == 1


def heard(target: Target, plan_hash: str, lag: float, rate: float, spooled: int, trouble: str | None) -> None:
    """The follower lives. `lag` in seconds, `rate` in rows per second, `spooled` in bytes."""
    target.execute(
        "UPDATE ferry.streams SET heard_at = now(), lag = %s, rate = %s, spooled = %s, trouble = %s "
        "WHERE plan_hash = %s",
        (lag, rate, spooled, trouble, plan_hash),
    )
    target.tell(plan_hash)


def stop(target: Target, plan_hash: str, why: str, place: str, table: str) -> None:
    target.execute(
        "UPDATE ferry.streams SET stopped = %s, stopped_place = %s, stopped_table = %s WHERE plan_hash = %s",
        (why, place, table, plan_hash),
    )
    target.tell(plan_hash)


def let_pass(target: Target, plan_hash: str, place: str, table: str) -> None:
    target.execute(
        "INSERT INTO ferry.passed (plan_hash, place, table_name) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (plan_hash, place, table),
    )


def passed(target: Target, plan_hash: str) -> tuple[frozenset[str], frozenset[str]]:
    """Places that an operator has looked at and gone past, and tables that are not to be followed by that."""
    found = target.rows("SELECT place, table_name FROM ferry.passed WHERE plan_hash = %s", (plan_hash,))
    return frozenset(place for place, _ in found), frozenset(table.lower() for _, table in found if table)


def amend(
    target: Target, plan_hash: str, batch: int, table: str, schema_table: bytes, planned: bytes, statement: str
) -> None:
    target.execute(
        "INSERT INTO ferry.amendments (plan_hash, n, table_name, schema_table, planned, statement, batch) "
        "SELECT %s, coalesce(max(n), 0) + 1, %s, %s, %s, %s, %s FROM ferry.amendments WHERE plan_hash = %s",
        (plan_hash, table, schema_table.decode(), planned.decode(), statement, batch, plan_hash),
    )


def amendments(target: Target, plan_hash: str) -> list[Amendment]:
    found = target.rows(
        "SELECT table_name, schema_table, planned FROM ferry.amendments WHERE plan_hash = %s ORDER BY n", (plan_hash,)
    )
    return [Amendment(table, schema_table.encode(), planned.encode()) for table, schema_table, planned in found]


def keep_prepared(target: Target, plan_hash: str, xid: str, changes: Sequence[bytes]) -> None:
    """An XA transaction waits for its end. The first entry only says that it is there."""
    for n, change in enumerate((b"", *changes)):
        target.execute(
            "INSERT INTO ferry.prepared (plan_hash, xid, n, change) VALUES (%s, %s, %s, %s) ON CONFLICT "
            "(plan_hash, xid, n) DO UPDATE SET change = excluded.change",
            (plan_hash, xid, n, change),
        )


def prepared(target: Target, plan_hash: str, xid: str) -> list[bytes] | None:
    """None if no such one is known."""
    found = target.rows(
        "SELECT change FROM ferry.prepared WHERE plan_hash = %s AND xid = %s ORDER BY n", (plan_hash, xid)
    )
    return [bytes(change) for (change,) in found[1:]] if found else None


def forget_prepared(target: Target, plan_hash: str, xid: str) -> None:
    target.execute("DELETE FROM ferry.prepared WHERE plan_hash = %s AND xid = %s", (plan_hash, xid))


def open_prepared(target: Target, plan_hash: str) -> list[str]:
    found = target.rows("SELECT xid FROM ferry.prepared WHERE plan_hash = %s AND n = 0 ORDER BY xid", (plan_hash,))
    return [xid for (xid,) in found]


def touch(target: Target, plan_hash: str, batch: int, table: str, pieces: Sequence[str]) -> None:
    """These pieces have to be compared again before the cutover."""
    target.execute(
        "INSERT INTO ferry.touched (plan_hash, table_name, piece, batch) SELECT %s, %s, unnest(%s::text[]), %s "
        "ON CONFLICT (plan_hash, table_name, piece) DO UPDATE SET batch = excluded.batch",
        (plan_hash, table, list(pieces), batch),
    )


def touched(target: Target, plan_hash: str, table: str) -> list[str]:
    found = target.rows("SELECT piece FROM ferry.touched WHERE plan_hash = %s AND table_name = %s", (plan_hash, table))
    return [piece for (piece,) in found]


def compared(target: Target, plan_hash: str, table: str, batch: int) -> None:
    """The table was equal when everything up to `batch` was applied."""
    target.execute(
        "DELETE FROM ferry.touched WHERE plan_hash = %s AND table_name = %s AND batch <= %s", (plan_hash, table, batch)
    )


def note_fence(target: Target, plan_hash: str, kept: str | None) -> None:
    """The source is about to be fenced; or it is so no more (None)."""
    target.execute("UPDATE ferry.streams SET fence = %s WHERE plan_hash = %s", (kept, plan_hash))


def finish(target: Target, plan_hash: str, changes: int) -> bool:
    """The mark: nothing is applied after it. False if more than `changes` has been applied, or it is there already."""
    done = target.execute(
        "UPDATE ferry.streams SET done_at = now() WHERE plan_hash = %s AND changes = %s AND done_at IS NULL",
        (plan_hash, changes),
    )
    target.tell(plan_hash)
    return done == 1


def note_hook(target: Target, plan_hash: str) -> None:
    target.execute("UPDATE ferry.streams SET hooked_at = now() WHERE plan_hash = %s", (plan_hash,))


def hooked(target: Target, plan_hash: str) -> bool:
    """The owner's command has switched the site."""
    found = target.rows("SELECT hooked_at IS NOT NULL FROM ferry.streams WHERE plan_hash = %s", (plan_hash,))
    return bool(found and found[0][0])


def next_attempt(target: Target, plan_hash: str) -> int:
    found = target.rows("SELECT coalesce(max(attempt), 0) + 1 FROM ferry.cutovers WHERE plan_hash = %s", (plan_hash,))
    return int(found[0][0])


def begin_step(target: Target, plan_hash: str, attempt: int, n: int, name: str) -> None:
    target.execute(
        "INSERT INTO ferry.cutovers (plan_hash, attempt, n, step, started_at) VALUES (%s, %s, %s, %s, now())",
        (plan_hash, attempt, n, name),
    )
    target.tell(plan_hash)


def end_step(target: Target, plan_hash: str, attempt: int, n: int, seconds: float, error: str | None) -> None:
    target.execute(
        "UPDATE ferry.cutovers SET seconds = %s, error = %s WHERE plan_hash = %s AND attempt = %s AND n = %s",
        (seconds, error, plan_hash, attempt, n),
    )
    target.tell(plan_hash)


@dataclass(frozen=True, slots=True)
class CutoverStep:
    """`seconds` is None while it is done, and after a death in it."""

    attempt: int
    step: str
    started_at: datetime
    seconds: float | None
    error: str | None


def cutovers(target: Target, plan_hash: str) -> list[CutoverStep]:
    """Of all attempts, in order."""
    found = target.rows(
        "SELECT attempt, step, started_at, seconds, error FROM ferry.cutovers WHERE plan_hash = %s ORDER BY attempt, n",
        (plan_hash,),
    )
    return [CutoverStep(*row) for row in found]
