"""From the one-time link to a site that answers, and what its owner does afterwards, in a real browser."""

from collections.abc import Callable

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.conftest import Site, owner_with_a_key
from tests.support.page import EMAIL, PASSWORD, answer, ask, ended, opened, same_as_stored, writing
from tests.support.upstream import Finish, Gate, Say, Upstream
from tests.support.upstream import answer as says

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="session"),
]


async def test_the_one_time_link_leads_to_a_site_that_answers(
    serve: Callable[..., Site], context: BrowserContext, upstream: Upstream
) -> None:
    """An account, a name, a model that was tried out first; the link is used up and leaves the address."""
    site = serve()
    config = site.server.folder / "tako.toml"
    config.write_text(config.read_text(encoding="utf-8").partition("[[providers]]")[0], encoding="utf-8")
    await site.server.start()
    link = f"{site.server.url}/setup#token={await site.server.setup_token()}"
    tab = await context.new_page()
    await tab.goto(link)
    await tab.get_by_label("E-mail").fill(EMAIL)
    await tab.get_by_label("Password", exact=True).fill(PASSWORD)
    await tab.get_by_role("button", name="Make the first account").click()
    await tab.get_by_label("The name of the site").fill("My reef")
    await tab.get_by_role("button", name="Next").click()
    assert "token" not in tab.url
    await tab.get_by_role("button", name="Connect a model").click()

    await tab.get_by_role("radio", name="Another").check()
    await tab.get_by_label("Address").fill("http://127.0.0.1:9/v1")
    await tab.get_by_label("Model", exact=True).fill("anything")
    await tab.get_by_role("button", name="Test", exact=True).click()
    await expect(tab.get_by_role("alert")).to_contain_text("The model cannot be reached.")
    await tab.get_by_label("Address").fill(upstream.url)
    upstream.script = says("pong")
    await tab.get_by_role("button", name="Test", exact=True).click()
    await expect(tab.get_by_role("status").filter(has_text="It answers")).to_contain_text("pong")
    await tab.get_by_text("Limits").click()
    await tab.get_by_label("Answers at once").fill("2")
    await tab.get_by_role("button", name="Add a model").click()

    await expect(writing(tab)).to_be_visible()
    await expect(tab.get_by_role("link", name="My reef")).to_be_visible()
    upstream.script = says("Welcome to the reef")
    await ask(tab, "hello")
    await expect(answer(tab)).to_have_text("Welcome to the reef")
    await ended(tab)
    await same_as_stored(tab)
    await tab.goto("about:blank")
    await tab.goto(link)
    await expect(writing(tab)).to_be_visible()

    await tab.goto(f"{site.server.url}/owner/models")
    await tab.get_by_role("button", name="Options of anything").click()
    await tab.get_by_role("menuitem", name="Change").click()
    await expect(tab.get_by_label("Answers at once")).to_have_value("2")


async def test_an_invited_person_signs_up_and_may_be_shut_out(
    owners_tab: Page, own: Site, browser: Browser, upstream: Upstream
) -> None:
    """Invitation, sign-up, a running answer that the owner stops, and the end of the access."""
    tab = owners_tab
    await tab.goto(f"{own.server.url}/owner/users")
    await tab.get_by_role("button", name="Invite").click()
    await tab.get_by_label("For whom").fill("Ika")
    await tab.get_by_role("button", name="Make the link").click()
    link = await tab.locator(".link-box code").inner_text()
    theirs = await browser.new_context(locale="en-US")
    guest = await theirs.new_page()
    await guest.goto(link)
    await guest.get_by_label("E-mail").fill("ika@example.org")
    await guest.get_by_label("Password", exact=True).fill("a squid of words")
    await guest.get_by_role("button", name="Sign up").click()
    await expect(writing(guest)).to_be_visible()
    assert "invite" not in guest.url

    upstream.script = [Say("for ever"), Gate(), Finish()]
    await ask(guest, "go on")
    await expect(answer(guest)).to_have_text("for ever")
    await tab.goto(f"{own.server.url}/owner/usage")
    row = tab.get_by_role("listitem").filter(has_text="ika@example.org")
    await row.get_by_role("button", name="Stop").click()
    await expect(row).to_have_count(0)
    await expect(guest.locator(".note")).to_contain_text("stopped")
    await ended(guest)
    await same_as_stored(guest)

    await tab.goto(f"{own.server.url}/owner/users")
    account = tab.get_by_role("listitem").filter(has_text="ika@example.org")
    await account.get_by_role("button", name="Options of").click()
    await tab.get_by_role("menuitem", name="Disable").click()
    await tab.locator(".semi-modal-content").get_by_role("button", name="Disable").click()
    await expect(account).to_contain_text("Disabled")
    await guest.reload()
    await guest.get_by_label("E-mail").fill("ika@example.org")
    await guest.get_by_label("Password", exact=True).fill("a squid of words")
    await guest.get_by_role("button", name="Sign in").click()
    await expect(guest.get_by_role("alert")).to_be_visible()


async def test_the_running_answers_of_others_appear_and_vanish_by_themselves(
    owners_tab: Page, own: Site, context: BrowserContext, upstream: Upstream
) -> None:
    """In every tab that shows them, without a reload; what they cost is there with their end."""
    tab = owners_tab
    theirs = own.new_client(await owner_with_a_key(own.server.database_url, "ika@example.org"))
    tabs = [tab, await context.new_page()]
    for one in tabs:
        await one.goto(f"{own.server.url}/owner/usage")
        await expect(one.get_by_text("Nothing is being answered now.")).to_be_visible()
    gate = Gate()
    upstream.script = [Say("for you alone"), gate, Finish(usage=(7, 11))]
    asked = await theirs.post("/v1/responses", json={"model": "scripted", "input": "hello", "background": True})
    assert asked.status_code == 200
    rows = [one.get_by_role("listitem").filter(has_text="ika@example.org") for one in tabs]
    for row in rows:
        await expect(row).to_contain_text("scripted")
        await expect(row).not_to_contain_text("for you alone")
    gate.opened.set()
    for one, row in zip(tabs, rows, strict=True):
        await expect(row).to_have_count(0)
        await expect(one.get_by_role("row").filter(has_text="ika@example.org")).to_contain_text("18")
    await theirs.aclose()


async def test_models_are_ordered_and_kept_for_some(owners_tab: Page, own: Site, context: BrowserContext) -> None:
    """The first one is what a new conversation begins with; who may not use one does not see it."""
    tab = owners_tab
    await tab.goto(f"{own.server.url}/owner/models")
    rows = tab.get_by_role("listitem").locator("strong")
    await expect(rows).to_have_text(["scripted", "prefixing", "small", "impatient"])
    await tab.get_by_role("button", name="Move small up").click()
    await expect(rows).to_have_text(["scripted", "small", "prefixing", "impatient"])
    await tab.get_by_role("button", name="Move small up").click()
    await expect(rows).to_have_text(["small", "scripted", "prefixing", "impatient"])
    await tab.get_by_label("Who may use prefixing").select_option("Nobody")
    other = await opened(context, own.server.url)
    await expect(other.get_by_label("Model")).to_have_value("small")
    await expect(other.get_by_label("Model").get_by_role("option")).to_have_text(["small", "scripted", "impatient"])


async def test_the_name_of_the_site_is_changed(owners_tab: Page, own: Site) -> None:
    """Visitors read it at once."""
    tab = owners_tab
    await tab.goto(f"{own.server.url}/owner/site")
    await tab.get_by_label("Name of the site").fill("Another reef")
    await tab.get_by_role("button", name="Save").click()
    await expect(tab.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    await tab.reload()
    await expect(tab.get_by_label("Name of the site")).to_have_value("Another reef")
    await expect(tab.get_by_text("Another reef").first).to_be_visible()
