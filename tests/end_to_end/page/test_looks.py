"""Every state of every page, in both languages and themes, wide and narrow: nothing keeps anybody out, nothing is wider
than the window. `make pictures` keeps what was seen."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from tests.conftest import Site
from tests.support import samples
from tests.support.migration import STOPPED, Migration
from tests.support.page import EMAIL, PASSWORD, answer, ask, ended, serious, set_up
from tests.support.postgres import Postgres
from tests.support.upstream import Cut, Finish, Gate, Say, Status, Think, Upstream
from tests.support.upstream import answer as says

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

WIDTHS = {"wide": (1280, 800), "narrow": (360, 740)}


class Look:
    """One language. `at(state)` looks at the page as it is now: at both themes wide, and narrow whether all fits in."""

    def __init__(self, tab: Page, language: str, folder: Path | None) -> None:
        self.tab = tab
        self.language = language
        self.folder = folder
        self.found: list[str] = []

    async def at(self, state: str, *widths: str) -> None:
        for width in widths or WIDTHS:
            await self.tab.set_viewport_size({"width": WIDTHS[width][0], "height": WIDTHS[width][1]})
            for theme in ("light", "dark"):
                await self._at(state, width, theme, judged=width == "wide" or widths == ("narrow",))
        await self.tab.set_viewport_size({"width": 1280, "height": 800})

    async def _at(self, state: str, width: str, theme: Literal["light", "dark"], *, judged: bool) -> None:
        name = f"{state}-{self.language}-{theme}-{width}"
        await self.tab.emulate_media(color_scheme=theme, reduced_motion="reduce")
        await self.tab.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
        await self.tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if self.folder:
            await self.tab.screenshot(path=self.folder / f"{name}.png", animations="disabled")
        needed, given = await self.tab.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
        if needed > given:
            self.found.append(f"{name} is {needed} wide")
        if judged:
            self.found += [f"{name}: {violation}" for violation in await serious(self.tab)]


LANGUAGES = pytest.mark.parametrize(("language", "locale"), [("en", "en-US"), ("zh", "zh-CN")])


@LANGUAGES
async def test_every_page_in_both_themes(
    serve: Callable[..., Site],
    browser: Browser,
    upstream: Upstream,
    pytestconfig: pytest.Config,
    language: str,
    locale: str,
) -> None:
    """From the one-time link to the owner's page, through all that an answer can be."""
    site = serve('daily_tokens = 200000\ntitle_model = "prefixing"')
    await site.server.start()
    context = await browser.new_context(locale=locale)
    look = Look(await context.new_page(), language, pytestconfig.getoption("--pictures"))
    await first_run(look, site)
    await conversations(look, upstream, samples.of(language))
    await owners_page(look, site)
    await visitors(look, site)
    assert not look.found, "\n".join(look.found)


@LANGUAGES
async def test_a_migration_in_both_themes(
    serve: Callable[..., Site],
    browser: Browser,
    profiles: None,
    postgres: Postgres,
    pytestconfig: pytest.Config,
    tmp_path: Path,
    language: str,
    locale: str,
) -> None:
    """From the plan to the end, as the page shows it to an owner who never reloads."""
    site = serve(f'ferry_plan = "{tmp_path / "plan.json"}"')
    await site.server.start()
    context = await browser.new_context(locale=locale)
    await set_up(context, site.server)
    look = Look(await context.new_page(), language, pytestconfig.getoption("--pictures"))
    with Migration(tmp_path, postgres.new_database()) as moving:
        await migration(look, site, moving)
    assert not look.found, "\n".join(look.found)


async def first_run(look: Look, site: Site) -> None:
    tab = look.tab
    await tab.goto(f"{site.server.url}/setup#token={await site.server.setup_token()}")
    await tab.locator("input[name=email]").fill(EMAIL)
    await look.at("first-run-account")
    await tab.locator("input[name=password]").fill(PASSWORD)
    await tab.keyboard.press("Enter")
    await expect(tab.locator("input[name=site]")).to_be_visible()
    await look.at("first-run-name")
    await tab.keyboard.press("Enter")
    await expect(tab.locator("#ask")).to_be_visible()


async def conversations(look: Look, upstream: Upstream, texts: samples.Texts) -> None:
    tab = look.tab
    upstream.scripts["prefixing"] = says(texts.title)
    await look.at("empty")

    gate = Gate()
    upstream.script = [Think(texts.thoughts), Say(texts.rich), gate, Say(texts.end), Finish(usage=(42, 318))]
    await ask(tab, texts.question)
    await expect(tab.locator(".katex").first).to_be_visible()
    await tab.locator(".reasoning summary").click()
    await expect(tab.locator(".hljs-keyword").first).to_be_visible()
    await look.at("streaming")
    gate.opened.set()
    await ended(tab)
    await tab.locator(".messages").evaluate("box => box.scrollTop = 0")
    await look.at("answer-top")

    await tab.locator(".messages").evaluate("box => box.scrollTop = box.scrollHeight")
    await look.at("answer-end")
    upstream.script = says(texts.long_code)
    await ask(tab, texts.code_question)
    await ended(tab)
    await look.at("long-code")
    upstream.script = says(texts.wide_table)
    await ask(tab, texts.table_question)
    await ended(tab)
    await tab.locator("article.answer footer .act").last.focus()
    await look.at("wide-table")

    upstream.script = [Say(texts.half), Cut()]
    await ask(tab, texts.question)
    await ended(tab)
    await look.at("interrupted")
    upstream.script = [Status(401)]
    await ask(tab, texts.code_question)
    await expect(tab.locator(".ending.failed")).to_have_count(2)
    await ended(tab)
    await look.at("failed")

    upstream.script = [Say(texts.half), Gate(), Finish()]
    await ask(tab, texts.question)
    await expect(answer(tab)).to_contain_text(texts.half[:10])
    await tab.context.set_offline(True)
    await expect(tab.locator(".connection.lost")).to_be_visible(timeout=40_000)
    await look.at("offline")
    await tab.context.set_offline(False)
    await expect(tab.locator(".connection.lost")).to_be_hidden(timeout=40_000)
    await tab.locator(".round").click()
    await ended(tab)
    await look.at("stopped", "narrow")

    await tab.locator("article.question .act").last.click()
    await expect(tab.locator(".editor")).to_be_visible()
    await look.at("editing")
    await tab.keyboard.press("Escape")
    await tab.locator(".entry .act").first.click()
    await expect(tab.locator(".semi-dropdown-menu")).to_be_visible()
    await look.at("menu", "wide")
    await tab.locator(".semi-dropdown-item").first.click()
    await expect(tab.locator(".semi-modal-content input")).to_be_visible()
    await look.at("rename")
    await tab.keyboard.press("Escape")
    await expect(tab.locator(".semi-modal-content")).to_have_count(0)
    await tab.set_viewport_size({"width": 360, "height": 740})
    await tab.locator(".bar .act").first.click()
    await expect(tab.locator(".sidebar.open")).to_be_visible()
    await look.at("list", "narrow")
    await tab.keyboard.press("Escape")


async def owners_page(look: Look, site: Site) -> None:
    tab = look.tab
    await site.server.tako("user", "create", "reader@example.org", stdin="correct horse\n")
    for part in ("models", "users", "usage", "site"):
        await tab.goto(f"{site.server.url}/owner/{part}")
        await expect(tab.locator(".rows .row, .figures, form").first).to_be_visible()
        await look.at(f"owner-{part}")
    await tab.goto(f"{site.server.url}/owner/models")
    await tab.locator(".head .semi-button").click()
    await expect(tab.locator(".kinds")).to_be_visible()
    await look.at("owner-add-model")
    await tab.goto(f"{site.server.url}/owner/users")
    await tab.locator(".head .semi-button").click()
    await tab.locator(".semi-modal-content form button[type=submit]").click()
    await expect(tab.locator(".link-box")).to_be_visible()
    await look.at("owner-invitation")


async def visitors(look: Look, site: Site) -> None:
    tab = look.tab
    await tab.context.clear_cookies()
    await tab.goto(site.server.url)
    await tab.locator("input[name=email]").fill("nobody@example.org")
    await tab.locator("input[name=password]").fill("not the password")
    await look.at("sign-in")
    await tab.keyboard.press("Enter")
    await expect(tab.get_by_role("alert")).to_be_visible()
    await look.at("sign-in-refused", "narrow")
    await tab.goto("about:blank")
    await tab.goto(f"{site.server.url}/#invite=whatever")
    await expect(tab.locator("input[name=email]")).to_be_visible()
    await look.at("sign-up")


async def migration(look: Look, site: Site, moving: Migration) -> None:
    tab = look.tab
    moving.ask()
    await tab.goto(f"{site.server.url}/owner/ferry")
    await expect(tab.locator("[data-stage=planned] .risks .command").first).to_be_visible()
    await look.at("migration-questions", "narrow")
    moving.answer()
    moving.begin()
    moving.copy("users", 310_400, last=True)
    moving.copy("questions", 430_000, rejected=23)
    await expect(tab.locator("[data-stage=copying] .refused .row")).to_have_count(20)
    await look.at("migration-copying")
    moving.copy_the_rest()
    moving.follow(38.0, 4120, spooled=48_000_000, consistent=False)
    moving.stop()
    await expect(tab.locator("[data-stage=following] .now.bad")).to_contain_text(STOPPED[:60])
    await look.at("migration-stopped")
    moving.fall_silent()
    await expect(tab.locator(".now.bad .said")).to_have_count(0)
    await expect(tab.locator(".now.bad .command")).to_contain_text("tako ferry follow")
    moving.deny()
    await expect(tab.locator(".away")).to_be_visible()
    await look.at("migration-away", "wide")
    moving.admit()
    moving.come_back()
    await expect(tab.locator(".away")).to_be_hidden()
    moving.accept()
    moving.follow(0.3, 310)
    moving.verify()
    await expect(tab.locator("[data-stage=ready] .now.good")).to_be_visible()
    moving.cut_over()
    await expect(tab.locator("[data-stage=done] .attempt")).to_be_visible()
    await look.at("migration-done")
