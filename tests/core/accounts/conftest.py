"""An accounts-only site on each kind of database."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse

from tako.core.accounts import http, owner_http, passwords
from tako.core.accounts.accounts import Accounts
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.limits import SignInLimit
from tako.core.db import Database
from tako.core.errors import TakoError
from tako.core.http import problem
from tako.core.proxies import Proxies
from tako.core.site import http as site_http
from tako.core.site.settings import Choices, Registration, SiteSettings

SITE = "http://site.example"


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real hash takes a tenth of a second of all cores, which only `test_passwords` needs."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))


@pytest.fixture
def accounts(db: Database) -> Accounts:
    return Accounts(db, SiteSettings(db, Choices("Kitchen", "open", 0, None), {}), 30, SignInLimit())


def with_registration(accounts: Accounts, registration: Registration) -> Accounts:
    """The same site, with other rules of who may sign up."""
    return replace(accounts, site=SiteSettings(accounts.db, Choices("Kitchen", registration, 0, None), {}))


@pytest.fixture
def authenticator(db: Database) -> Authenticator:
    return Authenticator(db, Proxies(["10.0.0.0/8"]), None)


@pytest.fixture
def site(accounts: Accounts, authenticator: Authenticator) -> FastAPI:
    api = FastAPI()

    async def tokens_today(users: Sequence[str]) -> Mapping[str, int]:
        return {users[0]: 42} if users else {}

    api.include_router(site_http.router(accounts.site, authenticator, lambda: False, {"known"}.__contains__))
    api.include_router(http.router(accounts, authenticator))
    api.include_router(owner_http.router(accounts.db, authenticator, tokens_today))

    @api.exception_handler(TakoError)
    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, TakoError)
        return JSONResponse(problem(error, None), error.status)

    return api


def browser_of(site: FastAPI) -> httpx.AsyncClient:
    """Keeps cookies, and sends Origin as our own page does."""
    transport = httpx.ASGITransport(app=site, client=("198.51.100.7", 50000))
    return httpx.AsyncClient(transport=transport, base_url=SITE, headers={"origin": SITE})


@pytest.fixture
async def browser(site: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(site) as client:
        yield client
