"""Two processes behind a real nginx, with the configuration that we ship."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import Site
from tests.end_to_end.test_many_processes import Reader, Sites, ask, stored
from tests.support.postgres import Postgres
from tests.support.process import die_with_parent
from tests.support.sse import text_of
from tests.support.upstream import Finish, Gate, Pause, Say, Upstream, answer, words

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx.conf"
MAIN = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    include {folder}/tako.conf;
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
async def both(serve: Callable[..., Site], postgres: Postgres, postgres_template: str) -> tuple[Sites, list[Site]]:
    made = Sites(serve, postgres.new_database(template=postgres_template))
    return made, await made(extra='shutdown_grace = 20\ntrusted_proxies = ["127.0.0.1/32"]')


@pytest.fixture
async def front(tmp_path: Path, both: tuple[Sites, list[Site]]) -> AsyncIterator[Site]:
    """The site as its visitors see it: nginx's address, with the owner's key."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise RuntimeError("The tests need nginx. As root: apt-get install --no-install-recommends nginx-light")
    _, sites = both
    folder = tmp_path / "nginx"
    folder.mkdir()
    for parent in (folder, *folder.parents[:-1]):
        if parent.stat().st_uid == os.geteuid() and os.geteuid() == 0:
            parent.chmod(parent.stat().st_mode | 0o711)  # nginx's worker is not root
    port = free_port()
    servers = "\n".join(f"    server 127.0.0.1:{site.server.port};" for site in sites)
    shipped = (
        SHIPPED.read_text().replace("    server 127.0.0.1:8000;", servers).replace("listen 80;", f"listen {port};")
    )
    (folder / "tako.conf").write_text(shipped)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf")], preexec_fn=die_with_parent)
    front = Site(sites[0].server)
    front.client = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=dict(sites[0].client.headers), timeout=60, trust_env=False
    )
    try:
        async with asyncio.timeout(20):
            while not _listens(port):
                assert process.poll() is None, (folder / "error.log").read_text()
                await asyncio.sleep(0.02)
        yield front
    finally:
        await front.client.aclose()
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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
