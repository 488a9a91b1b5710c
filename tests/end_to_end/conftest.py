"""A real browser, and a site with an owner in it."""

from collections.abc import AsyncIterator, Callable

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.conftest import Site
from tests.support import page as pages
from tests.support.upstream import Upstream
from tests.support.upstream import answer as says


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await pages.launch(playwright)
        yield chromium
        await chromium.close()


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser profile. What a page says in its console is a failure, and so is what the policy of content refuses."""
    context = await browser.new_context(locale="en-US", permissions=["clipboard-read", "clipboard-write"], **pages.WIDE)
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: said.append(str(error.error)))
    yield context
    assert [line for line in said if "Failed to load resource" not in line] == []


@pytest.fixture
async def patient(serve: Callable[..., Site], upstream: Upstream) -> Site:
    """A running site that waits for a silent upstream, and has its titles made by a model of their own. It has no
    account yet: see `tab`."""
    upstream.scripts["prefixing"] = says("Counting with an octopus")
    site = serve('title_model = "prefixing"')
    await site.server.start()
    return site


@pytest.fixture
async def tab(patient: Site, context: BrowserContext) -> Page:
    """The page of that site, its owner signed in: the first account of all."""
    await pages.set_up(context, patient.server)
    return await pages.opened(context, patient.server.url)
