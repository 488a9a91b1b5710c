"""Processes of one site on PostgreSQL, with or without Valkey, as far as the journal goes."""

from contextlib import AsyncExitStack

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core.bus import Bus
from tako.core.db import Database
from tako.core.journal import Journal, Log
from tako.core.journal.echo import Echoes
from tako.core.journal.models import processes
from tests.support.buses import Buses

# Long: nobody's lapses here, it is said to have. Half of it is what a transaction may rest.
LEASE = 10.0


class Party:
    """Processes of one site. Each has its own connections; an answer's whole log is kept in `whole`."""

    def __init__(self, url: str, valkey_url: str | None = None) -> None:
        self.db = Database(url, lease=LEASE)
        self.url = url
        self.valkey_url = valkey_url
        self.whole: dict[str, list[bytes]] = {}
        self._buses = Buses(self.db)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Party":
        await self._stack.enter_async_context(self.db)
        await self._stack.enter_async_context(self._buses)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def join(self, valkey_url: str | None = None) -> Journal:
        """One more process. It beats only when it is told to."""
        bus, echoes = await self._bus(valkey_url or self.valkey_url)
        return await self._stack.enter_async_context(Journal(self.db, bus, echoes, lease=LEASE, every=LEASE))

    async def _bus(self, valkey_url: str | None) -> tuple[Bus, Echoes | None]:
        if valkey_url is None:
            return await self._buses.notifications(), None
        bus = await self._buses.with_valkey(valkey_url)
        return bus, Echoes(bus._valkey, bus)

    async def begin(self, journal: Journal, name: str = "log_1") -> Log:
        async with self.db.write() as connection:
            epoch = await journal.create(connection, name)
        return journal.open(name, epoch, [b"first"])

    async def follow(self, journal: Journal, name: str = "log_1") -> Log | None:
        async def whole() -> list[bytes] | None:
            return self.whole.get(name)

        return await journal.follow(name, [b"first"], whole)

    async def end(self, journal: Journal, log: Log, tail: bytes = b"last") -> None:
        async def everything(connection: AsyncConnection) -> None:
            self.whole[log.id] = [*log.entries, tail]

        await journal.end(log, [tail], everything)

    async def lapse(self, dead: Journal) -> None:
        """As if its lease had lapsed: whoever beats next finds it fenced."""
        async with self.db.write() as connection:
            await connection.execute(update(processes).where(processes.c.id == dead.process_id).values(fenced_at=1))


async def met(party: Party) -> tuple[Journal, Journal]:
    """Two processes that know of each other, and have seen each other live."""
    ann, ben = await party.join(), await party.join()
    for _ in range(2):
        await ann.beat()
        await ben.beat()
    await ann.beat()
    return ann, ben
