"""The page when the network, the server or the browser's connections fail it: nothing twice, nothing missing."""

import asyncio

import pytest
from playwright.async_api import Browser, Page, expect

from tests.conftest import Site
from tests.support.page import answer, ask, copied, ended, opened, questions, same_as_stored, sign_in, text_of, writing
from tests.support.upstream import Finish, Gate, Say, Upstream, words
from tests.support.upstream import answer as says

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="session"),
]

LOST = "Connection lost. It goes on by itself."


async def test_offline_in_mid_answer_and_back(tab: Page, upstream: Upstream) -> None:
    """The page says so quietly, catches up by itself, and shows each character once."""
    gate, second_gate = Gate(), Gate()
    before, during, after = ("".join(words(seed, 30)) for seed in (1, 2, 3))
    upstream.script = [Say(before), gate, Say(during), second_gate, Say(after), Finish()]
    await ask(tab, "go")
    await expect(answer(tab)).to_contain_text("29:")
    await tab.context.set_offline(True)
    await expect(tab.get_by_text(LOST)).to_be_visible(timeout=40_000)
    gate.opened.set()
    await second_gate.reached.wait()
    await tab.context.set_offline(False)
    await expect(tab.get_by_text(LOST)).to_be_hidden(timeout=30_000)
    second_gate.opened.set()
    await ended(tab)
    assert text_of((await same_as_stored(tab))["messages"][-1]) == before + during + after
    assert await copied(tab) == before + during + after


async def test_a_server_killed_in_mid_answer_and_restarted(owners_tab: Page, own: Site, upstream: Upstream) -> None:
    """Nothing hangs as being answered: the page comes back by itself and shows what is stored."""
    tab = owners_tab
    text = "".join(words(5, 60))
    upstream.script = [Say(text), Gate(), Finish()]
    await ask(tab, "go")
    await expect(answer(tab)).to_contain_text("59:")
    await own.server.kill()
    await expect(tab.get_by_text(LOST)).to_be_visible()
    await own.server.start()
    await expect(tab.locator(".note")).to_contain_text("This answer was cut off.", timeout=40_000)
    await expect(tab.get_by_text(LOST)).to_be_hidden(timeout=30_000)
    await ended(tab)
    await expect(tab.get_by_role("img", name="is being answered")).to_have_count(0)
    conversation = await same_as_stored(tab)
    assert conversation["generating"] is None
    assert text_of(conversation["messages"][-1]) == text
    await tab.reload()
    await expect(tab.locator(".note")).to_contain_text("This answer was cut off.")
    await same_as_stored(tab)
    upstream.script = says(" and its end")
    await tab.get_by_role("button", name="Go on").click()
    await expect(answer(tab)).to_contain_text("and its end")
    await ended(tab)
    assert text_of((await same_as_stored(tab))["messages"][-1]) == text + " and its end"


async def test_a_question_that_finds_no_server_waits_for_it(owners_tab: Page, own: Site, upstream: Upstream) -> None:
    """It is asked once, however often it had to be sent, and a reload in between loses no word of it."""
    tab = owners_tab
    await own.server.kill()
    await ask(tab, "are you there?")
    await expect(questions(tab)).to_have_text(["are you there?"])
    await expect(tab.get_by_text(LOST)).to_be_visible()
    await own.server.start()
    await expect(answer(tab)).to_have_text("Hello world", timeout=40_000)
    await ended(tab)
    assert len((await same_as_stored(tab))["messages"]) == 2


async def test_a_question_taken_back_is_there_to_be_changed(owners_tab: Page, own: Site) -> None:
    """Stop without a connection gives the question back."""
    tab = owners_tab
    await own.server.kill()
    await ask(tab, "are you there?")
    await expect(tab.get_by_text(LOST)).to_be_visible()
    await tab.get_by_role("button", name="Stop").click()
    await expect(writing(tab)).to_have_value("are you there?")
    await expect(questions(tab)).to_have_count(0)


async def test_ten_open_tabs_share_the_browsers_six_connections(tab: Page, patient: Site, upstream: Upstream) -> None:
    """All ten are seen, show the running answer to its end, and none waits for another."""
    gate, second_gate = Gate(), Gate()
    upstream.script = [Say("one "), gate, Say("two "), second_gate, Say("three"), Finish()]
    await ask(tab, "count")
    await expect(answer(tab)).to_have_text("one")
    tabs = [tab] + [await opened(tab.context, tab.url) for _ in range(9)]
    gate.opened.set()
    for one in tabs:
        await expect(answer(one)).to_have_text("one two")
    await tab.close()  # the one that followed for all
    second_gate.opened.set()
    for one in tabs[1:]:
        await expect(answer(one)).to_have_text("one two three")
        await ended(one)
        await same_as_stored(one)
    upstream.script = says("heard by all")
    await ask(tabs[-1], "again")
    for one in tabs[1:]:
        await expect(answer(one)).to_have_text("heard by all")


async def test_two_browsers_ask_in_one_conversation_at_once(
    tab: Page, patient: Site, browser: Browser, upstream: Upstream, email: str
) -> None:
    """Both questions are answered, each browser stays with its own, and both are found as branches."""
    upstream.script = says("hello")
    await ask(tab, "begin")
    await ended(tab)
    elsewhere = await browser.new_context(locale="en-US")
    await sign_in(elsewhere, patient.server, email)
    other = await opened(elsewhere, tab.url)
    await expect(answer(other)).to_have_text("hello")
    gate = Gate()
    upstream.script = [Say("an answer "), gate, Say("to one of them"), Finish()]
    await writing(tab).fill("mine")
    await writing(other).fill("yours")
    await asyncio.gather(writing(tab).press("Enter"), writing(other).press("Enter"))
    await upstream.asked(4)
    gate.opened.set()
    for one, question in ((tab, "mine"), (other, "yours")):
        await expect(answer(one)).to_have_text("an answer to one of them")
        await ended(one)
        await expect(questions(one)).to_have_text(["begin", question])
        await expect(one.locator("article.question .siblings")).to_have_count(1)
        await same_as_stored(one)
    await tab.locator("article.question .siblings button:enabled").click()
    await expect(questions(tab)).to_have_text(["begin", "yours"])
    await same_as_stored(tab)


async def test_a_tab_that_nobody_sees_holds_no_stream(tab: Page, upstream: Upstream) -> None:
    """It gives its connections back, and has all of the answer when it is looked at again."""
    gate = Gate()
    upstream.script = [Say("seen, "), gate, Say("unseen"), Finish()]
    await ask(tab, "go")
    await expect(answer(tab)).to_have_text("seen,")
    gone: list[str] = []
    tab.on("requestfailed", lambda request: gone.append(request.url))
    async with tab.expect_event("requestfailed"):
        await look(tab, "hidden")
    assert gone
    gate.opened.set()
    await upstream.idle()
    await expect(answer(tab)).to_have_text("seen,")
    await look(tab, "visible")
    await expect(answer(tab)).to_have_text("seen, unseen")
    await ended(tab)
    await same_as_stored(tab)


async def look(tab: Page, state: str) -> None:
    """Headless tabs are always seen; what a browser says of one that is not is said here."""
    await tab.evaluate(
        """state => {
            Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )
