"""What is done to a site: each fault lasts as long as its block, and is over and mended afterwards."""

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from signal import SIGCONT, SIGSTOP

import httpx
import psycopg

from tests.faults.stage import Process, Stage
from tests.support.postgres import cut_all_connections

Fault = Callable[[Stage, Random], AbstractAsyncContextManager[None]]
# How long a paused process stays so, in seconds: six leases.
PAUSE = 3.0
HANGS_UP = "upstream hangs up on all"
# Room that a full disk has left, in pages of 4 KiB.
ROOM = 2


class Missed(Exception):
    """The fault did not come about this time."""


@asynccontextmanager
async def killed(stage: Stage, source: Random) -> AsyncIterator[None]:
    """kill -9 of a process."""
    process = source.choice(stage.processes)
    await process.server.kill()
    yield
    await process.server.start()


@asynccontextmanager
async def all_killed(stage: Stage, source: Random) -> AsyncIterator[None]:
    """kill -9 of all of them at once: nobody is left to take over."""
    await asyncio.gather(*(process.server.kill() for process in stage.processes))
    yield
    await asyncio.gather(*(process.server.start() for process in stage.processes))


@asynccontextmanager
async def told_to_stop(stage: Stage, source: Random) -> AsyncIterator[None]:
    """SIGTERM of a process, which must end by itself."""
    process = source.choice(stage.processes)
    try:
        async with asyncio.timeout(30):
            if code := await process.server.stop():
                stage.found(f"a process that was told to stop ended with {code}")
    except TimeoutError:
        stage.found("a process that was told to stop did not")
        await process.server.kill()
    yield
    await process.server.start()


@asynccontextmanager
async def paused(stage: Stage, source: Random) -> AsyncIterator[None]:
    """SIGSTOP of a process for several leases: it wakes with all that it had in hand."""
    process = source.choice(stage.processes)
    process.server.signal(SIGSTOP)
    await asyncio.sleep(PAUSE)
    process.server.signal(SIGCONT)
    yield


@asynccontextmanager
async def paused_in_a_transaction(stage: Stage, source: Random) -> AsyncIterator[None]:
    """The same at a moment at which it holds locks in the database, which must take them from it."""
    resting = "SELECT application_name FROM pg_stat_activity WHERE state = 'idle in transaction' AND xact_start < now()"
    names = {process.server.folder.name: process for process in stage.processes}
    with psycopg.connect(stage.url, autocommit=True) as database:
        for _ in range(400):
            process = source.choice(stage.processes)
            process.server.signal(SIGSTOP)
            if process in [names.get(name) for (name,) in database.execute(resting)]:
                break
            process.server.signal(SIGCONT)
            await asyncio.sleep(0.005)
        else:
            raise Missed
    await asyncio.sleep(PAUSE + 1)
    process.server.signal(SIGCONT)
    yield


def clock_stepped(hours: int) -> Fault:
    """The wall clock of a process jumps, and jumps back."""

    @asynccontextmanager
    async def stepped(stage: Stage, source: Random) -> AsyncIterator[None]:
        process = source.choice(stage.processes)
        process.step_clock(hours * 3600)
        yield
        process.step_clock(0)

    return stepped


@asynccontextmanager
async def upstream_hung_up(stage: Stage, source: Random) -> AsyncIterator[None]:
    """All that it is saying breaks off at once."""
    await stage.upstream.hang_up()
    yield


@asynccontextmanager
async def postgres_restarted(stage: Stage, source: Random) -> AsyncIterator[None]:
    await asyncio.to_thread(stage.postgres.stop)
    yield
    stage.postgres.start()


@asynccontextmanager
async def postgres_killed(stage: Stage, source: Random) -> AsyncIterator[None]:
    await asyncio.to_thread(stage.postgres.kill)
    yield
    stage.postgres.start()


@asynccontextmanager
async def connections_cut(stage: Stage, source: Random) -> AsyncIterator[None]:
    """Those of all processes to their database."""
    await asyncio.to_thread(cut_all_connections, stage.url)
    yield


@asynccontextmanager
async def valkey_killed(stage: Stage, source: Random) -> AsyncIterator[None]:
    """It is empty when it comes back."""
    stage.valkey.kill()
    yield
    stage.valkey.start()


@asynccontextmanager
async def valkey_hanging(stage: Stage, source: Random) -> AsyncIterator[None]:
    stage.valkey.pause()
    yield
    stage.valkey.resume()


@asynccontextmanager
async def valkey_flushed(stage: Stage, source: Random) -> AsyncIterator[None]:
    for _ in range(10):
        stage.valkey("FLUSHALL")
        await asyncio.sleep(0.05)
    yield


@asynccontextmanager
async def valkey_refusing(stage: Stage, source: Random) -> AsyncIterator[None]:
    """It wants another password than the site has."""
    valkey = stage.valkey
    known = valkey.password
    valkey("CONFIG", "SET", "requirepass", "another")
    valkey.password = "another"
    for kind in ("normal", "pubsub"):
        valkey("CLIENT", "KILL", "TYPE", kind)
    yield
    valkey("CONFIG", "SET", "requirepass", known)
    valkey.password = known


@asynccontextmanager
async def valkey_full(stage: Stage, source: Random) -> AsyncIterator[None]:
    """It takes no entries."""
    stage.valkey("CONFIG", "SET", "maxmemory", 1)
    yield
    stage.valkey("CONFIG", "SET", "maxmemory", 0)


@asynccontextmanager
async def disk_full(stage: Stage, source: Random) -> AsyncIterator[None]:
    """What is asked for is refused, what runs waits, and the process is killed in that state."""
    server = stage.processes[0].server
    await server.stop()
    file = server.data / "tako.db"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("VACUUM")  # else what is free inside would be room too
    pages = file.stat().st_size // 4096
    server.environment["TAKO_MAX_DATABASE_PAGES"] = str(pages + ROOM)
    await server.start()
    full = await _filled(stage.processes[0])
    yield
    await server.kill()
    del server.environment["TAKO_MAX_DATABASE_PAGES"]
    await server.start()
    if not full:
        raise Missed


async def _filled(process: Process) -> bool:
    """Whether it says so after a while."""
    with contextlib.suppress(TimeoutError, httpx.TransportError):
        async with asyncio.timeout(5):
            while (await process.client.get("/readyz")).status_code != 503:
                await asyncio.sleep(0.05)
            return True
    return False


ON_SQLITE: Mapping[str, Fault] = {
    "kill -9 of a process": killed,
    "SIGTERM of a process": told_to_stop,
    "SIGSTOP of a process, 3 s": paused,
    "wall clock 5 hours on": clock_stepped(5),
    "wall clock 5 hours back": clock_stepped(-5),
    HANGS_UP: upstream_hung_up,
    "disk full": disk_full,
}
ON_POSTGRES: Mapping[str, Fault] = {
    **{name: fault for name, fault in ON_SQLITE.items() if fault is not disk_full},
    "kill -9 of all processes": all_killed,
    "SIGSTOP in a transaction, 4 s": paused_in_a_transaction,
    "PostgreSQL restarted": postgres_restarted,
    "PostgreSQL killed": postgres_killed,
    "PostgreSQL's connections cut": connections_cut,
    "Valkey killed": valkey_killed,
    "Valkey hanging": valkey_hanging,
    "Valkey flushed": valkey_flushed,
    "Valkey refusing": valkey_refusing,
    "Valkey full": valkey_full,
}


def dealt(deck: Mapping[str, Fault], seed: int, count: int) -> list[str]:
    """The faults of the round with that seed, from shuffled decks: each comes up as often as any other."""
    first = seed * count
    cards = (
        card
        for n in itertools.count(first // len(deck))
        for card in Random(f"deck {n}").sample(sorted(deck), len(deck))
    )
    return list(itertools.islice(cards, first % len(deck), first % len(deck) + count))
