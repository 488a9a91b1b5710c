"""Upstreams that come, change and go while the site answers."""

import asyncio

import pytest

from tako.chat import fold
from tako.chat import store as chat_store
from tako.chat.catalog import ModelNotFound
from tako.chat.entries import encode
from tako.chat.generation import Output
from tako.chat.owner import offers, providers, store, trial
from tako.chat.owner.store import ModelRow, NameTaken, ProviderRow
from tako.chat.providers.base import Provider
from tako.chat.providers.openai import OpenAIProvider
from tako.chat.responses import Chat
from tako.chat.store import Response
from tako.core.accounts import owner
from tako.core.accounts.principal import Principal
from tako.core.errors import Denied, Invalid, NotFound
from tests.chat.owner.conftest import KEY, added, ask, ended, person
from tests.support.upstream import Finish, Gate, Say, Upstream


async def test_an_added_upstream_answers_at_once_with_its_own_key_and_model_name(
    chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    await added(chat, admin, upstream, "fresh")
    response = await ended(chat, admin, await ask(chat, admin, "fresh"))
    assert response.status == "completed"
    assert upstream.requests[-1]["model"] == "up/fresh"
    assert f"authorization: bearer {KEY}" in upstream.heads[-1].lower()


async def test_one_that_is_removed_ends_its_answers_and_takes_no_more(
    chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    row = await added(chat, admin, upstream, "fresh")
    gate = Gate()
    upstream.script = [Say("one "), gate, Say("two"), Finish()]
    running = await ask(chat, admin, "fresh")
    await gate.reached.wait()
    found = chat.catalog.get("fresh")
    await providers.remove(chat, admin, row.id)
    with pytest.raises(ModelNotFound):
        await ask(chat, admin, "fresh")
    gate.opened.set()
    assert (await ended(chat, admin, running)).status == "completed"
    assert await answer_of(chat, running) == "one two"
    assert found is not None
    assert has_let_go(found[1])


async def test_who_found_it_a_moment_before_it_went_is_still_answered(
    chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    """A question is counted and stored between looking the model up and asking it."""
    row = await added(chat, admin, upstream, "fresh")
    _, provider = chat.catalog.find("fresh", admin)
    await ended(chat, admin, await ask(chat, admin, "fresh"))
    await providers.remove(chat, admin, row.id)
    assert (await trial.ask(provider, "fresh")).text == "Hello world"
    assert has_let_go(provider)


async def test_a_change_elsewhere_keeps_the_connections_of_the_rest(
    chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    await added(chat, admin, upstream, "kept")
    other = await added(chat, admin, upstream, "other", name="other")
    before = chat.catalog.find("kept", admin)[1]
    await providers.change(chat, admin, other.id, {"name": "renamed"})
    await providers.remove(chat, admin, other.id)
    assert chat.catalog.find("kept", admin)[1] is before


async def test_a_changed_key_counts_from_the_next_question(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    row = await added(chat, admin, upstream, "fresh")
    await providers.change(chat, admin, row.id, {"api_key": "another-key"})
    await ended(chat, admin, await ask(chat, admin, "fresh"))
    assert "authorization: bearer another-key" in upstream.heads[-1].lower()
    await providers.change(chat, admin, row.id, {"api_key": None})
    await ended(chat, admin, await ask(chat, admin, "fresh"))
    assert "authorization" not in upstream.heads[-1].lower()


async def test_a_stored_key_is_never_sent_to_another_host(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    row = await added(chat, admin, upstream, "fresh")
    for elsewhere in ("http://evil.example/v1", "https://127.0.0.1/v1", "http://127.0.0.1:1/v1"):
        with pytest.raises(Invalid) as refused:
            await providers.change(chat, admin, row.id, {"base_url": elsewhere})
        assert refused.value.code == "key_needed"
    assert (await stored(chat, row.id)).base_url == upstream.url
    moved = await providers.change(chat, admin, row.id, {"base_url": "http://other.example/v1", "api_key": None})
    assert (moved.base_url, moved.api_key) == ("http://other.example/v1", None)


async def test_another_path_of_the_same_host_keeps_the_key(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    row = await added(chat, admin, upstream, "fresh")
    moved = await providers.change(chat, admin, row.id, {"base_url": upstream.url + "beta/"})
    assert (moved.base_url, moved.api_key) == (upstream.url + "beta", KEY)


async def test_names_are_taken_once_also_by_those_of_the_file(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    await added(chat, admin, upstream, "fresh")
    other = await added(chat, admin, upstream, name="other")
    for name in ("page", "file"):
        with pytest.raises(NameTaken):
            await providers.add(chat, admin, kind="custom", name=name, base_url=upstream.url)
        with pytest.raises(NameTaken):
            await providers.change(chat, admin, other.id, {"name": name})


async def test_two_admins_add_the_same_at_once_and_one_wins(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    other = await person(chat.db, "other@example.org", admin=True)
    both = [added(chat, by, upstream, name="twin") for by in (admin, other)]
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NameTaken", "ProviderRow"]
    row = next(outcome for outcome in outcomes if not isinstance(outcome, BaseException))
    models = [offers.add(chat, by, ModelRow("twin", row.id, "twin", "Twin", 1000, 500)) for by in (admin, other)]
    outcomes_of_models = await asyncio.gather(*models, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes_of_models) == ["ModelIdTaken", "NoneType"]


async def test_a_model_added_while_its_provider_is_removed_leaves_nothing_behind(
    chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    row = await added(chat, admin, upstream)
    model = ModelRow("late", row.id, "late", "Late", 1000, 500)
    outcomes = await asyncio.gather(
        providers.remove(chat, admin, row.id), offers.add(chat, admin, model), return_exceptions=True
    )
    assert all(outcome is None or isinstance(outcome, NotFound) for outcome in outcomes)
    async with chat.db.read() as connection:
        assert await store.list_models(connection) == []
    assert not chat.catalog.has("late")


async def test_changes_at_once_end_with_what_is_stored(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    rows = [await added(chat, admin, upstream, f"model{n}", name=f"page{n}") for n in range(6)]
    await asyncio.gather(*(providers.remove(chat, admin, row.id) for row in rows[:4]), return_exceptions=False)
    assert [offer.model.id for offer in chat.catalog.offers()] == ["fixed", "model4", "model5"]


@pytest.mark.parametrize(
    "url",
    [
        *("", " ", "api.example.com", "//api.example.com", "ftp://api.example.com/v1", "javascript:alert(1)"),
        *("file:///etc/passwd", "http://", "http:///v1", "https://user:secret@api.example.com/v1", "http://@host/v1"),
        *("http://host/v1?key=secret", "http://host/v1#part", "http://host/\nv1", "http://host/ v1", "http://ho st"),
        *("http://host:0/v1", "http://host:99999/v1", "http://host:x/v1", "http://[::1/v1", "http://host\\@evil/v1"),
        *("http://host/\x00", "http://hóst/v1", "http://host/" + "x" * 500, "data:text/html,hi"),
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        providers.normal_url(url)
    assert (refused.value.code, refused.value.param) == ("invalid_url", "base_url")
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        (" http://127.0.0.1:11434/v1\n", "http://127.0.0.1:11434/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("https://xn--hst-sna.example/v1", "https://xn--hst-sna.example/v1"),
    ],
)
def test_addresses_also_on_loopback_are_taken(url: str, normal: str) -> None:
    assert providers.normal_url(url) == normal


def test_a_key_is_one_word_that_can_stand_in_a_header() -> None:
    assert providers.normal_key(" sk-1 ") == "sk-1"
    assert providers.normal_key("") is providers.normal_key(None) is None
    for key in ("two words", "line\r\nx-evil: 1", "nul\x00", "schlüssel", "x" * 501):
        with pytest.raises(Invalid) as refused:
            providers.normal_key(key)
        assert key not in refused.value.message


def test_the_hint_of_a_short_key_tells_nothing() -> None:
    assert (providers.hint(None), providers.hint("short-key"), providers.hint(KEY)) == (None, "…", "…cdef")


async def test_only_who_is_an_admin_still_changes_upstreams(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    row = await added(chat, admin, upstream, "fresh")
    user = await person(chat.db, "user@example.org")
    former = await person(chat.db, "former@example.org", admin=True)
    await owner.change(chat.db, former.id, {"admin": False})
    for by in (user, former):
        for act in (
            providers.add(chat, by, kind="custom", name="evil", base_url="http://evil.example"),
            providers.change(chat, by, row.id, {"name": "evil"}),
            providers.remove(chat, by, row.id),
            offers.add(chat, by, ModelRow("evil", row.id, "evil", "Evil", 1000, 500)),
            offers.change(chat, by, "fresh", {"enabled": False}),
            offers.remove(chat, by, "fresh"),
            offers.order(chat, by, ["fresh"]),
        ):
            with pytest.raises(Denied):
                await act
    assert [offer.model.id for offer in chat.catalog.offers()] == ["fixed", "fresh"]


async def test_acts_on_unknown_upstreams_are_told(chat: Chat, admin: Principal) -> None:
    for nothing in ("prov_\x00", "prov_" + "0" * 32, ""):
        with pytest.raises(NotFound):
            await providers.change(chat, admin, nothing, {"name": "x"})
        with pytest.raises(NotFound):
            await providers.remove(chat, admin, nothing)


async def stored(chat: Chat, provider_id: str) -> ProviderRow:
    async with chat.db.read() as connection:
        return await store.provider(connection, provider_id)


async def answer_of(chat: Chat, response: Response) -> str:
    async with chat.db.read() as connection:
        row = await chat_store.response(connection, response.id)
    assert row.fold is not None
    return Output.of(map(encode, fold.load(row.fold).entries())).text()


def has_let_go(provider: Provider) -> bool:
    """Of its sockets; nothing else tells."""
    assert isinstance(provider, OpenAIProvider)
    return provider._session is None
