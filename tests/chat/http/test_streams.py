"""Readers over real connections: sessions that end, readers that take nothing, a full disk."""

import asyncio
import contextlib
import json
import shutil
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text, update

from tako.chat import follow
from tako.core.accounts import owner, store
from tako.core.accounts.models import sessions
from tako.core.db import now
from tako.core.feed import ADMINS, Hint
from tako.core.journal.following import Following
from tests.chat.conftest import Open
from tests.conftest import config
from tests.support.inside import Inside, inside
from tests.support.page_client import Stream
from tests.support.postgres import Postgres
from tests.support.sse import events, numbers, text_of
from tests.support.upstream import Finish, Gate, Say, Step, Upstream, answer

QUESTION = {"model": "scripted", "input": "hi", "background": True}


async def begun(site: Inside, client: httpx.AsyncClient, upstream: Upstream, *before: Step) -> tuple[str, Gate]:
    """A running answer that has come as far as a gate."""
    gate = Gate()
    upstream.script = [*before, gate, Say(" end"), Finish()]
    response_id = (await client.post("/v1/responses", json=QUESTION)).json()["id"]
    await gate.reached.wait()
    return response_id, gate


async def test_a_session_that_expires_ends_its_readers_and_not_the_answer(open_site: Open, upstream: Upstream) -> None:
    """The stream ends cleanly, between two events; signed in again, the reader goes on where it was."""
    async with open_site(heartbeat=0.1) as site:
        browser = await site.new_session(site.owner)
        response_id, gate = await begun(site, browser, upstream, Say("begin"))
        async with site.db.write() as connection:
            await connection.execute(update(sessions).values(expires_at=now() + 700_000))
        seen = events((await browser.get(f"/v1/responses/{response_id}?stream=true")).content)
        assert text_of(seen) == "begin"
        assert (await browser.get(f"/v1/responses/{response_id}")).status_code == 401
        gate.opened.set()
        again = await site.new_session(site.owner)
        path = f"/v1/responses/{response_id}?stream=true&starting_after={seen[-1].id}"
        rest = events((await again.get(path)).content)
        assert text_of(seen + rest) == "begin end"
        assert rest[-1].data["response"]["status"] == "completed"


async def test_a_session_that_is_revoked_ends_its_readers_at_the_next_heartbeat(
    open_site: Open, upstream: Upstream
) -> None:
    """Of all devices only the one that signed out."""
    async with open_site(heartbeat=0.1, lease=0.3) as site:
        out, other = await site.new_session(site.owner), await site.new_session(site.owner)
        response_id, gate = await begun(site, out, upstream, Say("begin"))
        path = f"/v1/responses/{response_id}?stream=true"
        leaving, staying = asyncio.create_task(out.get(path)), asyncio.create_task(other.get(path))
        while len(site.site.wheel) < 2:
            await asyncio.sleep(0)
        assert (await out.delete("/api/session")).status_code in (200, 204)
        assert text_of(events((await leaving).content)) == "begin"
        assert not staying.done()
        gate.opened.set()
        assert text_of(events((await staying).content)) == "begin end"


async def test_an_admin_hears_that_answers_begin_and_end_whosever_they_are(open_site: Open, upstream: Upstream) -> None:
    """Ids alone; nobody else may listen, and their own feed says nothing of it."""
    async with open_site(heartbeat=0.1, lease=0.3) as site:
        admin, (_, ann) = await an_admin(site), await site.new_person()
        assert (await ann.get("/api/owner/feed")).status_code == 403
        async with admin.stream("GET", "/api/owner/feed") as feed, admin.stream("GET", "/api/feed") as own:
            heard, own_heard = Stream(feed), Stream(own)
            await heard.named("ready")
            await own_heard.named("ready")
            response_id, gate = await begun(site, ann, upstream, Say("secret"))
            assert (await heard.named("began")).data == {"id": response_id, "version": 1}
            gate.opened.set()
            assert (await heard.named("ended")).data == {"id": response_id, "version": 2}
            assert [event.name for event in heard.seen] == ["ready", "began", "ended"]
            assert not any(b"secret" in event.raw for event in heard.seen)
            site.chat.feed.publish(admin.headers["x-user"], Hint("created", "conv_1", 1))
            await own_heard.named("created")
            assert [event.name for event in own_heard.seen] == ["ready", "created"]


async def test_who_is_no_admin_any_more_hears_of_others_no_more(open_site: Open) -> None:
    """From the next heartbeat on; what is their own goes on, and so does what other admins hear."""
    async with open_site(heartbeat=0.1, lease=0.3) as site:
        staying, leaving = await an_admin(site), await an_admin(site)
        async with (
            leaving.stream("GET", "/api/owner/feed") as feed,
            leaving.stream("GET", "/api/feed") as own,
            staying.stream("GET", "/api/owner/feed") as other,
        ):
            heard, own_heard, other_heard = Stream(feed), Stream(own), Stream(other)
            for stream in (heard, own_heard, other_heard):
                await stream.named("ready")
            await owner.change(site.db, leaving.headers["x-user"], {"admin": False})
            assert [event.name for event in await heard.rest()] == ["ready"]
            assert (await leaving.get("/api/owner/feed")).status_code == 403
            site.chat.feed.publish(leaving.headers["x-user"], Hint("created", "conv_1", 1))
            site.chat.feed.publish(ADMINS, Hint("began", "resp_1", 1))
            await own_heard.named("created")
            await other_heard.named("began")


async def an_admin(site: Inside) -> httpx.AsyncClient:
    """Their browser, with the header `x-user` to say who they are."""
    user_id, _ = await site.new_person()
    async with site.db.write() as connection:
        await store.update_user(connection, user_id, admin=True)
    browser = await site.new_session(user_id)
    browser.headers["x-user"] = user_id
    return browser


async def raw_reader(site: Inside, response_id: str) -> socket.socket:
    """A connection that has asked for a stream and reads nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, site.address)
    key = site.client.headers["authorization"]
    request = f"GET /v1/responses/{response_id}?stream=true HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\n\r\n"
    await loop.sock_sendall(connection, request.encode())
    return connection


LONG = ["x" * 50_000] * 200


@pytest.mark.slow
async def test_a_reader_that_takes_no_byte_is_dropped_and_harms_nobody(open_site: Open, upstream: Upstream) -> None:
    """Its answer and all other readers go on; what is in flight for it stays bounded."""
    async with open_site(heartbeat=0.1, stalled_reader=0.5) as site:
        response_id, gate = await begun(site, site.client, upstream, *map(Say, LONG))
        stuck = await raw_reader(site, response_id)
        other = asyncio.create_task(site.client.get(f"/v1/responses/{response_id}?stream=true"))
        loop = asyncio.get_running_loop()
        while len(site.site.wheel) < 2:
            await asyncio.sleep(0)
        while len(site.site.wheel) > 1:
            await asyncio.sleep(0.01)
        got = 0
        with contextlib.closing(stuck), contextlib.suppress(ConnectionError):
            while data := await loop.sock_recv(stuck, 1 << 20):
                got += len(data)
        assert got < sum(map(len, LONG)) / 2
        gate.opened.set()
        assert len(text_of(events((await other).content))) == 10_000_004


@pytest.mark.slow
async def test_a_reader_that_takes_a_little_at_a_time_is_not_dropped(open_site: Open, upstream: Upstream) -> None:
    """Only one that takes no byte for that long is: a phone in a tunnel takes some."""
    async with open_site(heartbeat=0.1, stalled_reader=1.0) as site:
        response_id, gate = await begun(site, site.client, upstream, *map(Say, LONG))
        gate.opened.set()
        loop = asyncio.get_running_loop()
        until = time.monotonic() + 3.0
        with contextlib.closing(await raw_reader(site, response_id)) as slow:
            while time.monotonic() < until:
                assert await loop.sock_recv(slow, 2000)
                await asyncio.sleep(0.05)
            assert len(site.site.wheel) == 1


async def test_a_reader_far_behind_the_rendered_tail_misses_nothing(
    site: Inside, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It renders for itself what the shared tail has dropped, again and again."""
    monkeypatch.setattr(follow, "TAIL", 2000)
    pieces = [f"{n} " + "🐙" * 50 for n in range(400)]
    gates = [Gate() for _ in range(4)]
    steps: list[Step] = []
    for n, gate in enumerate(gates):
        steps += [*map(Say, pieces[n * 100 : (n + 1) * 100]), gate]
    upstream.script = [*steps, Finish()]
    response_id = (await site.client.post("/v1/responses", json=QUESTION)).json()["id"]
    await gates[0].reached.wait()
    slow = asyncio.create_task(site.client.get(f"/v1/responses/{response_id}?stream=true"))
    for gate in gates:
        await gate.reached.wait()
        gate.opened.set()
    streamed = (await slow).content
    assert text_of(events(streamed)) == "".join(pieces)
    stored = await site.client.get(f"/v1/responses/{response_id}?stream=true")
    assert stored.content == streamed.replace(b": hb\n", b"")


@pytest.mark.slow
async def test_a_full_disk_stops_answers_and_space_lets_them_go_on(
    tmp_path: Path, sqlite_template: Path, upstream: Upstream
) -> None:
    """In the same process: what was shown is kept, new questions are refused in clear words, and nothing is lost."""
    file = tmp_path / "full.db"
    shutil.copy(sqlite_template, file)
    pages = file.stat().st_size // 4096
    async with inside(f"sqlite:///{file}", tmp_path, config(upstream), max_database_pages=pages + 400) as site:
        async with site.db.write() as connection:
            await connection.execute(text("CREATE TABLE filler (x BLOB)"))
            await connection.execute(text("INSERT INTO filler VALUES (zeroblob(1430000))"))
        said = [f"{n} " + "x" * 4000 for n in range(60)]
        upstream.script = [*map(Say, said), Finish()]
        response_id = (await site.client.post("/v1/responses", json=QUESTION)).json()["id"]
        watching = asyncio.create_task(site.client.get(f"/v1/responses/{response_id}?stream=true"))
        while site.chat.journal.problem is None:
            await asyncio.sleep(0.01)
        refused = await site.client.post("/v1/responses", json=QUESTION)
        assert refused.json()["error"]["code"] == "storage_full"
        assert (await site.client.get("/readyz")).status_code == 503
        snapshot = await site.client.get(f"/v1/responses/{response_id}")
        assert snapshot.json()["status"] == "in_progress"
        async with site.db.write() as connection:
            await connection.execute(text("DROP TABLE filler"))
        seen = events((await watching).content)
        assert text_of(seen) == "".join(said)
        assert seen[-1].data["response"]["status"] == "completed"
        upstream.script = answer("well")
        assert (await site.client.post("/v1/responses", json=QUESTION)).status_code == 200
        assert (await site.client.get("/readyz")).status_code == 200


@pytest.mark.slow
async def test_a_branch_of_ten_thousand_messages_is_asked_and_read(site: Inside, upstream: Upstream) -> None:
    """Ancestors are walked only until the budget is full; items come in pages, in both directions."""
    conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
    async with site.db.write() as connection:
        ids = [f"mesg_{n:032x}" for n in range(10_000)]
        await connection.execute(
            text(
                "INSERT INTO messages (id, conversation_id, parent_id, role, status, token_count, created_at) "
                "VALUES (:id, :conversation, :parent, :role, 'completed', 20, 0)"
            ),
            [
                {
                    "id": message_id,
                    "conversation": conversation,
                    "parent": ids[n - 1] if n else None,
                    "role": "user" if n % 2 == 0 else "assistant",
                }
                for n, message_id in enumerate(ids)
            ],
        )
        await connection.execute(
            text(
                "INSERT INTO items (id, message_id, position, type, content, text) "
                "VALUES (:id, :message, 0, 'message', :content, :text)"
            ),
            [
                {
                    "id": f"msg_{n:032x}",
                    "message": message_id,
                    "content": '{"type": "message", "role": "user", "content": []}',
                    "text": f"message {n}",
                }
                for n, message_id in enumerate(ids)
            ],
        )
        await connection.execute(text("UPDATE conversations SET leaf_id = :leaf"), {"leaf": ids[-1]})
    asked = {"model": "small", "input": "and?", "conversation": conversation}
    refused = await site.client.post("/v1/responses", json=asked)
    assert refused.json()["error"]["code"] == "context_length_exceeded"
    shortened = await site.client.post("/v1/responses", json={**asked, "truncation": "auto"})
    assert shortened.json()["status"] == "completed"
    turns = [turn["content"] for turn in upstream.requests[-1]["messages"]]
    assert 2 <= len(turns) < 10
    assert turns[-2:] == ["message 9999", "and?"]
    path = f"/v1/conversations/{conversation}/items?limit=100"
    newest = (await site.client.get(path)).json()
    assert newest["has_more"] is True
    assert newest["data"][2]["id"] == f"msg_{9999:032x}"
    second = (await site.client.get(f"{path}&after={newest['last_id']}")).json()
    assert second["data"][0]["id"] == f"msg_{9901:032x}"
    oldest = (await site.client.get(f"{path}&order=asc")).json()
    assert [item["id"] for item in oldest["data"]] == [f"msg_{n:032x}" for n in range(100)]


@pytest.mark.parametrize("page", [False, True])
async def test_a_cursor_that_another_process_gave_out_is_never_past_the_end(
    postgres: Postgres,
    postgres_template: str,
    tmp_path: Path,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    page: bool,
) -> None:
    """Who resumes elsewhere before the hint is heard there goes on; told that the cursor is wrong, it would give up."""
    monkeypatch.setattr(Following, "stale", lambda self, process_id: None)
    url = postgres.new_database(template=postgres_template)
    gates = Gate(), Gate()
    upstream.script = [Say("one "), gates[0], Say("two "), gates[1], Finish()]
    async with (
        inside(url, tmp_path / "ann", config(upstream), lease=60.0) as ann,
        inside(url, tmp_path / "ben", config(upstream), lease=60.0) as ben,
    ):
        there = ben.new_client(**{"authorization": ann.client.headers["authorization"]})
        body = {"model": "scripted", "text": "hi"}
        async with ann.client.stream("POST", "/api/conversations/messages", json=body) as asked:
            arriving = asked.aiter_raw()
            named = json.loads((await anext(arriving)).split(b"\n")[1].removeprefix(b"data: "))
        path = f"/v1/responses/{named['response_id']}?stream=true"
        if page:
            path = f"/api/messages/{named['answer_id']}/stream?response_id={named['response_id']}"
        await gates[0].reached.wait()
        async with there.stream("GET", path) as early, ann.client.stream("GET", path) as current:
            held = early.aiter_raw()  # it goes on reading
            await _until(held, b"one ")
            gates[0].opened.set()
            cursor = numbers(await _until(current.aiter_raw(), b"two "))[-1]
            async with there.stream("GET", f"{path}&{'after' if page else 'starting_after'}={cursor}") as resumed:
                assert resumed.status_code == 200
            gates[1].opened.set()


async def _until(arriving: AsyncIterator[bytes], text: bytes) -> bytes:
    """What has come when that has."""
    wire = b""
    while text not in wire or not wire.endswith(b"\n\n"):
        wire += await anext(arriving)
    return wire
