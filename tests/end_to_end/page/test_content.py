"""What models write is untrusted, and conversations grow long: the page stays safe and quick."""

import json

import pytest
from playwright.async_api import Page, expect

from tests.conftest import Site
from tests.support.page import answer, ask, copied, ended, questions, same_as_stored, stored, text_of, writing
from tests.support.upstream import Finish, Say, Upstream
from tests.support.upstream import answer as says

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="session"),
]

HOSTILE = """<script>window.hit = 1</script>

<img src=x onerror="window.hit = 2"> <svg onload="window.hit = 3"></svg>

[one](javascript:window.hit=4) [two](JAVASCRIPT:window.hit=5) [three](data:text/html,<script>opener.hit=6</script>)

![a picture](https://elsewhere.example/spy.png) and <https://elsewhere.example/> and [good](https://example.org)

$\\href{javascript:window.hit=7}{click}$ $\\includegraphics{https://elsewhere.example/spy.png}$

```html
<script>window.hit = 8</script>
```

"""


async def test_hostile_markdown_does_nothing(tab: Page, upstream: Upstream) -> None:
    """No script runs, nothing is loaded from elsewhere, and of its links only the harmless ones are links."""
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    upstream.script = [*(Say(HOSTILE[at : at + 7]) for at in range(0, len(HOSTILE), 7)), Finish()]
    await ask(tab, "be evil")
    await ended(tab)
    links = tab.locator("article.answer .text a")
    await expect(links).to_have_count(3)
    for n in range(3):
        await expect(links.nth(n)).to_have_attribute("rel", "noopener noreferrer nofollow")
        assert (await links.nth(n).get_attribute("href") or "").startswith("https://")
    await expect(tab.locator(".katex").first).to_be_visible()
    assert await tab.evaluate("window.hit") is None
    assert await tab.locator("article script, article img, article iframe, article .text > svg").count() == 0
    assert [url for url in asked if not url.startswith(tab.url.partition("/c/")[0])] == []
    assert await copied(tab) == HOSTILE
    assert text_of((await stored(tab))["messages"][-1]) == HOSTILE


@pytest.mark.parametrize("text", ["[" * 1_000_000, "> " * 20_000 + "deep", "- " * 2_000 + "deep", "*a **b " * 20_000])
async def test_a_text_made_to_break_parsers_is_shown_and_the_page_stays_alive(
    tab: Page, upstream: Upstream, text: str
) -> None:
    """Megabytes of brackets, quotes in quotes in quotes: shown as written, and one can go on."""
    upstream.script = [*(Say(text[at : at + 100_000]) for at in range(0, len(text), 100_000)), Finish()]
    await ask(tab, "break it")
    await ended(tab)
    assert text_of((await stored(tab))["messages"][-1]) == text
    assert await copied(tab) == text
    upstream.script = says("still here")
    await ask(tab, "alive?")
    await expect(answer(tab)).to_have_text("still here")


async def test_a_conversation_of_5000_messages_opens_at_its_end_and_has_all_of_it(
    tab: Page, patient: Site, upstream: Upstream
) -> None:
    """Only its newest page is read at first; the rest comes, in order and without a jump, as one goes back."""
    upstream.script = says("the last word")
    await ask(tab, "the last question")
    await ended(tab)
    await grow(tab, patient, 4998)
    await tab.reload()
    await expect(answer(tab)).to_have_text("answer 4998")
    first_page = await tab.locator("article").count()
    assert first_page <= 100
    upstream.script = says("after all of them")
    await ask(tab, "one more")
    await expect(answer(tab)).to_have_text("after all of them")
    await ended(tab)
    await same_as_stored(tab)

    seen = first_page
    for _ in range(3):
        await tab.locator(".messages").evaluate("box => box.scrollTop = 0")
        await tab.wait_for_function("seen => document.querySelectorAll('article').length > seen", arg=seen)
        seen = await tab.locator("article").count()
    numbers = await tab.evaluate(
        """() => [...document.querySelectorAll("article")].map((one) => one.querySelector(".text, .bubble").textContent)
            .map((text) => /^(?:question|answer) (\\d+)$/.exec(text)?.[1]).filter(Boolean).map(Number)"""
    )
    assert numbers == list(range(numbers[0], 4999))
    await writing(tab).fill("and writing is as quick as ever")
    await expect(writing(tab)).to_have_value("and writing is as quick as ever")
    await expect(questions(tab).last).to_have_text("one more")


async def grow(tab: Page, site: Site, count: int) -> None:
    """Put `count` messages after those that the open conversation has."""
    key = json.loads(
        await (
            await tab.request.post(
                f"{site.server.url}/api/keys", data={"name": "grow"}, headers={"origin": site.server.url}
            )
        ).text()
    )["key"]
    conversation_id = tab.url.rpartition("/")[2]
    async with site.new_client(key) as client:
        for start in range(1, count + 1, 20):
            items = [
                {
                    "type": "message",
                    "role": "user" if n % 2 else "assistant",
                    "content": f"{'question' if n % 2 else 'answer'} {n}",
                }
                for n in range(start, min(start + 20, count + 1))
            ]
            added = await client.post(f"/v1/conversations/{conversation_id}/items", json={"items": items})
            assert added.status_code == 200, added.text
