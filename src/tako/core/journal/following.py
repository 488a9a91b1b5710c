"""Logs that other processes write, for the readers of this one.

A hint says which process has committed something; one statement then reads what is new in all its logs that have
readers here. With Valkey, a hint says which logs grew, and their echoes are read instead (`echo`); the database only
where an echo does not have it. A hint that is lost costs time only: every heartbeat reads them too, and so does a bus
that was away. A log that has ended is read from where whole logs are kept.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import psycopg
import structlog
from sqlalchemy.engine import URL

from tako.core.errors import Unavailable
from tako.core.journal.log import Log

if TYPE_CHECKING:
    from tako.core.journal.echo import Echoes

_log = structlog.get_logger("tako.journal")

# All entries of a log that has ended; None when it is not to be had any more.
Whole = Callable[[], Awaitable[Sequence[bytes] | None]]


@dataclass(slots=True)
class _Source:
    """Where a followed log comes from."""

    owner: str
    whole: Whole


class Following:
    """Every log that is followed, once, however many read it; forgotten with its last reader.

    `lives` says whether a process is known to write to this very database: only such a one's echoes are read.
    """

    # Status and entries in one statement: no entries mean that all is read only if the same look says that it runs. A
    # row for each log, not for each entry: of two thousand of them the driver makes one in a quarter of the time.
    READ = """
        SELECT f.id, l.ended_at IS NOT NULL, l.process_id, e.numbers, e.entries
        FROM unnest(%s::text[], %s::int[]) AS f(id, next)
        LEFT JOIN logs l ON l.id = f.id
        LEFT JOIN LATERAL (
            SELECT array_agg(n ORDER BY n) AS numbers, array_agg(entry ORDER BY n) AS entries
            FROM journal_entries WHERE log_id = l.id AND n >= f.next
        ) e ON true
    """

    def __init__(self, url: URL, interval: float, echoes: "Echoes | None", lives: Callable[[str], bool]) -> None:
        self._conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._interval = interval
        self._echoes = echoes
        self._lives = lives
        self._logs: WeakValueDictionary[str, Log] = WeakValueDictionary()
        self._sources: WeakKeyDictionary[Log, _Source] = WeakKeyDictionary()
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self._reading = asyncio.Lock()
        self._stale: set[str] = set()
        self._ended: set[str] = set()
        self._grown: dict[str, int] = {}
        self._something = asyncio.Event()

    async def close(self) -> None:
        """Its readers get no more from here."""
        for log in list(self._logs.values()):
            log.fence()
        if self._connection is not None:
            await self._connection.close()

    async def follow(self, log_id: str, first: Sequence[bytes], whole: Whole) -> Log | None:
        """The log as far as it is committed, and from then on; None when it has ended. `first` are the entries that are
        kept elsewhere. Raises `Unavailable`."""
        async with self._reading:
            log = self._logs.get(log_id)
            if log is None:
                log = Log(log_id, 0, list(first), _nobody_writes)
                log.closed = True
                source = _Source("", whole)
                try:
                    found = await self._read([log])
                except psycopg.OperationalError as error:
                    raise Unavailable("The database does not answer; ask again in a moment.") from error
                if found[log_id].ended:
                    return None
                self._logs[log_id] = log
                self._sources[log] = source
                await self._take(log, found[log_id])
            return log

    async def look(self, log: Log) -> None:
        """Read what a followed log has by now, whatever hints were lost. Raises `Unavailable`."""
        async with self._reading:
            if log not in self._sources:
                return
            try:
                found = await self._read([log])
            except psycopg.OperationalError as error:
                raise Unavailable("The database does not answer; ask again in a moment.") from error
            await self._take(log, found[log.id])

    def grew(self, told: str) -> None:
        """Logs of other processes have so many entries; some of them may be followed here. `told` is `id count …`."""
        words = told.split(" ")
        for log_id, count in zip(words[::2], words[1::2], strict=True):
            if log_id in self._logs:
                self._grown[log_id] = max(int(count), self._grown.get(log_id, 0))
                self._something.set()

    def ended(self, log_id: str) -> None:
        """A log that another process wrote has ended, or has another owner."""
        if log_id in self._logs:
            self._ended.add(log_id)
            self._something.set()

    def release(self, log_id: str) -> Log | None:
        """It is written in this process from now on. Returns the log that its readers have."""
        log = self._logs.pop(log_id, None)
        if log is not None:
            self._sources.pop(log, None)
        return log

    def stale(self, process_id: str) -> None:
        """That process has something new in one of its logs."""
        if any(source.owner == process_id for source in self._sources.values()):
            self._stale.add(process_id)
            self._something.set()

    def all_stale(self) -> None:
        """Look at everything: hints may have been lost."""
        self._stale.update(source.owner for source in self._sources.values())
        for log in list(self._sources):
            self._tell_owner(log)
        if self._stale:
            self._something.set()

    async def read(self) -> None:
        """Read whatever is stale, for ever; at most once in `interval` seconds, since a wake-up is what costs."""
        while True:
            await self._something.wait()
            self._something.clear()
            async with self._reading:
                with contextlib.suppress(Unavailable):  # the heartbeat looks again
                    await self._catch_up()
            await asyncio.sleep(self._interval)

    async def _catch_up(self) -> None:
        stale, self._stale = self._stale, set()
        ended, self._ended = self._ended, set()
        logs = [log for log, source in list(self._sources.items()) if source.owner in stale or log.id in ended]
        logs = list(dict.fromkeys(logs + await self._read_echoes()))
        try:
            found = await self._read(logs) if logs else {}
        except psycopg.OperationalError as error:
            _log.warning("logs_not_followed", reason=" ".join(str(error).split()))
            return
        for log in logs:
            await self._take(log, found[log.id])

    async def _read_echoes(self) -> list[Log]:
        """Take what the echoes have of the logs that grew. Returns those of which there is more."""
        grown, self._grown = self._grown, {}
        behind = [log for log in list(self._sources) if grown.get(log.id, 0) > log.committed]
        if self._echoes is not None:
            owners = {log: self._sources[log].owner for log in behind}
            found = await self._echoes.read({log: owner for log, owner in owners.items() if self._lives(owner)})
            for log, new in found.items():
                _extend(log, new)
        return [log for log in behind if grown[log.id] > log.committed]

    def _tell_owner(self, log: Log) -> None:
        if self._echoes is not None:
            self._echoes.follow(log, self._sources[log].owner)

    async def _take(self, log: Log, found: "_Found") -> None:
        source = self._sources.get(log)
        if source is None:
            return  # released meanwhile
        moved, source.owner = source.owner != found.owner, found.owner
        if found.ended:
            entries = await source.whole()
            if self.release(log.id) is None:
                return
            if entries is None:
                log.fence()
            else:
                log.finish(list(entries[log.committed :]))
        else:
            _extend(log, found.following(log.committed))
            if moved:
                self._tell_owner(log)

    async def _read(self, logs: Sequence[Log]) -> "Mapping[str, _Found]":
        places = ([log.id for log in logs], [log.committed for log in logs])
        try:
            rows = await self._rows(places)
        except psycopg.OperationalError:
            rows = await self._rows(places)  # that a connection is broken only its next use shows
        return {
            # A log that is not there at all was deleted with everything else: as good as ended.
            log_id: _Found(ended or owner is None, owner or "", dict(zip(numbers or (), entries or (), strict=True)))
            for log_id, ended, owner, numbers, entries in rows
        }

    async def _rows(self, places: tuple[list[str], list[int]]) -> list[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        return await (await self._connection.execute(self.READ, places, prepare=True, binary=True)).fetchall()


def _extend(log: Log, new: Sequence[bytes]) -> None:
    if new:
        log.entries.extend(new)
        log.commit(len(log.entries))


@dataclass(frozen=True, slots=True)
class _Found:
    ended: bool
    owner: str
    entries: dict[int, bytes]

    def following(self, n: int) -> list[bytes]:
        """The entries from `n` on, up to the first that is not there."""
        new: list[bytes] = []
        while n + len(new) in self.entries:
            new.append(self.entries[n + len(new)])
        return new


def _nobody_writes(log: Log, size: int, at_once: bool) -> None:
    raise AssertionError("a followed log is closed to this process")
