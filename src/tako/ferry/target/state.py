"""What has been done, in the schema `ferry` of the target: in the same transactions as the rows it is about."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from tako.ferry.errors import Blocked
from tako.ferry.target.connection import Target, first_line, told

TABLES = """
CREATE SCHEMA IF NOT EXISTS ferry;
CREATE TABLE IF NOT EXISTS ferry.migrations (
    plan_hash text PRIMARY KEY, target_schema text NOT NULL UNIQUE, made_schema boolean NOT NULL, plan text NOT NULL,
    state text NOT NULL CHECK (state IN ('copying', 'copied', 'verified')),
    started_at timestamptz NOT NULL DEFAULT now(), copied_at timestamptz, verified_at timestamptz);
CREATE TABLE IF NOT EXISTS ferry.runs (
    plan_hash text NOT NULL REFERENCES ferry.migrations ON DELETE CASCADE, n integer NOT NULL,
    gtid text NOT NULL, file text NOT NULL, "offset" bigint NOT NULL, exact boolean NOT NULL, server_id text NOT NULL,
    end_gtid text, end_file text, end_offset bigint,
    started_at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz, PRIMARY KEY (plan_hash, n));
CREATE TABLE IF NOT EXISTS ferry.tables (
    plan_hash text NOT NULL REFERENCES ferry.migrations ON DELETE CASCADE, table_name text NOT NULL,
    target_name text NOT NULL, row_count bigint NOT NULL DEFAULT 0, bytes bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0, chunks integer NOT NULL DEFAULT 0, high json,
    copied_at timestamptz, PRIMARY KEY (plan_hash, table_name));
CREATE TABLE IF NOT EXISTS ferry.chunks (
    plan_hash text NOT NULL, table_name text NOT NULL, n integer NOT NULL, run integer NOT NULL, low json, high json,
    row_count bigint NOT NULL, bytes bigint NOT NULL, rejected bigint NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (plan_hash, table_name, n),
    FOREIGN KEY (plan_hash, table_name) REFERENCES ferry.tables ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS ferry.rejects (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, plan_hash text NOT NULL, table_name text NOT NULL, key json,
    sqlstate text NOT NULL, error text NOT NULL, line bytea NOT NULL, rejected_at timestamptz NOT NULL DEFAULT now(),
    accepted_at timestamptz, FOREIGN KEY (plan_hash, table_name) REFERENCES ferry.tables ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS ferry.steps (
    plan_hash text NOT NULL REFERENCES ferry.migrations ON DELETE CASCADE, n integer NOT NULL, statement text NOT NULL,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp(), error text, accepted_at timestamptz,
    PRIMARY KEY (plan_hash, n));
CREATE TABLE IF NOT EXISTS ferry.verifications (
    plan_hash text NOT NULL REFERENCES ferry.migrations ON DELETE CASCADE, table_name text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(), row_count bigint NOT NULL, chunks integer NOT NULL,
    different bigint NOT NULL, repaired bigint NOT NULL)
"""
STEP_REFUSALS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.ProgrammingError,
    psycopg.NotSupportedError,
    psycopg.errors.ProgramLimitExceeded,
)
LOCK = 0x7A6B6F66  # "ferry" has no number of its own; any that others do not use
WAIT = "15s"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a table is. `high` is the last key copied, as the source's values."""

    rows: int
    bytes: int
    rejected: int
    chunks: int
    high: tuple[str, ...] | None
    copied: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    table: str
    n: int
    run: int
    low: tuple[str, ...] | None
    high: tuple[str, ...] | None
    rows: int
    bytes: int
    rejected: int
    last: bool


@dataclass(frozen=True, slots=True)
class Reject:
    id: int
    table: str
    key: tuple[str, ...] | None
    sqlstate: str
    error: str
    accepted: bool


def exists(target: Target) -> bool:
    return bool(target.rows("SELECT to_regclass('ferry.migrations')")[0][0])


def prepare(target: Target) -> None:
    """Make the schema `ferry`, if it is not there."""
    with target.transaction():
        for statement in TABLES.split(";\n"):
            target.execute(statement)


def lock(target: Target, schema: str) -> None:
    """One ferry per target schema. A killed one's lock goes as soon as the server sees that it is gone."""
    with told(target.shown):
        try:
            target.connection.execute(f"SET lock_timeout = '{WAIT}'")
            target.connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", (LOCK, schema))
        except psycopg.errors.LockNotAvailable as error:
            raise Blocked(
                f"Another tako ferry works on the schema {schema}. Wait for it, or end it (see pg_stat_activity)."
            ) from error
    target.execute("SET lock_timeout = 0")


def try_lock(target: Target, schema: str) -> bool:
    """False if another ferry works on the schema now."""
    return bool(target.rows("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (LOCK, schema))[0][0])


def unlock(target: Target, schema: str) -> None:
    target.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", (LOCK, schema))


def is_locked(target: Target, schema: str, lock: int = LOCK) -> bool:
    """Some ferry copies into the schema now, or follows."""
    found = target.rows(
        "SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database "
        "WHERE datname = current_database() AND locktype = 'advisory' AND classid = %s::int::oid "
        "AND objid = hashtext(%s)::oid AND objsubid = 2 AND granted)",
        (lock, schema),
    )
    return bool(found[0][0])


def is_switching(target: Target, schema: str) -> bool:
    """A cutover is under way now."""
    return is_locked(target, schema, LOCK + 1)


def try_switching(target: Target, schema: str) -> bool:
    """False if a cutover is under way. Else this session is it, until it ends."""
    return bool(target.rows("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (LOCK + 1, schema))[0][0])


@contextmanager
def switching(target: Target, schema: str) -> Iterator[None]:
    """One cutover per target schema, beside whoever follows. Raises `Blocked` if there is another."""
    if not try_switching(target, schema):
        raise Blocked(f"A cutover of the schema {schema} is under way already. Wait for it.")
    try:
        yield
    finally:
        if not target.connection.broken:
            target.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", (LOCK + 1, schema))


@contextmanager
def locked(target: Target, schema: str) -> Iterator[None]:
    lock(target, schema)
    try:
        yield
    finally:
        if not target.connection.broken:
            unlock(target, schema)


def active(target: Target, schema: str) -> tuple[str, str] | None:
    """(plan hash, state) of the migration into the schema."""
    rows = target.rows("SELECT plan_hash, state FROM ferry.migrations WHERE target_schema = %s", (schema,))
    return (rows[0][0], rows[0][1]) if rows else None


def stored_plan(target: Target, schema: str) -> bytes | None:
    """The plan by which the schema is being filled, or was."""
    rows = target.rows("SELECT plan FROM ferry.migrations WHERE target_schema = %s", (schema,))
    return rows[0][0].encode() if rows else None


def begin(
    target: Target, plan_hash: str, schema: str, plan: bytes, tables: Mapping[str, str], *, made_schema: bool
) -> None:
    """Within the transaction that makes the tables."""
    target.execute(
        "INSERT INTO ferry.migrations (plan_hash, target_schema, made_schema, plan, state) "
        "VALUES (%s, %s, %s, %s, 'copying')",
        (plan_hash, schema, made_schema, plan.decode()),
    )
    for name, target_name in tables.items():
        target.execute(
            "INSERT INTO ferry.tables (plan_hash, table_name, target_name) VALUES (%s, %s, %s)",
            (plan_hash, name, target_name),
        )
    target.tell(plan_hash)


def start_run(target: Target, plan_hash: str, gtid: str, file: str, offset: int, server_id: str, *, exact: bool) -> int:
    """Write the position down, before anything is read at it. Returns the run's number, from 1."""
    rows = target.rows(
        'INSERT INTO ferry.runs (plan_hash, n, gtid, file, "offset", exact, server_id) '
        "SELECT %s, coalesce(max(n), 0) + 1, %s, %s, %s, %s, %s FROM ferry.runs WHERE plan_hash = %s RETURNING n",
        (plan_hash, gtid, file, offset, exact, server_id, plan_hash),
    )
    target.tell(plan_hash)
    return int(rows[0][0])


def end_run(target: Target, plan_hash: str, gtid: str, file: str, offset: int) -> None:
    """Everything that the last run has read was so at the latest at this position."""
    target.execute(
        "UPDATE ferry.runs SET end_gtid = %s, end_file = %s, end_offset = %s, ended_at = now() "
        "WHERE plan_hash = %s AND n = (SELECT max(n) FROM ferry.runs WHERE plan_hash = %s)",
        (gtid, file, offset, plan_hash, plan_hash),
    )


def progress(target: Target, plan_hash: str) -> dict[str, Progress]:
    rows = target.rows(
        "SELECT table_name, row_count, bytes, rejected, chunks, high, copied_at IS NOT NULL FROM ferry.tables "
        "WHERE plan_hash = %s",
        (plan_hash,),
    )
    return {
        name: Progress(count, size, rejected, chunks, None if high is None else tuple(high), copied)
        for name, count, size, rejected, chunks, high, copied in rows
    }


def copied_per_second(target: Target, plan_hash: str) -> float:
    """Rows per second, over the last ten seconds or as long as the last run has gone on."""
    found = target.rows(
        "SELECT coalesce(sum(row_count), 0)::float8 / greatest(1, least(10, extract(epoch FROM clock_timestamp() - "
        "(SELECT max(started_at) FROM ferry.runs WHERE plan_hash = %s))))::float8 "
        "FROM ferry.chunks WHERE plan_hash = %s AND committed_at > clock_timestamp() - interval '10 s'",
        (plan_hash, plan_hash),
    )
    return float(found[0][0])


def record(target: Target, plan_hash: str, chunk: Chunk) -> None:
    """Within the transaction that copied the chunk's rows. A chunk that is there already is an error, not an update."""
    # A crash of the target may lose the last chunks, rows and progress together; what ends them waits for the disk.
    target.execute("SET LOCAL synchronous_commit = off")
    high = None if chunk.high is None else json.dumps(chunk.high)
    target.execute(
        "INSERT INTO ferry.chunks (plan_hash, table_name, n, run, low, high, row_count, bytes, rejected) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            plan_hash,
            chunk.table,
            chunk.n,
            chunk.run,
            None if chunk.low is None else json.dumps(chunk.low),
            high,
            chunk.rows,
            chunk.bytes,
            chunk.rejected,
        ),
    )
    target.execute(
        "UPDATE ferry.tables SET row_count = row_count + %s, bytes = bytes + %s, rejected = rejected + %s, "
        "chunks = chunks + 1, high = coalesce(%s, high), copied_at = CASE WHEN %s THEN now() END "
        "WHERE plan_hash = %s AND table_name = %s",
        (chunk.rows, chunk.bytes, chunk.rejected, high, chunk.last, plan_hash, chunk.table),
    )
    target.tell(plan_hash)


def reject(
    target: Target, plan_hash: str, table: str, key: Sequence[str] | None, sqlstate: str, error: str, line: bytes
) -> None:
    target.execute(
        "INSERT INTO ferry.rejects (plan_hash, table_name, key, sqlstate, error, line) VALUES (%s, %s, %s, %s, %s, %s)",
        (plan_hash, table, None if key is None else json.dumps(list(key)), sqlstate, error, line),
    )


def rejects(target: Target, plan_hash: str) -> list[Reject]:
    rows = target.rows(
        "SELECT id, table_name, key, sqlstate, error, accepted_at IS NOT NULL FROM ferry.rejects "
        "WHERE plan_hash = %s ORDER BY id",
        (plan_hash,),
    )
    return [
        Reject(id, table, None if key is None else tuple(key), code, error, yes)
        for id, table, key, code, error, yes in rows
    ]


def accept(target: Target, plan_hash: str, table: str) -> int:
    """Give up the rejected rows of a table. Returns how many there were."""
    count = target.execute(
        "UPDATE ferry.rejects SET accepted_at = now() WHERE plan_hash = %s AND table_name = %s AND accepted_at IS NULL",
        (plan_hash, table),
    )
    target.tell(plan_hash)
    return count


def forget_reject(target: Target, reject: Reject) -> None:
    """Within the transaction that put the row in after all."""
    target.execute("DELETE FROM ferry.rejects WHERE id = %s", (reject.id,))


def steps(target: Target, plan_hash: str) -> set[int]:
    """Those that are done, or that somebody does by hand."""
    rows = target.rows(
        "SELECT n FROM ferry.steps WHERE plan_hash = %s AND (error IS NULL OR accepted_at IS NOT NULL)", (plan_hash,)
    )
    return {n for (n,) in rows}


def step(target: Target, plan_hash: str, n: int, statement: str) -> str | None:
    """Do one thing after the copy, once. Returns why PostgreSQL refuses it, if it does: that is written down too."""
    with told(target.shown):
        try:
            with target.connection.transaction():
                target.connection.execute(statement.encode())
                note_step(target, plan_hash, n, statement, None)
        except STEP_REFUSALS as error:
            said = first_line(error) + (f" ({error.diag.message_detail})" if error.diag.message_detail else "")
            note_step(target, plan_hash, n, statement, said)
            return said
    return None


def note_step(target: Target, plan_hash: str, n: int, statement: str, error: str | None) -> None:
    """That a step was done, or why it was not."""
    target.execute(
        "INSERT INTO ferry.steps (plan_hash, n, statement, error) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (plan_hash, n) DO UPDATE SET error = excluded.error",
        (plan_hash, n, statement, error),
    )
    target.tell(plan_hash)


def undo_steps(target: Target, plan_hash: str, numbers: Sequence[int]) -> None:
    """Within the transaction that takes them back."""
    target.execute("DELETE FROM ferry.steps WHERE plan_hash = %s AND n = ANY(%s)", (plan_hash, list(numbers)))


def failed_steps(target: Target, plan_hash: str) -> list[tuple[int, str, str]]:
    """(number, statement, why) of those that PostgreSQL refused and nobody has accepted."""
    return [
        (n, statement, error)
        for n, statement, error in target.rows(
            "SELECT n, statement, error FROM ferry.steps "
            "WHERE plan_hash = %s AND error IS NOT NULL AND accepted_at IS NULL ORDER BY n",
            (plan_hash,),
        )
    ]


def accept_step(target: Target, plan_hash: str, n: int) -> int:
    """Leave a refused step to somebody's hands. Returns 1, or 0 if there is no such one."""
    count = target.execute(
        "UPDATE ferry.steps SET accepted_at = now() WHERE plan_hash = %s AND n = %s AND error IS NOT NULL",
        (plan_hash, n),
    )
    target.tell(plan_hash)
    return count


def finish(target: Target, plan_hash: str) -> None:
    target.execute(
        "UPDATE ferry.migrations SET state = 'copied', copied_at = coalesce(copied_at, now()) WHERE plan_hash = %s",
        (plan_hash,),
    )
    target.tell(plan_hash)


def verified(target: Target, plan_hash: str, results: Sequence[tuple[str, int, int, int, int]], *, equal: bool) -> None:
    """`results`: (table, rows, chunks, different, repaired)."""
    with target.transaction():
        for table, rows, chunks, different, repaired in results:
            target.execute(
                "INSERT INTO ferry.verifications (plan_hash, table_name, row_count, chunks, different, repaired) "
                "VALUES (%s, %s, %s, %s, %s, %s)",
                (plan_hash, table, rows, chunks, different, repaired),
            )
        target.execute(
            "UPDATE ferry.migrations SET state = %s, verified_at = CASE WHEN %s THEN now() END WHERE plan_hash = %s",
            ("verified" if equal else "copied", equal, plan_hash),
        )
        target.tell(plan_hash)


def made_schema(target: Target, plan_hash: str) -> bool:
    """The target schema was not there before."""
    return bool(target.rows("SELECT made_schema FROM ferry.migrations WHERE plan_hash = %s", (plan_hash,))[0][0])


def forget(target: Target, plan_hash: str) -> None:
    """All that is known of a migration."""
    target.execute("DELETE FROM ferry.migrations WHERE plan_hash = %s", (plan_hash,))
    target.tell(plan_hash)


def described(target: Target, plan_hash: str) -> dict[str, Any]:
    """For `status`: the migration, its runs, its tables."""
    migration = ("plan_hash", "target_schema", "state", "started_at", "copied_at", "verified_at")
    run = ("n", "gtid", "file", "offset", "exact", "server_id", "started_at", "ended_at")
    (row,) = target.rows(
        "SELECT plan_hash, target_schema, state, started_at, copied_at, verified_at FROM ferry.migrations "
        "WHERE plan_hash = %s",
        (plan_hash,),
    )
    runs = target.rows(
        'SELECT n, gtid, file, "offset", exact, server_id, started_at, ended_at FROM ferry.runs '
        "WHERE plan_hash = %s ORDER BY n",
        (plan_hash,),
    )
    return dict(zip(migration, row, strict=True)) | {"runs": [dict(zip(run, found, strict=True)) for found in runs]}
