"""More is asked for than may be made at once: nobody is refused, everybody gets a turn, and nothing gets lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tako.chat import answers, app, recovery, responses, slots, store
from tako.chat.responses import Chat
from tako.chat.slots import Slots
from tako.chat.store import Response
from tako.core.accounts.principal import Principal
from tako.core.db import Database
from tests.support.chat import ended, limits, opened, question, somebody
from tests.support.provider import Gate, Scripted, says


@pytest.fixture
def provider() -> Scripted:
    return Scripted()


@asynccontextmanager
async def narrow(db: Database, provider: Scripted, *, user: int = 0, plain: int = 0) -> AsyncIterator[Chat]:
    """A chat with so many slots for each user, and for the model `plain`."""
    provider.slots = plain
    async with opened(db, provider, replace(limits(db), user_slots=user)) as chat:
        yield chat


async def status(chat: Chat, response: Response) -> str:
    async with chat.db.read() as connection:
        found = await store.response(connection, response.id, hidden=True)
    return found.status


async def test_a_model_with_one_slot_answers_one_after_the_other(db: Database, provider: Scripted) -> None:
    gate = Gate()
    provider.then = [[gate, *says("one")], says("two"), says("three")]
    ann, bob = await somebody(db), await somebody(db)
    async with narrow(db, provider, plain=1) as chat:
        first = await responses.create(chat, ann, question("1"))
        second = await responses.create(chat, ann, question("2"))
        third = await responses.create(chat, bob, question("3"))
        await gate.reached.wait()
        places = [await chat.usher.place(found.id) for found in (first, second, third)]
        assert places == [None, 2, 1], "Bob has none, Ann has one"
        assert len(provider.prompts) == 1
        gate.opened.set()
        await asyncio.gather(*(ended(chat, found) for found in (first, second, third)))
        assert [prompt.turns[-1].text for prompt in provider.prompts] == ["1", "3", "2"]
        assert [await status(chat, found) for found in (first, second, third)] == ["completed"] * 3


async def test_one_that_waits_can_be_stopped(db: Database, provider: Scripted) -> None:
    gate = Gate()
    provider.then = [[gate, *says("one")], says("three")]
    ann = await somebody(db)
    async with narrow(db, provider, user=1) as chat:
        first, second, third = [await responses.create(chat, ann, question(str(n))) for n in (1, 2, 3)]
        await gate.reached.wait()
        await answers.stop(chat, second.id)
        assert await status(chat, second) == "cancelled"
        assert await chat.usher.place(second.id) is None
        gate.opened.set()
        await asyncio.gather(ended(chat, first), ended(chat, third))
        assert len(provider.prompts) == 2


async def test_many_at_once_never_are_more_than_there_are_slots(db: Database, provider: Scripted) -> None:
    running = most = 0

    async def stream(prompt: object) -> AsyncIterator[list[object]]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        for step in says("Hello"):
            yield [step]
        running -= 1

    provider.stream = stream  # type: ignore[method-assign,assignment]
    people = [await somebody(db) for _ in range(4)]
    async with narrow(db, provider, user=2, plain=3) as chat:
        asked = await asyncio.gather(*(responses.create(chat, people[n % 4], question(str(n))) for n in range(24)))
        await asyncio.gather(*(ended(chat, found) for found in asked))
        assert {await status(chat, found) for found in asked} == {"completed"}
        async with db.read() as connection:
            assert (await slots.look(connection)).waiting == []
    assert most <= 3


async def test_one_that_waited_when_its_process_died_waits_on(db: Database, provider: Scripted) -> None:
    gate, never = Gate(), Gate()
    provider.then = [[never]]
    ann = await somebody(db)
    async with narrow(db, provider, plain=1) as chat:
        await responses.create(chat, ann, question("1"))
        waiting = await responses.create(chat, ann, question("2"))
        await never.reached.wait()
        died(chat)
    provider.then = [[gate, *says("again")], says("two")]
    async with narrow(db, provider, plain=1) as chat:
        await gate.reached.wait()
        assert await until_placed(chat, waiting) == 1
        gate.opened.set()
        await ended(chat, waiting)
        assert await status(chat, waiting) == "completed"


async def test_who_waits_when_its_process_stops_is_answered_by_the_next(
    db: Database, provider: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as it may be: waiting is no beginning. Nobody is begun whom the stop would cut off."""
    gate = Gate()
    provider.then = [[gate, *says("one")]]
    ann = await somebody(db)
    async with narrow(db, provider, plain=1) as chat:
        first = await responses.create(chat, ann, question("1"))
        second = await responses.create(chat, ann, question("2"))
        watched = await responses.create(chat, ann, replace(question("3"), background=False))
        await gate.reached.wait()
        stopping = asyncio.create_task(app.drain(chat, 60))
        await ended(chat, watched)
        gate.opened.set()
        await stopping
        assert [await status(chat, found) for found in (first, second, watched)] == [
            "completed",
            "queued",
            "incomplete",
        ]
        assert chat.journal.find(second.id) is None
    with monkeypatch.context() as patch:
        patch.setattr(slots.Line, "next", lambda line, slots: [])
        for _ in range(recovery.MAX_ATTEMPTS):
            async with narrow(db, provider, plain=1) as chat:
                while chat.generations.find(second.id) is None:
                    await asyncio.sleep(0.01)
                await app.drain(chat, 60)
    provider.then = [says("two")]
    async with narrow(db, provider, plain=1) as chat:
        while await status(chat, second) != "completed":
            await asyncio.sleep(0.01)
    assert [prompt.turns[-1].text for prompt in provider.prompts] == ["1", "2"]
    async with db.read() as connection:
        assert await store.count_attempts(connection, second.id) == 1


def died(chat: Chat) -> None:
    """Nothing that it does from here on is of effect."""
    for generation in list(chat.generations._running.values()):
        generation.lose()
        chat.journal.forget(generation.log)


async def until_placed(chat: Chat, response: Response) -> int:
    while (place := await chat.usher.place(response.id)) is None or chat.generations.find(response.id) is None:
        await asyncio.sleep(0.01)
    return place


async def test_without_a_limit_nobody_is_counted(db: Database, provider: Scripted) -> None:
    assert not Slots().limited("plain")
    assert not Slots(models={"other": 1}).limited("plain")
    ann: Principal = await somebody(db)
    async with narrow(db, provider) as chat:
        assert not chat.usher.slots.limited("plain")
        await ended(chat, await responses.create(chat, ann, question()))


async def test_a_slot_that_was_given_without_anybody_being_told_is_taken(db: Database, provider: Scripted) -> None:
    """The connection broke in the instant of the commit: the line has forgotten who still waits here."""
    gate = Gate()
    provider.then = [[gate, *says("one")], says("two")]
    ann = await somebody(db)
    async with narrow(db, provider, plain=1) as chat:
        first, second = [await responses.create(chat, ann, question(str(n))) for n in (1, 2)]
        await gate.reached.wait()
        async with db.write() as connection:
            await slots.leave(connection, second.id)
        chat.usher.look()
        await ended(chat, second)
        assert await status(chat, second) == "completed"
        gate.opened.set()
        await ended(chat, first)
