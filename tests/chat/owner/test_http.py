"""/api/owner about the chat, as the owner's page uses it."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse

from tako.chat.http import owner as http
from tako.chat.http.requests import invalid
from tako.chat.responses import Chat
from tako.core.accounts import accounts as rules
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import Principal
from tako.core.errors import TakoError
from tako.core.http import problem
from tako.core.proxies import Proxies
from tests.chat.owner.conftest import KEY, ask, ended, person
from tests.support.upstream import Finish, Gate, Say, Status, Upstream

NOTHING = "0" * 32
ROUTES = (
    ("GET", "/presets"),
    ("GET", "/providers"),
    ("POST", "/providers"),
    ("PATCH", f"/providers/prov_{NOTHING}"),
    ("DELETE", f"/providers/prov_{NOTHING}"),
    ("GET", "/models"),
    ("POST", "/models"),
    ("PUT", "/models/order"),
    ("POST", "/models/test"),
    ("POST", "/models/offered"),
    ("PATCH", "/models/fixed"),
    ("DELETE", "/models/fixed"),
    ("GET", "/usage"),
    ("GET", "/running"),
    ("POST", f"/running/resp_{NOTHING}/stop"),
)


@pytest.fixture
def site(chat: Chat) -> FastAPI:
    api = FastAPI()
    api.include_router(http.router(chat, Authenticator(chat.db, Proxies([]), None)))

    @api.exception_handler(TakoError)
    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, TakoError)
        return JSONResponse(problem(error, None), error.status)

    @api.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return await failed(request, invalid(error.errors()))

    return api


async def client_of(site: FastAPI, chat: Chat, principal: Principal, *scopes: str) -> httpx.AsyncClient:
    _, key = await rules.create_key(chat.db, principal.id, "page", scopes, allowed=principal.scopes)
    headers = {"authorization": f"Bearer {key}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=site), base_url="http://site.example/api/owner", headers=headers
    )


@pytest.fixture
async def page(site: FastAPI, chat: Chat, admin: Principal) -> AsyncIterator[httpx.AsyncClient]:
    async with await client_of(site, chat, admin, "admin") as client:
        yield client


async def test_all_of_it_is_for_admins_only(site: FastAPI, chat: Chat, admin: Principal) -> None:
    user = await person(chat.db, "user@example.org")
    bodies = {
        "/providers": {"name": "n", "base_url": "http://127.0.0.1"},
        "/models": {"provider_id": "p", "upstream_model": "m"},
        "/models/order": {"ids": []},
    }
    async with (
        await client_of(site, chat, user, "account", "chat") as users,
        await client_of(site, chat, admin, "account", "chat") as chatting,
    ):
        for client in (users, chatting):
            for method, path in ROUTES:
                answer = await client.request(method, path, json=bodies.get(path, {}))
                assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope"), path


async def test_the_presets_say_what_an_owner_would_have_to_look_up(page: httpx.AsyncClient) -> None:
    presets = {preset["kind"]: preset for preset in (await page.get("/presets")).json()["data"]}
    assert list(presets) == ["hunyuan", "deepseek", "openai", "ollama", "custom"]
    assert presets["hunyuan"]["base_url"] == "https://api.hunyuan.cloud.tencent.com/v1"
    assert presets["ollama"]["base_url"] == "http://127.0.0.1:11434/v1"
    for preset in presets.values():
        assert (preset["key_url"] is not None) == preset["needs_key"]
        for model in preset["models"]:
            assert 0 < model["max_output_tokens"] < model["context_tokens"]


async def test_from_a_preset_to_an_answer(
    page: httpx.AsyncClient, chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    provider = {"kind": "openai", "name": "Mine", "base_url": upstream.url, "api_key": KEY}
    made = (await page.post("/providers", json=provider)).json()
    assert (made["name"], made["key_hint"], made["fixed"]) == ("Mine", "…cdef", None)
    upstream.models = (200, b'{"data":[{"id":"gpt-5"},{"id":"unheard-of"}]}')
    offered = (await page.post("/models/offered", json={"provider_id": made["id"], "kind": "openai"})).json()
    assert [(model["id"], model["context_tokens"]) for model in offered["data"]] == [
        ("gpt-5", 400_000),
        ("unheard-of", None),
    ]
    tried = (await page.post("/models/test", json={"provider_id": made["id"], "upstream_model": "gpt-5"})).json()
    assert (tried["ok"], tried["text"], tried["error"]) == (True, "Hello world", None)
    model = {"provider_id": made["id"], "upstream_model": "gpt-5", "context_tokens": 400_000}
    added = await page.post("/models", json=model)
    assert (added.status_code, added.json()["id"], added.json()["name"]) == (201, "gpt-5", "gpt-5")
    assert (await ended(chat, admin, await ask(chat, admin, "gpt-5"))).status == "completed"
    # OpenAI's newer models refuse max_tokens.
    assert "max_completion_tokens" in upstream.requests[-1]
    assert "max_tokens" not in upstream.requests[-1]
    usage = (await page.get("/usage")).json()
    assert len(usage["days"]) == 30
    assert usage["models"][0]["today"] == {"answers": 1, "input_tokens": 7, "output_tokens": 11}
    assert usage["users"][0]["email"] == "owner@example.org"


async def test_models_with_slashes_are_changed_ordered_and_removed(page: httpx.AsyncClient, upstream: Upstream) -> None:
    made = (await page.post("/providers", json={"name": "Mine", "base_url": upstream.url})).json()
    await page.post("/models", json={"provider_id": made["id"], "upstream_model": "Qwen/Qwen3-8B"})
    changed = await page.patch("/models/Qwen%2FQwen3-8B", json={"admins_only": True, "name": "Qwen"})
    assert (changed.json()["admins_only"], changed.json()["name"]) == (True, "Qwen")
    ordered = await page.put("/models/order", json={"ids": ["Qwen/Qwen3-8B", "fixed"]})
    assert [model["id"] for model in ordered.json()["data"]] == ["Qwen/Qwen3-8B", "fixed"]
    assert (await page.delete("/models/Qwen/Qwen3-8B")).status_code == 204
    assert [model["id"] for model in (await page.get("/models")).json()["data"]] == ["fixed"]


async def test_what_the_file_says_is_shown_as_fixed_and_can_be_restricted(page: httpx.AsyncClient) -> None:
    (provider,) = (await page.get("/providers")).json()["data"]
    assert (provider["id"], provider["name"], provider["fixed"]) == (None, "file", "tako.toml")
    (model,) = (await page.get("/models")).json()["data"]
    assert (model["id"], model["fixed"], model["provider_id"]) == ("fixed", "tako.toml", None)
    assert (await page.patch("/models/fixed", json={"enabled": False})).json()["enabled"] is False
    refused = await page.patch("/models/fixed", json={"name": "Mine"})
    assert (refused.status_code, refused.json()["code"]) == (409, "fixed_model")


async def test_a_failed_test_is_an_answer_not_an_error(page: httpx.AsyncClient, upstream: Upstream) -> None:
    upstream.script = [Status(401)]
    upstream.models = (401, b"")
    draft = {"base_url": upstream.url, "api_key": KEY}
    tried = await page.post("/models/test", json={**draft, "upstream_model": "m"})
    listed = await page.post("/models/offered", json=draft)
    for answer in (tried, listed):
        assert answer.status_code == 200
        assert answer.json()["error"]["code"] == "upstream_auth"
        assert "check api_key" in answer.json()["error"]["message"]
    assert (tried.json()["ok"], listed.json()["data"]) == (False, [])


async def test_no_answer_ever_holds_a_key(page: httpx.AsyncClient, upstream: Upstream) -> None:
    upstream.script = [Status(401, json.dumps({"error": f"no such key: {KEY}"}).encode())]
    upstream.models = (401, KEY.encode())
    body = {"kind": "custom", "name": "Mine", "base_url": upstream.url, "api_key": KEY}
    made = await page.post("/providers", json=body)
    provider_id = made.json()["id"]
    said = [
        made,
        await page.post("/providers", json=body),
        await page.post("/providers", json={**body, "base_url": "no address"}),
        await page.post("/providers", json={**body, "api_key": f"{KEY} and more"}),
        await page.post("/providers", json={**body, "api_key": [KEY]}),
        await page.post("/providers", json={**body, "api_keys": KEY}),
        await page.post("/providers", json={**body, "api_key": KEY * 100}),
        await page.get("/providers"),
        await page.patch(f"/providers/{provider_id}", json={"name": "Renamed"}),
        await page.post("/models/test", json={"provider_id": provider_id, "upstream_model": "m"}),
        await page.post("/models/offered", json={"provider_id": provider_id}),
        await page.get("/models"),
    ]
    assert [answer.status_code for answer in said] == [201, 409, 400, 400, 400, 400, 400, 200, 200, 200, 200, 200]
    for answer in said:
        assert KEY not in answer.text


async def test_running_answers_are_shown_and_stopped(
    page: httpx.AsyncClient, chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    gate = Gate()
    upstream.script = [Say("a secret"), gate, Finish()]
    response = await ask(chat, admin, "fixed")
    await gate.reached.wait()
    listed = await page.get("/running")
    assert [(row["id"], row["email"]) for row in listed.json()["data"]] == [(response.id, "owner@example.org")]
    assert "a secret" not in listed.text
    assert (await page.post(f"/running/{response.id}/stop")).status_code == 204
    assert (await page.post(f"/running/{response.id}/stop")).status_code == 204
    assert (await ended(chat, admin, response)).status == "cancelled"
    assert (await page.get("/running")).json()["data"] == []
    assert (await page.post(f"/running/resp_{NOTHING}/stop")).status_code == 404
