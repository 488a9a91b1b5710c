"""One branch of the tree, page by page, with what is being made as of one instant."""

import asyncio
import json
from dataclasses import replace

import pytest

from tako.chat import branches, fold, follow, messages, store
from tako.chat.dialects.compact import Compact
from tako.chat.places import After
from tako.chat.providers.base import Reasoning, Text
from tako.chat.responses import Chat
from tako.core.accounts.principal import Principal
from tako.core.errors import NotFound
from tests.chat.conftest import ended, question, shown
from tests.support.feed import Listener
from tests.support.provider import Gate, Scripted, says


async def conversation(chat: Chat, principal: Principal, asks: int) -> tuple[str, list[str]]:
    """A conversation of so many questions. Returns its id and its answers' ids."""
    first = await messages.begin(chat, principal, question("q0"))
    await ended(chat, first)
    answers = [first.message_id or ""]
    for n in range(1, asks):
        more = await messages.ask(chat, principal, replace(question(f"q{n}"), conversation_id=first.conversation_id))
        await ended(chat, more)
        answers.append(more.message_id or "")
    return first.conversation_id or "", answers


async def test_pages_go_back_from_the_leaf_to_the_first_message(chat: Chat, ann: Principal) -> None:
    """Newest page first, oldest message first in each; put together they are the branch."""
    conversation_id, _ = await conversation(chat, ann, 4)
    whole = await branches.show(chat, ann, conversation_id)
    assert (len(whole.messages), whole.has_more) == (8, False)
    newest = await branches.show(chat, ann, conversation_id, limit=3)
    assert newest.has_more
    middle = await branches.show(chat, ann, conversation_id, before=newest.messages[0].message.id, limit=3)
    oldest = await branches.show(chat, ann, conversation_id, before=middle.messages[0].message.id, limit=3)
    assert not oldest.has_more
    pages = [*oldest.messages, *middle.messages, *newest.messages]
    assert [place.message.id for place in pages] == [place.message.id for place in whole.messages]
    assert middle.leaf_id == whole.leaf_id


async def test_walking_to_a_sibling_shows_its_newest_leaf(chat: Chat, ann: Principal) -> None:
    """And every tab hears of it."""
    conversation_id, answers = await conversation(chat, ann, 3)
    again = await messages.regenerate(chat, ann, answers[0], question("", ""))
    await ended(chat, again)
    assert (await branches.show(chat, ann, conversation_id)).leaf_id == again.message_id
    feed = Listener(chat.feed.follow(ann.id))
    await branches.walk(chat, ann, conversation_id, answers[0])
    back = await branches.show(chat, ann, conversation_id)
    assert back.leaf_id == answers[2]
    assert back.messages[0].children_ids == [answers[0], again.message_id]
    hint = await feed.until("changed")
    assert (hint.id, hint.version) == (conversation_id, back.conversation.version)


async def test_the_newest_leaf_is_the_newest_of_all_branches_below(chat: Chat, ann: Principal) -> None:
    """Not the deepest one, and not the first."""
    conversation_id, answers = await conversation(chat, ann, 3)
    ask = replace(question("aside"), conversation_id=conversation_id, place=After(answers[0]))
    aside = await messages.ask(chat, ann, ask)
    await ended(chat, aside)
    await branches.walk(chat, ann, conversation_id, answers[1])
    assert (await branches.show(chat, ann, conversation_id)).leaf_id == answers[2]
    await branches.walk(chat, ann, conversation_id, answers[0])
    assert (await branches.show(chat, ann, conversation_id)).leaf_id == aside.message_id


async def test_another_branch_can_be_shown_without_walking(chat: Chat, ann: Principal) -> None:
    conversation_id, answers = await conversation(chat, ann, 2)
    other = await branches.show(chat, ann, conversation_id, leaf_id=answers[0])
    assert [place.message.id for place in other.messages][-1] == answers[0]
    assert (await branches.show(chat, ann, conversation_id)).leaf_id == answers[1]


@pytest.mark.parametrize("name", ["mesg_0", "\0", "", "conv_00000000000000000000000000000000"])
async def test_a_leaf_that_is_not_there_is_told(chat: Chat, ann: Principal, name: str) -> None:
    conversation_id, _ = await conversation(chat, ann, 1)
    with pytest.raises(NotFound):
        await branches.walk(chat, ann, conversation_id, name)
    if name:
        with pytest.raises(NotFound):
            await branches.show(chat, ann, conversation_id, leaf_id=name)


async def test_a_running_answer_is_shown_with_its_text_so_far_and_the_cursor_that_belongs_to_it(
    chat: Chat, provider: Scripted, ann: Principal
) -> None:
    """Who joins with that cursor misses and repeats nothing."""
    gate = Gate()
    provider.script = [Reasoning("Hm"), Text("one "), Text("two "), gate, *says("three")]
    response = await messages.begin(chat, ann, question())
    await gate.reached.wait()
    await shown(chat, response, 8)
    page = await branches.show(chat, ann, response.conversation_id or "")
    answer = page.messages[1]
    assert [(item.type, item.text) for item in answer.items] == [("reasoning", "Hm"), ("message", "one two ")]
    assert answer.running is not None
    assert (answer.running.response_id, answer.running.cursor) == (response.id, 3)
    assert page.conversation.running == store.Running(response.id, response.message_id)
    gate.opened.set()
    await ended(chat, response)
    assert text_after(await stored(chat, response.id), answer.running.cursor) == "three"


async def stored(chat: Chat, response_id: str) -> store.Response:
    async with chat.db.read() as connection:
        return await store.response(connection, response_id)


def text_after(row: store.Response, cursor: int) -> str:
    wire = b"".join(follow.replay(Compact(cursor), fold.load(row.fold or b"").entries()))
    events = [block.split(b"data: ")[1] for block in wire.split(b"\n\n")[:-1] if b"event: " not in block]
    return "".join(json.loads(event).get("v", "") for event in events)


async def test_text_and_cursor_belong_together_at_every_instant_up_to_the_end(
    chat: Chat, provider: Scripted, ann: Principal
) -> None:
    """A second device may come in the instant in which the answer ends."""
    provider.script = says(*(f"{n} " for n in range(200)))
    response = await messages.begin(chat, ann, question())
    whole = "".join(f"{n} " for n in range(200))
    seen: list[tuple[str, int | None]] = []
    while chat.journal.find(response.id) is not None or not seen:
        page = await branches.show(chat, ann, response.conversation_id or "")
        answer = page.messages[1]
        text = "".join(item.text for item in answer.items)
        seen.append((text, answer.running.cursor if answer.running else None))
    seen.append(("", 0))
    row = await stored(chat, response.id)
    for text, cursor in seen:
        assert text + ("" if cursor is None else text_after(row, cursor)) == whole


async def test_both_dialects_share_frames_among_their_own_readers(
    chat: Chat, provider: Scripted, ann: Principal
) -> None:
    """A reader of one must never be handed the other's bytes."""
    from tako.chat.dialects.responses import Responses

    gate = Gate()
    provider.script = [Text("one"), gate, *says()]
    response = await messages.begin(chat, ann, question())
    await gate.reached.wait()
    await shown(chat, response, 4)
    log = chat.journal.find(response.id)
    assert log is not None
    tails = follow.Tails()
    compact, responses = tails.of(log, Compact), tails.of(log, Responses)
    assert tails.of(log, Compact) is compact
    assert tails.of(log, Responses) is responses
    first = follow.Live(compact, Compact, 0).take()
    assert first == b'id: 1\ndata: {"v":"one"}\n\n'
    assert b"response.created" in follow.Live(responses, Responses, -1).take()
    gate.opened.set()
    await ended(chat, response)


async def test_of_several_running_answers_the_one_at_the_leaf_is_the_conversations(
    chat: Chat, provider: Scripted, ann: Principal
) -> None:
    """A regenerated answer may run beside the one that it replaces."""
    gate = Gate()
    provider.script = [gate, *says()]
    first = await messages.begin(chat, ann, question())
    second = await messages.regenerate(chat, ann, first.message_id or "", question("", ""))
    page = await branches.show(chat, ann, first.conversation_id or "")
    assert page.conversation.running == store.Running(second.id, second.message_id)
    other = await branches.show(chat, ann, first.conversation_id or "", leaf_id=first.message_id)
    assert other.conversation.running == store.Running(first.id, first.message_id)
    gate.opened.set()
    await asyncio.gather(ended(chat, first), ended(chat, second))
