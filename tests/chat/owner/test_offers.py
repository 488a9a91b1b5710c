"""Models as an owner offers them."""

import asyncio
from dataclasses import replace

import pytest

from tako.chat.catalog import ModelNotFound
from tako.chat.owner import offers, providers, store
from tako.chat.owner.offers import FixedModel
from tako.chat.owner.store import ModelIdTaken, ModelRow
from tako.chat.responses import Chat
from tako.core.accounts.principal import Principal
from tako.core.errors import Invalid, NotFound
from tests.chat.owner.conftest import added, ask, ended, person
from tests.support.upstream import Finish, Gate, Say, Upstream

GOOD = ModelRow("id", "prov", "up", "Name", 1000, 500)


def order_of(chat: Chat) -> list[str]:
    return [offer.model.id for offer in chat.catalog.offers()]


async def test_an_id_is_unique_over_the_file_and_the_page(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    row = await added(chat, admin, upstream, "fresh")
    for taken in ("fixed", "fresh"):
        with pytest.raises(ModelIdTaken) as refused:
            await offers.add(chat, admin, replace(GOOD, id=taken, provider_id=row.id))
        assert refused.value.code == "model_id_taken"
    assert order_of(chat) == ["fixed", "fresh"]


async def test_a_model_for_admins_is_asked_by_admins_alone(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    user = await person(chat.db, "user@example.org")
    await added(chat, admin, upstream, "fresh")
    for model in ("fixed", "fresh"):
        await offers.change(chat, admin, model, {"admins_only": True})
        with pytest.raises(ModelNotFound):
            await ask(chat, user, model)
        assert (await ended(chat, admin, await ask(chat, admin, model))).status == "completed"
        await offers.change(chat, admin, model, {"admins_only": False})
        assert (await ended(chat, user, await ask(chat, user, model))).status == "completed"


async def test_a_model_that_is_switched_off_while_it_answers_ends_its_answer(
    chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    gate = Gate()
    upstream.script = [Say("one "), gate, Say("two"), Finish()]
    running = await ask(chat, admin, "fixed")
    await gate.reached.wait()
    await offers.change(chat, admin, "fixed", {"enabled": False})
    with pytest.raises(ModelNotFound):
        await ask(chat, admin, "fixed")
    gate.opened.set()
    assert (await ended(chat, admin, running)).status == "completed"


async def test_models_are_ordered_and_who_is_not_named_follows(
    chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    await added(chat, admin, upstream, "one", "two")
    assert order_of(chat) == ["fixed", "one", "two"]
    await offers.order(chat, admin, ["two", "fixed", "one"])
    assert order_of(chat) == ["two", "fixed", "one"]
    await added(chat, admin, upstream, "three", name="later")
    assert order_of(chat) == ["two", "fixed", "one", "three"]
    await offers.order(chat, admin, ["three"])
    assert order_of(chat) == ["three", "two", "fixed", "one"]
    await offers.order(chat, admin, [])
    assert order_of(chat) == ["three", "two", "fixed", "one"]


async def test_an_order_names_each_model_once_and_only_what_there_is(
    chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    await added(chat, admin, upstream, "one")
    with pytest.raises(Invalid):
        await offers.order(chat, admin, ["one", "fixed", "one"])
    with pytest.raises(NotFound):
        await offers.order(chat, admin, ["one", "gone"])
    assert order_of(chat) == ["fixed", "one"]


async def test_two_orders_at_once_are_one_of_them(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    await added(chat, admin, upstream, "one", "two")
    wanted = [["two", "one", "fixed"], ["one", "fixed", "two"]]
    await asyncio.gather(*(offers.order(chat, admin, ids) for ids in wanted * 3))
    assert order_of(chat) in wanted
    await providers.load(chat.db, chat.catalog)
    assert order_of(chat) in wanted


async def test_a_model_is_described_anew(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    await added(chat, admin, upstream, "fresh")
    changes = {"name": "Anew", "upstream_model": "newer", "context_tokens": 2000, "max_output_tokens": 700, "slots": 3}
    await offers.change(chat, admin, "fresh", changes)
    model = chat.catalog.find("fresh", admin)[0]
    assert (model.name, model.context_tokens, model.max_output_tokens) == ("Anew", 2000, 700)
    assert chat.catalog.slots == {"fresh": 3}
    await ended(chat, admin, await ask(chat, admin, "fresh"))
    assert upstream.requests[-1]["model"] == "newer"


async def test_what_the_file_says_of_a_model_stays(chat: Chat, admin: Principal) -> None:
    with pytest.raises(FixedModel):
        await offers.change(chat, admin, "fixed", {"name": "Mine", "enabled": False})
    with pytest.raises(FixedModel):
        await offers.remove(chat, admin, "fixed")
    seen = await offers.find(chat, "fixed")
    assert (seen.offer.model.name, seen.offer.terms.enabled, seen.fixed) == ("fixed", True, "tako.toml")


async def test_a_removed_model_is_gone_and_comes_back_as_a_new_one(
    chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    row = await added(chat, admin, upstream, "fresh")
    await offers.change(chat, admin, "fresh", {"admins_only": True, "enabled": False})
    await offers.remove(chat, admin, "fresh")
    with pytest.raises(NotFound):
        await offers.remove(chat, admin, "fresh")
    await offers.add(chat, admin, replace(GOOD, id="fresh", provider_id=row.id))
    assert chat.catalog.find("fresh", await person(chat.db, "user@example.org"))[0].name == "Name"


async def test_everything_is_there_after_a_restart(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    await added(chat, admin, upstream, "one", "two")
    await offers.order(chat, admin, ["two", "one", "fixed"])
    await offers.change(chat, admin, "one", {"admins_only": True})
    before = [(offer.model, offer.terms) for offer in chat.catalog.offers()]
    chat.catalog.offer((), {})
    await providers.load(chat.db, chat.catalog)
    assert [(offer.model, offer.terms) for offer in chat.catalog.offers()] == before


async def test_unknown_models_are_told(chat: Chat, admin: Principal) -> None:
    for nothing in ("gone", "nul\x00", "x" * 10_000):
        with pytest.raises(NotFound) as refused:
            await offers.change(chat, admin, nothing, {"enabled": False})
        assert len(refused.value.message) < 200
    async with chat.db.read() as connection:
        assert await store.terms(connection) == {}


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        *(({"id": odd}, "id") for odd in ("", " ", "two words", "a\nb", "<script>", "章", "-x", "x" * 101, "a?b")),
        *(({"name": odd}, "name") for odd in ("", " ", "a\nb", "x" * 101, "\u202eturned")),
        *(({"upstream_model": odd}, "upstream_model") for odd in ("", "a\nb", "x" * 201)),
        *(({"context_tokens": odd}, "context_tokens") for odd in (0, 255, 10**9)),
        *(({"max_output_tokens": odd}, "max_output_tokens") for odd in (0, 1001)),
        *(({"slots": odd}, "slots") for odd in (-1, 10_001)),
    ],
)
def test_what_no_model_can_be_is_refused(changes: dict[str, object], param: str) -> None:
    with pytest.raises(Invalid) as refused:
        offers.checked(replace(GOOD, **changes))  # type: ignore[arg-type]  # odd values are the point
    assert refused.value.param == param


@pytest.mark.parametrize("model_id", ["gpt-5", "qwen3:8b", "Qwen/Qwen3-8B", "org/model@2026+1"])
def test_the_ids_of_usual_upstreams_are_taken(model_id: str) -> None:
    assert offers.checked(replace(GOOD, id=model_id)).id == model_id
