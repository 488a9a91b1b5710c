"""Several workers under one address: whichever one is scraped tells of all, and a death takes nothing away."""

import asyncio
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from tako.core.db import Database
from tako.core.journal.models import logs, processes
from tako.metrics.shared import count_together, folder
from tests.conftest import Site
from tests.support.postgres import Postgres
from tests.support.scrape import TOKEN, Scraped, scrape
from tests.support.upstream import Finish, Gate, Say, Upstream, answer
from tests.test_workers import ready

LEASE = 1.5


@pytest.fixture
async def site(serve: Callable[..., Site], postgres: Postgres, postgres_template: str) -> Site:
    extra = f'workers = 2\nlease = {LEASE}\nmetrics_token = "{TOKEN}"'
    made = serve(extra, TAKO_DATABASE_URL=postgres.new_database(template=postgres_template))
    await made.start()
    await ready(made, 2)
    return made


async def scraped_until(site: Site, true: Callable[[Scraped], bool]) -> Scraped:
    """Scrape until it says so."""
    async with asyncio.timeout(30):
        while not true(seen := await scrape(site.server.url)):
            await asyncio.sleep(0.05)
    return seen


@pytest.mark.slow
async def test_whichever_worker_is_scraped_tells_of_all_and_what_a_dead_one_counted_stays(
    site: Site, upstream: Upstream
) -> None:
    """Its gauges go with it, and the answer that it left is counted as an orphan when another one has it."""
    upstream.script = answer("two arms")

    async def ask() -> None:
        async with site.new_client(site.key) as client:  # a connection of its own, to whichever worker takes it
            assert (await client.post("/v1/responses", json={"model": "scripted", "input": "hi"})).status_code == 200

    await asyncio.gather(*(ask() for _ in range(12)))
    scrapes = [await scrape(site.server.url) for _ in range(6)]
    assert {seen.value("tako_responses_ended_total", purpose="answer") for seen in scrapes} == {12}
    assert {len(seen.labels("tako_process_start_time_seconds")) for seen in scrapes} == {2}
    used = {file.name for file in (site.server.data / "metrics" / str(site.server.port)).iterdir()}
    assert len({re.search(r"\d+", name)[0] for name in used}) == 2  # type: ignore[index]  # all have a process id

    gate = Gate()
    upstream.script = [Say("one"), gate, Finish()]
    asked = {"model": "scripted", "input": "hi", "background": True}
    response_id = (await site.client.post("/v1/responses", json=asked)).json()["id"]
    await gate.reached.wait()
    assert (await scrape(site.server.url)).value("tako_responses_running") == 1
    os.kill(await owner_of(site, response_id), signal.SIGKILL)
    seen = await scraped_until(site, lambda seen: seen.value("tako_orphan_seconds_count") == 1)
    assert (seen.value("tako_orphan_seconds_sum") or 0) >= LEASE
    assert seen.value("tako_responses_ended_total", purpose="answer", status="completed") == 12
    gate.opened.set()
    assert (await site.client.get(f"/v1/responses/{response_id}?stream=true")).status_code == 200
    seen = await scraped_until(site, lambda seen: len(seen.labels("tako_process_start_time_seconds")) == 2)
    assert seen.value("tako_responses_running") == 0


async def owner_of(site: Site, response_id: str) -> int:
    """The process id of the worker that makes that answer."""
    async with Database(site.server.database_url) as db, db.read() as connection:
        owners = select(processes.c.name).join(logs, logs.c.process_id == processes.c.id)
        name = (await connection.execute(owners.where(logs.c.id == response_id))).scalar_one()
    return int(name.rpartition(":")[2])


def test_a_new_start_begins_to_count_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prometheus sees a counter that begins at zero, not files of processes that are long gone."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "what it was before comes back")
    (tmp_path / "8000").mkdir()
    (tmp_path / "8000" / "counter_1.db").write_bytes(b"old")
    count_together(tmp_path / "8000")
    assert list((tmp_path / "8000").iterdir()) == []
    assert folder() == str(tmp_path / "8000")
