"""The pictures and the recording of the README, from the real page: `make pictures`."""

import asyncio
import base64
import contextlib
import io
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.conftest import config
from tests.support import mariadb, postgres, samples
from tests.support.application import SITE, Application, admit
from tests.support.ferry import Ferry
from tests.support.migration import Migration
from tests.support.mysqld import Mysqld
from tests.support.page import answer, ask, ended, launch, opened, set_up
from tests.support.process import Server
from tests.support.upstream import Finish, Pause, Say, Step, Think, Upstream
from tests.support.upstream import answer as says

FOLDER = Path(__file__).parent.parent / "docs/pictures"
SIZE = {"width": 1120, "height": 700}
TALL = {"width": 1120, "height": 960}
SETTINGS = 'site_name = "Tako"\ntitle_model = "prefixing"'
PIECES = 90
NAMES = {"scripted": "Octopus Large"}
# A site whose copy takes some seconds.
FERRY = "preset = 'gorm'\n[target]\nschema = 'site'\n[copy]\nchunk_bytes = 262144\nmax_mb_per_s = 3\n"
MORE = (
    "INSERT INTO users (name) SELECT CONCAT('somebody ', seq) FROM seq_1_to_20000",
    "INSERT INTO posts (user_id, body) SELECT 1 + seq % 2, CONCAT('post ', seq, REPEAT('.', 150)) FROM seq_1_to_60000",
    "ANALYZE TABLE users, posts, words",
)


async def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with Upstream() as upstream, async_playwright() as playwright:
        browser = await launch(playwright)
        for language, locale in (("en", "en-US"), ("zh", "zh-CN")):
            with tempfile.TemporaryDirectory() as folder:
                server = Server(Path(folder), _named(config(upstream, SETTINGS)))
                await server.start()
                try:
                    await _pictures(browser, server, upstream, samples.of(language), language, locale)
                finally:
                    await server.kill()
        await _migration(browser)
        await _moved(browser)
        await browser.close()


def _named(settings: str) -> str:
    for model, name in NAMES.items():
        settings = settings.replace(f'id = "{model}"', f'id = "{model}"\nname = "{name}"')
    return settings


async def _pictures(
    browser: Browser, server: Server, upstream: Upstream, texts: samples.Texts, language: str, locale: str
) -> None:
    upstream.scripts["prefixing"] = says(texts.title)
    context = await browser.new_context(locale=locale, viewport=SIZE, device_scale_factor=1.5)  # type: ignore[arg-type]
    await set_up(context, server)
    tab = await opened(context, server.url)
    upstream.script = _typed(texts)
    await ask(tab, texts.question)
    await ended(tab)
    await expect(tab.get_by_role("heading", level=1)).to_have_text(texts.title)
    await tab.locator(".messages").evaluate("box => box.scrollTop = 0")
    for theme in ("light", "dark"):
        await tab.emulate_media(color_scheme=theme)
        await _keep(await tab.screenshot(animations="disabled"), f"conversation-{language}-{theme}.webp")
    await _phone(browser, context, tab, language, locale)
    await _record(browser, context, server, upstream, texts, language, locale)


async def _migration(browser: Browser) -> None:
    """One that follows, and has something to do before its cutover."""
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        postgres.running() as target,
        Migration(Path(), target.new_database()) as moving,
    ):
        moving.answer()
        moving.begin()
        moving.copy_the_rest()
        moving.follow(0.3, 312)
        server = Server(Path(folder), f'ferry_plan = "{moving.file}"\n[local]\nenabled = false')
        await server.start()
        try:
            context = await browser.new_context(locale="en-US", viewport=TALL, device_scale_factor=1.5)  # type: ignore[arg-type]
            await set_up(context, server)
            tab = await context.new_page()
            await tab.goto(f"{server.url}/owner/ferry")
            await expect(tab.locator(".checks")).to_be_visible()
            for theme in ("light", "dark"):
                await tab.emulate_media(color_scheme=theme)
                await _keep(await tab.screenshot(animations="disabled"), f"migration-{theme}.webp")
            await context.close()
        finally:
            await server.kill()


async def _moved(browser: Browser) -> None:
    """The whole way of a site that is written to all the time, as its owner watches it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        mariadb.running() as source,
        postgres.running() as target,
    ):
        _fill(source)
        ferry = Ferry(Path(folder), source.url("nekobox"), target.new_database(), FERRY)
        server = Server(Path(folder), 'ferry_plan = "plan.json"\n[local]\nenabled = false')
        await server.start()
        try:
            with Application(source, "nekobox"):
                await _watch(browser, server, ferry)
        finally:
            await server.kill()


def _fill(source: Mysqld) -> None:
    with contextlib.closing(source.connect()) as connection, connection.cursor() as cursor:
        for statement in ("CREATE DATABASE nekobox", "USE nekobox", *SITE.split(";\n"), *MORE):
            if statement.strip():
                cursor.execute(statement)
        admit(connection, "nekobox")


async def _watch(browser: Browser, server: Server, ferry: Ferry) -> None:
    context = await browser.new_context(locale="en-US", viewport=TALL, color_scheme="light")  # type: ignore[arg-type]
    await set_up(context, server)
    tab = await context.new_page()
    (await asyncio.to_thread(ferry.plan)).well()
    await tab.goto(f"{server.url}/owner/ferry")
    film = Film((896, 768))
    await film.begin(tab)
    await asyncio.sleep(1.5)
    with ferry.start("run", ferry.source, ferry.target, "--json") as process:
        try:
            await expect(tab.get_by_role("heading", name="What is written to the source")).to_be_visible(timeout=60_000)
            await asyncio.sleep(3)
            (await asyncio.to_thread(ferry.verify, "--live")).well()
            await expect(tab.get_by_role("heading", name="Nothing is in the way")).to_be_visible()
            await asyncio.sleep(2)
            (await asyncio.to_thread(ferry.run, "cutover", "--hook", "true")).well()
            await expect(tab.get_by_text("Nothing could be written for")).to_be_visible()
            await asyncio.sleep(1.5)
        finally:
            process.kill()
    await film.end()
    film.save(FOLDER / "recording-ferry.webp")
    await context.close()


async def _phone(browser: Browser, context: BrowserContext, tab: Page, language: str, locale: str) -> None:
    phone = await browser.new_context(
        locale=locale,
        viewport={"width": 390, "height": 780},
        device_scale_factor=2,
        storage_state=await context.storage_state(),
    )
    narrow = await opened(phone, tab.url)
    await narrow.locator(".messages").evaluate("box => box.scrollTop = 0")
    await _keep(await narrow.screenshot(animations="disabled"), f"phone-{language}.webp")
    await phone.close()


async def _record(
    browser: Browser,
    context: BrowserContext,
    server: Server,
    upstream: Upstream,
    texts: samples.Texts,
    language: str,
    locale: str,
) -> None:
    """Ask, refresh in mid-answer, lose the network and find it again."""
    recorded = await browser.new_context(
        locale=locale,
        viewport=SIZE,  # type: ignore[arg-type]
        color_scheme="light",
        storage_state=await context.storage_state(),
    )
    tab = await opened(recorded, server.url)
    film = Film()
    await film.begin(tab)
    upstream.script = _typed(texts, seconds=0.09)
    await tab.locator("#ask").press_sequentially(texts.question, delay=22)
    await tab.keyboard.press("Enter")
    await expect(answer(tab)).to_contain_text(texts.rich[:4])
    await asyncio.sleep(1.5)
    await tab.reload()
    await expect(answer(tab)).to_contain_text(texts.rich[:4])
    await asyncio.sleep(1.2)
    await recorded.set_offline(True)
    await expect(tab.locator(".connection.lost")).to_be_visible(timeout=40_000)
    await asyncio.sleep(1.5)
    await recorded.set_offline(False)
    await expect(tab.locator(".connection.lost")).to_be_hidden(timeout=40_000)
    await ended(tab)
    await asyncio.sleep(1.0)
    await film.end()
    film.save(FOLDER / f"recording-{language}.webp")
    await recorded.close()


def _typed(texts: samples.Texts, seconds: float = 0.0) -> list[Step]:
    """The answer in small pieces, as a model gives it: as many in each language, so that each film lasts as long."""
    whole = texts.rich + texts.end
    size = len(whole) // PIECES
    steps: list[Step] = [Think(texts.thoughts)]
    for at in range(0, len(whole), size):
        steps += [Say(whole[at : at + size]), *([Pause(seconds)] if seconds else [])]
    return [*steps, Finish(usage=(42, 318))]


async def _keep(png: bytes, name: str) -> None:
    Image.open(io.BytesIO(png)).save(FOLDER / name, quality=88, method=6)


@dataclass
class Film:
    """What a tab shows over time: pictures with the seconds at which they were new."""

    size: tuple[int, int] = (896, 560)
    frames: list[tuple[float, bytes]] = field(default_factory=list)
    session: Any = None
    taken: list[asyncio.Future[Any]] = field(default_factory=list)

    async def begin(self, tab: Page) -> None:
        self.session = await tab.context.new_cdp_session(tab)
        self.session.on("Page.screencastFrame", self._frame)
        await self.session.send("Page.startScreencast", {"format": "jpeg", "quality": 90, "everyNthFrame": 3})

    def _frame(self, frame: dict[str, Any]) -> None:
        self.frames.append((float(frame["metadata"]["timestamp"]), base64.b64decode(frame["data"])))
        taken = self.session.send("Page.screencastFrameAck", {"sessionId": frame["sessionId"]})
        self.taken.append(asyncio.ensure_future(taken))

    async def end(self) -> None:
        await self.session.send("Page.stopScreencast")
        await asyncio.gather(*self.taken)

    def save(self, path: Path, per_second: float = 8.0) -> None:
        """As an animated WebP, which stays at its last picture for three seconds."""
        kept: list[tuple[float, bytes]] = []
        for at, data in self.frames:
            if not kept or at - kept[-1][0] >= 1 / per_second:
                kept.append((at, data))
        if kept[-1] != self.frames[-1]:
            kept.append(self.frames[-1])
        times = [round(1000 * (later[0] - now[0])) for now, later in pairwise(kept)] + [3000]
        images = [Image.open(io.BytesIO(data)).convert("RGB").resize(self.size) for _, data in kept]
        images[0].save(
            path,
            save_all=True,
            append_images=images[1:],
            duration=times,
            loop=0,
            quality=60,
            method=4,
            minimize_size=False,
        )


if __name__ == "__main__":
    asyncio.run(main())
