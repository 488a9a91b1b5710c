"""The page in a real browser: ask, watch, refresh, come back from another device, and find what one did."""

from collections.abc import Callable

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.conftest import Site
from tests.support.page import (
    PASSWORD,
    PHONE,
    answer,
    ask,
    copied,
    ended,
    opened,
    questions,
    same_as_stored,
    set_up,
    sign_in,
    sign_up,
    stored,
    text_of,
    writing,
)
from tests.support.upstream import Cut, Finish, Gate, Say, Status, Think, Upstream, words
from tests.support.upstream import answer as says

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="session"),
]


async def test_an_answer_survives_a_refresh_a_second_tab_and_a_phone(
    tab: Page, patient: Site, browser: Browser, upstream: Upstream, email: str
) -> None:
    """What came before, what came while nobody looked and what comes after: once each, everywhere."""
    gate, second_gate = Gate(), Gate()
    upstream.script = [Think("well"), Say("one "), gate, Say("two "), second_gate, Say("three 🐙"), Finish()]
    await ask(tab, "count")
    await expect(answer(tab)).to_have_text("one")
    await tab.reload()
    await expect(answer(tab)).to_have_text("one")
    second = await opened(tab.context, tab.url)
    phone = await browser.new_context(locale="en-US", **PHONE)
    await sign_in(phone, patient.server, email)
    third = await opened(phone, tab.url)
    await expect(answer(third)).to_have_text("one")
    gate.opened.set()
    for one in (tab, second, third):
        await expect(answer(one)).to_have_text("one two")
    second_gate.opened.set()
    for one in (tab, second, third):
        await expect(answer(one)).to_have_text("one two three 🐙")
        await ended(one)
        await same_as_stored(one)
    await tab.get_by_text("Thoughts").click()
    await expect(tab.locator(".reasoning")).to_contain_text("well")
    assert await copied(tab) == "one two three 🐙"


async def test_the_list_shows_what_runs_and_the_title_when_it_is_made(
    tab: Page, patient: Site, context: BrowserContext, upstream: Upstream
) -> None:
    """A tab that shows another conversation learns of both, without a reload."""
    gate = Gate()
    upstream.script = [Say("1, "), gate, Say("2"), Finish()]
    other = await opened(context, patient.server.url)
    await ask(tab, "Please count to two, and take your time for it")
    entry = other.get_by_role("navigation", name="Conversations").get_by_role("listitem")
    await expect(entry).to_contain_text("Please count to two")
    await expect(entry.get_by_role("img", name="is being answered")).to_be_visible()
    gate.opened.set()
    await expect(entry.get_by_role("img", name="is being answered")).to_have_count(0)
    for one in (tab, other):
        await expect(one.get_by_role("link", name="Counting with an octopus")).to_be_visible()
    await expect(tab.get_by_role("heading", level=1)).to_have_text("Counting with an octopus")
    await ended(tab)
    title = (await same_as_stored(tab))["title"]
    assert len(title.split()) <= 6


async def test_stop_in_one_tab_stops_it_in_the_other_and_the_text_stays(
    tab: Page, patient: Site, upstream: Upstream
) -> None:
    """Stop is heard by the upstream too; the next question is answered."""
    text = "".join(words(3, 40))
    upstream.script = [Say(text), Gate(), Say(" and ever"), Finish()]
    await ask(tab, "go on")
    await expect(answer(tab)).to_contain_text("39:")
    second = await opened(tab.context, tab.url)
    await second.get_by_role("button", name="Stop").click()
    for one in (tab, second):
        await expect(one.locator(".note")).to_have_text("You stopped this answer.")
        await ended(one)
        conversation = await same_as_stored(one)
        assert text_of(conversation["messages"][-1]) == text
    assert await copied(tab) == text
    upstream.script = says("another")
    await ask(tab, "and now")
    await expect(answer(tab)).to_have_text("another")
    await expect(answer(second)).to_have_text("another")


async def test_stop_before_the_first_word_counts(tab: Page, upstream: Upstream) -> None:
    """It is pressed at once, while the server has perhaps not even taken the question."""
    gate = Gate()
    upstream.script = [gate, Say("too late"), Finish()]
    await ask(tab, "never mind")
    await tab.get_by_role("button", name="Stop").click()
    await expect(tab.locator(".note")).to_have_text("You stopped this answer.")
    await ended(tab)
    assert text_of((await same_as_stored(tab))["messages"][-1]) == ""


async def test_branches_by_answering_again_and_by_editing_and_walking_between_them(
    tab: Page, upstream: Upstream
) -> None:
    """`‹ 2/3 ›` at the answer and at the question; each branch has its own end; a reload shows the same one."""
    for text in ("first", "second", "third"):
        upstream.script = says(f"the {text} answer")
        if text == "first":
            await ask(tab, "original question")
        else:
            await tab.get_by_role("button", name="Answer again").last.click()
        await expect(answer(tab)).to_have_text(f"the {text} answer")
        await ended(tab)
    siblings = tab.locator("article.answer .siblings")
    await expect(siblings).to_have_text("3/3")
    upstream.script = says("a follow-up")
    await ask(tab, "and then?")
    await expect(answer(tab)).to_have_text("a follow-up")
    await ended(tab)
    await tab.locator("article.answer").first.get_by_role("button", name="Earlier version").click()
    await expect(siblings).to_have_text("2/3")
    await expect(answer(tab)).to_have_text("the second answer")
    await expect(questions(tab)).to_have_count(1)
    await same_as_stored(tab)
    await tab.get_by_role("button", name="Later version").click()
    await expect(answer(tab)).to_have_text("a follow-up")
    await same_as_stored(tab)

    upstream.script = says("an answer to other words")
    await tab.get_by_role("button", name="Edit the question").first.click()
    editor = tab.get_by_role("textbox", name="Edit the question")
    await editor.fill("the question in other words")
    await editor.press("Enter")
    await expect(answer(tab)).to_have_text("an answer to other words")
    await expect(questions(tab)).to_have_text(["the question in other words"])
    await ended(tab)
    await expect(tab.locator("article.question .siblings")).to_have_text("2/2")
    await same_as_stored(tab)
    await tab.reload()
    await expect(answer(tab)).to_have_text("an answer to other words")
    await tab.locator("article.question").get_by_role("button", name="Earlier version").click()
    await expect(questions(tab)).to_have_text(["original question", "and then?"])
    await same_as_stored(tab)


async def test_an_interrupted_answer_goes_on_in_the_same_message(tab: Page, upstream: Upstream) -> None:
    """The provider broke off; Go on adds what was missing."""
    upstream.script = [Say("half "), Cut()]
    await ask(tab, "all of it, please")
    await expect(tab.locator(".note")).to_contain_text("The connection to the model broke off.")
    await ended(tab)
    before = (await same_as_stored(tab))["messages"]
    upstream.script = says("and half")
    await tab.get_by_role("button", name="Go on").click()
    await expect(answer(tab)).to_have_text("half and half")
    await ended(tab)
    after = (await same_as_stored(tab))["messages"]
    assert [message["id"] for message in after] == [message["id"] for message in before]
    assert text_of(after[-1]) == "half and half"


async def test_tokens_are_shown_as_they_are_counted(tab: Page, upstream: Upstream) -> None:
    """Each message's own, as stored."""
    upstream.script = [Say("counted"), Finish(usage=(7, 11))]
    await ask(tab, "how many")
    await ended(tab)
    await expect(tab.locator("article.answer .tokens")).to_have_text("11 tokens")
    question, reply = (await same_as_stored(tab))["messages"]
    assert reply["token_count"] == 11
    await expect(tab.locator("article.question .tokens")).to_have_text(f"{question['token_count']} tokens")


async def test_a_failure_is_said_in_words_and_can_be_tried_again(tab: Page, upstream: Upstream) -> None:
    """In the reader's language, with what can be done."""
    upstream.script = [Status(401)]
    await ask(tab, "hello?")
    await expect(tab.locator(".ending.failed")).to_contain_text("refuses this site's key")
    await ended(tab)
    await same_as_stored(tab)
    upstream.script = says("now it works")
    await tab.get_by_role("button", name="Try again").click()
    await expect(answer(tab)).to_have_text("now it works")
    await ended(tab)
    await same_as_stored(tab)


async def test_a_draft_survives_a_reload_and_belongs_to_its_conversation(tab: Page, upstream: Upstream) -> None:
    """Half a question is work too."""
    upstream.script = says("fine")
    await ask(tab, "first")
    await ended(tab)
    await writing(tab).fill("half a thou")
    await tab.reload()
    await expect(writing(tab)).to_have_value("half a thou")
    await tab.get_by_role("link", name="New conversation").first.click()
    await expect(writing(tab)).to_have_value("")
    await tab.go_back()
    await expect(writing(tab)).to_have_value("half a thou")


async def test_enter_in_an_input_method_chooses_a_word_and_sends_nothing(tab: Page, upstream: Upstream) -> None:
    """Chinese is written with Enter."""
    await writing(tab).focus()
    session = await tab.context.new_cdp_session(tab)
    await session.send("Input.imeSetComposition", {"text": "zhang", "selectionStart": 5, "selectionEnd": 5})
    await tab.evaluate(
        """() => document.querySelector("#ask").dispatchEvent(
            new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, isComposing: true, bubbles: true }))"""
    )
    await session.send("Input.insertText", {"text": "章鱼"})
    await expect(writing(tab)).to_have_value("章鱼")
    assert [asked for asked in upstream.requests if asked["model"] == "scripted"] == []
    await writing(tab).press("Shift+Enter")
    await expect(writing(tab)).to_have_value("章鱼\n")
    await writing(tab).press("Enter")
    await ended(tab)
    assert text_of((await same_as_stored(tab))["messages"][0]) == "章鱼"


async def test_a_conversation_is_renamed_deleted_and_brought_back(
    tab: Page, patient: Site, context: BrowserContext
) -> None:
    """Other tabs see each of it; Undo brings all of it back."""
    await ask(tab, "keep this")
    await ended(tab)
    await expect(tab.get_by_role("link", name="Counting with an octopus")).to_be_visible()
    other = await opened(context, patient.server.url)
    await tab.get_by_role("button", name="Options of").click()
    await tab.get_by_role("menuitem", name="Rename").click()
    await tab.get_by_role("textbox", name="Title").fill("My octopus")
    await tab.keyboard.press("Enter")
    for one in (tab, other):
        await expect(one.get_by_role("link", name="My octopus")).to_be_visible()
    await tab.get_by_role("button", name="Options of").click()
    await tab.get_by_role("menuitem", name="Delete").click()
    for one in (tab, other):
        await expect(one.get_by_role("link", name="My octopus")).to_have_count(0)
    await tab.get_by_role("button", name="Undo").click()
    await expect(other.get_by_role("link", name="My octopus")).to_be_visible()
    await expect(questions(tab)).to_have_text(["keep this"])
    await same_as_stored(tab)


async def test_a_menu_opens_again_at_once_however_slowly_the_browser_draws(tab: Page) -> None:
    """A menu that still fades away would take the click that is to open it again."""
    await ask(tab, "hello")
    await ended(tab)
    session = await tab.context.new_cdp_session(tab)
    await session.send("Animation.enable")
    await session.send("Animation.setPlaybackRate", {"playbackRate": 0.01})
    for name in ("Options of", "Account"):
        await tab.get_by_role("button", name=name).click()
        await expect(tab.get_by_role("menuitem").first).to_be_visible()
        await tab.locator("h1").click()
        await tab.get_by_role("button", name=name).click()
        await expect(tab.get_by_role("button", name=name)).to_have_attribute("aria-expanded", "true")
        await expect(tab.get_by_role("menuitem").first).to_be_visible()
        await tab.locator("h1").click()
        await expect(tab.get_by_role("menuitem")).to_have_count(0)


async def test_one_changes_ones_password_and_is_signed_out_elsewhere(
    tab: Page, patient: Site, browser: Browser, email: str
) -> None:
    """Who sits here goes on; a wrong current password is said in words."""
    elsewhere = await browser.new_context(locale="en-US")
    await sign_in(elsewhere, patient.server, email)
    other = await opened(elsewhere, patient.server.url)
    await tab.get_by_role("button", name="Account").click()
    await tab.get_by_role("menuitem", name="Change password").click()
    await tab.get_by_label("Current password").fill("a guess")
    await tab.get_by_label("New password").fill("another horse")
    await tab.get_by_role("button", name="Save").click()
    await expect(tab.get_by_role("alert")).to_have_text("This is not your current password.")
    await tab.get_by_label("Current password").fill(PASSWORD)
    await tab.keyboard.press("Enter")
    await expect(tab.get_by_text("Your password is changed.")).to_be_visible()
    await expect(tab.get_by_label("Current password")).to_have_count(0)
    await tab.reload()
    await expect(writing(tab)).to_be_visible()
    await other.reload()
    await other.get_by_label("E-mail").fill(email)
    await other.get_by_label("Password", exact=True).fill("another horse")
    await other.get_by_role("button", name="Sign in").click()
    await expect(writing(other)).to_be_visible()


async def test_conversations_are_found_by_two_chinese_characters(tab: Page, upstream: Upstream) -> None:
    """In texts as well as in titles."""
    for question, reply in (("hello", "章鱼有三颗心脏"), ("good day", "an ordinary answer")):
        upstream.script = says(reply)
        await ask(tab, question)
        await ended(tab)
        await tab.get_by_role("link", name="New conversation").first.click()
    entries = tab.get_by_role("navigation", name="Conversations").get_by_role("listitem")
    await expect(entries).to_have_count(2)
    await tab.get_by_label("Search conversations").fill("心脏")
    await expect(entries).to_have_count(1)
    await entries.get_by_role("link").click()
    await expect(answer(tab)).to_have_text("章鱼有三颗心脏")
    await same_as_stored(tab)


async def test_all_of_it_can_be_done_with_the_keyboard(tab: Page, upstream: Upstream) -> None:
    """Ask, stop, and go to another conversation, without a mouse."""
    upstream.script = [Say("on and on"), Gate(), Finish()]
    await tab.keyboard.type("go")
    await tab.keyboard.press("Enter")
    await expect(answer(tab)).to_have_text("on and on")
    await focus(tab, "Stop")
    await tab.keyboard.press("Enter")
    await expect(tab.locator(".note")).to_have_text("You stopped this answer.")
    await ended(tab)
    await same_as_stored(tab)
    await focus(tab, "Options of")
    await tab.keyboard.press("Enter")
    await expect(tab.get_by_role("menuitem", name="Rename")).to_be_visible()
    await tab.keyboard.press("Escape")
    await expect(tab.get_by_role("menuitem", name="Rename")).to_be_hidden()
    await focus(tab, "New conversation")
    await tab.keyboard.press("Enter")
    await expect(tab.get_by_role("heading", name="What would you like to know?")).to_be_visible()


async def focus(tab: Page, name: str) -> None:
    """Press Tab until the thing of that name has the focus; twice around at most."""
    for _ in range(80):
        label = await tab.evaluate("(document.activeElement.ariaLabel ?? '') + document.activeElement.textContent")
        if name in label and await tab.evaluate("['A', 'BUTTON'].includes(document.activeElement.tagName)"):
            return
        await tab.keyboard.press("Tab")
    raise AssertionError(f"no press of Tab reaches {name!r}")


async def test_a_foreign_conversation_is_not_there(
    tab: Page, patient: Site, browser: Browser, upstream: Upstream, email: str
) -> None:
    """Its address says no more than that of one that never was."""
    await ask(tab, "my secret")
    await ended(tab)
    theirs = await browser.new_context(locale="en-US")
    await sign_up(theirs, patient.server, f"not-{email}")
    stranger = await theirs.new_page()
    await stranger.goto(tab.url)
    await expect(stranger.get_by_role("alert")).to_contain_text("not here any more")
    await expect(stranger.get_by_text("my secret")).to_have_count(0)
    assert (await stored(tab))["messages"]


async def test_who_waits_for_a_turn_sees_how_many_come_before(
    context: BrowserContext, serve: Callable[..., Site], upstream: Upstream
) -> None:
    site = serve('user_slots = 1\ntitle_model = "prefixing"\n')
    await site.server.start()
    await set_up(context, site.server)
    gate = Gate()
    upstream.script = [Say("one"), gate, Finish()]
    first, second, third = [await opened(context, site.server.url) for _ in range(3)]
    await ask(first, "first")
    await expect(answer(first)).to_have_text("one")
    upstream.script = says("two")
    await ask(second, "second")
    await expect(second.locator(".waiting")).to_have_text("Next in line")
    await ask(third, "third")
    await expect(third.locator(".waiting")).to_have_text("1 answer before this one")
    await third.reload()
    await expect(third.locator(".waiting")).to_have_text("1 answer before this one")
    await second.get_by_role("button", name="Stop").click()
    await ended(second)
    await expect(third.locator(".waiting")).to_have_text("Next in line")
    gate.opened.set()
    await expect(answer(third)).to_have_text("two")
    for tab in (first, third):
        await ended(tab)
        await same_as_stored(tab)
