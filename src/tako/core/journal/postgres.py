"""Entries of running logs in PostgreSQL, where other processes may take a log over at any time."""

from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core.db import Database
from tako.core.journal.models import journal_entries
from tako.core.journal.store import Row


class PostgresStore:
    """Appends by one statement that holds the right to write while it writes.

    It locks the row of this process FOR SHARE, so that a takeover, which updates that row first, waits for it and
    then sees every entry that was acknowledged; an append that comes later finds the row fenced and writes nothing.
    (Checking the row without the lock lost acknowledged entries in a third of the takeovers that were tried.)

    Who seizes a single log raises the `revision` of that row in the same way. An append that waited for the lock
    checks the row's newest version but the logs as they were when it began, so it may write only where the revision
    is still the one it knows; otherwise it reads that and begins again.
    """

    APPEND = """
        WITH owner AS (
            SELECT id FROM processes
            WHERE id = %(process)s AND revision = %(revision)s AND fenced_at IS NULL FOR SHARE
        ),
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
        SELECT EXISTS (SELECT FROM owner), ARRAY(SELECT log_id FROM batch EXCEPT SELECT log_id FROM mine)
    """
    REVISION = "SELECT revision FROM processes WHERE id = %s AND fenced_at IS NULL"

    def __init__(self, db: Database) -> None:
        self._conninfo = db.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._process_id = ""
        self._revision = 0
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def open(self, process_id: str) -> None:
        self._process_id = process_id
        self._revision = 0

    async def append(self, rows: Sequence[Row]) -> set[str]:
        connection = await self._connected()
        values: dict[str, Any] = {
            "process": self._process_id,
            "log": [row.log_id for row in rows],
            "epoch": [row.epoch for row in rows],
            "n": [row.n for row in rows],
            "entry": [row.entry for row in rows],
        }
        while True:
            cursor = await connection.execute(self.APPEND, {**values, "revision": self._revision}, prepare=True)
            ((ours, lost),) = await cursor.fetchall()
            if ours:
                return set(lost)
            found = await (await connection.execute(self.REVISION, (values["process"],))).fetchone()
            if found is None:
                return set(values["log"])
            (self._revision,) = found

    async def _connected(self) -> "psycopg.AsyncConnection[tuple[Any, ...]]":
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        return self._connection

    async def discard(self, connection: AsyncConnection, log_id: str) -> None:
        await connection.execute(delete(journal_entries).where(journal_entries.c.log_id == log_id))

    async def discarded(self, log_id: str) -> None:
        """Nothing left to do."""

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
