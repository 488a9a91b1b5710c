"""Asking, stopping and recovering, two at once and with faults, on each kind of database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat import app, store
from tako.chat.generation import Generation
from tako.chat.models import attempts, ledger, messages, quotas, responses
from tako.core.blobs import blobs
from tako.core.db import Database, now
from tako.core.errors import Unavailable
from tests.chat.conftest import Open
from tests.support.inside import Inside
from tests.support.sse import events, text_of
from tests.support.upstream import Cut, Finish, Gate, Raw, Say, Status, Upstream, answer, event

QUESTION: dict[str, Any] = {"model": "scripted", "input": "hi"}


async def ask(client: httpx.AsyncClient, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {} if key is None else {"idempotency-key": key}
    return await client.post("/v1/responses", json={**QUESTION, **body}, headers=headers)


async def count(db: Database, table: Any) -> int:
    async with db.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


# One request, one answer, one bill


@pytest.mark.parametrize("how", [{}, {"stream": True}, {"background": True}, {"background": True, "stream": True}])
async def test_the_same_request_at_the_same_instant_is_one_answer_and_one_bill(
    site: Inside, upstream: Upstream, how: dict[str, bool]
) -> None:
    """Whoever loses the race gets the winner's answer, whole."""
    sent = await asyncio.gather(*(ask(site.client, "k1", **how) for _ in range(8)))
    assert [response.status_code for response in sent] == [200] * 8, [response.text for response in sent]
    ids = {response.headers["x-response-id"] for response in sent}
    assert len(ids) == 1
    await site.chat.generations.quiet()
    if how.get("stream"):
        for response in sent:
            assert events(response.content) == events(sent[0].content)
        assert text_of(events(sent[0].content)) == "Hello world"
    assert len(upstream.requests) == 1
    assert [await count(site.db, table) for table in (responses, ledger, attempts)] == [1, 1, 1]
    late = await ask(site.client, "k1", **how)
    assert late.headers["x-response-id"] in ids
    assert len(upstream.requests) == 1


async def test_a_key_with_another_body_is_refused_also_at_the_same_instant(site: Inside) -> None:
    """Of two that use one key for two questions, one is told."""
    sent = await asyncio.gather(*(ask(site.client, "k1", input=f"question {n}") for n in range(4)))
    assert sorted(response.status_code for response in sent) == [200, 422, 422, 422]
    assert await count(site.db, responses) == 1


async def test_keys_of_two_people_do_not_meet(site: Inside) -> None:
    _, other = await site.new_person()
    assert (await ask(site.client, "k1")).json()["id"] != (await ask(other, "k1")).json()["id"]


async def test_a_deleted_answer_frees_its_key(site: Inside, upstream: Upstream) -> None:
    """The same response, as long as it exists."""
    first = (await ask(site.client, "k1")).json()["id"]
    await site.client.delete(f"/v1/responses/{first}")
    assert (await ask(site.client, "k1")).json()["id"] != first
    assert len(upstream.requests) == 2


async def test_an_expired_answer_frees_its_key(open_site: Open, upstream: Upstream) -> None:
    """Also before the purge has come by."""
    async with open_site(unstored_grace=0.0) as site:
        first = (await ask(site.client, "k1", store=False)).json()["id"]
        assert (await site.client.get(f"/v1/responses/{first}")).status_code == 404
        assert (await ask(site.client, "k1", store=False)).json()["id"] != first
    assert len(upstream.requests) == 2


# Between the commit of a question and its generation


@asynccontextmanager
async def slow_commits(db: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Event]:
    """The database has committed a transaction, and its task hears of it only when the event is set."""
    heard = asyncio.Event()
    write = db.write

    @asynccontextmanager
    async def slowly() -> AsyncIterator[AsyncConnection]:
        async with write() as connection:
            yield connection
        await heard.wait()

    with monkeypatch.context() as patch:
        patch.setattr(db, "write", slowly)
        yield heard
        heard.set()


async def newest(db: Database) -> str:
    """The id of the newest response, as soon as one is there."""
    while True:
        async with db.read() as connection:
            if found := (await connection.execute(select(func.max(responses.c.id)))).scalar():
                return str(found)


async def test_an_answer_can_be_read_and_stopped_from_its_commit_on(
    site: Inside, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another tab may see it in the list before the task that asked has heard of its own commit. Stop means stop."""
    upstream.script = [Gate()]  # nobody else ends it
    async with slow_commits(site.db, monkeypatch) as heard:
        asking = asyncio.create_task(ask(site.client, background=True))
        response_id = await newest(site.db)
        reading = asyncio.create_task(site.client.get(f"/v1/responses/{response_id}?stream=true"))
        stopping = asyncio.create_task(site.client.post(f"/v1/responses/{response_id}/cancel"))
        done, _ = await asyncio.wait((reading, stopping), timeout=0.3)
        assert not done
        heard.set()
        assert (await stopping).json()["status"] == "cancelled"
        assert events((await reading).content)[-1].data["response"]["status"] == "cancelled"
        assert (await asking).status_code == 200
    await site.chat.generations.quiet()
    assert await count(site.db, ledger) == 1


# Many at once


@pytest.mark.slow
async def test_two_hundred_questions_at_once_are_two_hundred_answers(site: Inside, upstream: Upstream) -> None:
    """Each whole, each billed once."""
    sent = await asyncio.gather(*(ask(site.client, input=f"q{n}") for n in range(200)))
    assert [response.status_code for response in sent] == [200] * 200
    assert {response.json()["status"] for response in sent} == {"completed"}
    assert len({response.json()["id"] for response in sent}) == 200
    assert len(upstream.requests) == 200
    assert await count(site.db, ledger) == 200


@pytest.mark.slow
async def test_a_limit_that_fits_only_some_is_never_overspent(open_site: Open, upstream: Upstream) -> None:
    """Reserved before anything is asked; who does not fit is told when to come again."""
    async with open_site(daily_tokens=1000) as site:
        gate = Gate()
        upstream.script = [Say("x"), gate, Finish()]
        asking = [asyncio.create_task(ask(site.client, background=True, max_output_tokens=94)) for _ in range(200)]
        sent = await asyncio.gather(*asking)
        # 1 token of input, 5 around it, 94 of output: ten fit.
        assert sorted(response.status_code for response in sent) == [200] * 10 + [429] * 190
        refusal = next(response for response in sent if response.status_code == 429)
        assert refusal.json()["error"]["code"] == "daily_tokens_exceeded"
        assert 1 <= int(refusal.headers["retry-after"]) <= 86_400
        async with site.db.read() as connection:
            assert (await connection.execute(select(quotas.c.used, quotas.c.reserved))).one() == (0, 1000)
        gate.opened.set()
        await site.chat.generations.quiet()
        async with site.db.read() as connection:
            billed = (
                await connection.execute(select(func.sum(ledger.c.input_tokens + ledger.c.output_tokens)))
            ).scalar()
            assert (await connection.execute(select(quotas.c.used, quotas.c.reserved))).one() == (billed, 0)
        assert await count(site.db, ledger) == 10


async def test_a_server_answers_no_more_at_once_than_its_owner_allows(open_site: Open, upstream: Upstream) -> None:
    """Also when all ask in the same instant."""
    async with open_site(max_running=3) as site:
        upstream.script = [Say("x"), Gate()]
        sent = await asyncio.gather(*(ask(site.client, background=True) for _ in range(20)))
        assert sorted(response.status_code for response in sent) == [200] * 3 + [503] * 17
        assert {response.json()["error"]["code"] for response in sent if response.status_code == 503} == {"busy"}
        assert len(site.chat.generations) == 3


async def test_of_two_posts_into_one_conversation_one_is_told_to_wait(site: Inside, upstream: Upstream) -> None:
    """A conversation is a tree; two children of one leaf by accident would hide one of them."""
    conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
    upstream.script = [Say("x"), gate := Gate(), Finish()]
    asking = [asyncio.create_task(ask(site.client, conversation=conversation, background=True)) for _ in range(5)]
    sent = await asyncio.gather(*asking)
    assert sorted(response.status_code for response in sent) == [200, 409, 409, 409, 409]
    gate.opened.set()
    await site.chat.generations.quiet()
    assert await count(site.db, messages) == 2


async def test_a_stop_that_comes_late_does_not_touch_the_next_answer(site: Inside, upstream: Upstream) -> None:
    """A stop names a response, not a conversation."""
    conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
    first = (await ask(site.client, conversation=conversation, background=True)).json()["id"]
    await site.chat.generations.quiet()
    gate = Gate()
    upstream.script = [Say("second"), gate, Finish()]
    second = (await ask(site.client, conversation=conversation, background=True)).json()["id"]
    await gate.reached.wait()
    for _ in range(2):
        late = await site.client.post(f"/v1/responses/{first}/cancel")
        assert (late.status_code, late.json()["status"]) == (200, "completed")
    gate.opened.set()
    await site.chat.generations.quiet()
    assert (await site.client.get(f"/v1/responses/{second}")).json()["status"] == "completed"


@pytest.mark.slow
async def test_stop_and_the_end_at_the_same_instant_are_one_end(site: Inside, upstream: Upstream) -> None:
    """Whoever is first decides; both hear the same."""
    for _ in range(10):
        gate = Gate()
        upstream.script = [Say("x"), gate, Finish()]
        response_id = (await ask(site.client, background=True)).json()["id"]
        await gate.reached.wait()
        gate.opened.set()
        stops = await asyncio.gather(*(site.client.post(f"/v1/responses/{response_id}/cancel") for _ in range(3)))
        told = {stop.json()["status"] for stop in stops}
        stored = (await site.client.get(f"/v1/responses/{response_id}")).json()["status"]
        assert told == {stored}
        assert stored in ("completed", "cancelled")
    await site.chat.generations.quiet()
    assert await count(site.db, ledger) == 10


# The end is one fact


TABLES_OF_THE_END = ("responses", "messages", "items", "attempts", "ledger", "quotas", "logs")


async def state(db: Database) -> dict[str, list[Any]]:
    """Every row that an end changes."""
    async with db.read() as connection:
        return {
            table: [tuple(row) for row in await connection.execute(text(f"SELECT * FROM {table} ORDER BY 1"))]
            for table in TABLES_OF_THE_END
        }


@pytest.mark.slow
@pytest.mark.parametrize("step", ["update_response", "add_items", "end_message", "end_attempt", "bill"])
async def test_an_end_that_fails_halfway_has_not_happened(
    open_site: Open, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whatever statement fails, none of it is stored; when the database takes it again, all of it is, once."""
    async with open_site(daily_tokens=1_000_000) as site:
        conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
        gate, failed, mended = Gate(), asyncio.Event(), asyncio.Event()
        upstream.script = [Say("whole"), gate, Finish()]
        asked = await ask(site.client, conversation=conversation, background=True)
        assert asked.status_code == 200, asked.text
        response_id = asked.json()["id"]
        await gate.reached.wait()
        log = site.chat.journal.find(response_id)
        assert log is not None
        await log.wait(3)
        before = await state(site.db)
        real = getattr(store, step)

        async def failing(*arguments: Any, **named: Any) -> Any:
            if mended.is_set():
                return await real(*arguments, **named)
            failed.set()
            raise Unavailable("scripted")

        monkeypatch.setattr(store, step, failing)
        gate.opened.set()
        await failed.wait()
        assert (await site.client.get(f"/v1/responses/{response_id}")).json()["status"] == "in_progress"
        assert await state(site.db) == before
        assert (await site.client.get("/readyz")).status_code == 503
        mended.set()
        await site.chat.generations.quiet()
        assert (await site.client.get(f"/v1/responses/{response_id}")).json()["status"] == "completed"
        after = await state(site.db)
        assert len(after["ledger"]) == 1
        assert [row for row in after["quotas"] if row[3] != 0] == []
        assert (await site.client.get("/readyz")).status_code == 200


# What an upstream may say


HUGE = 2**70


SAID = [
    event({"id": "up\0\ud83d", "choices": []}),
    event({"id": "u" * 5000, "choices": []}),
    event({"choices": [], "usage": {"prompt_tokens": HUGE, "completion_tokens": 3}}),
    event({"choices": [], "usage": {"prompt_tokens": 2**40, "completion_tokens": 2**40}}),
    event({"choices": [], "usage": {"prompt_tokens": -5, "completion_tokens": -7}}),
    event({"choices": [], "usage": {"prompt_tokens": None, "completion_tokens": 3}}),
    event({"choices": [], "usage": {"prompt_tokens": 3.0, "completion_tokens": "4"}}),
    event({"error": {"message": "\0\ud83d broken \udc00"}}),
    event({"error": "\ud83d"}),
    b'data: {"choices":[{"delta":{"content":"' + b"[" * 200_000 + b'"}}]}\n\n',
    b'data: {"choices":[{"delta":' + b"[" * 200_000 + b"\n\n",
    b'data: {"other":' + b'{"a":' * 200_000 + b"\n\n",
    b"data: \xff\xfe\n\n",
    b"data: []\n\n",
    b"data: 5\n\n",
    b'data: {"choices":[{"delta":{"content":5}}]}\n\n',
    b"event: x\nid: 5\nretry: 1\n: comment\ndata:\n\n",
]


async def test_whatever_an_upstream_says_the_answer_ends_and_keeps_what_came(site: Inside, upstream: Upstream) -> None:
    """In the same read as text: the text is kept, the end is stored, there is one bill, and the next answer is well."""
    for n, said in enumerate(SAID, 1):
        upstream.script = [Raw(event({"choices": [{"delta": {"content": "kept"}}]}) + said), *answer(" more")]
        async with asyncio.timeout(20):
            seen = events((await ask(site.client, background=True, stream=True)).content)
        assert text_of(seen).startswith("kept"), said[:80]
        final = seen[-1].data["response"]
        assert final["status"] in ("completed", "failed"), said[:80]
        if final["status"] == "failed":
            assert "scripted" in final["error"]["message"]
            assert final["error"]["code"] in ("upstream_malformed", "upstream_error")
        assert 0 <= final["usage"]["total_tokens"] < 2**31
        stored = await site.client.get(f"/v1/responses/{final['id']}")
        assert stored.json() == final
        assert await count(site.db, ledger) == n


@pytest.mark.parametrize(
    "fault", [Status(503), Status(429, headers=(("Retry-After", "0"),)), Status(500, b"\xff\0"), Cut()]
)
@pytest.mark.slow
async def test_a_fault_before_the_first_token_is_tried_again_within_the_budget_on_one_bill(
    open_site: Open, upstream: Upstream, fault: Any
) -> None:
    """Once well: completed. Never well: failed after three tries, in words that name the upstream."""
    async with open_site(upstream_retries=1) as site:
        upstream.then = [[fault]]
        assert (await ask(site.client)).json()["status"] == "completed"
        upstream.then = [[fault]] * 5
        failed = (await ask(site.client)).json()
        assert failed["status"] == "failed"
        assert "scripted" in failed["error"]["message"]
        assert len(upstream.requests) == 4
        assert len(upstream.then) == 3
        async with site.db.read() as connection:
            assert list((await connection.execute(select(ledger.c.attempts))).scalars()) == [2, 2]
        assert await count(site.db, attempts) == 4


@pytest.mark.parametrize("stored", [False, True], ids=["before it is stored", "after it was stored"])
async def test_a_database_that_is_away_when_an_upstream_is_tried_again_is_waited_for(
    open_site: Open, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    """It does not end the answer, and what was stored although nobody heard of it is not stored twice."""
    async with open_site(upstream_retries=1) as site:
        upstream.then = [[Status(503)]]
        real = site.chat.generations.record_retry
        away = iter((True, False))

        async def failing(*arguments: Any) -> None:
            failed = next(away)
            if not failed or stored:
                await real(*arguments)
            if failed:
                raise Unavailable("scripted")

        monkeypatch.setattr(site.chat.generations, "record_retry", failing)
        assert (await ask(site.client)).json()["status"] == "completed"
        assert await count(site.db, attempts) == 2


async def test_after_the_first_token_nothing_is_tried_again(site: Inside, upstream: Upstream) -> None:
    """A second answer behind the first one's beginning would be worse than none."""
    upstream.then = [[Say("begun"), Cut()]]
    failed = (await ask(site.client)).json()
    assert (failed["status"], failed["error"]["code"]) == ("failed", "upstream_cut")
    assert failed["output"][0]["content"][0]["text"] == "begun"
    assert failed["output"][0]["status"] == "incomplete"
    assert len(upstream.requests) == 1


async def test_an_upstream_that_wants_more_patience_than_we_have_is_not_waited_for(
    site: Inside, upstream: Upstream
) -> None:
    upstream.then = [[Status(429, headers=(("Retry-After", "3600"),))]]
    failed = (await ask(site.client)).json()
    assert failed["error"]["code"] == "upstream_rate_limit"
    assert "HTTP 429" in failed["error"]["message"]
    assert len(upstream.requests) == 1


# After a crash, and what is thrown away


async def test_an_answer_in_a_conversation_that_was_deleted_is_closed_at_the_next_start(
    open_site: Open, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died between the deletion and the stop; the next one must start all the same."""
    async with open_site() as site:
        conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
        gates = [Gate(), Gate()]
        for gate, stored in zip(gates, (False, True), strict=True):
            upstream.then = [[gate]]
            body = {"conversation": conversation, "store": stored, "background": True}
            assert (await ask(site.client, **body)).status_code == 200
            await gate.reached.wait()
        async with site.db.write() as connection:
            await connection.execute(text("UPDATE conversations SET deleted_at = :now"), {"now": now()})
        end = Generation._store_end

        async def never(self: Generation, outcome: Any) -> None:
            return None

        monkeypatch.setattr(Generation, "_store_end", never)
    monkeypatch.setattr(Generation, "_store_end", end)
    async with open_site() as site, asyncio.timeout(30):
        ended = ["in_progress"]
        while {"queued", "in_progress"} & set(ended):  # on PostgreSQL a process takes over while it serves
            await asyncio.sleep(0.01)
            async with site.db.read() as connection:
                ended = list((await connection.execute(select(responses.c.status))).scalars())
        assert ended == ["incomplete"] * 2
        assert await count(site.db, ledger) == 2
    assert len(upstream.requests) == 2


async def test_what_was_not_to_be_stored_is_purged_with_its_question(open_site: Open) -> None:
    """store=false, an expired and a deleted response leave no text behind; the ledger stays."""
    async with open_site(unstored_grace=0.0) as site:
        await ask(site.client, store=False, input="a secret")
        deleted = (await ask(site.client, input="another secret")).json()["id"]
        kept = (await ask(site.client, input="no secret")).json()["id"]
        await site.client.delete(f"/v1/responses/{deleted}")
        await app.purge(site.chat)
        async with site.db.read() as connection:
            left = [bytes(data) for data in (await connection.execute(select(blobs.c.data))).scalars()]
        assert len(left) == 1
        assert b"no secret" in left[0]
        assert await count(site.db, responses) == 1
        assert await count(site.db, ledger) == 3
        assert (await site.client.get(f"/v1/responses/{kept}/input_items")).json()["data"]
