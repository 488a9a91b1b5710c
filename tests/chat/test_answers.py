"""Stopping an answer wherever it is made."""

from collections.abc import AsyncIterator

import pytest

from tako.chat import answers, recovery, responses, store
from tako.core.db import Database
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
