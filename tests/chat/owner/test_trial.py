"""Trying an upstream out: an answer with its latency, or the upstream's error in plain words, within bounds."""

import json

import pytest

from tako.chat.owner import trial
from tako.chat.owner.trial import LONGEST_ANSWER, Draft
from tako.chat.providers.base import UpstreamError
from tako.chat.providers.openai import Offered, OpenAIProvider
from tako.chat.providers.settings import ModelSettings, ProviderSettings
from tako.chat.responses import Chat
from tako.core.accounts.principal import Principal
from tako.core.errors import Invalid, NotFound
from tests.chat.owner.conftest import KEY, added
from tests.support.upstream import Cut, Finish, Gate, Raw, Say, Status, Think, Upstream


@pytest.fixture
def provider(upstream: Upstream) -> OpenAIProvider:
    return OpenAIProvider(ProviderSettings("tried", upstream.url, (ModelSettings("m"),), KEY))


def draft(upstream: Upstream) -> Draft:
    return Draft(None, "custom", upstream.url, KEY)


async def test_an_answer_is_told_with_its_latency(provider: OpenAIProvider, upstream: Upstream) -> None:
    upstream.script = [Think("hm"), Say(" hello"), Finish()]
    answer = await trial.ask(provider, "m")
    assert answer.text == "hello"
    assert 0 <= answer.latency_ms < 60_000
    assert upstream.requests[0]["max_tokens"] == LONGEST_ANSWER
    await provider.close()


async def test_a_model_that_only_thinks_within_the_limit_works(provider: OpenAIProvider, upstream: Upstream) -> None:
    upstream.script = [Think("so"), Finish("length")]
    assert (await trial.ask(provider, "m")).text == ""
    await provider.close()


async def test_a_model_that_rambles_is_cut_off(provider: OpenAIProvider, upstream: Upstream) -> None:
    upstream.script = [Say("x" * 500), Gate()]
    assert (await trial.ask(provider, "m")).text == "x" * 200
    await upstream.idle()
    await provider.close()


async def test_a_model_that_says_nothing_is_given_up(provider: OpenAIProvider, upstream: Upstream) -> None:
    upstream.script = [Gate()]
    with pytest.raises(UpstreamError) as failed:
        await trial.ask(provider, "m", patience=0.1)
    assert failed.value.code == "upstream_timeout"
    await upstream.idle()
    await provider.close()


@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        (Status(401, b'{"error":{"message":"bad key"}}'), "upstream_auth", "refused our key (HTTP 401): check api_key"),
        (Status(404), "upstream_rejected", "knows no such address or model"),
        (Status(429), "upstream_rate_limit", "is limiting us"),
        (Status(500, b"<html>oops</html>"), "upstream_error", "failed (HTTP 500)"),
        (Status(200, b"{}"), "upstream_malformed", "instead of a stream of events: does base_url lack /v1?"),
        (Cut(), "upstream_unreachable", "cannot be reached"),
        (Raw(b"data: {nonsense\n\n"), "upstream_malformed", "no chunk of an answer"),
    ],
)
async def test_what_the_upstream_says_is_told_in_plain_words(
    provider: OpenAIProvider, upstream: Upstream, step: Status | Cut | Raw, code: str, words: str
) -> None:
    upstream.script = [step]
    with pytest.raises(UpstreamError) as failed:
        await trial.ask(provider, "m")
    assert failed.value.code == code
    assert words in failed.value.message
    await provider.close()


async def test_an_upstream_that_repeats_the_key_does_not_spread_it(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.script = [Status(401, json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode())]
    with pytest.raises(UpstreamError) as failed:
        await trial.ask(provider, "m")
    assert KEY not in failed.value.message
    assert "Incorrect API key provided: ***" in failed.value.message
    await provider.close()


async def test_a_draft_a_stored_upstream_and_an_offered_model_are_tried(
    chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    row = await added(chat, admin, upstream, "fresh")
    nothing = Draft(None, "custom", None, None)
    asked = []
    for tried in (
        trial.run(chat, draft(upstream), None, "drafted"),
        trial.run(chat, Draft(row.id, "custom", None, None), None, "not offered yet"),
        trial.run(chat, nothing, "fresh", None),
        trial.run(chat, nothing, "fixed", None),
    ):
        assert (await tried).text == "Hello world"
        asked.append(upstream.requests[-1]["model"])
    assert asked == ["drafted", "not offered yet", "up/fresh", "fixed"]
    assert [KEY in head for head in upstream.heads] == [True, True, True, False]


async def test_a_trial_needs_one_upstream_and_a_model(chat: Chat, admin: Principal, upstream: Upstream) -> None:
    row = await added(chat, admin, upstream)
    for wrong in (Draft(None, "custom", None, None), Draft(row.id, "custom", upstream.url, None)):
        with pytest.raises(Invalid):
            await trial.run(chat, wrong, None, "m")
        with pytest.raises(Invalid):
            await trial.offered(chat, wrong)
    for model in (None, "", "two\nlines"):
        with pytest.raises(Invalid):
            await trial.run(chat, draft(upstream), None, model)
    with pytest.raises(Invalid):
        await trial.run(chat, Draft(None, "custom", "javascript:alert(1)", None), None, "m")
    for gone in (trial.run(chat, Draft("prov_" + "0" * 32, "custom", None, None), None, "m"),):
        with pytest.raises(NotFound):
            await gone
    with pytest.raises(NotFound):
        await trial.run(chat, Draft(None, "custom", None, None), "gone", None)
    assert upstream.requests == []


async def test_an_upstreams_own_list_is_read(chat: Chat, upstream: Upstream) -> None:
    listing = [{"id": "b", "max_model_len": 4096}, {"id": "a", "context_length": 8192}, {"id": "c", "created": 1}]
    upstream.models = (200, json.dumps({"object": "list", "data": listing}).encode())
    assert await trial.offered(chat, draft(upstream)) == [Offered("a", 8192), Offered("b", 4096), Offered("c", None)]
    assert f"Bearer {KEY}" in upstream.heads[-1]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, b'{"error":{"message":"bad key"}}', "upstream_auth"),
        (404, b"", "upstream_rejected"),
        (302, b"", "upstream_rejected"),
        (200, b"<html>", "upstream_malformed"),
        (200, b"[]", "upstream_malformed"),
        (200, b'{"data":[1]}', "upstream_malformed"),
        (200, b'{"data":[{}]}', "upstream_malformed"),
    ],
)
async def test_what_is_no_list_is_told(chat: Chat, upstream: Upstream, status: int, body: bytes, code: str) -> None:
    upstream.models = (status, body)
    with pytest.raises(UpstreamError) as failed:
        await trial.offered(chat, draft(upstream))
    assert failed.value.code == code
