"""/api as a browser and a script use it."""

import httpx
import pytest
from fastapi import FastAPI

from tako.core.accounts import accounts as rules
from tako.core.accounts.accounts import Accounts
from tests.core.conftest import browser_of

ANN = {"email": "ann@example.org", "password": "correct horse"}
OWNER = {"email": "owner@example.org", "password": "correct horse"}


async def set_up(accounts: Accounts, browser: httpx.AsyncClient) -> httpx.Response:
    link = await rules.first_admin_link(accounts.db, "http://site.example")
    assert link is not None
    return await browser.post("/api/setup", json={**OWNER, "token": link.partition("#token=")[2]})


async def test_a_new_site_needs_setup_until_the_link_is_used(accounts: Accounts, browser: httpx.AsyncClient) -> None:
    site = {"name": "Kitchen", "registration": "open", "next_version": False}
    assert (await browser.get("/api/site")).json() == {**site, "needs_setup": True, "real_model": None}
    answer = await set_up(accounts, browser)
    assert answer.status_code == 201
    assert answer.json()["user"]["admin"] is True
    assert (await browser.get("/api/site")).json() == {**site, "needs_setup": False, "real_model": False}


async def test_signing_up_signs_in(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/api/users", json=ANN)
    assert answer.status_code == 201
    assert "HttpOnly; SameSite=Lax" in answer.headers["set-cookie"]
    me = (await browser.get("/api/session")).json()["user"]
    assert (me["email"], me["admin"], me["disabled"]) == ("ann@example.org", False, False)


async def test_signing_in_and_out(browser: httpx.AsyncClient) -> None:
    await browser.post("/api/users", json=ANN)
    assert (await browser.delete("/api/session")).status_code == 204
    assert "tako_session" not in browser.cookies
    assert (await browser.get("/api/session")).status_code == 401
    assert (await browser.post("/api/session", json=ANN)).status_code == 201
    assert (await browser.get("/api/session")).status_code == 200


async def test_a_password_is_changed_by_who_knows_it_and_ends_all_other_sessions(
    site: FastAPI, browser: httpx.AsyncClient
) -> None:
    """This browser stays signed in, keys stay, and only the new password signs in."""
    await browser.post("/api/users", json=ANN)
    key = (await browser.post("/api/keys", json={"name": "laptop", "scopes": ["account"]})).json()["key"]
    new = {"email": ANN["email"], "password": "another horse"}
    async with browser_of(site) as elsewhere, browser_of(site) as script:
        script.headers["authorization"] = f"Bearer {key}"
        assert (await elsewhere.post("/api/session", json=ANN)).status_code == 201
        wrong = {"current_password": "a guess", "password": new["password"]}
        refused = await browser.put("/api/password", json=wrong)
        assert (refused.status_code, refused.json()["code"]) == (403, "wrong_current_password")
        weak = await browser.put("/api/password", json={"current_password": ANN["password"], "password": "short"})
        assert (weak.status_code, weak.json()["code"]) == (400, "weak_password")
        assert (await elsewhere.get("/api/session")).status_code == 200
        changed = {"current_password": ANN["password"], "password": new["password"]}
        assert (await browser.put("/api/password", json=changed)).status_code == 204
        assert (await browser.get("/api/session")).status_code == 200
        assert (await elsewhere.get("/api/session")).status_code == 401
        assert (await script.get("/api/session")).status_code == 200
        assert (await elsewhere.post("/api/session", json=ANN)).status_code == 401
        assert (await elsewhere.post("/api/session", json=new)).status_code == 201


async def test_the_current_password_is_not_guessed_from_a_browser_that_was_left_signed_in(
    browser: httpx.AsyncClient,
) -> None:
    """The same count as at the sign-in: the right one is refused as well until it is old."""
    await browser.post("/api/users", json=ANN)
    for n in range(10):
        body = {"current_password": f"guess {n}", "password": "another horse"}
        assert (await browser.put("/api/password", json=body)).status_code == 403
    body = {"current_password": ANN["password"], "password": "another horse"}
    assert (await browser.put("/api/password", json=body)).status_code == 429
    assert (await browser.get("/api/session")).status_code == 200


async def test_a_visitor_or_another_site_changes_no_password(site: FastAPI, browser: httpx.AsyncClient) -> None:
    body = {"current_password": ANN["password"], "password": "another horse"}
    assert (await browser.put("/api/password", json=body)).status_code == 401
    await browser.post("/api/users", json=ANN)
    foreign = await browser.put("/api/password", json=body, headers={"origin": "https://elsewhere.example"})
    assert foreign.status_code == 403
    assert (await browser.post("/api/session", json=ANN)).status_code == 201


async def test_nothing_about_passwords_or_hashes_is_ever_answered(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/api/users", json=ANN)
    assert set(answer.json()["user"]) == {"id", "email", "admin", "disabled", "created_at"}


@pytest.mark.parametrize("path", ["/api/session", "/api/users", "/api/setup", "/api/reset"])
async def test_another_site_cannot_sign_a_visitor_in(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.post(path, json={**ANN, "token": "t"}, headers={"origin": "http://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "bad_origin")


@pytest.mark.parametrize(
    "body", [{}, {"email": "a@b"}, {"email": 1, "password": "x"}, {"email": "a@b", "password": None}]
)
async def test_bodies_of_wrong_types_are_refused(browser: httpx.AsyncClient, body: object) -> None:
    assert (await browser.post("/api/session", json=body)).status_code == 422


async def test_a_key_is_made_shown_once_used_and_revoked(site: FastAPI, browser: httpx.AsyncClient) -> None:
    await browser.post("/api/users", json=ANN)
    made = (await browser.post("/api/keys", json={"name": "laptop", "scopes": ["chat", "account"]})).json()
    async with browser_of(site) as script:
        script.headers = httpx.Headers({"authorization": f"Bearer {made['key']}"})
        assert (await script.get("/api/session")).json()["user"]["email"] == "ann@example.org"
        listed = (await browser.get("/api/keys")).json()["data"]
        assert [key["id"] for key in listed] == [made["id"]]
        assert made["key"] not in str(listed)
        assert (await browser.delete(f"/api/keys/{made['id']}")).status_code == 204
        assert (await script.get("/api/session")).status_code == 401
    assert (await browser.get("/api/keys")).json()["data"] == []


async def test_a_key_that_may_only_chat_touches_no_account(site: FastAPI, browser: httpx.AsyncClient) -> None:
    await browser.post("/api/users", json=ANN)
    made = (await browser.post("/api/keys", json={"name": "laptop"})).json()
    async with browser_of(site) as script:
        script.headers = httpx.Headers({"authorization": f"Bearer {made['key']}"})
        for method, path, body in (
            ("GET", "/api/session", None),
            ("GET", "/api/keys", None),
            ("POST", "/api/keys", {"name": "more", "scopes": ["account"]}),
            ("DELETE", f"/api/keys/{made['id']}", None),
            ("GET", "/api/owner/users", None),
        ):
            answer = await script.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope"), path


async def test_somebody_elses_key_is_as_unknown_as_one_that_never_was(
    site: FastAPI, browser: httpx.AsyncClient
) -> None:
    await browser.post("/api/users", json=ANN)
    made = (await browser.post("/api/keys", json={"name": "laptop"})).json()
    async with browser_of(site) as other:
        await other.post("/api/users", json={**ANN, "email": "ben@example.org"})
        taken = await other.delete(f"/api/keys/{made['id']}")
        unknown = await other.delete("/api/keys/key_00000000000000000000000000000000")
        odd = await other.delete("/api/keys/%00")
    assert taken.status_code == 404
    assert taken.json() == unknown.json() == odd.json()
    assert len((await browser.get("/api/keys")).json()["data"]) == 1


async def test_guessing_passwords_is_told_to_wait(browser: httpx.AsyncClient) -> None:
    await browser.post("/api/users", json=ANN)
    wrong = {**ANN, "password": "wrong horse"}
    assert [(await browser.post("/api/session", json=wrong)).status_code for _ in range(11)] == [401] * 10 + [429]
    assert (await browser.post("/api/session", json=ANN)).status_code == 429
