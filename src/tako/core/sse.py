"""Server-sent events to any number of readers: each holds a cursor, never a queue, and none costs a timer of its own.

Rules of the wire (WHATWG HTML §9.2, and bugs of clients that people use): a heartbeat is a lone comment line without
the empty line after it (the stock OpenAI client for Python fails on an event without data); no compression;
`X-Accel-Buffering: no` for nginx.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from tako.core.accounts.principal import Principal
from tako.core.connection import connection
from tako.core.db import now
from tako.core.http import Header, Scope, Send

HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
HEARTBEAT = b": hb\n"
# The most that is rendered for one reader before it has taken what came earlier, in bytes.
PIECE = 64 * 1024


class Source(Protocol):
    """What a reader reads: a log in some dialect, with this reader's place in it."""

    @property
    def ended(self) -> bool:
        """Nothing follows what `take` gave."""

    def take(self) -> bytes:
        """Whole events that come next, about `PIECE` bytes at most; empty when there is nothing new."""

    def on_change(self, wake: "Reader") -> None:
        """Call `wake` once when there may be more, or the end."""

    def leave(self, wake: "Reader") -> None:
        """The reader goes."""


class Reader:
    """One consumer of one log over one connection."""

    __slots__ = (
        "_blocked_at",
        "_connection",
        "_due",
        "_loop",
        "_send",
        "_source",
        "_stopped",
        "_unsent",
        "_waiting",
        "for_admins",
        "principal",
    )

    def __init__(
        self, source: Source, principal: Principal, scope: Scope, send: Send, *, for_admins: bool = False
    ) -> None:
        self._source = source
        self._send = send
        self._connection = connection(scope)
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None
        self._blocked_at: float | None = None
        self._unsent = 0
        self._stopped = False
        self._due = False
        self.for_admins = for_admins
        self.principal = principal

    def __call__(self) -> None:
        """There may be more: it goes out past this reader's task, when whoever has made it is done."""
        self._loop.call_soon(self._push)

    def stop(self) -> None:
        """End this reader at the next event boundary; what it reads goes on."""
        self._stopped = True
        self._wake()

    @property
    def lost(self) -> bool:
        return self._connection.lost

    def tick(self, stalled_after: float) -> None:
        """Called by the wheel: a heartbeat when idle, the end of the credential, the end of one that takes nothing."""
        expires = self.principal.expires_at
        if expires is not None and expires <= now():
            self.stop()
        if self._blocked_at is not None:
            unsent = self._connection.unsent
            if unsent < self._unsent:
                self._blocked_at = self._loop.time()  # it is slow, but it takes what it gets
            elif self._loop.time() - self._blocked_at >= stalled_after:
                self._connection.abort()
            self._unsent = unsent
        elif self._waiting is not None:
            if self._connection.ready:
                self._connection.write_events(HEARTBEAT)
            else:
                self._due = True
                self._wake()

    async def run(self, headers: Iterable[Header] = ()) -> None:
        """Send until the log ends, the client goes or `stop` is called. The stream ends cleanly, between two events."""
        await self._send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, *headers]})
        self._connection.on_lost = self._wake
        try:
            while not self._stopped and not self.lost:
                if piece := self._source.take():
                    await self._write(piece)
                    await asyncio.sleep(0)  # it goes out before the next one is rendered, and others have their turn
                elif self._source.ended:
                    break
                elif self._due:
                    self._due = False
                    await self._write(HEARTBEAT)
                else:
                    await self._wait()
        finally:
            self._connection.on_lost = None
            self._source.leave(self)
        await self._send({"type": "http.response.body", "body": b""})

    def _wake(self) -> None:
        """The task goes on."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _push(self) -> None:
        """What is new goes out without the task, which has nothing to wait for as long as the client takes it: a task
        switch for each reader and event would cost more than the event."""
        if self._waiting is None or self._waiting.done():
            return  # the task is on its way and sees for itself
        try:
            while self._connection.ready and (piece := self._source.take()):
                self._connection.write_events(piece)
            if self._source.ended or not self._connection.ready:
                self._wake()
            else:
                self._source.on_change(self)
        except Exception as error:
            self._waiting.set_exception(error)

    async def _write(self, body: bytes) -> None:
        self._blocked_at = self._loop.time()
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        self._blocked_at = None

    async def _wait(self) -> None:
        self._waiting = self._loop.create_future()
        self._source.on_change(self)
        try:
            await self._waiting
        finally:
            self._waiting = None


class Wheel:
    """One timer for all readers of the process. Each reader is looked at once in `heartbeat` seconds."""

    def __init__(self, *, heartbeat: float, stalled_after: float, slots: int = 30) -> None:
        self._slots: list[set[Reader]] = [set() for _ in range(slots)]
        self._next = 0
        self._pause = heartbeat / slots
        self._stalled_after = stalled_after
        self._task: asyncio.Task[None] | None = None
        self._admins: set[Reader] = set()

    async def __aenter__(self) -> "Wheel":
        self._task = asyncio.create_task(self._turn(), name="reader-wheel")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @contextlib.contextmanager
    def watching(self, reader: Reader) -> Iterator[None]:
        slot = min(self._slots, key=len)
        slot.add(reader)
        if reader.for_admins:
            self._admins.add(reader)
        try:
            yield
        finally:
            slot.discard(reader)
            self._admins.discard(reader)

    def __len__(self) -> int:
        return sum(map(len, self._slots))

    def revoke(self, credentials: set[str]) -> None:
        """End the readers of revoked sessions and keys; the answers they read go on."""
        if not credentials:
            return  # as nearly always, and there may be ten thousand readers
        for slot in self._slots:
            for reader in list(slot):
                if reader.principal.credential_id in credentials:
                    reader.stop()

    def admins(self) -> set[str]:
        """Who reads what is for admins only."""
        return {reader.principal.id for reader in self._admins}

    def demote(self, principals: set[str]) -> None:
        """End what these read of what is for admins only; their other readers go on."""
        for reader in list(self._admins):
            if reader.principal.id in principals:
                reader.stop()

    def stop(self) -> None:
        """End all readers."""
        for slot in self._slots:
            for reader in list(slot):
                reader.stop()

    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            for reader in list(self._slots[self._next]):
                reader.tick(self._stalled_after)
            self._next = (self._next + 1) % len(self._slots)
