"""Answers through the real server: watched, rejoined, stopped, lost and found."""

import asyncio
import sqlite3
from collections.abc import Callable

import httpx
import pytest

from tests.conftest import Site
from tests.support.sse import Event, events, follow, text_of
from tests.support.upstream import Cut, Finish, Gate, Pause, Raw, Say, Status, Think, Upstream, answer, chunk, words

pytestmark = pytest.mark.slow


async def ask(site: Site, **body: object) -> httpx.Response:
    return await site.client.post("/v1/responses", json={"model": "scripted", "input": "hi", **body})


async def wire(site: Site, response_id: str, after: int | None = None) -> bytes:
    query = "" if after is None else f"&starting_after={after}"
    response = await site.client.get(f"/v1/responses/{response_id}?stream=true{query}")
    assert response.status_code == 200
    return response.content


async def test_an_answer_has_the_events_of_the_protocol_in_order(site: Site, upstream: Upstream) -> None:
    """Event order of the protocol: created, queued, in_progress, item, part, deltas, done ×3, completed."""
    upstream.script = [Say("Hello"), Pause(0.1), Say(" world"), Finish()]
    response = await ask(site, stream=True, background=True)
    assert len(response.headers.get_list("x-request-id")) == 1
    seen = events(response.content)
    names = [event.name.removeprefix("response.") for event in seen]
    assert names == [
        *("created", "queued", "in_progress", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ]
    assert [event.id for event in seen] == list(range(len(seen)))
    assert all(event.data["sequence_number"] == event.id for event in seen)
    final = seen[-1].data["response"]
    assert final["status"] == "completed"
    assert final["usage"]["input_tokens"] == 7
    assert final["usage"]["output_tokens"] == 11
    assert final["output"][0]["content"][0]["text"] == "Hello world"


async def test_whoever_comes_later_gets_the_same_bytes_from_every_cursor(site: Site, upstream: Upstream) -> None:
    """Nothing twice, nothing missing, from every cursor after the end."""
    upstream.script = [Think("hm"), Think(" so"), *map(Say, words(1, 40)), Finish()]
    streamed = (await ask(site, stream=True, background=True)).content
    response_id = events(streamed)[0].data["response"]["id"]
    streamed = streamed.replace(b": hb\n", b"")  # a slow machine's silence
    whole = await wire(site, response_id)
    assert whole == streamed
    blocks = streamed.split(b"\n\n")[:-1]
    for after in range(len(blocks)):
        assert await wire(site, response_id, after) == b"".join(block + b"\n\n" for block in blocks[after + 1 :])


async def test_a_reader_that_joins_in_the_middle_sees_all_of_it(site: Site, upstream: Upstream) -> None:
    """A second browser is there at once, and goes on with the first."""
    gate = Gate()
    upstream.script = [Say("one "), Say("two "), gate, Say("three"), Finish()]
    first = asyncio.create_task(ask(site, stream=True, background=True))
    await gate.reached.wait()
    listed = await running_id(site)
    second = asyncio.create_task(wire(site, listed))
    gate.opened.set()
    assert (await first).content == await second
    assert text_of(events(await second)) == "one two three"


async def running_id(site: Site) -> str:
    """The id of the newest response, straight from the database."""
    with sqlite3.connect(site.server.data / "tako.db") as db:
        return str(db.execute("SELECT id FROM responses ORDER BY id DESC").fetchone()[0])


async def test_closing_the_connection_never_ends_a_background_answer(site: Site, upstream: Upstream) -> None:
    """A generation is a task of the process, not of the request."""
    gate = Gate()
    upstream.script = [Say("one "), gate, Say("two"), Finish()]
    async with site.client.stream(
        "POST", "/v1/responses", json={"model": "scripted", "input": "hi", "stream": True, "background": True}
    ) as response:
        async for event in follow(response):
            if event.name == "response.created":
                response_id = event.data["response"]["id"]
            if event.name == "response.output_text.delta":
                break
    gate.opened.set()
    assert text_of(events(await wire(site, response_id))) == "one two"


async def test_a_foreground_answer_ends_a_while_after_its_connection(
    serve: Callable[..., Site], upstream: Upstream
) -> None:
    """The only Stop that such clients have is to close the connection; the upstream must notice."""
    site = serve("foreground_grace = 0.1")
    await site.start()
    upstream.script = [Say("one"), Gate()]
    async with site.client.stream(
        "POST", "/v1/responses", json={"model": "scripted", "input": "hi", "stream": True}
    ) as response:
        async for event in follow(response):
            if event.name == "response.output_text.delta":
                break
    await upstream.idle()
    # The upstream is closed before the end is stored: whoever asks then waits for it.
    last = events(await wire(site, await running_id(site)))[-1]
    assert last.data["response"]["status"] == "cancelled"


async def test_stop_from_elsewhere_ends_it_for_everybody_and_closes_the_upstream(
    site: Site, upstream: Upstream
) -> None:
    """Stop means stop: text kept, one terminal event, upstream closed, twice is the same as once."""
    gate = Gate()
    upstream.script = [Say("one "), gate, Say("never"), Finish()]
    watching = asyncio.create_task(ask(site, stream=True, background=True))
    await gate.reached.wait()
    response_id = await running_id(site)
    stops = await asyncio.gather(*(site.client.post(f"/v1/responses/{response_id}/cancel") for _ in range(3)))
    assert {stop.json()["status"] for stop in stops} == {"cancelled"}
    await upstream.idle()
    seen = events((await watching).content)
    assert seen[-1].name == "response.incomplete"
    assert seen[-1].data["response"]["status"] == "cancelled"
    assert text_of(seen) == "one "
    assert (await site.client.post(f"/v1/responses/{response_id}/cancel")).json()["status"] == "cancelled"


async def test_stop_before_the_first_token(site: Site, upstream: Upstream) -> None:
    """Stop must not wait for an upstream that says nothing."""
    gate = Gate()
    upstream.script = [gate]
    response_id = (await ask(site, background=True)).json()["id"]
    await gate.reached.wait()
    assert (await site.client.post(f"/v1/responses/{response_id}/cancel")).json()["status"] == "cancelled"
    await upstream.idle()


async def test_a_retrieved_running_answer_says_what_its_text_includes(site: Site, upstream: Upstream) -> None:
    """Snapshot and cursor belong together: text so far, then the rest, without gap or overlap."""
    gate = Gate()
    upstream.script = [Say("one "), gate, Say("two"), Finish()]
    response_id = (await ask(site, background=True)).json()["id"]
    await gate.reached.wait()
    while not (snapshot := await site.client.get(f"/v1/responses/{response_id}")).json()["output"]:
        pass
    cursor = int(snapshot.headers["x-last-sequence-number"])
    rest = asyncio.create_task(wire(site, response_id, cursor))
    gate.opened.set()
    text = "".join(part["text"] for part in snapshot.json()["output"][0]["content"])
    assert text + text_of(events(await rest)) == "one two"


@pytest.mark.parametrize(
    ("script", "status", "code", "text"),
    [
        ([Status(401)], "failed", "upstream_auth", ""),
        (
            [Status(400, b'{"error":{"message":"maximum context length is 5"}}')],
            "failed",
            "context_length_exceeded",
            "",
        ),
        ([Status(404)], "failed", "upstream_rejected", ""),
        ([Say("one"), Cut()], "failed", "upstream_cut", "one"),
        ([Say("one"), Raw(b"data: {nonsense\n\n")], "failed", "upstream_malformed", "one"),
        ([Say("one"), Raw(b'data: {"error":{"message":"overloaded"}}\n\n')], "failed", "upstream_error", "one"),
        ([Say("one"), Finish("length")], "incomplete", None, "one"),
        ([Say("one"), Finish("content_filter")], "incomplete", None, "one"),
        ([Finish()], "completed", None, ""),
        ([Raw(b"data: " + b"x" * 9_000_000)], "failed", "upstream_malformed", ""),
    ],
)
async def test_every_fault_of_an_upstream_ends_the_answer_with_what_came(
    site: Site, upstream: Upstream, script: list[object], status: str, code: str | None, text: str
) -> None:
    """An owner must understand what happened, and nobody may wait for ever."""
    upstream.script = script  # type: ignore[assignment]
    seen = events((await ask(site, stream=True, background=True)).content)
    final = seen[-1].data["response"]
    assert final["status"] == status
    assert (final["error"] or {}).get("code") == code
    if code:
        assert "scripted" in final["error"]["message"]
        assert "upstream-key" not in final["error"]["message"]
    assert text_of(seen) == text


async def test_silence_before_and_in_the_middle_of_an_answer_ends_it(site: Site, upstream: Upstream) -> None:
    """Before the first token it is tried again first; afterwards what came is kept."""
    for script, code, text in (([Gate()], "upstream_timeout", ""), ([Say("one"), Gate()], "upstream_silent", "one")):
        upstream.script = script  # type: ignore[assignment]
        seen = events((await ask(site, model="impatient", stream=True, background=True)).content)
        error = seen[-1].data["response"]["error"]
        assert (error["code"], text_of(seen)) == (code, text)
        assert "within 0.5 seconds" in error["message"] or "for 0.5 seconds" in error["message"]
    assert len(upstream.requests) == 3 + 1


@pytest.mark.parametrize("fault", [Status(503), Status(429, headers=(("Retry-After", "0"),)), Cut()])
async def test_a_fault_before_the_first_token_is_tried_again_on_one_bill(
    site: Site, upstream: Upstream, fault: object
) -> None:
    """Retried within the budget; one ledger row."""
    upstream.then = [[fault]]  # type: ignore[list-item]
    final = events((await ask(site, stream=True, background=True)).content)[-1].data["response"]
    assert final["status"] == "completed"
    assert len(upstream.requests) == 2
    with sqlite3.connect(site.server.data / "tako.db") as db:
        assert db.execute("SELECT count(*), max(attempts) FROM ledger").fetchone() == (1, 2)


async def test_a_surrogate_pair_split_over_two_chunks_arrives_whole(site: Site, upstream: Upstream) -> None:
    """Some upstreams cut emoji in two; NUL and halves that stay alone become U+FFFD."""
    upstream.script = [
        Raw(b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n'),
        Raw(b'data: {"choices":[{"delta":{"content":"\\ude00b\\u0000"}}]}\n\n'),
        Raw(b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n'),
        Finish(),
    ]
    seen = events((await ask(site, stream=True, background=True)).content)
    assert seen[-1].data["response"]["output"][0]["content"][0]["text"] == "a😀b\ufffd\ufffd"
    assert text_of(seen) == "a😀b\ufffd\ufffd"


async def test_bytes_cut_anywhere_give_the_same_text(site: Site, upstream: Upstream) -> None:
    """UTF-8 split between two reads must not show."""
    body = b"".join(chunk({"content": text}) for text in ("章魚", "🐙", "\u2028ß"))
    upstream.script = [*(Raw(body[n : n + 1]) for n in range(len(body))), Finish()]
    assert text_of(events((await ask(site, stream=True, background=True)).content)) == "章魚🐙\u2028ß"


async def test_the_same_idempotency_key_is_the_same_answer(site: Site, upstream: Upstream) -> None:
    """One request, one answer, one bill; another body with that key is refused."""
    headers = {"Idempotency-Key": "k1"}
    body = {"model": "scripted", "input": "hi", "background": True}
    sent = [site.client.post("/v1/responses", json=body, headers=headers) for _ in range(10)]
    ids = {response.json()["id"] for response in await asyncio.gather(*sent)}
    assert len(ids) == 1
    other = await site.client.post("/v1/responses", json={**body, "input": "other"}, headers=headers)
    assert other.status_code == 422
    await wire(site, ids.pop())
    assert len(upstream.requests) == 1


async def test_conversations_and_chains_carry_what_was_said(site: Site, upstream: Upstream) -> None:
    """History is put together on the server."""
    conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
    for text in ("first", "second"):
        await ask(site, input=text, conversation=conversation)
    first = await ask(site, input="third", instructions="Be brief.")
    await ask(site, input="fourth", previous_response_id=first.json()["id"])
    asked = [[(turn["role"], turn["content"]) for turn in request["messages"]] for request in upstream.requests]
    said = ("assistant", "Hello world")
    assert asked == [
        [("user", "first")],
        [("user", "first"), said, ("user", "second")],
        [("system", "Be brief."), ("user", "third")],
        [("user", "third"), said, ("user", "fourth")],
    ]
    items = (await site.client.get(f"/v1/conversations/{conversation}/items?order=asc")).json()["data"]
    assert [item["role"] for item in items] == ["user", "assistant", "user", "assistant"]


async def test_context_that_does_not_fit_is_refused_or_shortened(site: Site, upstream: Upstream) -> None:
    """The API says so; with truncation auto the oldest go."""
    conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
    for _ in range(3):
        await ask(site, model="scripted", input="word " * 40, conversation=conversation)
    refused = await ask(site, model="small", input="and now?", conversation=conversation)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "context_length_exceeded"
    kept = await ask(site, model="small", input="and now?", conversation=conversation, truncation="auto")
    assert kept.json()["context_dropped"] is True
    assert len(upstream.requests[-1]["messages"]) < 7


async def test_unstored_responses_are_gone_after_their_grace(serve: Callable[..., Site]) -> None:
    """store=false keeps a log until its end and a short grace."""
    site = serve("unstored_grace = 0.0")
    await site.start()
    response_id = (await ask(site, store=False, background=True, stream=True)).headers["x-response-id"]
    assert (await site.client.get(f"/v1/responses/{response_id}")).status_code == 404
    chained = await ask(site, previous_response_id=response_id)
    assert chained.json()["error"]["code"] == "previous_response_not_found"


async def test_the_daily_limit_is_reserved_and_settled(serve: Callable[..., Site], upstream: Upstream) -> None:
    """Reserved when asked, settled at the end and on stop."""
    site = serve("daily_tokens = 1000")
    await site.start()
    gate = Gate()
    upstream.script = [Say("x"), gate]
    running = (await ask(site, background=True, max_output_tokens=900)).json()["id"]
    await gate.reached.wait()
    refused = await ask(site, max_output_tokens=500)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "daily_tokens_exceeded"
    await site.client.post(f"/v1/responses/{running}/cancel")
    upstream.script = answer("ok")
    assert (await ask(site, max_output_tokens=500)).status_code == 200
    with sqlite3.connect(site.server.data / "tako.db") as db:
        used, reserved = db.execute("SELECT used, reserved FROM quotas").fetchone()
        assert reserved == 0
        assert used == db.execute("SELECT sum(input_tokens + output_tokens) FROM ledger").fetchone()[0]


async def test_sigterm_lets_answers_end_and_cuts_the_rest(serve: Callable[..., Site], upstream: Upstream) -> None:
    """No new work; a grace period; then incomplete with everything kept."""
    site = serve("shutdown_grace = 0.5")
    await site.start()
    gates = Gate(), Gate()
    upstream.then = [[Say("short"), gates[0], Finish()], [Say("long"), gates[1]]]
    short = asyncio.create_task(ask(site, stream=True, background=True))
    await gates[0].reached.wait()
    long = asyncio.create_task(ask(site, stream=True, background=True))
    await gates[1].reached.wait()
    site.server.signal(15)
    while (await site.client.get("/readyz")).status_code != 503:
        pass
    assert (await ask(site)).status_code == 503
    gates[0].opened.set()
    assert events((await short).content)[-1].data["response"]["status"] == "completed"
    final = events((await long).content)[-1].data["response"]
    assert (final["status"], final["incomplete_details"]) == ("incomplete", {"reason": "server_shutdown"})
    assert final["output"][0]["content"][0]["text"] == "long"
    assert await site.server.wait() == 0


async def test_a_full_disk_loses_nothing(serve: Callable[..., Site], upstream: Upstream) -> None:
    """New work is refused with a clear error, what runs waits, and goes on when there is room."""
    site = serve()
    await site.start()
    await site.server.stop()
    pages = (site.server.data / "tako.db").stat().st_size // 4096
    site.server.environment["TAKO_MAX_DATABASE_PAGES"] = str(pages + 40)
    await site.start()
    upstream.script = [*(Say("x" * 4000) for _ in range(200)), Finish()]
    running = (await ask(site, background=True)).json()["id"]
    while (await site.client.get("/readyz")).status_code != 503:
        await asyncio.sleep(0.05)
    refused = await ask(site)
    assert refused.status_code in (503, 507)
    assert refused.json()["error"]["code"] == "storage_full"
    await site.server.kill()
    del site.server.environment["TAKO_MAX_DATABASE_PAGES"]
    upstream.script = answer("fresh")
    await site.start()
    final = events(await wire(site, running))[-1].data["response"]
    assert final["status"] in ("incomplete", "completed")


async def test_a_server_that_is_told_to_stop_stops_also_when_its_disk_is_full(
    serve: Callable[..., Site], upstream: Upstream
) -> None:
    """The end of an answer waits for room, but a process does not wait for ever; the next start closes the answer."""
    site = serve("shutdown_grace = 0.1")
    pages = (site.server.data / "tako.db").stat().st_size // 4096
    site.server.environment["TAKO_MAX_DATABASE_PAGES"] = str(pages + 40)
    await site.start()
    upstream.script = [*(Say("x" * 4000) for _ in range(200)), Gate()]
    running = (await ask(site, background=True)).json()["id"]
    while (await site.client.get("/readyz")).status_code != 503:
        await asyncio.sleep(0.05)
    async with asyncio.timeout(60):
        assert await site.server.stop() == 0
    del site.server.environment["TAKO_MAX_DATABASE_PAGES"]
    upstream.script = answer("fresh")
    await site.start()
    assert events(await wire(site, running))[-1].data["response"]["status"] in ("incomplete", "completed")


async def test_a_lost_answer_is_continued_where_the_provider_can(
    serve: Callable[..., Site], upstream: Upstream
) -> None:
    """Same response, next epoch, from the prefix; readers see one text."""
    site = serve()
    await site.start()
    gate = Gate()
    upstream.script = [Say("one "), Say("two "), gate]
    reader = asyncio.create_task(watch_model(site, "prefixing"))
    await gate.reached.wait()
    await asyncio.sleep(0.1)
    response_id = await running_id(site)
    await site.server.kill()
    seen = await reader
    upstream.script = answer("three", " four")
    await site.start()
    rest = events(await wire(site, response_id, seen[-1].id))
    assert text_of(seen + rest) == "one two three four"
    assert rest[-1].data["response"]["status"] == "completed"
    assert upstream.requests[-1]["messages"][-1] == {"role": "assistant", "content": "one two "}


async def watch_model(site: Site, model: str) -> list[Event]:
    seen: list[Event] = []
    body = {"model": model, "input": "hi", "stream": True, "background": True}
    try:
        async with site.client.stream("POST", "/v1/responses", json=body) as response:
            async for event in follow(response):
                seen.append(event)
    except httpx.TransportError:
        pass
    return seen


async def test_an_answer_that_showed_nothing_is_asked_for_again_after_a_crash(
    serve: Callable[..., Site], upstream: Upstream
) -> None:
    """Nothing was shown, so nothing can be repeated."""
    site = serve()
    await site.start()
    gate = Gate()
    upstream.script = [gate]
    response_id = (await ask(site, background=True)).json()["id"]
    await gate.reached.wait()
    await site.server.kill()
    upstream.script = answer("here")
    await site.start()
    assert text_of(events(await wire(site, response_id))) == "here"
