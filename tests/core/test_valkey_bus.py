"""Hints while Valkey comes and goes: PostgreSQL carries them meanwhile, and nobody misses one for good."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tako.core import postgres_bus, valkey, valkey_bus
from tako.core.bus import DEAF, FEED, SITE
from tako.core.db import Database
from tako.core.postgres_bus import PostgresBus
from tako.core.valkey_bus import ValkeyBus
from tests.support.postgres import Postgres
from tests.support.valkey import Valkey, running

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Valkey]:
    with running() as made:
        yield made


class Site:
    """Makes buses of one site, with Valkey and without."""

    def __init__(self, url: str) -> None:
        self._db = Database(url)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Site":
        await self._stack.enter_async_context(self._db)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def notifications(self) -> PostgresBus:
        return await self._stack.enter_async_context(postgres_bus.opened(self._db.url))

    async def bus(self, valkey_url: str) -> ValkeyBus:
        server = await self._stack.enter_async_context(valkey.opened(valkey.parse_url(valkey_url)))
        return await self._stack.enter_async_context(valkey_bus.opened(server, self._db, await self.notifications()))


@pytest.fixture
async def site(postgres: Postgres) -> AsyncIterator[Site]:
    async with Site(postgres.new_database()) as made:
        yield made


def told(bus: ValkeyBus | PostgresBus, topic: str = FEED) -> "asyncio.Queue[str]":
    heard: asyncio.Queue[str] = asyncio.Queue()
    bus.listen(topic, heard.put_nowait)
    return heard


async def until_heard(*buses: ValkeyBus) -> None:
    async with asyncio.timeout(20):
        while not all(bus.heard for bus in buses):
            await asyncio.sleep(0.01)


async def test_hints_go_through_valkey_alone_while_all_hear_it(site: Site, server: Valkey) -> None:
    """PostgreSQL carries only what is rare, and would stay wrong if it were lost."""
    ann, ben, plain = await site.bus(server.url), await site.bus(server.url), await site.notifications()
    heard, notified, settings = told(ben), told(plain), told(plain, SITE)
    ann.tell(FEED, "often")
    ann.tell(SITE, "rarely")
    async with asyncio.timeout(10):
        assert await heard.get() == "often"
        assert await settings.get() == "rarely"
    assert notified.empty()


async def test_a_site_starts_without_its_valkey_and_uses_it_when_it_comes(site: Site, server: Valkey) -> None:
    """Meanwhile hints go through PostgreSQL."""
    server.kill()
    ann, ben = await site.bus(server.url), await site.bus(server.url)
    assert not ann.heard
    heard, gaps = told(ben), asyncio.Event()
    ann.tell(FEED, "before")
    async with asyncio.timeout(10):
        assert await heard.get() == "before"
    server.start()
    ben.on_gap(gaps.set)
    await until_heard(ann, ben)
    await gaps.wait()
    ann.tell(FEED, "after")
    async with asyncio.timeout(10):
        while await heard.get() != "after":
            pass


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_hints_arrive_while_valkey_is_away(site: Site, server: Valkey, fault: str) -> None:
    """Dead, or hanging: who is not answered speaks through PostgreSQL, soon and without being asked."""
    ann, ben = await site.bus(server.url), await site.bus(server.url)
    heard = told(ben)
    server.kill() if fault == "kill" else server.pause()
    for n in range(3):
        ann.tell(FEED, f"hint {n}")
        async with asyncio.timeout(10):
            assert await heard.get() == f"hint {n}"
    if fault == "pause":
        server.resume()


async def test_who_alone_does_not_hear_is_told_by_the_others(site: Site, server: Valkey) -> None:
    """They hear of it through PostgreSQL, and speak in both ways then."""
    ann = await site.bus(server.url)
    deaf = told(ann, DEAF)
    ben = await site.bus("valkey://127.0.0.1:1")
    heard = told(ben)
    async with asyncio.timeout(10):
        await deaf.get()
        ann.tell(FEED, "aloud")
        assert await heard.get() == "aloud"


async def test_what_was_told_before_the_others_knew_is_looked_for(site: Site, server: Valkey) -> None:
    """A gap is told once while Valkey is away, and once when it is heard again."""
    ann = await site.bus(server.url)
    gaps: asyncio.Queue[bool] = asyncio.Queue()
    ann.on_gap(lambda: gaps.put_nowait(ann.heard))
    server.kill()
    async with asyncio.timeout(20):
        assert await gaps.get() is False
        server.start()
        assert await gaps.get() is True
    assert gaps.empty()
