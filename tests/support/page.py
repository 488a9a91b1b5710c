"""The built-in page as people use it, in a real browser; and what the server has stored, to compare."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Locator, Page, Playwright, expect

from tests.support.process import Server

EMAIL, PASSWORD = "owner@example.org", "correct horse"
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
# Chromium without the windows around its pages, which cost four times as much to start.
CHROMIUM = "/usr/bin/chromium-headless-shell"
AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"

# Other tests run at the same time; what is waited for is there much sooner on a quiet machine.
expect.set_options(timeout=20_000)


async def launch(playwright: Playwright) -> Browser:
    if not Path(CHROMIUM).exists():
        raise AssertionError(
            f"There is no {CHROMIUM}. As root: apt-get install --no-install-recommends chromium-headless-shell"
        )
    return await playwright.chromium.launch(
        executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    )


async def set_up(context: BrowserContext, server: Server) -> None:
    """Make the first account with the one-time link, which signs it in."""
    body = {"email": EMAIL, "password": PASSWORD, "token": await server.setup_token()}
    answered = await context.request.post(f"{server.url}/api/setup", data=body, headers={"origin": server.url})
    assert answered.ok, await answered.text()


async def sign_up(context: BrowserContext, server: Server, email: str) -> None:
    """Make one more account where everybody may, which signs it in."""
    body = {"email": email, "password": PASSWORD}
    answered = await context.request.post(f"{server.url}/api/users", data=body, headers={"origin": server.url})
    assert answered.ok, await answered.text()


async def sign_in(context: BrowserContext, server: Server, email: str = EMAIL) -> None:
    """What the form does, without it."""
    answered = await context.request.post(
        f"{server.url}/api/session", data={"email": email, "password": PASSWORD}, headers={"origin": server.url}
    )
    assert answered.ok, await answered.text()


async def opened(context: BrowserContext, address: str) -> Page:
    """A new tab at that address, when one can ask in it."""
    tab = await context.new_page()
    await tab.goto(address)
    await expect(writing(tab)).to_be_visible()
    await expect(tab.locator(".models select")).not_to_have_value("")
    return tab


def writing(tab: Page) -> Locator:
    return tab.locator("#ask")


async def ask(tab: Page, text: str) -> None:
    await writing(tab).fill(text)
    await writing(tab).press("Enter")


def answer(tab: Page) -> Locator:
    """The text of the newest answer."""
    return tab.locator("article.answer .text").last


def questions(tab: Page) -> Locator:
    return tab.locator("article.question .bubble")


async def ended(tab: Page) -> None:
    """Until nothing is being answered here."""
    await expect(tab.locator("button.round[type=submit]")).to_be_visible(timeout=30_000)
    await expect(tab.locator("article[aria-busy=true]")).to_have_count(0)


async def stored(tab: Page) -> dict[str, Any]:
    """The open conversation as the server has it, in the branch that this tab shows."""
    server, _, conversation_id = tab.url.partition("/c/")
    last = await tab.locator("article").last.get_attribute("data-message")
    query: dict[str, str | float | bool] = {"limit": 500}
    if last:
        query["leaf"] = last
    answered = await tab.request.get(f"{server}/api/conversations/{conversation_id}", params=query)
    assert answered.ok, await answered.text()
    found: dict[str, Any] = json.loads(await answered.text())
    return found


def text_of(message: dict[str, Any]) -> str:
    return "".join(item["text"] for item in message["items"] if item["type"] == "message")


async def same_as_stored(tab: Page) -> dict[str, Any]:
    """All messages that the tab shows are those that are stored, letter by letter (what separates words aside)."""
    conversation = await stored(tab)
    shown = await tab.evaluate(
        """() => [...document.querySelectorAll("article")].map((one) => ({
            id: one.dataset.message,
            text: one.querySelector(".text, .bubble").textContent,
            status: one.dataset.status ?? "completed",
        }))"""
    )
    kept = conversation["messages"][-len(shown) :] if shown else []
    assert [(one["id"], squeezed(one["text"]), one["status"]) for one in shown] == [
        (message["id"], squeezed(text_of(message)), message["status"]) for message in kept
    ]
    return conversation


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


async def copied(tab: Page) -> str:
    """What the newest answer's button puts into the clipboard."""
    await tab.get_by_role("button", name="Copy the answer").last.click()
    await expect(tab.get_by_role("button", name="Copied")).to_be_visible()
    return str(await tab.evaluate("navigator.clipboard.readText()"))


async def serious(tab: Page) -> list[str]:
    """What axe-core finds that keeps people out, in the page as it is now."""
    if not AXE.exists():
        raise AssertionError(f"There is no {AXE}: run `make web`.")
    if not await tab.evaluate("'axe' in window"):
        await tab.evaluate(AXE.read_text(encoding="utf-8"))  # a script tag is what the policy of content refuses
    # Browsers give no colours of what is far from being seen.
    await tab.evaluate("document.styleSheets[0].insertRule('article { content-visibility: visible !important }')")
    found = await tab.evaluate("() => axe.run({ resultTypes: ['violations'] })")
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
