"""Hints between processes, through a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from tako.core import postgres_bus
from tako.core.bus import FEED, LOGS, reloading
from tako.core.db import parse_url
from tako.core.errors import Misconfigured, Unavailable
from tako.core.postgres_bus import PostgresBus, opened
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
async def buses(url: str) -> AsyncIterator[tuple[PostgresBus, PostgresBus]]:
    async with opened(parse_url(url)) as ann, opened(parse_url(url)) as ben:
        yield ann, ben


async def test_the_others_hear_what_one_tells(buses: tuple[PostgresBus, PostgresBus]) -> None:
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


async def test_who_was_cut_off_is_told_so_and_hears_again(buses: tuple[PostgresBus, PostgresBus], url: str) -> None:
    """A gap means: read everything. What is told afterwards arrives as before."""
    ann, ben = buses
    gap = asyncio.Event()
    heard: asyncio.Queue[str] = asyncio.Queue()
    ben.on_gap(gap.set)
    ben.listen(LOGS, heard.put_nowait)
    with psycopg.connect(url, autocommit=True) as killer:
        killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    async with asyncio.timeout(10):
        await gap.wait()
        while heard.empty():
            ann.tell(LOGS, "proc_1")  # the first one may be what notices that its connection is gone
            await asyncio.sleep(0.05)


async def test_a_pooler_that_shares_connections_is_found_out_at_start(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LISTEN on a connection that is somebody else's a moment later hears nothing, for ever and without a word."""
    monkeypatch.setattr(postgres_bus, "_PATIENCE", 0.3)

    async def unlistened(self: PostgresBus) -> None:
        self._hearing.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(PostgresBus, "hear", unlistened)
    with pytest.raises(Misconfigured, match="pooler"):
        async with opened(parse_url(url)):
            pass


async def test_what_others_change_is_loaded_again(buses: tuple[PostgresBus, PostgresBus]) -> None:
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
