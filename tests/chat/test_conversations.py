"""The list: found again, deleted and undone, stopped, each change with a new version and a hint."""

import asyncio
from dataclasses import replace

import pytest

from tako.chat import app, branches, conversations, messages
from tako.chat.providers.base import Text
from tako.chat.responses import Chat
from tako.chat.store import Conversation
from tako.core.accounts.principal import Principal
from tako.core.errors import NotFound
from tests.support.chat import ended, question
from tests.support.feed import Listener
from tests.support.provider import Gate, Scripted, says


async def begun(chat: Chat, principal: Principal, text: str) -> str:
    response = await messages.begin(chat, principal, question(text))
    await ended(chat, response)
    await chat.generations.quiet()
    return response.conversation_id or ""


async def listed(chat: Chat, principal: Principal, search: str | None = None) -> list[Conversation]:
    return await conversations.list_of(chat, principal, limit=50, after=None, search=search)


async def found(chat: Chat, principal: Principal, search: str) -> list[str]:
    return [row.id for row in await listed(chat, principal, search)]


async def test_search_finds_words_of_two_chinese_characters_in_titles_and_texts(
    chat: Chat, provider: Scripted, ann: Principal, ben: Principal
) -> None:
    """Substrings, in questions and answers, of one's own conversations only."""
    provider.script = says("章魚有三顆心臟")
    one = await begun(chat, ann, "為什麼天空是藍色的")
    provider.script = says("Because of Rayleigh")
    two = await begun(chat, ann, "Why is the sky blue? 100% sure_")
    await conversations.update(chat, ann, two, {"title": "散射"})
    await begun(chat, ben, "天空")
    assert await found(chat, ann, "天空") == [one]
    assert await found(chat, ann, "心臟") == [one]
    assert await found(chat, ann, "散射") == [two]
    assert await found(chat, ann, "rayLEIGH") == [two]
    assert await found(chat, ann, "0% sure_") == [two]
    assert await found(chat, ann, "%") == [two]
    assert await found(chat, ann, "空天") == []


async def test_what_was_thought_or_deleted_is_not_found(chat: Chat, provider: Scripted, ann: Principal) -> None:
    """Nobody sees it, so nobody looks for it."""
    from tako.chat.providers.base import Reasoning

    provider.script = [Reasoning("secretly"), *says("openly")]
    conversation_id = await begun(chat, ann, "Hm")
    assert await found(chat, ann, "openly") == [conversation_id]
    assert await found(chat, ann, "secretly") == []
    await conversations.delete(chat, ann, conversation_id)
    assert await found(chat, ann, "openly") == []


async def test_the_list_goes_on_after_the_last_one_seen(chat: Chat, ann: Principal) -> None:
    ids = [await begun(chat, ann, f"q{n}") for n in range(3)]
    first = await conversations.list_of(chat, ann, limit=2, after=None, search=None)
    rest = await conversations.list_of(chat, ann, limit=2, after=first[-1].id, search=None)
    assert [row.id for row in (*first, *rest)] == ids[::-1]


async def test_the_list_says_which_run(chat: Chat, provider: Scripted, ann: Principal) -> None:
    gate = Gate()
    await begun(chat, ann, "done")
    provider.script = [gate, *says()]
    running = await messages.begin(chat, ann, question("running"))
    rows = await listed(chat, ann)
    assert [row.running and row.running.response_id for row in rows] == [running.id, None]
    gate.opened.set()
    await ended(chat, running)


async def test_every_change_has_a_new_version_and_a_hint_after_its_commit(
    chat: Chat, provider: Scripted, ann: Principal
) -> None:
    """Who hears of it and reads at once reads the new state."""
    feed = Listener(chat.feed.follow(ann.id))
    gate = Gate()
    provider.script = [gate, *says("Because")]
    response = await messages.begin(chat, ann, question())
    conversation_id = response.conversation_id or ""
    versions = [(await feed.until("created")).version, (await feed.until("running")).version]
    gate.opened.set()
    versions += [(await feed.until("ended")).version, (await feed.until("titled")).version]
    await conversations.update(chat, ann, conversation_id, {"title": "Mine"})
    versions.append((await feed.until("titled")).version)
    await conversations.delete(chat, ann, conversation_id)
    versions.append((await feed.until("deleted")).version)
    restored = await conversations.restore(chat, ann, conversation_id)
    versions.append((await feed.until("created")).version)
    assert versions == sorted(versions)
    assert versions[-1] == restored.version == (await conversations.find(chat, ann, conversation_id)).version


async def test_a_deletion_stops_what_runs_and_can_be_undone(chat: Chat, provider: Scripted, ann: Principal) -> None:
    """What was shown is there again, stopped."""
    gate = Gate()
    provider.script = [Text("one "), gate]
    response = await messages.begin(chat, ann, question())
    await gate.reached.wait()
    await conversations.delete(chat, ann, response.conversation_id or "")
    assert chat.journal.find(response.id) is None
    with pytest.raises(NotFound):
        await branches.show(chat, ann, response.conversation_id or "")
    with pytest.raises(NotFound):
        await messages.ask(chat, ann, replace(question(), conversation_id=response.conversation_id))
    await conversations.restore(chat, ann, response.conversation_id or "")
    page = await branches.show(chat, ann, response.conversation_id or "")
    assert page.messages[1].message.status == "cancelled"
    assert [item.text for item in page.messages[1].items] == ["one "]


async def test_deleting_and_restoring_at_once_leaves_one_of_both(chat: Chat, ann: Principal) -> None:
    """Whoever commits last wins; nothing is half deleted."""
    conversation_id = await begun(chat, ann, "q")
    await asyncio.gather(
        conversations.delete(chat, ann, conversation_id),
        conversations.restore(chat, ann, conversation_id),
        return_exceptions=True,
    )
    there = [row.id for row in await listed(chat, ann)]
    restored = await conversations.restore(chat, ann, conversation_id)
    assert there in ([], [conversation_id])
    assert (restored.deleted_at, [row.id for row in await listed(chat, ann)]) == (None, [conversation_id])


async def test_what_was_purged_cannot_be_restored(chat: Chat, ann: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven days later it is gone for good, with all that it held."""
    conversation_id = await begun(chat, ann, "q")
    await conversations.delete(chat, ann, conversation_id)
    assert await app.purge(chat) == 0
    monkeypatch.setattr(app, "UNDO", -1_000_000)
    assert await app.purge(chat) > 0
    with pytest.raises(NotFound):
        await conversations.restore(chat, ann, conversation_id)


async def test_a_late_stop_never_touches_the_next_answer(chat: Chat, provider: Scripted, ann: Principal) -> None:
    """A stop that names its answer ends that one or nothing."""
    first = await messages.begin(chat, ann, question())
    await ended(chat, first)
    gate = Gate()
    provider.script = [gate, *says()]
    second = await messages.ask(chat, ann, replace(question(), conversation_id=first.conversation_id))
    assert await conversations.stop(chat, ann, first.conversation_id or "", first.id) == []
    assert chat.journal.find(second.id) is not None
    stops = (conversations.stop(chat, ann, first.conversation_id or "", None) for _ in range(3))
    # Who comes when another one has stopped it already finds nothing that runs.
    assert {found for stopped in await asyncio.gather(*stops) for found in stopped} == {second.id}
    assert await conversations.stop(chat, ann, first.conversation_id or "", second.id) == []
