"""Hints while Valkey comes and goes: PostgreSQL carries them meanwhile, and nobody misses one for good."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager

import psycopg
import pytest

from tako.core import valkey_bus
from tako.core.bus import DEAF, FEED, SITE
from tako.core.db import Database
from tako.core.errors import Misconfigured
from tako.core.postgres_bus import PostgresBus
from tako.core.valkey_bus import ValkeyBus
from tests.support.buses import Buses
from tests.support.postgres import Postgres
from tests.support.valkey import Valkey, running

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Valkey]:
    with running() as made:
        yield made


@pytest.fixture
async def buses(postgres: Postgres) -> AsyncIterator[Buses]:
    async with Database(postgres.new_database()) as db, Buses(db) as made:
        yield made


def told(bus: ValkeyBus | PostgresBus, topic: str = FEED) -> "asyncio.Queue[str]":
    heard: asyncio.Queue[str] = asyncio.Queue()
    bus.listen(topic, heard.put_nowait)
    return heard


async def until_heard(*buses: ValkeyBus) -> None:
    async with asyncio.timeout(20):
        while not all(bus.heard for bus in buses):
            await asyncio.sleep(0.01)


async def test_hints_go_through_valkey_alone_while_all_hear_it(buses: Buses, server: Valkey) -> None:
    """PostgreSQL carries only what is rare, and would stay wrong if it were lost."""
    ann, ben, plain = (
        await buses.with_valkey(server.url),
        await buses.with_valkey(server.url),
        await buses.notifications(),
    )
    heard, notified, settings = told(ben), told(plain), told(plain, SITE)
    ann.tell(FEED, "often")
    ann.tell(SITE, "rarely")
    async with asyncio.timeout(10):
        assert await heard.get() == "often"
        assert await settings.get() == "rarely"
    assert notified.empty()


async def test_what_somebody_else_says_on_the_channel_is_let_pass(buses: Buses, server: Valkey) -> None:
    """It means nothing, and breaks nothing."""
    ann, ben = await buses.with_valkey(server.url), await buses.with_valkey(server.url)
    heard = told(ben)
    for noise in (b"", b"hello", b"\xff \xff", b"somebody unknown"):
        server("SPUBLISH", ann._channel, noise)
    ann.tell(FEED, "heard")
    async with asyncio.timeout(10):
        assert await heard.get() == "heard"
    assert ben.heard


async def test_a_site_starts_without_its_valkey_and_uses_it_when_it_comes(buses: Buses, server: Valkey) -> None:
    """Meanwhile hints go through PostgreSQL."""
    server.kill()
    ann, ben = await buses.with_valkey(server.url), await buses.with_valkey(server.url)
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
async def test_hints_arrive_while_valkey_is_away(buses: Buses, server: Valkey, fault: str) -> None:
    """Dead, or hanging: who is not answered speaks through PostgreSQL, soon and without being asked."""
    ann, ben = await buses.with_valkey(server.url), await buses.with_valkey(server.url)
    heard = told(ben)
    server.kill() if fault == "kill" else server.pause()
    for n in range(3):
        ann.tell(FEED, f"hint {n}")
        async with asyncio.timeout(10):
            assert await heard.get() == f"hint {n}"
    if fault == "pause":
        server.resume()


async def test_who_alone_does_not_hear_is_told_by_the_others(buses: Buses, server: Valkey) -> None:
    """They hear of it through PostgreSQL, and speak in both ways then."""
    ann = await buses.with_valkey(server.url)
    deaf = told(ann, DEAF)
    ben = await buses.with_valkey("valkey://127.0.0.1:1")
    heard = told(ben)
    async with asyncio.timeout(10):
        await deaf.get()
        ann.tell(FEED, "aloud")
        assert await heard.get() == "aloud"


async def test_what_was_told_before_the_others_knew_is_looked_for(buses: Buses, server: Valkey) -> None:
    """A gap is told once while Valkey is away, and once when it is heard again."""
    ann = await buses.with_valkey(server.url)
    gaps: asyncio.Queue[bool] = asyncio.Queue()
    ann.on_gap(lambda: gaps.put_nowait(ann.heard))
    server.kill()
    async with asyncio.timeout(20):
        assert await gaps.get() is False
        server.start()
        assert await gaps.get() is True
    assert gaps.empty()


async def test_valkey_is_tried_again_however_long_it_was_away(
    buses: Buses, server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of an outage are thousands of tries."""
    monkeypatch.setattr(valkey_bus, "_LONGEST_PAUSE", 0.0)
    server.kill()
    ann = await buses.with_valkey(server.url)
    tries = 0
    subscribed = ann._valkey.subscribed

    def counted(channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        nonlocal tries
        tries += 1
        return subscribed(channel)

    monkeypatch.setattr(ann._valkey, "subscribed", counted)
    async with asyncio.timeout(60):
        while tries < 1100:
            await asyncio.sleep(0.01)
    server.start()
    await until_heard(ann)


async def test_a_right_that_is_missing_is_told_with_what_to_do(postgres: Postgres, server: Valkey) -> None:
    """Hosted databases may take from their users what PostgreSQL gives to all."""
    url = postgres.new_database()
    with psycopg.connect(url) as administrator:
        administrator.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        administrator.execute("CREATE ROLE plain LOGIN")
    async with Database(url.replace("//postgres@", "//plain@")) as db, Buses(db) as buses:
        with pytest.raises(Misconfigured, match="GRANT EXECUTE"):
            await buses.with_valkey(server.url)
    with psycopg.connect(url) as administrator:
        administrator.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
        administrator.execute("DROP ROLE plain")
