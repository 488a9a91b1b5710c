"""Group commit: one writer per process commits what all running logs were handed, and then lets readers look.

The first entry after quiet commits at once, and so do the first words of an answer; all other commits start at least
`interval` seconds apart. There is one wait per process, never one per log (300 answers of 50 entries a second cost 52
to 57 µs an entry when each wake-up commits, and 17 µs at 2 ms apart).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core.bus import CAME, ENDED, FOLLOWED, GREW, LOGS, LOST, Alone, Bus
from tako.core.chores import running
from tako.core.db import Database
from tako.core.errors import TakoError, Unavailable
from tako.core.journal import store
from tako.core.journal.lease import Lapses
from tako.core.journal.log import Log
from tako.core.journal.sqlite import SQLiteStore
from tako.core.journal.watch import JournalWatch

if TYPE_CHECKING:
    from tako.core.journal.echo import Echoes
    from tako.core.journal.following import Following, Whole

_log = structlog.get_logger("tako.journal")

# What may be handed over and not yet committed before writers are asked to wait, in bytes.
ROOM = 4 * 2**20
# Between two tries while the database cannot take entries (disk full, connection lost), in seconds.
RETRY = 0.5


class Fenced(Exception):
    """Somebody took the log over: this process may not end it."""


@dataclass(frozen=True, slots=True)
class Left:
    """A running log that a dead process left: its id, our new epoch, and the entries that were written. `since` is when
    that process gave its last sign of life, as far as we saw, on our monotonic clock."""

    log_id: str
    epoch: int
    entries: dict[int, bytes]
    since: float = field(default=0.0, compare=False)


class Journal:
    """Use as an async context manager, after the schema is there. Times are in seconds: `interval` between two
    commits, `every` between two heartbeats, `lease` without one after which a process counts as dead. `echoes` are for
    the followers in other processes, where there is Valkey; the database tells them everything without.

    `on_lost` is called with the id of each log that somebody else has taken while it ran here.
    """

    def __init__(
        self,
        db: Database,
        bus: Bus | None = None,
        echoes: "Echoes | None" = None,
        *,
        interval: float = 0.002,
        lease: float = 15.0,
        every: float = 5.0,
        watch: JournalWatch | None = None,
    ) -> None:
        self.on_lost: Callable[[str], None] = _nothing
        self.every = every
        self._db = db
        self._bus = bus or Alone()
        self._interval = interval
        self._lease = lease
        self._lapses = Lapses(lease, every, time.monotonic)
        self._echoes = echoes
        self._store, self._following = _parts(db, interval, echoes, self._lapses.moved)
        self._watch = watch or JournalWatch()
        self._others = False
        self._suspect = asyncio.Event()
        self._adopted: dict[str, asyncio.Event] = {}  # handed out as `Left`, and not opened yet
        self._silent_since: dict[str, float] = {}  # logs of dead processes that are to be handed out
        self._unsure = False  # a transaction that made a log ours may have been committed although it failed
        self._leaving = False
        self._running: dict[str, Log] = {}
        self._pending: dict[str, Log] = {}
        self._pending_bytes = 0
        self._work = asyncio.Event()
        self._pause = _Pause()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._chores = contextlib.AsyncExitStack()
        self.process_id = ""
        self.commits = 0
        self._cannot_append: str | None = None
        self._cannot_end: dict[str, str] = {}

    async def __aenter__(self) -> "Journal":
        await self._register()
        self._bus.listen(CAME, self._somebody_came)
        self._bus.listen(LOST, self._told_of_a_loss)
        chores = {"journal": self._write(), "losses": self._look_for_losses()}
        if self._following is not None:
            self._bus.listen(LOGS, self._following.stale)
            self._bus.on_gap(self._following.all_stale)
            self._bus.listen(GREW, self._following.grew)
            self._bus.listen(ENDED, self._following.ended)
            chores["following"] = self._following.read()
        if self._echoes is not None:
            self._bus.listen(FOLLOWED, self._told_of_a_follower)
            chores["echoes"] = self._echoes.repeat()
        await self._chores.enter_async_context(running(**chores))
        self._bus.tell(CAME, self.process_id)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cannot_append is None:
            await self.flush()
        await self._chores.aclose()
        if self._following is not None:
            await self._following.close()
            with contextlib.suppress(Unavailable):  # then its lease lapses
                async with self._db.write() as connection:
                    await store.leave(connection, self.process_id)
        await self._store.close()

    async def _register(self) -> None:
        async with self._db.write() as connection:
            self.process_id = await store.register(connection)
        if self._echoes is not None:
            self._echoes.begin(self.process_id)
        self._watch.registered(self.process_id)
        await self._store.open(self.process_id)

    async def create(self, connection: AsyncConnection, log_id: str) -> int:
        """Within a transaction: a new log that this process owns. Returns its epoch, for `open`."""
        return await store.create(connection, log_id, self.process_id)

    async def holds(self, connection: AsyncConnection, log_id: str, epoch: int) -> bool:
        """Within a transaction: whether the log still has the owner of that epoch; it keeps it until the commit."""
        return await store.holds(connection, log_id, epoch)

    def open(self, log_id: str, epoch: int, entries: list[bytes]) -> Log:
        """The running log in memory. `entries` are durable, or are with the transaction that creates the log."""
        log = self._following.release(log_id) if self._following is not None else None
        if log is None:
            log = Log(log_id, epoch, entries, self._dirty)
        else:  # its readers here go on reading
            log.adopt(epoch, entries, self._dirty)
        self._running[log_id] = log
        if self._echoes is not None and log_id in self._adopted:
            self._echoes.follows(log, log.committed)  # whoever followed it elsewhere
        self._attended(log_id)
        return log

    def give_back(self, left: Left) -> None:
        """Who was handed it did not open it: a later heartbeat hands it out again, if it still runs."""
        if left.log_id in self._adopted:
            self._attended(left.log_id)
            self._unsure = True

    async def attended(self, log_id: str) -> None:
        """Until whoever was handed that log has opened it, or given it back."""
        if (waiting := self._adopted.get(log_id)) is not None:
            await waiting.wait()

    def _attended(self, log_id: str) -> None:
        if (waiting := self._adopted.pop(log_id, None)) is not None:
            waiting.set()

    def forget(self, log: Log) -> None:
        """The transaction that created it was not committed, as far as one knows."""
        self._running.pop(log.id, None)
        self._unsure = True

    async def leave(self, logs: Sequence[Log]) -> None:
        """This process is about to stop: whoever else there is, or comes, may have these logs at once, of which
        everything is committed. It takes over no others from now on."""
        self._leaving = True
        if self._following is not None and logs:
            async with self._db.write() as connection:
                await store.abandon(connection, [log.id for log in logs], self.process_id)
        for log in logs:
            self._running.pop(log.id, None)
            log.fence()
        self._bus.tell(LOGS, self.process_id)

    def find(self, log_id: str) -> Log | None:
        """The log, while it runs in this process; afterwards its fold is the truth."""
        return self._running.get(log_id)

    async def follow(self, log_id: str, first: Sequence[bytes], whole: "Whole") -> Log | None:
        """The log while it runs, in whatever process; None when it has ended. `first` are the entries that are kept
        elsewhere; `whole` is asked for all of them once it has ended. Raises `Unavailable`."""
        if (log := self.find(log_id)) is not None or self._following is None:
            return log
        return await self._following.follow(log_id, first, whole)

    async def look(self, log: Log) -> None:
        """What is committed by now of a log that is followed; one that runs here has it already. Raises
        `Unavailable`."""
        if self._following is not None:
            await self._following.look(log)

    @property
    def shared(self) -> bool:
        """Other processes may write logs of this site too."""
        return self._following is not None

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
            self._watch.refused()
            raise
        await self._store.discarded(log.id)
        self._running.pop(log.id, None)
        log.finish(tail)
        self._tell_end(log)

    async def seize(self, log_id: str) -> Left | None:
        """Make a log ours that runs in another process, dead or alive; None when it runs no more, or runs here."""
        if log_id in self._running or log_id in self._adopted:
            return None
        async with self._owning() as connection:
            seized = await store.seize(connection, log_id, self.process_id)
        if seized is None:
            return None
        self._bus.tell(LOST, seized.owner)
        self._bus.tell(LOGS, seized.owner)
        try:
            (left,) = await self._left({log_id: seized.epoch})
        except BaseException:
            self._unsure = True
            raise
        return left

    async def take_over_all(self) -> list[Left]:
        """Own what every other process left running. Call it once at start, as the only serving process."""
        async with self._db.write() as connection:
            epochs = await store.take_over_all(connection, self.process_id)
            await store.sweep(connection)
        return await self._left(epochs)

    async def beat(self) -> list[Left]:
        """Renew the lease, and own what processes left running whose lease has lapsed. On SQLite the file lock is the
        lease, and nothing needs to be written."""
        if self._following is None:
            return []
        try:
            async with self._db.write() as connection:
                signs = await store.beat(connection, self.process_id)
        except Unavailable:
            self._lapses.missed()
            raise
        self._following.all_stale()
        if self._echoes is not None:
            self._echoes.beat()
        if not any(sign.process_id == self.process_id and not sign.fenced for sign in signs):
            await self._begin_anew()
            return []
        others = [sign for sign in signs if sign.process_id != self.process_id]
        self._others = any(not sign.fenced for sign in others)
        if self._leaving:
            return []
        for dead in self._lapses.seen(others):
            await self._bury(dead)
        return await self._unattended() if self._unsure else []

    async def _bury(self, dead: store.Sign) -> None:
        async with self._owning() as connection:
            epochs = await store.take_over(connection, self.process_id, dead)
        if epochs or not dead.fenced:
            _log.warning("process_taken_over", process=dead.process_id, answers=len(epochs))
        self._unsure = self._unsure or bool(epochs)
        since = time.monotonic() - self._lapses.silence(dead.process_id)
        self._silent_since.update(dict.fromkeys(epochs, since))
        self._bus.tell(LOST, dead.process_id)
        self._bus.tell(LOGS, dead.process_id)

    async def _begin_anew(self) -> None:
        """Somebody took this process for dead, and has its logs: it is another one from now on."""
        _log.error("lease_lost", running=len(self._running), lease_seconds=self._lease)
        await self._register()
        for log_id in list(self._adopted):
            self._attended(log_id)
        for log in list(self._running.values()):
            self._lose(log)

    async def _unattended(self) -> list[Left]:
        """The logs that the database says are ours, and that nobody here has been told of."""
        async with self._db.read() as connection:
            epochs = await store.owned(connection, self.process_id)
        unattended = {id: epoch for id, epoch in epochs.items() if id not in self._running and id not in self._adopted}
        lefts = await self._left(unattended)
        self._unsure = False
        self._silent_since.clear()
        return lefts

    async def _left(self, epochs: Mapping[str, int]) -> list[Left]:
        async with self._db.read() as connection:
            entries = await store.tails(connection, list(epochs))
        self._adopted.update((log_id, asyncio.Event()) for log_id in epochs)
        at = time.monotonic()
        return [
            Left(log_id, epoch, entries[log_id], self._silent_since.get(log_id, at)) for log_id, epoch in epochs.items()
        ]

    @asynccontextmanager
    async def _owning(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that makes logs ours. Should it fail, it may have been committed all the same."""
        try:
            async with self._db.write() as connection:
                yield connection
        except BaseException:
            self._unsure = True
            raise

    async def _look_for_losses(self) -> None:
        """Whenever somebody says that this process has lost a log: which one it is, so that its upstream is let go."""
        while True:
            await self._suspect.wait()
            self._suspect.clear()
            try:
                async with self._db.read() as connection:
                    taken = await store.taken(connection, list(self._running), self.process_id)
            except Unavailable as error:
                _log.warning("losses_not_seen", reason=error.message)  # the next append meets them
                continue
            for log_id in taken:
                # One that is ending learns it by itself.
                if (log := self._running.get(log_id)) is not None and not log.closed:
                    self._lose(log)

    def _somebody_came(self, process_id: str) -> None:
        self._others = True

    def _told_of_a_loss(self, process_id: str) -> None:
        if process_id == self.process_id:
            self._suspect.set()

    def _told_of_a_follower(self, body: str) -> None:
        process_id, log_id, count = body.split(" ")
        if self._echoes is None or process_id != self.process_id:
            return
        if (log := self._running.get(log_id)) is not None:
            self._echoes.follows(log, int(count))
        else:
            self._echoes.gone(log_id)

    def _dirty(self, log: Log, size: int, at_once: bool) -> None:
        self._pending[log.id] = log
        self._pending_bytes += size
        if at_once:
            self._pause.cut()
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
            await self._pause.until(last + self._interval)
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
        began = time.monotonic()
        lost = await self._append(rows)
        self.commits += 1
        self._watch.committed(len(rows), time.monotonic() - began)
        for log in batch.values():
            if log.id in lost:
                self._lose(log)
            else:
                log.commit(log.submitted)
        self._tell(batch.values())

    def _lose(self, log: Log) -> None:
        """Its readers go to whoever has it now, or to its fold. Told of twice, it is lost once; and what has come back
        to us since is another log of the same name."""
        if not log.ended:
            log.fence()
        if self._running.get(log.id) is log:
            del self._running[log.id]
            self.on_lost(log.id)

    def _tell(self, logs: Iterable[Log]) -> None:
        """Something is new in these logs of ours."""
        if self._echoes is not None:
            self._echoes.grew(logs)
        elif self._others:
            self._bus.tell(LOGS, self.process_id)

    def _tell_end(self, log: Log) -> None:
        if self._echoes is not None:
            self._echoes.ended(log)
        else:
            self._tell([log])

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
                self._watch.refused()
                await asyncio.sleep(RETRY)
            else:
                if self._cannot_append is not None:
                    _log.warning("journal_writes_again")
                    self._cannot_append = None
                return lost


class _Pause:
    """Between two commits. Whoever cannot wait cuts it short, also before it has begun."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] | None = None
        self._cut = False

    def cut(self) -> None:
        self._cut = True
        self._end()

    async def until(self, moment: float) -> None:
        """On the loop's clock."""
        if not self._cut and moment > self._loop.time():
            self._over = self._loop.create_future()
            timer = self._loop.call_at(moment, self._end)
            try:
                await self._over
            finally:
                timer.cancel()
                self._over = None
        self._cut = False

    def _end(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)


def _parts(
    db: Database, interval: float, echoes: "Echoes | None", lives: Callable[[str], bool]
) -> "tuple[store.Store, Following | None]":
    """Where entries are kept, and how those of other processes are read: of SQLite there is only one."""
    if db.dialect == "sqlite":
        return SQLiteStore(db), None
    # Here, because psycopg takes a third of a second to import, which a site on SQLite need not wait for.
    from tako.core.journal.following import Following
    from tako.core.journal.postgres import PostgresStore

    return PostgresStore(db), Following(db.url, interval, echoes, lives)


def _nothing(log_id: str) -> None:
    """Nobody wants to know."""
