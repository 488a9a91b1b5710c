"""A real browser, and sites to look at in it.

Starting a browser or a server costs more than most of these tests do, so each of the workers of pytest has one browser
and one site for all tests that leave a site as it was. Each test has a browser profile and an account of its own. They
share an event loop because the browser lives in it.
"""

import shutil
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.conftest import Site, config, owner_with_a_key, sites
from tests.support import page as pages
from tests.support.process import Server
from tests.support.upstream import Upstream
from tests.support.upstream import answer as says

TITLED = 'title_model = "prefixing"\n'
_numbers = count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await pages.launch(playwright)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="session")
async def profiles(browser: Browser) -> AsyncIterator[None]:
    """Closes what a test has opened in the browser that it shares."""
    yield
    for context in list(browser.contexts):
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, profiles: None) -> AsyncIterator[BrowserContext]:
    """A browser profile. What a page says in its console is a failure, and so is what the policy of content refuses."""
    context = await browser.new_context(locale="en-US", permissions=["clipboard-read", "clipboard-write"], **pages.WIDE)
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: said.append(str(error.error)))
    yield context
    assert [line for line in said if "Failed to load resource" not in line] == []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def models() -> AsyncIterator[Upstream]:
    async with Upstream() as scripted:
        yield scripted


@pytest_asyncio.fixture(loop_scope="session")
async def upstream(models: Upstream) -> AsyncIterator[Upstream]:
    """As new: titles come from a model of their own."""
    models.renew()
    models.scripts["prefixing"] = says("Counting with an octopus")
    yield models
    await models.hang_up()


@pytest_asyncio.fixture(loop_scope="session")
async def serve(tmp_path: Path, upstream: Upstream, sqlite_template: Path) -> AsyncIterator[Callable[..., Site]]:
    """Makes sites of the test's own: `await serve(extra_config).server.start()`."""
    async with sites(tmp_path, upstream, sqlite_template) as make:
        yield make


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(
    models: Upstream, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """The site for all tests that leave it as it was. Its owner is in no test."""
    folder = tmp_path_factory.mktemp("shared")
    server = Server(folder, config(models, TITLED + 'registration = "open"'))
    server.data.mkdir(parents=True, mode=0o700)
    shutil.copy(sqlite_template, server.data / "tako.db")
    site = Site(server)
    site.key = await owner_with_a_key(server.database_url, scopes=("chat", "admin"))
    await site.start()
    yield site
    await site.client.aclose()
    await server.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def patient(shared: Site, upstream: Upstream) -> AsyncIterator[Site]:
    """A running site that waits for a silent upstream, and has its titles made by a model of their own. What a test has
    left running there ends with it."""
    yield shared
    while running := (await shared.client.get("/api/owner/running")).json()["data"]:
        for answer in running:
            await shared.client.post(f"/api/owner/running/{answer['id']}/stop")


@pytest.fixture
def email() -> str:
    """Whose account `tab` is."""
    return f"reader{next(_numbers)}@example.org"


@pytest_asyncio.fixture(loop_scope="session")
async def tab(patient: Site, context: BrowserContext, email: str) -> Page:
    """The page of that site, somebody signed in who is new to it."""
    await pages.sign_up(context, patient.server, email)
    return await pages.opened(context, patient.server.url)


@pytest_asyncio.fixture(loop_scope="session")
async def own(serve: Callable[..., Site]) -> Site:
    """A site like `patient` of the test's own, to be changed or killed. It has no account yet: see `owners_tab`."""
    site = serve(TITLED)
    await site.server.start()
    return site


@pytest_asyncio.fixture(loop_scope="session")
async def owners_tab(own: Site, context: BrowserContext) -> Page:
    """The page of that site, its owner signed in: the first account of all."""
    await pages.set_up(context, own.server)
    return await pages.opened(context, own.server.url)
