"""What runs now: whose it is, never what it says; and Stop by an admin."""

import asyncio

import pytest

from tako.chat.generation import Output
from tako.chat.owner import running
from tako.chat.responses import Chat
from tako.chat.store import Response
from tako.core.accounts.principal import Principal
from tako.core.errors import Denied, NotFound
from tests.chat.owner.conftest import ask, ended, person
from tests.support.upstream import Finish, Gate, Say, Upstream


async def shown(chat: Chat, response: Response) -> None:
    """Until the first words are in its log."""
    log = chat.journal.find(response.id)
    assert log is not None
    while not Output.of(log.entries[: log.committed]).kinds:
        await log.wait(log.committed)


SECRET = "what nobody else may read"


async def test_running_answers_are_listed_without_their_text(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    ann = await person(chat.db, "ann@example.org")
    gate = Gate()
    upstream.script = [Say(SECRET), gate, Finish()]
    response = await ask(chat, ann, "fixed")
    await shown(chat, response)
    (seen,) = await running.list_all(chat, admin)
    assert (seen.row.id, seen.row.email, seen.row.model) == (response.id, "ann@example.org", "fixed")
    assert seen.tokens is not None
    assert seen.tokens > 0
    assert SECRET not in str(seen)
    gate.opened.set()
    await ended(chat, ann, response)
    assert await running.list_all(chat, admin) == []


async def test_an_admin_stops_an_answer_once_twice_and_late(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    ann = await person(chat.db, "ann@example.org")
    gate = Gate()
    upstream.script = [Say("one"), gate, Finish()]
    response = await ask(chat, ann, "fixed")
    await gate.reached.wait()
    await asyncio.gather(*(running.stop(chat, admin, response.id) for _ in range(3)))
    await upstream.idle()
    assert (await ended(chat, ann, response)).status == "cancelled"
    await running.stop(chat, admin, response.id)
    assert (await ended(chat, ann, response)).status == "cancelled"


async def test_nobody_else_sees_or_stops(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    ann, ben = await person(chat.db, "ann@example.org"), await person(chat.db, "ben@example.org")
    gate = Gate()
    upstream.script = [gate, Finish()]
    response = await ask(chat, ann, "fixed")
    for act in (running.list_all(chat, ben), running.stop(chat, ben, response.id)):
        with pytest.raises(Denied):
            await act
    gate.opened.set()
    assert (await ended(chat, ann, response)).status == "completed"
    for nothing in ("resp_\x00", "resp_" + "0" * 32, "x"):
        with pytest.raises(NotFound):
            await running.stop(chat, admin, nothing)
