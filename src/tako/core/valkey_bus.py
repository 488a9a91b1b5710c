"""Hints by Valkey's sharded channels, and by PostgreSQL's notifications while Valkey is away.

All of a site's hints go through one channel, on one connection of its own. A process that does not hear Valkey says so
through PostgreSQL each time it has tried in vain, and for a while all others then tell it in both ways; so nobody waits
for a heartbeat, whether Valkey is away or only one process is cut off from it. What is told rarely, and would stay
wrong if it were lost, goes both ways at all times.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tako.core import ids
from tako.core.bus import CAME, DEAF, LOST, MODELS, SITE, Bus
from tako.core.chores import running
from tako.core.db import Database
from tako.core.errors import Misconfigured
from tako.core.valkey import Failed, Valkey

_log = structlog.get_logger("tako.bus")

_WHO = """
    SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()) FROM pg_control_system()
"""
_BOTH_WAYS = (CAME, LOST, MODELS, SITE)
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
# For how long others are told in both ways after one has said that it does not hear, in seconds: three of its tries.
_ALOUD = 3 * _LONGEST_PAUSE


class ValkeyBus:
    """See `tako.core.bus.Bus`; made by `opened`. `fallback` is heard at all times."""

    def __init__(self, valkey: Valkey, channel: str, fallback: Bus) -> None:
        self.heard = False
        self._valkey = valkey
        self._channel = channel
        self._fallback = fallback
        self._sender = ids.new("bus")
        self._listeners: dict[str, list[Callable[[str], None]]] = {}
        self._missed: list[Callable[[], None]] = []
        self._waiting: dict[tuple[str, str], None] = {}
        self._something = asyncio.Event()
        self._tried = asyncio.Event()
        self._aloud_until = 0.0
        fallback.listen(DEAF, self._speak_aloud)

    def tell(self, topic: str, body: str) -> None:
        if self.heard:
            self._waiting[topic, body] = None
            self._something.set()
        aloud = asyncio.get_running_loop().time() < self._aloud_until
        if aloud or not self.heard or topic in _BOTH_WAYS:
            self._fallback.tell(topic, body)

    def listen(self, topic: str, heard: Callable[[str], None]) -> None:
        self._listeners.setdefault(topic, []).append(heard)
        self._fallback.listen(topic, heard)

    def on_gap(self, missed: Callable[[], None]) -> None:
        self._missed.append(missed)
        self._fallback.on_gap(missed)

    async def tried(self) -> None:
        """Until Valkey is heard, or was found to be away."""
        await self._tried.wait()

    async def hear(self) -> None:
        """Hear what the others tell; subscribe again whenever that breaks."""
        in_vain, pause = 0, _FIRST_PAUSE
        while True:
            try:
                async with self._valkey.subscribed(self._channel) as messages:
                    self._begin()
                    in_vain, pause = 0, _FIRST_PAUSE
                    async for message in messages:
                        self._hear(message.decode(errors="replace"))
            except Failed as error:
                if in_vain == 0:
                    _log.warning("valkey_not_heard", reason=str(error), next_step="PostgreSQL is used until it is back")
                elif in_vain == 1:
                    self._miss()  # what was told before the others knew
            in_vain += 1
            self.heard = False
            self._tried.set()
            self._fallback.tell(DEAF, self._sender)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def speak(self) -> None:
        """Tell the others what waits: what Valkey does not take, PostgreSQL does."""
        while True:
            await self._something.wait()
            self._something.clear()
            waiting, self._waiting = list(self._waiting), {}
            for (topic, body), reply in zip(waiting, await self._publish(waiting), strict=True):
                if isinstance(reply, Failed):
                    self._fallback.tell(topic, body)

    async def _publish(self, hints: Sequence[tuple[str, str]]) -> Sequence[object]:
        messages = [f"{self._sender} {topic} {body}" for topic, body in hints]
        return await self._valkey.run([("SPUBLISH", self._channel, message) for message in messages])

    def _begin(self) -> None:
        self.heard = True
        if self._tried.is_set():
            _log.info("valkey_heard_again")
            self._miss()
        self._tried.set()

    def _miss(self) -> None:
        for missed in self._missed:
            missed()

    def _hear(self, message: str) -> None:
        sender, _, hint = message.partition(" ")
        topic, _, body = hint.partition(" ")
        if sender != self._sender:
            for heard in self._listeners.get(topic, ()):
                heard(body)

    def _speak_aloud(self, deaf: str) -> None:
        self._aloud_until = asyncio.get_running_loop().time() + _ALOUD


@asynccontextmanager
async def opened(valkey: Valkey, db: Database, fallback: Bus) -> AsyncIterator[ValkeyBus]:
    """A bus for all that use the same database; it works whether or not Valkey does."""
    bus = ValkeyBus(valkey, await _channel(db), fallback)
    async with running(hear=bus.hear(), speak=bus.speak()):
        await bus.tried()
        yield bus


async def _channel(db: Database) -> str:
    """The same for every process of this site. Others may use the same Valkey; should they ever have the same name for
    theirs, they hear hints that mean nothing to them. Raises `Misconfigured`."""
    try:
        async with db.read() as connection:
            server, database = (await connection.execute(text(_WHO))).one()
    except ProgrammingError as error:
        raise Misconfigured(
            "valkey_url: Tako may not ask PostgreSQL which server it is. As its administrator, run in this database: "
            "GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC"
        ) from error
    return f"tako:{server}:{database}"
