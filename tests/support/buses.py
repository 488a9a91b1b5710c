"""Buses of one site, each as a process of its own would have it."""

from contextlib import AsyncExitStack

from tako.core import postgres_bus, valkey, valkey_bus
from tako.core.db import Database
from tako.core.postgres_bus import PostgresBus
from tako.core.valkey_bus import ValkeyBus


class Buses:
    """Makes them, and closes them in reverse."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Buses":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def notifications(self) -> PostgresBus:
        return await self._stack.enter_async_context(postgres_bus.opened(self._db.url))

    async def with_valkey(self, url: str) -> ValkeyBus:
        server = await self._stack.enter_async_context(valkey.opened(valkey.parse_url(url)))
        notifications = await self.notifications()
        return await self._stack.enter_async_context(valkey_bus.opened(server, self._db, notifications))
