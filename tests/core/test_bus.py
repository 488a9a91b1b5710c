"""Hints between processes, through a real PostgreSQL, and through a real Valkey, alone and as a cluster, beside it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest

from tako.core.bus import FEED, LOGS, Bus, reloading
from tako.core.db import Database
from tako.core.errors import Unavailable
from tests.support.buses import Buses
from tests.support.postgres import Postgres
from tests.support.valkey import Cluster, Valkey

pytestmark = pytest.mark.slow


Cut = Callable[[], None]


@pytest.fixture(params=["postgresql", "valkey", "valkey cluster"])
def valkey_url(request: pytest.FixtureRequest) -> str | None:
    if request.param == "postgresql":
        return None
    server: Valkey | Cluster = request.getfixturevalue(request.param.replace(" ", "_"))
    return server.url


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def cut_off(request: pytest.FixtureRequest, url: str, valkey_url: str | None) -> Cut:
    """Breaks every connection of every bus."""

    def cut() -> None:
        if valkey_url is None:
            with psycopg.connect(url, autocommit=True) as killer:
                killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            return
        cluster = "," in valkey_url
        server: Valkey | Cluster = request.getfixturevalue("valkey_cluster" if cluster else "valkey")
        for node in server.nodes:
            node("CLIENT", "KILL", "TYPE", "normal")
            node("CLIENT", "KILL", "TYPE", "pubsub")

    return cut


@pytest.fixture
async def buses(url: str, valkey_url: str | None) -> AsyncIterator[tuple[Bus, Bus]]:
    async with Database(url) as db, Buses(db) as made:
        if valkey_url is None:
            yield await made.notifications(), await made.notifications()
        else:
            yield await made.with_valkey(valkey_url), await made.with_valkey(valkey_url)


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


async def test_who_was_cut_off_is_told_so_and_hears_again(buses: tuple[Bus, Bus], cut_off: Cut) -> None:
    """A gap means: read everything. What is told afterwards arrives as before."""
    ann, ben = buses
    gap = asyncio.Event()
    heard: asyncio.Queue[str] = asyncio.Queue()
    ben.on_gap(gap.set)
    ben.listen(LOGS, heard.put_nowait)
    cut_off()
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
