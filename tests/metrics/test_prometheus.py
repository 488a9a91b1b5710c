"""What happened is counted, for whoever has the token, and costs an answer nothing for each chunk."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tako.chat import responses
from tako.chat.entries import Used
from tako.chat.generation import Generation, Outcome
from tako.chat.watch import Watch
from tako.core.db import Database
from tako.core.errors import Unavailable
from tako.core.journal import Journal
from tako.core.journal.store import Row
from tests.conftest import config
from tests.support.chat import limits, opened, question, somebody
from tests.support.inside import Inside, inside
from tests.support.provider import Gate as Held
from tests.support.provider import Scripted, says
from tests.support.scrape import TOKEN, scrape
from tests.support.sse import follow
from tests.support.upstream import Cut, Finish, Gate, Say, Status, Upstream, answer


@pytest.fixture
def database(tmp_path: Path, sqlite_template: Path) -> str:
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'metrics.db')}"


@pytest.fixture
async def site(database: str, tmp_path: Path, upstream: Upstream) -> AsyncIterator[Inside]:
    async with inside(database, tmp_path, config(upstream), metrics_token=TOKEN, upstream_retries=1) as made:
        yield made


async def test_an_answer_is_counted_with_its_tokens_and_commits(site: Inside, upstream: Upstream) -> None:
    """By model, and by how it ended."""
    upstream.script = answer("Hello", " world")
    for _ in range(2):
        assert (await site.client.post("/v1/responses", json={"model": "scripted", "input": "hi"})).status_code == 200
    seen = await scrape(site.url)
    assert seen.value("tako_responses_ended_total", purpose="answer", model="scripted", status="completed") == 2
    assert seen.value("tako_tokens_total", model="scripted", direction="input") == 14
    assert seen.value("tako_tokens_total", model="scripted", direction="output") == 22
    assert seen.value("tako_first_token_seconds_count", model="scripted") == 2
    assert seen.value("tako_responses_running") == 0
    commits = seen.value("tako_journal_commit_entries_count")
    assert commits == site.chat.journal.commits
    assert commits == seen.value("tako_journal_commit_seconds_count")
    assert (seen.value("tako_journal_commit_entries_sum") or 0) >= 2
    (process,) = seen.labels("tako_process_start_time_seconds")
    assert process["process"] == site.chat.journal.process_id


async def test_a_running_answer_a_reader_that_comes_back_and_a_stop_are_counted(
    site: Inside, upstream: Upstream
) -> None:
    """The resume is counted when it comes, its lag when the reader has what it missed."""
    gate = Gate()
    upstream.script = [Say("Hello"), gate, Finish()]
    asked = {"model": "scripted", "input": "hi", "background": True}
    response_id = (await site.client.post("/v1/responses", json=asked)).json()["id"]
    await gate.reached.wait()
    async with site.client.stream("GET", f"/v1/responses/{response_id}?stream=true") as reading:
        async for event in follow(reading):
            if event.name == "response.output_text.delta":
                break
        running = await scrape(site.url)
        assert running.value("tako_responses_running") == 1
        assert running.value("tako_resumes_total", answer="running") == 1
        assert (await site.client.post(f"/v1/responses/{response_id}/cancel")).status_code == 200
    whole = await site.client.get(f"/v1/responses/{response_id}?stream=true")
    assert b"Hello" in whole.content
    seen = await scrape(site.url)
    assert seen.value("tako_responses_running") == 0
    assert seen.value("tako_resumes_total", answer="ended") == 1
    assert seen.value("tako_replay_seconds_count") == 2
    assert seen.value("tako_stop_seconds_count") == 1
    assert seen.value("tako_responses_ended_total", status="cancelled", reason="cancelled") == 1


async def test_who_waits_for_a_turn_is_counted_apart(database: str, tmp_path: Path, upstream: Upstream) -> None:
    """Until it comes."""
    first, second = Gate(), Gate()
    upstream.then = [[Say("one"), first, Finish()], [Say("two"), second, Finish()]]
    async with inside(database, tmp_path, config(upstream), metrics_token=TOKEN, user_slots=1) as site:
        for _ in range(2):
            asked = {"model": "scripted", "input": "hi", "background": True}
            assert (await site.client.post("/v1/responses", json=asked)).status_code == 200
            await first.reached.wait()
        seen = await scrape(site.url)
        assert (seen.value("tako_responses_running"), seen.value("tako_responses_queued")) == (1, 1)
        first.opened.set()
        await second.reached.wait()
        seen = await scrape(site.url)
        assert (seen.value("tako_responses_running"), seen.value("tako_responses_queued")) == (1, 0)
        second.opened.set()
        await site.chat.generations.quiet()
        seen = await scrape(site.url)
        assert (seen.value("tako_responses_running"), seen.value("tako_responses_queued")) == (0, 0)


async def test_errors_of_an_upstream_are_counted_by_kind_with_those_that_were_asked_again(
    site: Inside, upstream: Upstream
) -> None:
    """Two attempts, then one that cannot be helped by asking again."""
    upstream.then = [[Status(503)], [Cut()], [Status(401)]]
    for _ in range(2):
        await site.client.post("/v1/responses", json={"model": "scripted", "input": "hi"})
    seen = await scrape(site.url)
    kinds = {labels["kind"] for labels in seen.labels("tako_upstream_errors_total")}
    assert {"upstream_error", "upstream_auth"} <= kinds
    assert seen.value("tako_upstream_errors_total", provider="scripted") == 3
    assert seen.value("tako_responses_ended_total", status="failed", reason="upstream_auth") == 1


async def test_whoever_has_no_token_sees_nothing(site: Inside) -> None:
    """Also not on loopback: behind a proxy on this machine everybody comes from there."""
    for headers in ({}, {"authorization": "Bearer wrong-token-for-it"}, {"authorization": f"Basic {TOKEN}"}):
        answered = await site.new_client(**headers).get("/metrics")
        assert answered.status_code == 401
        assert "tako_" not in answered.text
    assert (await site.client.get("/metrics")).status_code == 401  # an API key is no such token


async def test_without_a_token_there_are_no_metrics(database: str, tmp_path: Path, upstream: Upstream) -> None:
    """That is how a site comes."""
    async with inside(database, tmp_path, config(upstream)) as site:
        answered = await site.client.get("/metrics")
    assert answered.status_code == 404
    assert "metrics_token" in answered.json()["detail"]


class Told(Watch):
    """Counts how often anything is told, group commits apart."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0
        self.refusals = 0
        self.batches: list[int] = []
        self.orphans: list[float] = []

    def _told(self, *what: object, **more: object) -> None:
        self.times += 1

    running = first_token = upstream_failed = stopped = _told

    def ended(self, generation: Generation, outcome: Outcome, bill: Used) -> None:
        self._told()

    def resumed(self, *, running: bool) -> Callable[[], None]:
        self._told()
        return self._told

    def committed(self, entries: int, seconds: float) -> None:
        self.batches.append(entries)

    def refused(self) -> None:
        self.refusals += 1

    def adopted(self, seconds: float) -> None:
        self.orphans.append(seconds)


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with Database(database) as made:
        yield made


async def test_nothing_is_told_for_each_chunk(db: Database) -> None:
    """An answer of a thousand chunks is told of as often as one of a single chunk."""
    provider, told = Scripted(), Told()
    async with opened(db, provider, limits(db), watch=told) as chat:
        person = await somebody(db)
        times: list[int] = []
        for chunks in (1, 1000):
            provider.script = says(*["word "] * chunks)
            before = told.times
            await responses.create(chat, person, question())
            await chat.generations.quiet()
            times.append(told.times - before)
    assert times[0] == times[1] > 0
    assert sum(told.batches) >= 1000


async def test_an_answer_that_a_dead_process_left_is_counted(db: Database) -> None:
    """On SQLite it waits for the next start, which is when somebody looks."""
    provider, told = Scripted(), Told()
    async with opened(db, provider, limits(db)) as chat:
        provider.script = [*says("Hello")[:1], Held()]
        response = await responses.create(chat, await somebody(db), question())
        log = chat.journal.find(response.id)
        assert log is not None
        await log.wait(2)
        chat.generations.find(response.id).lose()  # type: ignore[union-attr]  # as a kill does, without its end
    async with opened(db, provider, limits(db), watch=told):
        assert len(told.orphans) == 1


async def test_a_database_that_refuses_entries_is_counted(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries are tried again until they are there."""
    told = Told()
    async with Journal(db, watch=told) as journal:
        append = journal._store.append
        failures = [Unavailable("scripted")]

        async def fails_once(rows: list[Row]) -> set[str]:
            if failures:
                raise failures.pop()
            return await append(rows)

        monkeypatch.setattr(journal._store, "append", fails_once)
        async with db.write() as connection:
            epoch = await journal.create(connection, "log_1")
        log = journal.open("log_1", epoch, [b"first"])
        log.append(b"second")
        await log.wait(1)
    assert (told.refusals, told.batches) == (1, [1])
