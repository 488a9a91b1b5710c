"""Hints between processes, through a real PostgreSQL, and through a real Valkey, alone and as a cluster, beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import psycopg
import pytest

from tako.core import postgres_bus, valkey, valkey_bus
from tako.core.bus import FEED, LOGS, Bus, reloading
from tako.core.db import Database
from tako.core.errors import Unavailable
from tests.support.postgres import Postgres
from tests.support.valkey import Cluster, Valkey

pytestmark = pytest.mark.slow


class Site:
    """Makes buses of one site, and cuts them off."""

    def __init__(self, url: str, valkey_url: str | None, servers: list[Valkey]) -> None:
        self._db = Database(url)
        self._url = url
        self._valkey_url = valkey_url
        self._servers = servers
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Site":
        await self._stack.enter_async_context(self._db)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def bus(self) -> Bus:
        notifications = await self._stack.enter_async_context(postgres_bus.opened(self._db.url))
        if self._valkey_url is None:
            return notifications
        server = await self._stack.enter_async_context(valkey.opened(valkey.parse_url(self._valkey_url)))
        return await self._stack.enter_async_context(valkey_bus.opened(server, self._db, notifications))

    def cut_off(self) -> None:
        for server in self._servers:
            server("CLIENT", "KILL", "TYPE", "normal")
            server("CLIENT", "KILL", "TYPE", "pubsub")
        if not self._servers:
            with psycopg.connect(self._url, autocommit=True) as killer:
                killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )


@pytest.fixture(params=["postgresql", "valkey", "valkey cluster"])
async def site(request: pytest.FixtureRequest, postgres: Postgres) -> AsyncIterator[Site]:
    url = postgres.new_database()
    if request.param == "postgresql":
        made = Site(url, None, [])
    elif request.param == "valkey":
        server: Valkey = request.getfixturevalue("valkey")
        made = Site(url, server.url, [server])
    else:
        cluster: Cluster = request.getfixturevalue("valkey_cluster")
        made = Site(url, cluster.url, list(cluster.nodes))
    async with made:
        yield made


@pytest.fixture
async def buses(site: Site) -> tuple[Bus, Bus]:
    return await site.bus(), await site.bus()


async def test_the_others_hear_what_one_tells(buses: tuple[Bus, Bus]) -> None:
    """Each its own topics, and nobody itself."""
    ann, ben = buses
    heard: asyncio.Queue[str] = asyncio.Queue()
    echo: list[str] = []
    ben.listen(FEED, heard.put_nowait)
    ann.listen(FEED, echo.append)
    ann.tell(LOGS, "proc_1")
    ann.tell(FEED, '{"emoji": "🐙"}')
    async with asyncio.timeout(10):
        assert await heard.get() == '{"emoji": "🐙"}'
    assert heard.empty()
    assert echo == []


async def test_who_was_cut_off_is_told_so_and_hears_again(buses: tuple[Bus, Bus], site: Site) -> None:
    """A gap means: read everything. What is told afterwards arrives as before."""
    ann, ben = buses
    gap = asyncio.Event()
    heard: asyncio.Queue[str] = asyncio.Queue()
    ben.on_gap(gap.set)
    ben.listen(LOGS, heard.put_nowait)
    site.cut_off()
    async with asyncio.timeout(10):
        await gap.wait()
        while heard.empty():
            ann.tell(LOGS, "proc_1")  # the first one may be what notices that its connection is gone
            await asyncio.sleep(0.05)


async def test_what_others_change_is_loaded_again(buses: tuple[Bus, Bus]) -> None:
    """Once for each change, and again until the database lets it be read."""
    ann, ben = buses
    loads: asyncio.Queue[int] = asyncio.Queue()
    failing = False

    async def load() -> None:
        if failing and loads.qsize() == 0:
            loads.put_nowait(-1)
            raise Unavailable("scripted")
        loads.put_nowait(1)

    async with reloading(ben, FEED, load):
        assert await loads.get() == 1
        failing = True
        ann.tell(FEED, "x")
        async with asyncio.timeout(10):
            assert await loads.get() == -1
            failing = False
            assert await loads.get() == 1


async def test_the_same_is_said_once_and_all_else_in_order(buses: tuple[Bus, Bus]) -> None:
    """However often it is told before the others can hear it."""
    ann, ben = buses
    heard: list[str] = []
    last = asyncio.Event()
    ben.listen(LOGS, lambda body: last.set() if body == "last" else heard.append(body))
    for n in range(50):
        ann.tell(LOGS, "often")
        ann.tell(LOGS, f"log {n}")
    ann.tell(LOGS, "last")
    async with asyncio.timeout(10):
        await last.wait()
    assert heard == ["often", *(f"log {n}" for n in range(50))]
