"""Group commit: one writer per process commits what all running logs were handed, and then lets readers look.

The first entry after quiet commits at once; further commits start at least `interval` seconds apart. There is one wait
per process, never one per log (300 answers of 50 entries a second cost 52 to 57 µs an entry when each wake-up
commits, and 17 µs at 2 ms apart).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core.db import Database
from tako.core.errors import TakoError, Unavailable
from tako.core.journal import store
from tako.core.journal.log import Log

_log = structlog.get_logger("tako.journal")

# What may be handed over and not yet committed before writers are asked to wait, in bytes.
ROOM = 4 * 2**20
# Between two tries while the database cannot take entries (disk full, connection lost), in seconds.
RETRY = 0.5


class Fenced(Exception):
    """Somebody took the log over: this process may not end it."""


@dataclass(frozen=True, slots=True)
class Left:
    """A running log that a dead process left: its id, our new epoch, and the entries that were written."""

    log_id: str
    epoch: int
    entries: dict[int, bytes]


class Journal:
    """Use as an async context manager, after the schema is there. `interval` is in seconds."""

    def __init__(self, db: Database, *, interval: float = 0.002) -> None:
        self._db = db
        self._interval = interval
        self._store: store.Store = store.SQLiteStore(db) if db.dialect == "sqlite" else store.PostgresStore(db)
        self._running: dict[str, Log] = {}
        self._pending: dict[str, Log] = {}
        self._pending_bytes = 0
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._writer: asyncio.Task[None] | None = None
        self.process_id = ""
        self.commits = 0
        self._cannot_append: str | None = None
        self._cannot_end: dict[str, str] = {}

    async def __aenter__(self) -> "Journal":
        async with self._db.write() as connection:
            self.process_id = await store.register(connection)
        await self._store.open(self.process_id)
        self._writer = asyncio.create_task(self._write(), name="journal-writer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cannot_append is None:
            await self.flush()
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        await self._store.close()

    async def create(self, connection: AsyncConnection, log_id: str) -> int:
        """Within a transaction: a new log that this process owns. Returns its epoch, for `open`."""
        return await store.create(connection, log_id, self.process_id)

    def open(self, log_id: str, epoch: int, entries: list[bytes]) -> Log:
        """The running log in memory. `entries` are durable, or are with the transaction that creates the log."""
        log = Log(log_id, epoch, entries, self._dirty)
        self._running[log_id] = log
        return log

    def forget(self, log: Log) -> None:
        """The transaction that created it was not committed."""
        self._running.pop(log.id, None)

    def find(self, log_id: str) -> Log | None:
        """The log, while it runs in this process; afterwards its fold is the truth."""
        return self._running.get(log_id)

    @property
    def problem(self) -> str | None:
        """Why the database takes no entries or no end now; None while all is well."""
        return self._cannot_append or next(iter(self._cannot_end.values()), None)

    @property
    def full(self) -> bool:
        """Too much is handed over and not committed: writers wait for `room` before they read on."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Until the journal is not `full`."""
        await self._room.wait()

    async def flush(self) -> None:
        """Until everything that was handed over is committed."""
        await self._idle.wait()

    async def end(self, log: Log, tail: list[bytes], transaction: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """End `log` with `tail` in one transaction together with what `transaction` does. Then readers see it.

        What was handed over before counts as shown: the caller folds `log.entries + tail`. Raises `Fenced` when the
        log is no longer ours, and whatever the transaction raises; then nothing has ended and it may be tried again.
        """
        log.closed = True
        if log.fenced:
            raise Fenced(log.id)
        await self._settled(log)
        self._cannot_end.pop(log.id, None)
        try:
            async with self._db.write() as connection:
                if not await store.finish(connection, log.id, log.epoch, self.process_id):
                    self._lose(log)
                    raise Fenced(log.id)
                await self._store.discard(connection, log.id)
                await transaction(connection)
        except Unavailable as error:
            self._cannot_end[log.id] = error.message
            raise
        await self._store.discarded(log.id)
        self._running.pop(log.id, None)
        log.finish(tail)

    async def take_over(self) -> list[Left]:
        """Own what every other process left running. Call it once at start, as the only serving process."""
        async with self._db.write() as connection:
            epochs = await store.take_over(connection, self.process_id)
            await store.sweep(connection)
        async with self._db.read() as connection:
            entries = await store.tails(connection, list(epochs))
        return [Left(log_id, epoch, entries[log_id]) for log_id, epoch in epochs.items()]

    async def beat(self) -> bool:
        """Renew the lease. On SQLite the file lock is the lease, and nothing needs to be written."""
        if self._db.dialect == "sqlite":
            return True
        async with self._db.write() as connection:
            return await store.beat(connection, self.process_id)

    def _dirty(self, log: Log, size: int) -> None:
        self._pending[log.id] = log
        self._pending_bytes += size
        if not self._work.is_set():
            self._work.set()
            self._idle.clear()
        if self._pending_bytes > ROOM:
            self._room.clear()

    async def _settled(self, log: Log) -> None:
        """Until no commit under way holds entries of `log`; the rest of them will be folded, not appended."""
        pending = self._pending.pop(log.id, None)
        if pending is None and log.submitted == log.committed:
            return
        await log.wait(log.submitted - 1)

    async def _write(self) -> None:
        clock = asyncio.get_running_loop().time
        last = 0.0
        while True:
            await self._work.wait()
            early = last + self._interval - clock()
            if early > 0:
                await asyncio.sleep(early)
            last = clock()
            batch, self._pending = self._pending, {}
            self._work.clear()
            self._pending_bytes = 0
            await self._commit(batch)
            if not self._pending:
                self._idle.set()
            if self._pending_bytes <= ROOM:
                self._room.set()

    async def _commit(self, batch: dict[str, Log]) -> None:
        rows: list[store.Row] = []
        for log in batch.values():
            for n in range(log.submitted, len(log.entries)):
                rows.append(store.Row(log.id, log.epoch, n, log.entries[n]))
            log.submitted = len(log.entries)
        if not rows:
            return
        lost = await self._append(rows)
        self.commits += 1
        for log in batch.values():
            if log.id in lost:
                self._lose(log)
            else:
                log.commit(log.submitted)

    def _lose(self, log: Log) -> None:
        """Its readers go to whoever has it now, or to its fold."""
        self._running.pop(log.id, None)
        if not log.ended:
            log.fence()

    async def _append(self, rows: list[store.Row]) -> set[str]:
        """Commit the rows, however long the database needs to recover: they are the only copy."""
        while True:
            try:
                lost = await self._store.append(rows)
            except Exception as error:
                if self._cannot_append is None:
                    _log.error(
                        "journal_cannot_write", error=str(error), next_step="free disk space or mend the database"
                    )
                self._cannot_append = error.message if isinstance(error, TakoError) else str(error)
                self._room.clear()
                await asyncio.sleep(RETRY)
            else:
                if self._cannot_append is not None:
                    _log.warning("journal_writes_again")
                    self._cannot_append = None
                return lost
