"""/api/owner/users and /api/owner/invites as the owner's page uses them."""

import httpx
from fastapi import FastAPI

from tako.core.accounts.accounts import Accounts
from tests.core.accounts.test_http import ANN, set_up
from tests.core.conftest import browser_of

NOBODY = "user_" + "0" * 32
ROUTES = (
    ("GET", "/api/owner/users"),
    ("PATCH", f"/api/owner/users/{NOBODY}"),
    ("POST", f"/api/owner/users/{NOBODY}/disable"),
    ("POST", f"/api/owner/users/{NOBODY}/enable"),
    ("POST", f"/api/owner/users/{NOBODY}/reset"),
    ("GET", "/api/owner/invites"),
    ("POST", "/api/owner/invites"),
    ("DELETE", f"/api/owner/invites/inv_{'0' * 32}"),
)


async def test_all_of_it_is_for_admins_only(site: FastAPI, browser: httpx.AsyncClient) -> None:
    await browser.post("/api/users", json=ANN)
    async with browser_of(site) as visitor:
        for method, path in ROUTES:
            answer = await browser.request(method, path, json={})
            assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope"), path
            assert (await visitor.request(method, path, json={})).status_code == 401, path


async def test_another_site_cannot_make_an_admins_browser_do_it(accounts: Accounts, browser: httpx.AsyncClient) -> None:
    await set_up(accounts, browser)
    for method, path in ROUTES:
        answer = await browser.request(method, path, json={}, headers={"origin": "http://evil.example"})
        assert method == "GET" or (answer.status_code, answer.json()["code"]) == (403, "bad_origin"), path


async def test_an_invited_person_signs_up(accounts: Accounts, site: FastAPI, browser: httpx.AsyncClient) -> None:
    await set_up(accounts, browser)
    made = (await browser.post("/api/owner/invites", json={"note": "Ann"})).json()
    assert made["path"] == f"/#invite={made['token']}"
    listed = (await browser.get("/api/owner/invites")).json()["data"]
    assert [(row["id"], row["note"], row["created_by"]) for row in listed] == [(made["id"], "Ann", "owner@example.org")]
    assert made["token"] not in str(listed)
    async with browser_of(site) as guest:
        assert (await guest.post("/api/users", json={**ANN, "invite": made["token"]})).status_code == 201
        assert (await guest.post("/api/users", json={**ANN, "invite": made["token"]})).status_code == 403
    assert (await browser.get("/api/owner/invites")).json()["data"] == []
    assert (await browser.delete(f"/api/owner/invites/{made['id']}")).status_code == 404
    assert (await browser.delete("/api/owner/invites/%00")).status_code == 404


async def test_an_invitation_is_taken_back(accounts: Accounts, site: FastAPI, browser: httpx.AsyncClient) -> None:
    await set_up(accounts, browser)
    made = (await browser.post("/api/owner/invites", json={})).json()
    assert (await browser.delete(f"/api/owner/invites/{made['id']}")).status_code == 204
    async with browser_of(site) as guest:
        assert (await guest.post("/api/users", json={**ANN, "invite": made["token"]})).status_code == 403


async def test_users_are_listed_in_pages_with_todays_tokens(
    accounts: Accounts, site: FastAPI, browser: httpx.AsyncClient
) -> None:
    await set_up(accounts, browser)
    async with browser_of(site) as ann:
        await ann.post("/api/users", json=ANN)
    first = (await browser.get("/api/owner/users?limit=1")).json()
    assert ([user["email"] for user in first["data"]], first["has_more"]) == (["owner@example.org"], True)
    assert (first["data"][0]["tokens_today"], first["data"][0]["daily_tokens"]) == (42, None)
    rest = (await browser.get(f"/api/owner/users?limit=1&after={first['data'][0]['id']}")).json()
    assert ([user["email"] for user in rest["data"]], rest["has_more"]) == (["ann@example.org"], False)
    found = (await browser.get("/api/owner/users?search=ann")).json()["data"]
    assert [user["email"] for user in found] == ["ann@example.org"]
    assert "password" not in str(found)


async def test_what_no_list_can_be_asked_is_refused(accounts: Accounts, browser: httpx.AsyncClient) -> None:
    await set_up(accounts, browser)
    for query in ("after=%00", "after=nobody", "search=%00", "search=a%0Ab", "limit=0", "limit=201"):
        assert (await browser.get(f"/api/owner/users?{query}")).status_code in (400, 422), query


async def test_an_admin_disables_and_enables_a_user_at_once(
    accounts: Accounts, site: FastAPI, browser: httpx.AsyncClient
) -> None:
    await set_up(accounts, browser)
    async with browser_of(site) as ann:
        user = (await ann.post("/api/users", json=ANN)).json()["user"]
        assert (await browser.post(f"/api/owner/users/{user['id']}/disable")).status_code == 204
        assert (await ann.get("/api/session")).status_code == 401
        assert (await ann.post("/api/session", json=ANN)).status_code == 401
        assert (await browser.get("/api/owner/users?search=ann")).json()["data"][0]["disabled"] is True
        assert (await browser.post(f"/api/owner/users/{user['id']}/enable")).status_code == 204
        assert (await ann.post("/api/session", json=ANN)).status_code == 201


async def test_an_admin_cannot_disable_themselves(accounts: Accounts, browser: httpx.AsyncClient) -> None:
    me = (await set_up(accounts, browser)).json()["user"]
    assert (await browser.post(f"/api/owner/users/{me['id']}/disable")).status_code == 403


async def test_a_person_sets_a_new_password_with_the_link_and_is_signed_in(
    accounts: Accounts, site: FastAPI, browser: httpx.AsyncClient
) -> None:
    await set_up(accounts, browser)
    async with browser_of(site) as ann:
        user = (await ann.post("/api/users", json=ANN)).json()["user"]
        link = (await browser.post(f"/api/owner/users/{user['id']}/reset")).json()
        assert link["path"] == f"/reset#token={link['token']}"
        assert (await ann.get("/api/session")).status_code == 401
        short = await ann.post("/api/reset", json={"token": link["token"], "password": "short"})
        assert short.status_code == 400
        answer = await ann.post("/api/reset", json={"token": link["token"], "password": "another horse"})
        assert answer.status_code == 201
        assert (await ann.get("/api/session")).json()["user"]["id"] == user["id"]
        again = await ann.post("/api/reset", json={"token": link["token"], "password": "a third horse"})
        assert (again.status_code, again.json()["code"]) == (403, "invalid_reset")


async def test_an_admin_is_made_limited_and_unmade(
    accounts: Accounts, site: FastAPI, browser: httpx.AsyncClient
) -> None:
    await set_up(accounts, browser)
    async with browser_of(site) as ann:
        user = (await ann.post("/api/users", json=ANN)).json()["user"]
        path = f"/api/owner/users/{user['id']}"
        changed = (await browser.patch(path, json={"admin": True, "daily_tokens": 7})).json()
        assert (changed["admin"], changed["daily_tokens"]) == (True, 7)
        assert (await ann.get("/api/owner/users")).status_code == 200
        changed = (await browser.patch(path, json={"admin": False})).json()
        assert (changed["admin"], changed["daily_tokens"]) == (False, 7)
        assert (await ann.get("/api/owner/users")).status_code == 403
        assert (await browser.patch(path, json={"daily_tokens": None})).json()["daily_tokens"] is None


async def test_what_no_user_can_be_is_refused(accounts: Accounts, browser: httpx.AsyncClient) -> None:
    me = (await set_up(accounts, browser)).json()["user"]
    for body in ({"daily_tokens": -1}, {"daily_tokens": 2**60}, {"admin": "yes"}, {"admin": None}):
        assert (await browser.patch(f"/api/owner/users/{me['id']}", json=body)).status_code == 422, body
