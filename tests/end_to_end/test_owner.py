"""The owner's page through the real server: from the one-time link to a model of one's own, and what goes wrong."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from tests.conftest import Site
from tests.support.upstream import Finish, Gate, Say, Status, Upstream

pytestmark = pytest.mark.slow

OWNER = {"email": "me@example.org", "password": "correct horse"}
KEY = "sk-upstream-0123456789abcdef"


@pytest.fixture
def fresh(serve: Callable[..., Site]) -> Site:
    """A site of which nothing is configured; `tako.toml` says where the scripted upstream is, for later."""
    site = serve()
    (site.server.folder / "tako.toml").write_text("[local]\nenabled = false\n", encoding="utf-8")
    return site


@pytest.fixture
async def browser(fresh: Site) -> AsyncIterator[httpx.AsyncClient]:
    """The owner's, right after the one-time link was used."""
    await fresh.server.start()
    url = fresh.server.url
    async with httpx.AsyncClient(base_url=url, headers={"origin": url}, timeout=60, trust_env=False) as client:
        used = await client.post("/api/setup", json={**OWNER, "token": await fresh.server.setup_token()})
        assert used.status_code == 201
        yield client


async def added(browser: httpx.AsyncClient, upstream: Upstream, *models: str) -> str:
    provider = {"kind": "custom", "name": "Mine", "base_url": upstream.url, "api_key": KEY}
    made = await browser.post("/api/owner/providers", json=provider)
    assert made.status_code == 201, made.text
    provider_id = str(made.json()["id"])
    for model in models:
        answer = await browser.post("/api/owner/models", json={"provider_id": provider_id, "upstream_model": model})
        assert answer.status_code == 201, answer.text
    return provider_id


async def ask(browser: httpx.AsyncClient, model: str) -> httpx.Response:
    return await browser.post("/v1/responses", json={"model": model, "input": "hi", "background": True})


async def ended(browser: httpx.AsyncClient, response_id: str) -> dict[str, object]:
    """The response after its last event."""
    await browser.get(f"/v1/responses/{response_id}?stream=true")
    answer: dict[str, object] = (await browser.get(f"/v1/responses/{response_id}")).json()
    return answer


async def models_of(client: httpx.AsyncClient) -> list[str]:
    return [model["id"] for model in (await client.get("/v1/models")).json()["data"]]


async def test_from_the_one_time_link_to_an_answer_and_through_a_restart(
    fresh: Site, browser: httpx.AsyncClient, upstream: Upstream
) -> None:
    site = (await browser.get("/api/site")).json()
    assert (site["needs_setup"], site["real_model"]) == (False, False)
    await browser.patch("/api/owner/site", json={"site_name": "Octopus garden", "registration": "open"})
    await added(browser, upstream, "one", "two")
    assert (await browser.get("/api/site")).json()["real_model"] is True
    await browser.put("/api/owner/models/order", json={"ids": ["two", "one"]})
    assert (await ended(browser, (await ask(browser, "one")).json()["id"]))["status"] == "completed"
    await fresh.server.kill()
    await fresh.server.start()
    assert (await browser.get("/api/site")).json()["name"] == "Octopus garden"
    assert await models_of(browser) == ["two", "one"]
    assert (await ended(browser, (await ask(browser, "two")).json()["id"]))["status"] == "completed"


async def test_a_provider_is_removed_while_it_answers(browser: httpx.AsyncClient, upstream: Upstream) -> None:
    provider_id = await added(browser, upstream, "one")
    gate = Gate()
    upstream.script = [Say("kept "), gate, Say("whole"), Finish()]
    response_id = (await ask(browser, "one")).json()["id"]
    await gate.reached.wait()
    assert (await browser.delete(f"/api/owner/providers/{provider_id}")).status_code == 204
    assert (await ask(browser, "one")).status_code == 404
    gate.opened.set()
    answer = await ended(browser, response_id)
    assert answer["status"] == "completed"
    assert "kept whole" in json.dumps(answer["output"])
    await upstream.idle()


async def test_an_answer_of_a_removed_provider_is_closed_after_a_crash(
    fresh: Site, browser: httpx.AsyncClient, upstream: Upstream
) -> None:
    """Nothing hangs as running, and what was shown stays."""
    provider_id = await added(browser, upstream, "one")
    gate = Gate()
    upstream.script = [Say("shown"), gate, Finish()]
    response_id = (await ask(browser, "one")).json()["id"]
    await gate.reached.wait()
    await browser.delete(f"/api/owner/providers/{provider_id}")
    await fresh.server.kill()
    await fresh.server.start()
    assert (await ended(browser, response_id))["status"] == "incomplete"
    assert (await browser.get("/api/owner/running")).json()["data"] == []


async def test_a_model_for_admins_does_not_exist_for_others(browser: httpx.AsyncClient, upstream: Upstream) -> None:
    await added(browser, upstream, "open", "secret")
    await browser.patch("/api/owner/models/secret", json={"admins_only": True})
    invite = (await browser.post("/api/owner/invites", json={})).json()
    url = str(browser.base_url).rstrip("/")
    async with httpx.AsyncClient(base_url=url, headers={"origin": url}, timeout=60, trust_env=False) as guest:
        ann = {"email": "ann@example.org", "password": "correct horse", "invite": invite["token"]}
        assert (await guest.post("/api/users", json=ann)).status_code == 201
        assert await models_of(guest) == ["open"]
        page_models = (await guest.get("/api/models")).json()["data"]
        assert [model["id"] for model in page_models] == ["open"]
        assert (await guest.get("/v1/models/secret")).status_code == 404
        assert (await ask(guest, "secret")).status_code == 404
        assert (await ask(guest, "open")).status_code == 200
        assert (await guest.get("/api/site")).json()["real_model"] is None
    assert await models_of(browser) == ["open", "secret"]


async def test_the_daily_limit_of_the_page_counts_at_once(browser: httpx.AsyncClient, upstream: Upstream) -> None:
    await added(browser, upstream, "one")
    await browser.patch("/api/owner/site", json={"daily_tokens": 1})
    refused = await ask(browser, "one")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "daily_tokens_exceeded")
    me = (await browser.get("/api/session")).json()["user"]["id"]
    await browser.patch(f"/api/owner/users/{me}", json={"daily_tokens": 0})
    response_id = (await ask(browser, "one")).json()["id"]
    await ended(browser, response_id)
    (seen,) = (await browser.get("/api/owner/users")).json()["data"]
    assert (seen["tokens_today"], seen["daily_tokens"]) == (18, 0)


async def test_an_admin_sees_and_stops_what_runs(browser: httpx.AsyncClient, upstream: Upstream) -> None:
    await added(browser, upstream, "one")
    gate = Gate()
    upstream.script = [Say("never shown here"), gate, Finish()]
    response_id = (await ask(browser, "one")).json()["id"]
    await gate.reached.wait()
    listed = await browser.get("/api/owner/running")
    assert [row["id"] for row in listed.json()["data"]] == [response_id]
    assert "never shown here" not in listed.text
    assert (await browser.post(f"/api/owner/running/{response_id}/stop")).status_code == 204
    await upstream.idle()
    assert (await ended(browser, response_id))["status"] == "cancelled"


async def test_what_tako_toml_says_wins_and_is_shown_as_fixed(fresh: Site, browser: httpx.AsyncClient) -> None:
    await browser.patch("/api/owner/site", json={"site_name": "From the page", "daily_tokens": 5})
    said = json.loads(await fresh.server.tako("config", "--json"))
    assert {row["name"]: row["source"] for row in said}["site_name"] == "page"
    await fresh.server.kill()
    file = fresh.server.folder / "tako.toml"
    file.write_text(f'site_name = "From the file"\n{file.read_text()}', encoding="utf-8")
    await fresh.server.start()
    own = (await browser.get("/api/owner/site")).json()
    assert (own["site_name"], own["daily_tokens"], own["fixed"]) == ("From the file", 5, {"site_name": str(file)})
    refused = await browser.patch("/api/owner/site", json={"site_name": "Again"})
    assert (refused.status_code, refused.json()["code"]) == (409, "fixed_setting")
    assert f"On the page: From the page, which {file} overrides." in await fresh.server.tako("config")


async def test_no_key_is_in_a_log_an_answer_of_the_api_or_what_users_see(
    fresh: Site, browser: httpx.AsyncClient, upstream: Upstream
) -> None:
    provider_id = await added(browser, upstream, "one")
    upstream.script = [Status(401, json.dumps({"error": {"message": f"no such key: {KEY}"}}).encode())]
    upstream.models = (500, KEY.encode())
    failed = await ended(browser, (await ask(browser, "one")).json()["id"])
    assert failed["status"] == "failed"
    said = [json.dumps(failed)]
    for path in ("/api/owner/providers", "/api/owner/models", "/v1/models", "/api/owner/site", "/openapi.json"):
        said.append((await browser.get(path)).text)
    test = {"provider_id": provider_id, "upstream_model": "one"}
    said.append((await browser.post("/api/owner/models/test", json=test)).text)
    said.append((await browser.post("/api/owner/models/offered", json={"provider_id": provider_id})).text)
    wrong = {"name": "n", "base_url": upstream.url, "api_key": f"{KEY} {KEY}", "more": KEY}
    said.append((await browser.post("/api/owner/providers", json=wrong)).text)
    said.append(await fresh.server.tako("config"))
    said.append(fresh.server.log())
    assert "refused our key" in said[0]
    for text in said:
        assert KEY not in text
    with sqlite3.connect(fresh.server.data / "tako.db") as db:
        assert db.execute("SELECT api_key FROM providers").fetchall() == [(KEY,)]
    assert fresh.server.data.stat().st_mode & 0o077 == 0


async def test_answers_and_changes_at_once_lose_nothing(browser: httpx.AsyncClient, upstream: Upstream) -> None:
    """Every answer that was begun ends whole, while its provider is changed under it again and again."""
    provider_id = await added(browser, upstream, "one")
    upstream.script = [Say("a "), Say("whole "), Say("answer"), Finish()]

    async def asking() -> list[str]:
        return [(await ask(browser, "one")).json()["id"] for _ in range(10)]

    async def changing() -> None:
        for n in range(10):
            body = {"name": f"Mine {n}", "api_key": f"{KEY}{n}"}
            assert (await browser.patch(f"/api/owner/providers/{provider_id}", json=body)).status_code == 200

    *asked, _ = await asyncio.gather(asking(), asking(), changing())
    for response_id in [response_id for ids in asked if ids for response_id in ids]:
        answer = await ended(browser, response_id)
        assert answer["status"] == "completed"
        assert "a whole answer" in json.dumps(answer["output"])
