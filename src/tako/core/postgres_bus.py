"""Hints by PostgreSQL's LISTEN and NOTIFY, on two connections of their own.

NOTIFY in a transaction of its own and without waiting for the disk: a hint that a crash loses is only late. Both must
be sessions: behind a pooler that lends a connection for one transaction only, nothing would ever be heard, so that is
looked at when a process starts.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import structlog
from psycopg import sql
from sqlalchemy.engine import URL

from tako.core import ids
from tako.core.bus import TOPICS
from tako.core.chores import running
from tako.core.errors import Misconfigured

_log = structlog.get_logger("tako.bus")

# Channels are shared by all that use the database.
_PREFIX = "tako_"
_HELLO = "hello"
# How long the first hint may take to come back, in seconds.
_PATIENCE = 10.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class PostgresBus:
    """See `tako.core.bus.Bus`; made by `opened`."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._sender = ids.new("bus")
        self._heard: dict[str, list[Callable[[str], None]]] = {}
        self._missed: list[Callable[[], None]] = []
        self._waiting: dict[tuple[str, str], None] = {}
        self._something = asyncio.Event()
        self._telling: Connection | None = None
        self._hearing = asyncio.Event()
        self._answered = asyncio.Event()

    def tell(self, topic: str, body: str) -> None:
        self._waiting[topic, body] = None
        self._something.set()

    def listen(self, topic: str, heard: Callable[[str], None]) -> None:
        self._heard.setdefault(topic, []).append(heard)

    def on_gap(self, missed: Callable[[], None]) -> None:
        self._missed.append(missed)

    async def check(self) -> None:
        """Until a hint of our own has come back. Raises `Misconfigured` when none does."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._hearing.wait()
                self.tell(_HELLO, self._sender)
                await self._answered.wait()
        except TimeoutError:
            raise Misconfigured(
                "PostgreSQL's notifications do not arrive. Does database_url lead through a pooler that shares "
                "connections between transactions? Give Tako a direct connection."
            ) from None

    async def hear(self) -> None:
        """Hear what the others tell; connect again whenever the connection breaks."""
        pause = _FIRST_PAUSE
        while True:
            try:
                async with await self._connect() as connection:
                    for topic in (*TOPICS, _HELLO):
                        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(_PREFIX + topic)))
                    if self._hearing.is_set():
                        _log.info("hints_heard_again")
                        for missed in self._missed:
                            missed()
                    self._hearing.set()
                    pause = _FIRST_PAUSE
                    async for notification in connection.notifies():
                        self._hear(notification.channel.removeprefix(_PREFIX), notification.payload)
            except psycopg.OperationalError as error:
                _log.warning("hints_not_heard", reason=" ".join(str(error).split()))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def speak(self) -> None:
        """Tell the others what waits. What cannot be told now is dropped: they look by themselves from time to time."""
        try:
            while True:
                await self._something.wait()
                waiting, self._waiting = list(self._waiting), {}
                self._something.clear()
                try:
                    await self._tell(waiting)
                except psycopg.OperationalError:
                    try:  # the connection may have been broken for long, which only its next use shows
                        await self._tell(waiting)
                    except psycopg.OperationalError as error:
                        _log.warning("hints_not_told", count=len(waiting), reason=" ".join(str(error).split()))
                        await asyncio.sleep(_FIRST_PAUSE)
        finally:
            if self._telling is not None:
                await self._telling.close()

    async def _tell(self, waiting: Sequence[tuple[str, str]]) -> None:
        if self._telling is None or self._telling.closed:
            self._telling = await self._connect()
            await self._telling.execute("SET synchronous_commit = off")
        topics = [_PREFIX + topic for topic, _ in waiting]
        bodies = [f"{self._sender} {body}" for _, body in waiting]
        tell = "SELECT count(pg_notify(t, b)) FROM unnest(%s::text[], %s::text[]) AS h(t, b)"
        await self._telling.execute(tell, (topics, bodies), prepare=True)

    async def _connect(self) -> Connection:
        return await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)

    def _hear(self, topic: str, payload: str) -> None:
        sender, _, body = payload.partition(" ")
        if topic == _HELLO:
            if body == self._sender:
                self._answered.set()
        elif sender != self._sender:
            for heard in self._heard.get(topic, ()):
                heard(body)


@asynccontextmanager
async def opened(url: URL) -> AsyncIterator[PostgresBus]:
    """A bus that hears and is heard. Raises `Misconfigured`."""
    bus = PostgresBus(url.set(drivername="postgresql").render_as_string(hide_password=False))
    async with running(hear=bus.hear(), speak=bus.speak()):
        await bus.check()
        yield bus
