"""Trying the page's next version, and going back: by a button that sets a cookie, which nginx looks at."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tako.core.pages import ROOT
from tests.conftest import Site
from tests.support import page as pages
from tests.support.nginx import nginx

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]
TRY, BACK = "Try the next version", "Back to the current one"


async def menu(tab: Page) -> None:
    await tab.locator("button.user").click()
    await expect(tab.locator(".semi-dropdown-menu")).to_be_visible()


async def test_one_tries_the_next_version_and_goes_back(
    serve: Callable[..., Site], context: BrowserContext, tmp_path: Path
) -> None:
    """Signed in all the time. The next version is another build, told by its title."""
    site = serve('next_version = "on"\ntrusted_proxies = ["127.0.0.1/32"]')
    await site.server.start()
    folder = tmp_path / "nginx"
    shutil.copytree(ROOT, folder / "next")
    document = folder / "next" / "index.html"
    document.write_text(document.read_text().replace("<html", '<html data-version="next"'), encoding="utf-8")
    async with nginx(folder, [site.server.port]) as url:
        await pages.set_up(context, site.server)  # a cookie is for a host, whatever the port
        tab = await pages.opened(context, url)
        root = tab.locator("html")
        await expect(root).not_to_have_attribute("data-version", "next")
        await menu(tab)
        await tab.get_by_text(TRY).click()
        await expect(root).to_have_attribute("data-version", "next")
        await expect(pages.writing(tab)).to_be_visible()
        await menu(tab)
        await expect(tab.get_by_text(TRY)).to_have_count(0)
        await tab.get_by_text(BACK).click()
        await expect(root).not_to_have_attribute("data-version", "next")
        assert not [cookie for cookie in await context.cookies() if cookie["name"] == "next-beta"]


async def test_nobody_is_offered_what_the_owner_has_not_switched_on(tab: Page) -> None:
    """That is how a site comes."""
    await menu(tab)
    await expect(tab.get_by_text("Sign out")).to_be_visible()
    await expect(tab.get_by_text(TRY)).to_have_count(0)
