"""Shows the answers of this process that wait to the slots that come free."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from tako.chat import slots
from tako.chat.generation import Generation, Generations
from tako.chat.slots import Slots
from tako.chat.store import Response
from tako.core.bus import SLOTS, Bus
from tako.core.chores import running
from tako.core.db import Database
from tako.core.errors import Unavailable
from tako.core.feed import Feed, Hint

_log = structlog.get_logger("tako.usher")

# Between two tries while the database does not answer, in seconds.
RETRY = 1.0


class Usher:
    """Made by `taking`."""

    def __init__(self, db: Database, bus: Bus, feed: Feed, slots: Callable[[], Slots]) -> None:
        self._db = db
        self._bus = bus
        self._feed = feed
        self._slots = slots
        self._waiting: dict[str, Generation] = {}
        self._places: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._resting = False

    @property
    def slots(self) -> Slots:
        """As many as there are now."""
        return self._slots()

    def wait(self, generation: Generation) -> None:
        """Its question is stored, and others come first."""
        generation.wait()
        self._waiting[generation.response.id] = generation
        self._changed.set()

    def rest(self) -> list[Generation]:
        """Nobody begins here any more. Returns who waits."""
        self._resting = True
        return list(self._waiting.values())

    async def place(self, response_id: str) -> int | None:
        """Its place in the line of its model; None when it does not wait."""
        async with self._db.read() as connection:
            if not await slots.is_waiting(connection, response_id):
                return None
            return (await slots.look(connection)).places().get(response_id)

    def look(self) -> None:
        """Something may have changed."""
        if self._waiting:
            self._changed.set()

    def ended(self, response: Response) -> None:
        """Here an answer has ended: a slot may be free, and who waited behind it has moved up."""
        self._waiting.pop(response.id, None)
        if response.purpose == "answer" and self.slots.limited(response.model):
            self.look()
            self._bus.tell(SLOTS, "")

    async def take(self) -> None:
        """Begin what may begin, whenever something has changed; for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._resting:
                continue
            try:
                await self._begin()
            except Unavailable as error:
                _log.warning("slots_not_given", reason=error.message)
                self._changed.set()
                await asyncio.sleep(RETRY)

    async def _begin(self) -> None:
        """Who is no longer in the line was given a slot by a transaction whose outcome was not told."""
        self._waiting = {id: one for id, one in self._waiting.items() if not one.log.ended}
        async with self._db.write() as connection:
            line = await slots.line(connection)
            standing = {one.response_id for one in line.waiting}
            mine = [id for id in line.next(self.slots) if id in self._waiting]
            mine += [id for id in self._waiting if id not in standing]
            for response_id in mine:
                await slots.leave(connection, response_id)
        line.begin(mine)
        for response_id in mine:
            if (generation := self._waiting.pop(response_id, None)) is not None:
                self._tell(generation.response, 0)
                generation.begin()
        places = {id: place for id, place in line.places().items() if id in self._waiting}
        for response_id, place in places.items():
            if place != self._places.get(response_id):
                self._tell(self._waiting[response_id].response, place)
        self._places = places
        if mine:
            self._bus.tell(SLOTS, "")

    def _tell(self, response: Response, place: int) -> None:
        """Whoever waits for it hears that it has moved up."""
        if response.conversation_id is not None:
            self._feed.publish(response.principal_id, Hint("queued", response.conversation_id, place))


@asynccontextmanager
async def taking(
    db: Database, bus: Bus, feed: Feed, generations: Generations, slots: Callable[[], Slots]
) -> AsyncIterator[Usher]:
    """While the block runs, whoever waits gets a slot."""
    usher = Usher(db, bus, feed, slots)
    bus.listen(SLOTS, lambda body: usher.look())
    bus.on_gap(usher.look)
    generations.on_end(usher.ended)
    async with running(usher=usher.take()):
        yield usher
