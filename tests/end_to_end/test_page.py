"""The built-in page in a real browser: ask, refresh, a second tab, Stop, and a server that dies."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, async_playwright, expect

from tests.conftest import Site
from tests.support.upstream import Finish, Gate, Say, Think, Upstream, words

pytestmark = [pytest.mark.slow, pytest.mark.browser]

EMAIL, PASSWORD = "me@example.org", "correct horse"
LOOKS: dict[str, dict[str, Any]] = {
    "en-light-wide": {"locale": "en-US", "color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "zh-dark-wide": {"locale": "zh-CN", "color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "zh-light-narrow": {"locale": "zh-CN", "color_scheme": "light", "viewport": {"width": 360, "height": 740}},
    "en-dark-narrow": {"locale": "en-US", "color_scheme": "dark", "viewport": {"width": 360, "height": 740}},
}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        await chromium.close()


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser profile. What a page says in its console is a failure."""
    context = await browser.new_context(locale="en-US")
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: said.append(str(error.error)))
    yield context
    assert [line for line in said if "Failed to load resource" not in line] == []


@pytest.fixture
async def page(serve: Callable[..., Site], context: BrowserContext) -> tuple[Page, Site]:
    """The page of a new site, opened with the link that the server printed, with the first account made there."""
    site = serve()
    await site.server.start()
    page = await context.new_page()
    await page.goto(f"{site.server.url}/setup#token={await site.server.setup_token()}")
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Make the first account").click()
    await expect(page.get_by_label("Ask anything")).to_be_visible()
    assert "token" not in page.url
    return page, site


async def ask(page: Page, text: str) -> None:
    await page.get_by_label("Ask anything").fill(text)
    await page.keyboard.press("Enter")


def answer(page: Page) -> Locator:
    """The text of the newest answer."""
    return page.locator("article.assistant .text").last


async def test_an_answer_survives_a_refresh_and_a_second_tab(page: tuple[Page, Site], upstream: Upstream) -> None:
    """What came before, what came while nobody looked and what comes after: once each, in every tab."""
    gate, second_gate = Gate(), Gate()
    upstream.script = [Think("well"), Say("one "), gate, Say("two "), second_gate, Say("three 🐙"), Finish()]
    first, _ = page
    await ask(first, "count")
    await expect(answer(first)).to_have_text("one")
    await first.reload()
    await expect(answer(first)).to_have_text("one")
    second = await first.context.new_page()
    await second.goto(first.url)
    gate.opened.set()
    for tab in (first, second):
        await expect(answer(tab)).to_have_text("one two")
    second_gate.opened.set()
    for tab in (first, second):
        await expect(answer(tab)).to_have_text("one two three 🐙")
        await expect(tab.get_by_role("button", name="Send")).to_be_visible()


async def test_a_killed_server_costs_the_page_nothing(page: tuple[Page, Site], upstream: Upstream) -> None:
    """The page says that it is cut off, comes back by itself and shows what is stored."""
    gate = Gate()
    text = "".join(words(5, 60))
    upstream.script = [Say(text), gate, Finish()]
    tab, site = page
    await ask(tab, "go")
    await expect(answer(tab)).to_have_text(text.strip(), use_inner_text=False)
    await site.server.kill()
    await expect(tab.get_by_role("status")).to_contain_text("Connection lost")
    await site.server.start()
    await expect(tab.locator(".note")).to_have_text("This answer is not complete.", timeout=30_000)
    shown = await answer(tab).text_content()
    assert shown == text
    await tab.reload()
    await expect(tab.locator(".note")).to_have_text("This answer is not complete.")
    assert await answer(tab).text_content() == text


async def test_stop_in_one_tab_stops_it_in_the_other(page: tuple[Page, Site], upstream: Upstream) -> None:
    """Stop is heard by the upstream too; the next question is answered."""
    gate = Gate()
    upstream.script = [Say("for ever"), gate, Say(" and ever"), Finish()]
    first, _ = page
    await ask(first, "go on")
    await expect(answer(first)).to_have_text("for ever")
    second = await first.context.new_page()
    await second.goto(first.url)
    await second.get_by_role("button", name="Stop").click()
    for tab in (first, second):
        await expect(tab.locator(".note")).to_have_text("Stopped.")
    await upstream.idle()
    upstream.script = [Say("another"), Finish()]
    await ask(first, "and now")
    await expect(answer(first)).to_have_text("another")


async def test_an_error_is_said_in_words_and_the_question_is_kept(page: tuple[Page, Site]) -> None:
    """No connection when asking: the text is still there to be sent again."""
    tab, site = page
    await site.server.kill()
    await ask(tab, "are you there?")
    await expect(tab.get_by_role("alert")).to_contain_text("cannot be reached")
    await expect(tab.get_by_label("Ask anything")).to_have_value("are you there?")


async def test_pictures_of_the_page(
    page: tuple[Page, Site], browser: Browser, upstream: Upstream, pytestconfig: pytest.Config
) -> None:
    """In both languages, light and dark, nothing is wider than the window; `--pictures DIR` keeps it."""
    folder = pytestconfig.getoption("--pictures")
    _, site = page
    for number, (name, look) in enumerate(LOOKS.items()):
        gate = Gate()
        upstream.script = [
            Think("Eight arms…"),
            Say("An octopus has three hearts.\n\n章鱼有三颗心脏。\n" * 6),
            gate,
            Finish(),
        ]
        context = await browser.new_context(**look)
        tab = await context.new_page()
        await tab.goto(site.server.url)
        await tab.locator("form").wait_for()
        await picture(tab, folder, f"{name}-sign-in")
        await tab.locator("input[name=email]").fill(EMAIL)
        await tab.locator("input[name=password]").fill(PASSWORD)
        await tab.keyboard.press("Enter")
        await tab.locator("textarea").wait_for()
        await picture(tab, folder, f"{name}-empty")
        await tab.locator("textarea").fill(f"Tell me about the octopus, 第{number}次")
        await tab.keyboard.press("Enter")
        await expect(answer(tab)).to_contain_text("三颗心脏")
        await picture(tab, folder, f"{name}-running")
        gate.opened.set()
        await expect(tab.locator(".caret")).to_have_count(0)
        await picture(tab, folder, f"{name}-ended")
        await context.close()


async def picture(tab: Page, folder: Path | None, name: str) -> None:
    width, visible = await tab.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= visible, f"{name} is wider than the window"
    if folder:
        await tab.screenshot(path=folder / f"{name}.png")
