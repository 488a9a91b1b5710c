"""Echoes: the newest entries of running logs, repeated in Valkey for the processes that follow them.

An echo may be missing, late or torn, but never wrong. Only what is committed is repeated, by the one process that may
write the log, under a name that holds this process's incarnation, which no other site, backup or later owner has; and
each entry has its number, so whoever reads sees what is not there, and reads the database instead.

Only logs that somebody follows are repeated: who follows one says so again with each of its heartbeats. Nothing waits
for Valkey: what is to be repeated stays where it is, in the log, and what has become too much meanwhile is left out.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import structlog

from tako.core.bus import ENDED, FOLLOWED, GREW, Bus
from tako.core.journal.log import Log
from tako.core.valkey import Away, Command, Failed, Valkey

_log = structlog.get_logger("tako.journal")

# An echo holds about so many entries, until so many milliseconds after its last one: who is further behind reads the
# database.
KEPT = 1000
EXPIRES = 60_000
# What one write may hold, in bytes; the rest is left out.
MOST = 4 * 2**20
# Heartbeats of ours for which a log counts as followed after somebody has said so.
_BEATS = 3
# Logs in one hint, so that PostgreSQL could carry it: 7,900 bytes.
_TOLD = 100
# What Valkey answers when it has that entry, or a later one, already.
_THERE = "ERR The ID specified in XADD"


@dataclass(slots=True)
class _Followed:
    """`next` is the first entry that was not repeated yet; `beats` are left until it counts as followed no more."""

    next: int
    beats: int = _BEATS


class Echoes:
    """Of this process's logs, by `repeat`; and those of others, by `read`."""

    def __init__(self, valkey: Valkey, bus: Bus) -> None:
        self._valkey = valkey
        self._bus = bus
        self._process_id = ""
        self._followed: dict[Log, _Followed] = {}
        self._grown: dict[Log, None] = {}
        self._something = asyncio.Event()
        self._refused = ""

    def begin(self, process_id: str) -> None:
        """This process is that one from now on, and has no logs yet."""
        self._process_id = process_id
        self._followed.clear()
        self._grown.clear()

    def follow(self, log: Log, owner: str) -> None:
        """Tell the process that writes it that this one follows the log."""
        self._bus.tell(FOLLOWED, f"{owner} {log.id} {log.committed}")

    def follows(self, log: Log, count: int) -> None:
        """Somebody follows our log, and has `count` entries of it."""
        if (known := self._followed.get(log)) is not None:
            known.beats = _BEATS
        else:
            self._followed[log] = _Followed(count)
        if count < log.committed:
            self._grow(log)

    def grew(self, logs: Iterable[Log]) -> None:
        """More of our logs' entries are committed."""
        for log in logs:
            if log in self._followed:
                self._grow(log)

    def ended(self, log: Log) -> None:
        """Our log has ended: who follows it finds the rest in the database."""
        self._grown.pop(log, None)
        if self._followed.pop(log, None) is not None:
            self.gone(log.id)

    def gone(self, log_id: str) -> None:
        """Somebody follows a log which is not ours, or not any more: the database knows."""
        self._bus.tell(ENDED, log_id)

    def beat(self) -> None:
        """A heartbeat: who has not been heard of for some of them follows no more."""
        for log, followed in list(self._followed.items()):
            followed.beats -= 1
            if not followed.beats:
                del self._followed[log]

    async def repeat(self) -> None:
        """Repeat what grows, for ever, and tell it."""
        while True:
            await self._something.wait()
            self._something.clear()
            grown, self._grown = self._grown, {}
            counts = {log.id: log.committed for log in grown}
            if commands := list(self._commands(grown)):
                self._see(await self._valkey.run(commands))
            told = (f"{log_id} {count}" for log_id, count in counts.items())
            while some := list(islice(told, _TOLD)):
                self._bus.tell(GREW, " ".join(some))

    async def read(self, owners: Mapping[Log, str]) -> dict[Log, list[bytes]]:
        """What follows in each log without a gap, where its owner's echo has the next entry, and nothing of it has come
        in another way meanwhile (who takes a log over reads the database)."""
        if not owners:
            return {}
        places = {log: log.committed for log in owners}
        replies = await self._valkey.run(
            [("XRANGE", _key(owners[log], log.id), n, "+", "COUNT", KEPT) for log, n in places.items()]
        )
        found = {log: unbroken(n, reply) for (log, n), reply in zip(places.items(), replies, strict=True)}
        return {log: new for log, new in found.items() if log.committed == places[log]}

    def _grow(self, log: Log) -> None:
        self._grown[log] = None
        self._something.set()

    def _commands(self, grown: Iterable[Log]) -> Iterator[Command]:
        size = 0
        for log in grown:
            if (followed := self._followed.get(log)) is None:
                continue
            first, followed.next = max(followed.next, log.committed - KEPT), log.committed
            key = _key(self._process_id, log.id)
            for n in range(first, log.committed):
                size += len(log.entries[n])
                if size > MOST:
                    break
                yield "XADD", key, "MAXLEN", "~", KEPT, _id(n), "e", log.entries[n]
            yield "PEXPIRE", key, EXPIRES

    def _see(self, replies: Sequence[object]) -> None:
        """That a server refuses entries is a thing to know; that it is away, the bus says."""
        refusals = [str(one) for one in replies if isinstance(one, Failed) and not isinstance(one, Away)]
        reason = next((one for one in refusals if not one.startswith(_THERE)), "")
        if reason and not self._refused:
            _log.warning("valkey_refuses", reason=reason, next_step="followers read PostgreSQL until it takes entries")
        self._refused = reason


def unbroken(n: int, reply: object) -> list[bytes]:
    """The entries of an XRANGE's reply from number `n` on, up to the first that is not there."""
    found: list[bytes] = []
    if isinstance(reply, list):
        for id, (_, entry) in reply:
            if id != _id(n + len(found)).encode():
                break
            found.append(entry)
    return found


def _key(process_id: str, log_id: str) -> str:
    return f"tako:{process_id}:{log_id}"


def _id(n: int) -> str:
    """Of entry number `n`. (0-0 is not allowed.)"""
    return f"{n}-1"
