"""Stopping an answer wherever it is made."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from tako.chat import answers, recovery, responses, store
from tako.chat.providers.base import UpstreamError
from tako.core.db import Database
from tako.core.journal.log import Closed
from tests.support.chat import limits, opened, question, somebody
from tests.support.postgres import Postgres
from tests.support.provider import Gate, Scripted


@pytest.fixture
async def shared(postgres: Postgres, postgres_template: str) -> AsyncIterator[Database]:
    """A database that several processes may share."""
    async with Database(postgres.new_database(template=postgres_template)) as db:
        yield db


async def test_who_has_lost_an_answer_without_knowing_it_stops_it_all_the_same(shared: Database) -> None:
    """Told that it is over, a person would watch it go on in the process that has it now."""
    provider = Scripted()
    made, again = Gate(), Gate()
    provider.then = [[made], [again]]
    person = await somebody(shared)
    async with opened(shared, provider, limits(shared)) as ann, opened(shared, provider, limits(shared)) as ben:
        response = await responses.create(ann, person, question())
        await made.reached.wait()
        left = await ben.journal.seize(response.id)
        assert left is not None
        await recovery.recover(ben, left)
        await again.reached.wait()
        await answers.stop(ann, response.id)
        async with shared.read() as connection:
            assert (await store.response(connection, response.id)).status == "cancelled"


async def open_attempts(db: Database) -> int:
    query = text("SELECT count(*) FROM attempts WHERE ended_at IS NULL")
    async with db.read() as connection:
        return int((await connection.execute(query)).scalar_one())


async def test_an_answer_that_was_stopped_while_it_was_recovered_has_no_further_attempt(
    shared: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stand in the books as one that never ended."""
    provider = Scripted()
    made = Gate()
    provider.then = [[made]]
    person = await somebody(shared)
    async with opened(shared, provider, limits(shared)) as ann, opened(shared, provider, limits(shared)) as ben:
        response = await responses.create(ann, person, question())
        await made.reached.wait()
        left = await ben.journal.seize(response.id)
        assert left is not None
        decide = recovery._continuation

        async def late(*arguments: Any) -> Any:
            decided = await decide(*arguments)
            await answers.stop(ann, response.id)
            return decided

        monkeypatch.setattr(recovery, "_continuation", late)
        await recovery.recover(ben, left)
        assert len(provider.prompts) == 1
    assert await open_attempts(shared) == 0


async def test_who_has_lost_an_answer_without_knowing_it_does_not_ask_again(shared: Database) -> None:
    """Nor does it write so into the books."""
    provider = Scripted()
    made = Gate()
    provider.then = [[made]]
    person = await somebody(shared)
    async with opened(shared, provider, limits(shared)) as ann, opened(shared, provider, limits(shared)) as ben:
        response = await responses.create(ann, person, question())
        await made.reached.wait()
        generation = ann.generations.find(response.id)
        assert generation is not None
        await answers.stop(ben, response.id)
        with pytest.raises(Closed):
            await ann.generations.record_retry(generation, UpstreamError("It is away.", code="upstream_error"))
    assert await open_attempts(shared) == 0
