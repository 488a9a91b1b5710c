"""Asking from any message, once more, and going on; two at once."""

import asyncio
from dataclasses import replace

import pytest

from tako.chat import branches, conversations, messages, responses
from tako.chat.places import GO_ON, After
from tako.chat.providers.base import Text, UpstreamError
from tako.chat.responses import Chat
from tako.core.accounts.principal import Principal
from tako.core.errors import Conflict, Invalid, NotFound, Unprocessable
from tests.chat.conftest import ended, question, shown
from tests.support.provider import Gate, Scripted, says


async def begun(chat: Chat, principal: Principal, text: str = "Why?", model: str = "plain") -> tuple[str, str]:
    """A conversation with one answer. Returns its id and the answer's."""
    response = await messages.begin(chat, principal, question(text, model))
    await ended(chat, response)
    assert response.conversation_id is not None
    assert response.message_id is not None
    return response.conversation_id, response.message_id


async def texts(chat: Chat, principal: Principal, conversation_id: str) -> list[str]:
    """What the current branch says, message by message."""
    page = await branches.show(chat, principal, conversation_id)
    return ["".join(item.text for item in shown.items if item.type == "message") for shown in page.messages]


async def test_a_first_question_makes_its_conversation(chat: Chat, ann: Principal) -> None:
    """One transaction: no conversation without its question, and no question without its answer."""
    conversation_id, answer_id = await begun(chat, ann, "Why is the sky blue at noon and red at night?")
    page = await branches.show(chat, ann, conversation_id)
    assert page.leaf_id == answer_id
    assert [shown.message.role for shown in page.messages] == ["user", "assistant"]
    assert await texts(chat, ann, conversation_id) == ["Why is the sky blue at noon and red at night?", "Hello"]
    assert [shown.message.token_count for shown in page.messages] == [11, 11]


async def test_a_refused_question_leaves_no_conversation(chat: Chat, ann: Principal) -> None:
    """A conversation without a message would stand in the list for ever."""
    with pytest.raises(Invalid):
        await messages.begin(chat, ann, question("word " * 1000, "tiny"))
    assert await conversations.list_of(chat, ann, limit=10, after=None, search=None) == []


async def test_the_next_question_follows_the_leaf(chat: Chat, provider: Scripted, ann: Principal) -> None:
    """What was said before goes to the model."""
    conversation_id, _ = await begun(chat, ann)
    ask = replace(question("And then?"), conversation_id=conversation_id)
    await ended(chat, await messages.ask(chat, ann, ask))
    assert await texts(chat, ann, conversation_id) == ["Why?", "Hello", "And then?", "Hello"]
    assert [(turn.role, turn.text) for turn in provider.prompts[-1].turns] == [
        ("user", "Why?"),
        ("assistant", "Hello"),
        ("user", "And then?"),
    ]


async def test_a_question_from_an_earlier_message_makes_a_branch(
    chat: Chat, provider: Scripted, ann: Principal
) -> None:
    """Nothing of the other branch goes to the model, and nothing of it is lost."""
    conversation_id, first = await begun(chat, ann)
    for text in ("left", "right"):
        ask = replace(question(text), conversation_id=conversation_id, place=After(first))
        await ended(chat, await messages.ask(chat, ann, ask))
    assert await texts(chat, ann, conversation_id) == ["Why?", "Hello", "right", "Hello"]
    assert [turn.text for turn in provider.prompts[-1].turns] == ["Why?", "Hello", "right"]
    page = await branches.show(chat, ann, conversation_id)
    assert len(page.messages[1].children_ids) == 2


async def test_a_first_question_can_be_put_anew(chat: Chat, provider: Scripted, ann: Principal) -> None:
    """Editing the very first question makes a second root."""
    conversation_id, _ = await begun(chat, ann)
    ask = replace(question("How?"), conversation_id=conversation_id, place=After(None))
    await ended(chat, await messages.ask(chat, ann, ask))
    page = await branches.show(chat, ann, conversation_id)
    assert len(page.root_ids) == 2
    assert page.root_ids[1] == page.messages[0].message.id
    assert [turn.text for turn in provider.prompts[-1].turns] == ["How?"]


async def test_of_two_questions_at_once_from_one_leaf_one_wins(chat: Chat, provider: Scripted, ann: Principal) -> None:
    """Both cannot follow the same answer; the loser is told why, and stores nothing."""
    conversation_id, _ = await begun(chat, ann)
    gate = Gate()
    provider.script = [gate, *says("one")]
    asks = [replace(question(text), conversation_id=conversation_id) for text in ("a", "b")]
    results = await asyncio.gather(*(messages.ask(chat, ann, ask) for ask in asks), return_exceptions=True)
    refused = [result for result in results if isinstance(result, Conflict)]
    assert [error.code for error in refused] == ["conversation_busy"]
    gate.opened.set()
    for result in results:
        if not isinstance(result, BaseException):
            await ended(chat, result)
    assert len(await texts(chat, ann, conversation_id)) == 4


async def test_two_named_branches_at_once_both_win(chat: Chat, ann: Principal) -> None:
    """Who names the message wants a branch, whatever else is going on."""
    conversation_id, first = await begun(chat, ann)
    asks = [replace(question(text), conversation_id=conversation_id, place=After(first)) for text in ("a", "b")]
    for response in await asyncio.gather(*(messages.ask(chat, ann, ask) for ask in asks)):
        await ended(chat, response)
    page = await branches.show(chat, ann, conversation_id, leaf_id=first)
    assert len(page.messages[-1].children_ids) == 2


async def test_nothing_follows_an_answer_that_is_being_made(chat: Chat, provider: Scripted, ann: Principal) -> None:
    """Its text is not known yet, so neither is what was said before."""
    gate = Gate()
    provider.script = [Text("one"), gate, *says()]
    running = await messages.begin(chat, ann, question())
    await gate.reached.wait()
    ask = replace(question("b"), conversation_id=running.conversation_id, place=After(running.message_id))
    with pytest.raises(Conflict):
        await messages.ask(chat, ann, ask)
    gate.opened.set()
    await ended(chat, running)


async def test_one_key_makes_one_conversation(chat: Chat, ann: Principal) -> None:
    """One request, one answer, one bill, also when both come at once."""
    ask = replace(question(), idempotency_key="k", request_hash="same")
    one, two = await asyncio.gather(messages.begin(chat, ann, ask), messages.begin(chat, ann, ask))
    assert one.id == two.id
    assert len(await conversations.list_of(chat, ann, limit=10, after=None, search=None)) == 1
    with pytest.raises(Unprocessable):
        await messages.begin(chat, ann, replace(ask, request_hash="other"))
    await ended(chat, one)


async def test_regenerating_makes_a_sibling_and_keeps_the_old_answer(
    chat: Chat, provider: Scripted, ann: Principal
) -> None:
    """The same question, asked again; the old answer is no part of what the model reads."""
    conversation_id, answer_id = await begun(chat, ann)
    provider.script = says("Better")
    again = await messages.regenerate(chat, ann, answer_id, question("", "prefixing"))
    await ended(chat, again)
    page = await branches.show(chat, ann, conversation_id)
    assert [shown.message.model for shown in page.messages] == [None, "prefixing"]
    assert page.messages[0].children_ids == [answer_id, again.message_id]
    assert await texts(chat, ann, conversation_id) == ["Why?", "Better"]
    assert [turn.text for turn in provider.prompts[-1].turns] == ["Why?"]


async def test_regenerating_takes_the_same_model_unless_told(chat: Chat, ann: Principal) -> None:
    """Also when the question is named instead of the answer."""
    conversation_id, answer_id = await begun(chat, ann, model="prefixing")
    again = await messages.regenerate(chat, ann, answer_id, question("", ""))
    assert again.model == "prefixing"
    await ended(chat, again)
    page = await branches.show(chat, ann, conversation_id)
    once_more = await messages.regenerate(chat, ann, page.messages[0].message.id, question("", "plain"))
    assert once_more.model == "plain"
    await ended(chat, once_more)


async def interrupted(chat: Chat, provider: Scripted, ann: Principal, model: str) -> tuple[str, str]:
    """A conversation whose answer was stopped after "one tw"."""
    gate = Gate()
    provider.script = [Text("one "), Text("tw"), gate]
    response = await messages.begin(chat, ann, question("Count", model))
    await gate.reached.wait()
    await shown(chat, response, 5)
    assert response.conversation_id is not None
    assert response.message_id is not None
    assert await conversations.stop(chat, ann, response.conversation_id, None) == [response.id]
    return response.conversation_id, response.message_id


async def test_an_interrupted_answer_goes_on_in_the_same_message(
    chat: Chat, provider: Scripted, ann: Principal
) -> None:
    """Further items of the same message, by a response of its own that is linked to the first."""
    conversation_id, answer_id = await interrupted(chat, provider, ann, "prefixing")
    (before,) = [place for place in (await branches.show(chat, ann, conversation_id)).messages if place.message.model]
    assert (before.message.status, before.message.reason) == ("cancelled", "cancelled")
    assert before.message.token_count == 2
    provider.script = says("o three")
    more = await messages.go_on(chat, ann, answer_id, question("", ""))
    assert more.message_id == answer_id
    assert more.previous_response_id is not None
    await ended(chat, more)
    assert (provider.prompts[-1].prefix, [turn.text for turn in provider.prompts[-1].turns]) == ("one tw", ["Count"])
    assert await texts(chat, ann, conversation_id) == ["Count", "one two three"]
    page = await branches.show(chat, ann, conversation_id)
    assert (page.messages[1].message.status, page.messages[1].message.reason) == ("completed", None)
    assert page.messages[1].message.token_count == 2 + 11
    assert len(page.messages[1].items) == 2


async def test_a_model_that_cannot_go_on_from_a_text_is_told_to(chat: Chat, provider: Scripted, ann: Principal) -> None:
    """The partial answer is in the history, and an instruction that nobody sees follows it."""
    conversation_id, answer_id = await interrupted(chat, provider, ann, "plain")
    provider.script = says("o three")
    await ended(chat, await messages.go_on(chat, ann, answer_id, question("", "")))
    assert provider.prompts[-1].prefix == ""
    assert [turn.text for turn in provider.prompts[-1].turns] == ["Count", "one tw", GO_ON]
    assert await texts(chat, ann, conversation_id) == ["Count", "one two three"]


async def test_an_answer_that_failed_before_its_first_word_is_asked_for_again(
    chat: Chat, provider: Scripted, ann: Principal
) -> None:
    """There is nothing to go on from, and the error is forgotten once it works."""
    provider.script = [UpstreamError("no", code="upstream_auth")]
    conversation_id, answer_id = await begun(chat, ann)
    failed = (await branches.show(chat, ann, conversation_id)).messages[1].message
    assert (failed.status, failed.error) == ("failed", {"code": "upstream_auth", "message": "no"})
    provider.script = says("Hello")
    await ended(chat, await messages.go_on(chat, ann, answer_id, question("", "")))
    mended = (await branches.show(chat, ann, conversation_id)).messages[1].message
    assert (mended.status, mended.error) == ("completed", None)


async def test_two_that_go_on_at_once_go_on_once(chat: Chat, provider: Scripted, ann: Principal) -> None:
    """Two tabs, one Continue: the message must not be written by two."""
    conversation_id, answer_id = await interrupted(chat, provider, ann, "prefixing")
    gate = Gate()
    provider.script = [gate, *says("o")]
    results = await asyncio.gather(
        *(messages.go_on(chat, ann, answer_id, question("", "")) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Response"]
    gate.opened.set()
    for result in results:
        if not isinstance(result, BaseException):
            await ended(chat, result)
    assert await texts(chat, ann, conversation_id) == ["Count", "one two"]


async def test_what_is_complete_or_was_replied_to_does_not_go_on(
    chat: Chat, provider: Scripted, ann: Principal
) -> None:
    """A text must not change under what follows it."""
    _, complete = await begun(chat, ann)
    with pytest.raises(Conflict) as error:
        await messages.go_on(chat, ann, complete, question("", ""))
    assert error.value.code == "not_interrupted"
    conversation_id, answer_id = await interrupted(chat, provider, ann, "plain")
    provider.script = says("Yes")
    await ended(chat, await messages.ask(chat, ann, replace(question("Ok?"), conversation_id=conversation_id)))
    with pytest.raises(Conflict) as error:
        await messages.go_on(chat, ann, answer_id, question("", ""))
    assert error.value.code == "answer_followed"


async def test_nobody_touches_somebody_elses_messages(chat: Chat, ann: Principal, ben: Principal) -> None:
    """That they exist is none of his business."""
    conversation_id, answer_id = await begun(chat, ann)
    other_id, _ = await begun(chat, ben)
    for attempt in (
        messages.ask(chat, ben, replace(question(), conversation_id=conversation_id)),
        messages.ask(chat, ben, replace(question(), conversation_id=other_id, place=After(answer_id))),
        messages.regenerate(chat, ben, answer_id, question("", "plain")),
        messages.go_on(chat, ben, answer_id, question("", "plain")),
        messages.answer_of(chat, ben, answer_id, None),
        branches.show(chat, ben, conversation_id),
        branches.show(chat, ben, other_id, leaf_id=answer_id),
        branches.walk(chat, ben, other_id, answer_id),
        conversations.stop(chat, ben, conversation_id, None),
        conversations.restore(chat, ben, conversation_id),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_the_response_of_a_message_is_its_newest_or_the_named_one(
    chat: Chat, provider: Scripted, ann: Principal
) -> None:
    """A reader that lost its connection must get on with the response that it was reading."""
    _, answer_id = await interrupted(chat, provider, ann, "plain")
    old = await messages.answer_of(chat, ann, answer_id, None)
    provider.script = says("o")
    new = await messages.go_on(chat, ann, answer_id, question("", ""))
    assert (await messages.answer_of(chat, ann, answer_id, None)).id == new.id
    assert (await messages.answer_of(chat, ann, answer_id, old.id)).id == old.id
    _, other = await begun(chat, ann)
    with pytest.raises(NotFound):
        await messages.answer_of(chat, ann, other, old.id)
    assert (await responses.find(chat, ann, new.id)).previous_response_id == old.id
