"""Entries of running logs in SQLite: append-only, without an index, read by recovery alone."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core import sqlite
from tako.core.db import Database
from tako.core.journal.store import Row

# What one append adds to the write-ahead log besides the entries, in bytes.
_PAGES = 2 * 4096


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
        self._look_at = 1  # the row at which it is worth a look what may be trimmed: that goes through all running logs

    async def open(self, process_id: str) -> None:
        self._connection = sqlite.connect(str(self._db.url.database), self._db.pragmas)
        ((last,),) = sqlite.plain(self._connection).execute("SELECT coalesce(max(rowid), 0) FROM journal_entries")
        self._next_row = int(last) + 1
        self._trimmed = 1

    async def append(self, rows: Sequence[Row]) -> set[str]:
        first = self._next_row
        values = [(first + i, row.log_id, row.n, row.entry) for i, row in enumerate(rows)]
        trim = self._trimmable(first) if first >= self._look_at else None
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

    def _trimmable(self, next_row: int) -> int | None:
        self._look_at = next_row + self.TRIM_ROWS
        low = min(self._first_row.values(), default=next_row)
        return low if low - self._trimmed >= self.TRIM_ROWS else None

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
