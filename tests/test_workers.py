"""Several workers under one parent, as real processes."""

import asyncio
import signal
from collections.abc import Callable

import psutil
import pytest
from sqlalchemy import select

from tako.core.db import Database
from tako.core.journal.models import processes
from tests.conftest import Site
from tests.support.postgres import Postgres
from tests.support.upstream import Upstream, answer

pytestmark = [pytest.mark.slow]


def workers(site: Site) -> list[psutil.Process]:
    assert site.server._process is not None
    return psutil.Process(site.server._process.pid).children()


async def ready(site: Site, count: int) -> None:
    """Until so many workers have begun to serve, each of which writes itself down."""
    async with Database(site.server.database_url) as db, asyncio.timeout(60):
        while True:
            async with db.read() as connection:
                rows = await connection.execute(select(processes.c.id))
                if len(rows.all()) >= count:
                    return
            await asyncio.sleep(0.05)


@pytest.fixture
async def site(serve: Callable[..., Site], postgres: Postgres, upstream: Upstream) -> Site:
    """Two workers on an empty database, whose schema both want to make."""
    upstream.script = answer("two arms")
    made = serve("workers = 2\nlease = 1.5", TAKO_DATABASE_URL=postgres.new_database())
    await made.start()
    await ready(made, 2)
    return made


async def test_a_worker_that_dies_is_started_again_and_its_answers_go_on(site: Site) -> None:
    """Nobody is refused meanwhile: the parent keeps the address."""
    assert len(workers(site)) == 2
    victim = workers(site)[0]
    victim.kill()
    for _ in range(10):
        told = await site.client.post("/v1/responses", json={"model": "scripted", "input": "hi"})
        assert told.status_code == 200, told.text
        assert told.json()["output"][0]["content"][0]["text"] == "two arms"
    await ready(site, 3)
    assert len([worker for worker in workers(site) if worker.status() != psutil.STATUS_ZOMBIE]) == 2


async def test_all_of_them_end_when_they_are_told_to(site: Site) -> None:
    """With one signal, and with exit code 0."""
    all_of_them = workers(site)
    assert await site.server.stop() == 0
    assert not any(worker.is_running() for worker in all_of_them)


async def test_none_outlives_a_parent_that_was_killed(site: Site) -> None:
    """They would keep the address, and nobody would look after them."""
    all_of_them = workers(site)
    site.server.signal(signal.SIGKILL)
    await site.server.wait()
    gone, alive = await asyncio.to_thread(psutil.wait_procs, all_of_them, 30)
    assert (len(gone), alive) == (2, [])


async def test_what_cannot_start_says_why_and_does_not_try_for_ever(serve: Callable[..., Site]) -> None:
    """SQLite has one writing process."""
    site = serve("workers = 2")
    with pytest.raises(AssertionError, match="PostgreSQL"):
        await site.start()
