"""/api/site and /api/owner/site as a browser uses them."""

import httpx
from fastapi import FastAPI

from tako.core.accounts.accounts import Accounts
from tests.core.accounts.test_http import ANN, set_up
from tests.core.conftest import browser_of


async def test_an_admin_names_the_site_and_opens_it(
    accounts: Accounts, site: FastAPI, browser: httpx.AsyncClient
) -> None:
    await set_up(accounts, browser)
    answer = await browser.patch("/api/owner/site", json={"site_name": "Octopus garden", "registration": "closed"})
    assert answer.json() == {
        "site_name": "Octopus garden",
        "registration": "closed",
        "daily_tokens": 0,
        "title_model": None,
        "fixed": {},
        "places": [],
    }
    async with browser_of(site) as visitor:
        assert (await visitor.get("/api/site")).json()["name"] == "Octopus garden"
        refused = await visitor.post("/api/users", json=ANN)
    assert (refused.status_code, refused.json()["code"]) == (403, "registration_closed")


async def test_others_may_neither_read_nor_change_it(site: FastAPI, browser: httpx.AsyncClient) -> None:
    await browser.post("/api/users", json=ANN)
    for method in ("GET", "PATCH"):
        assert (await browser.request(method, "/api/owner/site", json={})).status_code == 403
        async with browser_of(site) as visitor:
            assert (await visitor.request(method, "/api/owner/site", json={})).status_code == 401


async def test_what_no_setting_can_be_is_refused(accounts: Accounts, browser: httpx.AsyncClient) -> None:
    await set_up(accounts, browser)
    for body in (
        {"registration": "everybody"},
        {"daily_tokens": -1},
        {"daily_tokens": "5"},
        {"daily_tokens": None},
        {"site_name": None},
        {"site_name": "x" * 10_000},
        {"sitename": "misspelt"},
    ):
        assert (await browser.patch("/api/owner/site", json=body)).status_code == 422, body


async def test_titles_are_made_by_a_model_that_there_is(accounts: Accounts, browser: httpx.AsyncClient) -> None:
    await set_up(accounts, browser)
    refused = await browser.patch("/api/owner/site", json={"title_model": "unknown"})
    assert (refused.status_code, refused.json()["code"]) == (400, "model_not_found")
    assert (await browser.patch("/api/owner/site", json={"title_model": "known"})).json()["title_model"] == "known"
    assert (await browser.patch("/api/owner/site", json={"title_model": None})).json()["title_model"] is None
