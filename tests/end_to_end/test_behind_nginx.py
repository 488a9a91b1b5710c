"""Two processes behind a real nginx, with the configuration that we ship; and two front ends behind it, by a cookie."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from tako.core.pages import SECURITY
from tests.conftest import Site, config
from tests.end_to_end.test_many_processes import Reader, Sites, ask, stored
from tests.support.inside import inside
from tests.support.nginx import nginx
from tests.support.postgres import Postgres
from tests.support.sse import text_of
from tests.support.upstream import Finish, Gate, Pause, Say, Upstream, answer, words

pytestmark = pytest.mark.slow


@pytest.fixture
async def both(serve: Callable[..., Site], postgres: Postgres, postgres_template: str) -> tuple[Sites, list[Site]]:
    made = Sites(serve, postgres.new_database(template=postgres_template))
    return made, await made(extra='shutdown_grace = 20\ntrusted_proxies = ["127.0.0.1/32"]')


@pytest.fixture
async def front(tmp_path: Path, both: tuple[Sites, list[Site]]) -> AsyncIterator[Site]:
    """The site as its visitors see it: nginx's address, with the owner's key."""
    _, sites = both
    async with nginx(tmp_path / "nginx", [site.server.port for site in sites]) as url:
        front = Site(sites[0].server)
        headers = dict(sites[0].client.headers)
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as front.client:
            yield front


async def test_a_stream_passes_nginx_as_it_is_made(front: Site, upstream: Upstream) -> None:
    """No buffering: the first word arrives while the second is not said."""
    gate = Gate()
    upstream.script = [Say("first "), gate, Say("second"), Finish()]
    reader = Reader(await ask(front))
    reading = asyncio.create_task(reader.read(front))
    async with asyncio.timeout(20):
        while text_of(reader.seen) != "first ":
            assert not reading.done()
            await asyncio.sleep(0.005)
    gate.opened.set()
    await reading
    assert text_of(reader.seen) == "first second"


async def test_processes_are_restarted_under_load_and_no_visitor_loses_an_answer(
    front: Site, both: tuple[Sites, list[Site]], upstream: Upstream
) -> None:
    """One after the other, behind nginx, without sticky sessions: whoever is cut off comes back and misses nothing."""
    books, sites = both
    said = "".join(words(11, 120))
    pieces = [said[n : n + 5] for n in range(0, len(said), 5)]
    upstream.script = [*(step for piece in pieces for step in (Say(piece), Pause(0.01))), Finish()]
    readers = [Reader(await ask(front)) for _ in range(8)]
    reading = [asyncio.create_task(reader.read_on([front])) for reader in readers]
    for site in sites:
        assert await site.server.stop() == 0
        await site.start()
        readers.append(Reader(await ask(front)))  # the other one takes it meanwhile
        reading.append(asyncio.create_task(readers[-1].read_on([front])))
    async with asyncio.timeout(90):
        await asyncio.gather(*reading)
    for reader in readers:
        assert reader.wire == await stored(front, reader.response_id)
        assert text_of(reader.seen) == said
    assert books.books() == (10, 0, 0)


async def test_the_page_and_its_cookie_pass_nginx(front: Site, upstream: Upstream) -> None:
    """Signing in through it works, and the address is the visitor's."""
    upstream.script = answer("hi")
    origin = str(front.client.base_url).rstrip("/")
    async with httpx.AsyncClient(base_url=origin, headers={"origin": origin}, trust_env=False) as browser:
        page = await browser.get("/")
        assert "<title>" in page.text
        signed = await browser.post("/api/session", json={"email": "owner@example.org", "password": "correct horse"})
        assert signed.status_code == 201, signed.text
        asked = await browser.post("/api/conversations/messages", json={"text": "Why?", "model": "scripted"})
        assert b'{"v":"hi"}' in asked.content


@pytest.fixture
async def two_pages(tmp_path: Path, upstream: Upstream, sqlite_template: Path) -> AsyncIterator[tuple[str, Path]]:
    """The address of a site that has a next front end beside its own, and that one's folder."""
    database = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'tako.db')}"
    page = tmp_path / "nginx" / "next"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><title>The next one</title>", encoding="utf-8")
    (page / "assets" / "next.js").write_text("export {}", encoding="utf-8")
    async with (
        inside(database, tmp_path, config(upstream)) as site,
        nginx(tmp_path / "nginx", [site.address[1]]) as url,
    ):
        yield url, page


async def test_a_cookie_chooses_the_front_end_and_nothing_else(two_pages: tuple[str, Path]) -> None:
    """Whichever page it is, it comes with the same headers, and asks the same site."""
    url, _ = two_pages
    async with httpx.AsyncClient(base_url=url, trust_env=False) as visitor:

        async def got(path: str, cookie: str = "") -> httpx.Response:
            return await visitor.get(path, headers={"cookie": cookie} if cookie else {})

        for cookie in ("", "next-beta=0", "next-beta=10", "xnext-beta=1", "tako_session=next-beta=1x"):
            assert "The next one" not in (await got("/", cookie)).text
        current = await got("/")
        for cookie in ("next-beta=1", "a=b; next-beta=1", "next-beta=1; a=b"):
            for path in ("/", "/c/conv_1", "/owner"):
                page = await got(path, cookie)
                assert "The next one" in page.text
                assert page.headers["content-type"] == "text/html"
                for name, value in (*SECURITY, (b"cache-control", b"no-cache")):
                    assert page.headers.get_list(name.decode()) == [value.decode()]
                    assert current.headers.get_list(name.decode()) == [value.decode()]
        script = await got("/assets/next.js", "next-beta=1")
        assert (script.headers["content-type"], script.text) == ("application/javascript", "export {}")
        assert "immutable" in script.headers["cache-control"]
        for path in ("/api/site", "/healthz", "/openapi.json"):
            assert (await got(path, "next-beta=1")).text == (await got(path)).text
        assert (await got("/v1/models", "next-beta=1")).status_code == 401
        assert (await got("/metrics")).status_code == 404


async def test_who_changes_over_finds_what_either_page_is_made_of(two_pages: tuple[str, Path]) -> None:
    """A page that is open asks for its own parts. Once the next one is taken away, everybody has the current one."""
    url, page = two_pages
    async with httpx.AsyncClient(base_url=url, headers={"cookie": "next-beta=1"}, trust_env=False) as visitor:
        part = next(
            word for word in (await visitor.get("/", headers={"cookie": ""})).text.split('"') if "/assets/" in word
        )
        assert (await visitor.get(part)).status_code == 200
        assert (await visitor.get("/assets/neither.js")).status_code == 404
        shutil.rmtree(page)
        assert part in (await visitor.get("/")).text
