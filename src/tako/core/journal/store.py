"""The journal's few statements. They are the hot path, so they go to the driver without SQLAlchemy in between."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core import ids, sqlite
from tako.core.db import Database, now
from tako.core.journal.models import journal_entries, logs, processes

# What one append adds to SQLite's write-ahead log besides the entries, in bytes.
_PAGES = 2 * 4096
# Built once: every answer runs them.
_CREATE = insert(logs)
_FINISH = update(logs).where(
    logs.c.id == bindparam("log"),
    logs.c.epoch == bindparam("owned_epoch"),
    logs.c.process_id == bindparam("owner"),
    logs.c.ended_at.is_(None),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One entry on its way to the database."""

    log_id: str
    epoch: int
    n: int
    entry: bytes


class Store(Protocol):
    """Where entries are kept while their log runs. One contract suite runs on both implementations."""

    async def open(self, process_id: str) -> None:
        """Get ready to append as that process."""

    async def append(self, rows: Sequence[Row]) -> set[str]:
        """Commit all rows, or none. Returns the ids of logs that this process no longer owns: theirs were left out.

        Safe to call again with the same rows when the outcome of the first call is unknown.
        """

    async def discard(self, connection: AsyncConnection, log_id: str) -> None:
        """Within the transaction that ends a log: its entries are folded elsewhere and need not be kept."""

    async def discarded(self, log_id: str) -> None:
        """After that transaction."""

    async def close(self) -> None: ...


class SQLiteStore:
    """Appends on a connection of its own, on the event loop as all short transactions (`core.sqlite`).

    Entries of ended logs are deleted in ranges of row ids: everything below the first row of the oldest running log.
    """

    TRIM_ROWS = 5000

    def __init__(self, db: Database) -> None:
        self._db = db
        self._first_row: dict[str, int] = {}
        self._next_row = 1
        self._trimmed = 1

    async def open(self, process_id: str) -> None:
        self._connection = sqlite.connect(str(self._db.url.database), self._db.pragmas)
        ((last,),) = sqlite.plain(self._connection).execute("SELECT coalesce(max(rowid), 0) FROM journal_entries")
        self._next_row = int(last) + 1
        self._trimmed = 1

    async def append(self, rows: Sequence[Row]) -> set[str]:
        first = self._next_row
        values = [(first + i, row.log_id, row.n, row.entry) for i, row in enumerate(rows)]
        low = min(self._first_row.values(), default=first)
        trim = low if low - self._trimmed >= self.TRIM_ROWS else None
        async with self._db.writer:
            await sqlite.run(self._connection, lambda: self._insert(values, trim))
        self._db.written(_PAGES + sum(len(row.entry) for row in rows))
        if trim is not None:
            self._trimmed = trim
        for rowid, log_id, _, _ in values:
            self._first_row.setdefault(log_id, rowid)
        self._next_row = first + len(rows)
        return set()

    async def discard(self, connection: AsyncConnection, log_id: str) -> None:
        """Nothing yet: rows go in ranges, see `append`."""

    async def discarded(self, log_id: str) -> None:
        self._first_row.pop(log_id, None)

    async def close(self) -> None:
        self._connection.close()

    def _insert(self, values: list[tuple[int, str, int, bytes]], trim: int | None) -> None:
        cursor = sqlite.plain(self._connection)
        cursor.execute("BEGIN IMMEDIATE")
        try:
            if trim is not None:
                cursor.execute("DELETE FROM journal_entries WHERE rowid < ?", (trim,))
            # The row ids are ours, so a batch whose outcome is unknown can be sent again unchanged.
            cursor.executemany(
                "INSERT OR IGNORE INTO journal_entries (rowid, log_id, n, entry) VALUES (?, ?, ?, ?)", values
            )
            cursor.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                cursor.execute("ROLLBACK")
            raise


class PostgresStore:
    """Appends by one statement that holds the right to write while it writes.

    It locks the row of this process FOR SHARE, so that a takeover, which updates that row first, waits for it and
    then sees every entry that was acknowledged; an append that comes later finds the row fenced and writes nothing.
    (Checking the row without the lock lost acknowledged entries in a third of the takeovers that were tried.)
    """

    APPEND = """
        WITH owner AS (SELECT id FROM processes WHERE id = %(process)s AND fenced_at IS NULL FOR SHARE),
        batch AS (
            SELECT * FROM unnest(%(log)s::text[], %(epoch)s::int[], %(n)s::int[], %(entry)s::bytea[])
                AS b(log_id, epoch, n, entry)
        ),
        mine AS (
            SELECT b.log_id, b.n, b.entry FROM batch b JOIN logs l ON l.id = b.log_id AND l.epoch = b.epoch
            JOIN owner ON owner.id = l.process_id WHERE l.ended_at IS NULL
        ),
        written AS (
            INSERT INTO journal_entries (log_id, n, entry) SELECT log_id, n, entry FROM mine ON CONFLICT DO NOTHING
        )
        SELECT DISTINCT log_id FROM batch EXCEPT SELECT log_id FROM mine
    """

    def __init__(self, db: Database) -> None:
        self._conninfo = db.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._process_id = ""
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def open(self, process_id: str) -> None:
        self._process_id = process_id

    async def append(self, rows: Sequence[Row]) -> set[str]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        values = {
            "process": self._process_id,
            "log": [row.log_id for row in rows],
            "epoch": [row.epoch for row in rows],
            "n": [row.n for row in rows],
            "entry": [row.entry for row in rows],
        }
        cursor = await self._connection.execute(self.APPEND, values, prepare=True)
        return {log_id for (log_id,) in await cursor.fetchall()}

    async def discard(self, connection: AsyncConnection, log_id: str) -> None:
        await connection.execute(delete(journal_entries).where(journal_entries.c.log_id == log_id))

    async def discarded(self, log_id: str) -> None:
        """Nothing left to do."""

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


async def register(connection: AsyncConnection) -> str:
    """Begin an incarnation of this process; its id is what it owns logs by."""
    process_id = ids.new("proc")
    name = f"{socket.gethostname()}:{os.getpid()}"
    await connection.execute(insert(processes).values(id=process_id, name=name, started_at=now(), beat=0))
    return process_id


async def beat(connection: AsyncConnection, process_id: str) -> bool:
    """Renew the lease; False when somebody has fenced this process."""
    renewed = await connection.execute(
        update(processes)
        .where(processes.c.id == process_id, processes.c.fenced_at.is_(None))
        .values(beat=processes.c.beat + 1)
    )
    return renewed.rowcount == 1


async def create(connection: AsyncConnection, log_id: str, process_id: str) -> int:
    """A new log, owned by that process. Returns its epoch."""
    await connection.execute(_CREATE, {"id": log_id, "process_id": process_id, "epoch": 1})
    return 1


async def finish(connection: AsyncConnection, log_id: str, epoch: int, process_id: str) -> bool:
    """Mark the end, if the log is still that owner's; False when it is not."""
    owned = {"log": log_id, "owned_epoch": epoch, "owner": process_id}
    ended = await connection.execute(_FINISH, {**owned, "ended_at": now()})
    return ended.rowcount == 1


async def take_over(
    connection: AsyncConnection, process_id: str, *, dead: Sequence[str] | None = None
) -> dict[str, int]:
    """Make the running logs of `dead` processes (of all others when None) ours: {log id: new epoch}.

    The dead are fenced FIRST; only a later statement may read what they wrote (see `PostgresStore`).
    """
    others = processes.c.id != process_id if dead is None else processes.c.id.in_(dead)
    await connection.execute(update(processes).where(others, processes.c.fenced_at.is_(None)).values(fenced_at=now()))
    owned = logs.c.process_id != process_id if dead is None else logs.c.process_id.in_(dead)
    await connection.execute(
        update(logs).where(owned, logs.c.ended_at.is_(None)).values(process_id=process_id, epoch=logs.c.epoch + 1)
    )
    rows = await connection.execute(
        select(logs.c.id, logs.c.epoch).where(logs.c.process_id == process_id, logs.c.ended_at.is_(None))
    )
    return {row.id: row.epoch for row in rows}


async def tails(connection: AsyncConnection, log_ids: Sequence[str]) -> dict[str, dict[int, bytes]]:
    """The entries of running logs: {log id: {n: entry}}. One pass over the table (SQLite has no index on it)."""
    wanted = set(log_ids)
    found: dict[str, dict[int, bytes]] = {log_id: {} for log_id in wanted}
    rows = await connection.execute(select(journal_entries).where(journal_entries.c.log_id.in_(list(found))))
    for log_id, n, entry in rows:
        found[log_id][n] = bytes(entry)
    return found


async def sweep(connection: AsyncConnection) -> None:
    """Forget entries of logs that have ended, and fenced processes that own nothing (at start, before any append)."""
    running = select(logs.c.id).where(logs.c.ended_at.is_(None))
    await connection.execute(delete(journal_entries).where(journal_entries.c.log_id.not_in(running)))
