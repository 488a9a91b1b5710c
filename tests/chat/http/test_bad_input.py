"""Hostile and mistaken requests: each gets a clear error in the API's shape, and changes nothing."""

import asyncio
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tako.chat import conversations, responses
from tests.chat.conftest import Open
from tests.support.inside import Inside
from tests.support.sse import events, text_of
from tests.support.upstream import Gate, Say, Upstream, answer

QUESTION: dict[str, Any] = {"model": "scripted", "input": "hi"}
NUL = "%00"


async def ask(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/v1/responses", json={**QUESTION, **body})


def refused(response: httpx.Response, status: int, code: str) -> str:
    """Check that it is OpenAI's error object with that code. Returns its message."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert len(error["message"]) > 10
    return str(error["message"])


BODIES: list[tuple[bytes, str, str | None]] = [
    (b"", "invalid_value", "model"),
    (b"{", "invalid_json", None),
    (b"[]", "invalid_value", "body"),
    (b"null", "invalid_value", "body"),
    (b"\xff\xfe", "invalid_json", None),
    (b"[" * 100_000, "invalid_json", None),
    (b'{"model":"scripted"}', "invalid_value", "input"),
    (b'{"model":5,"input":"hi"}', "invalid_value", "model"),
    (b'{"model":"scripted","input":5}', "invalid_value", "input"),
    (b'{"model":"scripted","input":[{"role":"tako","content":"hi"}]}', "invalid_value", "input[0].role"),
    (b'{"model":"scripted","input":"hi","stream":"yes"}', "invalid_value", "stream"),
    (b'{"model":"scripted","input":"hi","temperature":3}', "invalid_value", "temperature"),
    (b'{"model":"scripted","input":"hi","temperature":NaN}', "invalid_value", "temperature"),
    (b'{"model":"scripted","input":"hi","max_output_tokens":0}', "invalid_value", "max_output_tokens"),
    (b'{"model":"scripted","input":"hi","max_output_tokens":1.5}', "invalid_value", "max_output_tokens"),
    (
        b'{"model":"scripted","input":"hi","max_output_tokens":1' + b"0" * 30 + b"}",
        "invalid_value",
        "max_output_tokens",
    ),
    (b'{"model":"scripted","input":"hi","metadata":{"k":5}}', "invalid_value", "metadata.k"),
    (b'{"model":"scripted","input":"hi","metadata":{"k":"' + b"v" * 513 + b'"}}', "invalid_value", "metadata.k"),
    (b'{"model":"scripted","input":""}', "empty_input", "input"),
    (b'{"model":"scripted","input":" \\n "}', "empty_input", "input"),
    (b'{"model":"scripted","input":[]}', "empty_input", "input"),
    (
        b'{"model":"scripted","input":[{"type":"image","role":"user","content":"x"}]}',
        "unsupported_item",
        "input[0]",
    ),
    (
        b'{"model":"scripted","input":[{"role":"user","content":[{"type":"input_image"}]}]}',
        "unsupported_content",
        "input[0].content[0]",
    ),
    (b'{"model":"scripted","input":"\\ud83d"}', "invalid_json", None),
    (b'{"model":"scripted","input":"hi","metadata":{"\\udc00":"v"}}', "invalid_json", None),
]


async def test_a_body_that_cannot_be_right_is_refused(site: Inside, upstream: Upstream) -> None:
    """Nothing is stored and nobody is asked."""
    for body, code, param in BODIES:
        response = await site.client.post("/v1/responses", content=body)
        refused(response, 400, code)
        assert response.json()["error"]["param"] == param, body[:100]
    assert upstream.requests == []
    assert (await site.client.get("/v1/conversations")).json()["data"] == []


async def test_an_unknown_model_names_the_known_ones(site: Inside) -> None:
    """Also when its name is hostile."""
    for name in ("gpt-9", "", "\0", "m" * 100_000):
        assert "scripted" in refused(await ask(site.client, model=name), 404, "model_not_found")
    refused(await site.client.get(f"/v1/models/{NUL}"), 404, "model_not_found")


async def test_a_megabyte_that_no_model_can_read_is_told_so(site: Inside, upstream: Upstream) -> None:
    """In one piece and in a thousand."""
    refused(await ask(site.client, input="x" * 2**20), 400, "context_length_exceeded")
    pieces = [{"role": "user", "content": "x" * 1024}] * 1024
    refused(await ask(site.client, input=pieces), 400, "context_length_exceeded")
    assert upstream.requests == []


async def test_a_long_question_that_fits_is_answered(site: Inside, upstream: Upstream) -> None:
    """200,000 characters count as 67,000 tokens; the model reads 100,000."""
    assert (await ask(site.client, input="word " * 40_000)).json()["status"] == "completed"
    assert upstream.requests[-1]["messages"][-1]["content"] == "word " * 40_000


async def test_a_body_over_the_limit_is_refused_announced_or_not(open_site: Open) -> None:
    """With Content-Length at once; without, as soon as it is too much. The server goes on."""

    async def endless() -> Any:
        for _ in range(64):
            yield b"x" * 4096

    async with open_site(max_body_bytes=100_000) as site:
        for path in ("/v1/responses", "/v1/conversations"):
            refused(await site.client.post(path, content=b"x" * 100_001), 413, "request_too_large")
            refused(await site.client.post(path, content=endless()), 413, "request_too_large")
        assert (await ask(site.client)).json()["status"] == "completed"


async def test_a_cursor_that_is_none_is_refused(site: Inside) -> None:
    """In the query or in Last-Event-ID."""
    path = f"/v1/responses/{(await ask(site.client)).json()['id']}?stream=true"
    for cursor in ("-1", "text", "1.5", "", "9" * 16, "%C2%B2", "%00"):
        refused(await site.client.get(f"{path}&starting_after={cursor}"), 400, "invalid_cursor")
    for cursor in ("-1", "text", "9" * 16):
        refused(await site.client.get(path, headers={"last-event-id": cursor}), 400, "invalid_cursor")
    for flag in ("2", "yes", ""):
        refused(await site.client.get(path.replace("true", flag)), 400, "invalid_value")


async def test_a_cursor_past_the_end(site: Inside, upstream: Upstream) -> None:
    """Of a running answer it is a mistake; of an ended one nothing more (EventSource is told with 204)."""
    gate = Gate()
    upstream.script = [Say("one"), gate]
    response_id = (await ask(site.client, background=True)).json()["id"]
    await gate.reached.wait()
    path = f"/v1/responses/{response_id}?stream=true"
    refused(await site.client.get(f"{path}&starting_after=999"), 400, "invalid_cursor")
    await site.client.post(f"/v1/responses/{response_id}/cancel")
    whole = events((await site.client.get(path)).content)
    for cursor in (whole[-1].id, whole[-1].id + 1, 999):
        ended = await site.client.get(f"{path}&starting_after={cursor}")
        assert (ended.status_code, ended.content) == (200, b"")
        told = await site.client.get(path, headers={"last-event-id": str(cursor)})
        assert (told.status_code, told.content) == (204, b"")
    both = await site.client.get(f"{path}&starting_after=1", headers={"last-event-id": "2"})
    assert events(both.content) == whole[3:]


@pytest.mark.parametrize("stolen", [True, False])
async def test_what_is_not_yours_is_not_there(site: Inside, upstream: Upstream, *, stolen: bool) -> None:
    """Somebody else's ids and ids that never were read the same, on every route."""
    conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
    gate = Gate()
    upstream.script = [Say("secret"), gate]
    response_id = (await ask(site.client, conversation=conversation, background=True)).json()["id"]
    await gate.reached.wait()
    item = (await site.client.get(f"/v1/conversations/{conversation}/items")).json()["data"][0]["id"]
    _, thief = await site.new_person()
    if not stolen:
        response_id, conversation = f"resp_{'0' * 32}", f"conv_{'0' * 32}"
    tried = [
        await thief.get(f"/v1/responses/{response_id}"),
        await thief.get(f"/v1/responses/{response_id}?stream=true"),
        await thief.get(f"/v1/responses/{response_id}?stream=true", headers={"last-event-id": "0"}),
        await thief.get(f"/v1/responses/{response_id}/input_items"),
        await thief.post(f"/v1/responses/{response_id}/cancel"),
        await thief.delete(f"/v1/responses/{response_id}"),
        await ask(thief, previous_response_id=response_id),
        await ask(thief, conversation=conversation),
        await ask(thief, conversation={"id": conversation}, store=False),
        await thief.get(f"/v1/conversations/{conversation}"),
        await thief.post(f"/v1/conversations/{conversation}", json={"title": "mine"}),
        await thief.delete(f"/v1/conversations/{conversation}"),
        await thief.get(f"/v1/conversations/{conversation}/items"),
        await thief.post(f"/v1/conversations/{conversation}/items", json={"items": [{"role": "user", "content": "x"}]}),
        await thief.get(f"/v1/conversations/{conversation}/items/{item}"),
        await thief.delete(f"/v1/conversations/{conversation}/items/{item}"),
        await thief.get(f"/v1/conversations?after={conversation}"),
    ]
    assert [response.status_code for response in tried] == [404] * len(tried)
    assert not any("secret" in response.text for response in tried)
    assert (await thief.get("/v1/conversations")).json()["data"] == []
    own = (await thief.post("/v1/conversations", json={})).json()["id"]
    assert (await thief.get(f"/v1/conversations/{own}/items/{item}")).status_code == 404
    assert (await thief.delete(f"/v1/conversations/{own}/items/{item}")).status_code == 404
    if stolen:
        assert (await site.client.get(f"/v1/responses/{response_id}")).json()["status"] == "in_progress"


async def test_the_error_for_what_is_not_yours_does_not_tell_that_it_exists(site: Inside) -> None:
    """Not even by its words."""
    response_id = (await ask(site.client)).json()["id"]
    conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
    _, thief = await site.new_person()
    for path, never in (
        (f"/v1/responses/{response_id}", f"/v1/responses/resp_{'0' * 32}"),
        (f"/v1/conversations/{conversation}", f"/v1/conversations/conv_{'0' * 32}"),
    ):
        assert (await thief.get(path)).json() == (await thief.get(never)).json()


async def test_ids_that_are_none_are_not_found(site: Inside) -> None:
    """PostgreSQL takes no NUL, not even to look for it."""
    for path in (
        f"/v1/responses/{NUL}",
        f"/v1/responses/resp_{NUL}",
        f"/v1/responses/{NUL}/input_items",
        f"/v1/conversations/{NUL}",
        f"/v1/conversations/{NUL}/items",
        f"/v1/conversations?after={NUL}",
        "/v1/responses/%FF%FE",
        "/v1/responses/" + "r" * 5000,
        "/v1/responses/..%2f..%2fetc",
    ):
        response = await site.client.get(path)
        assert response.status_code == 404, response.text
        assert response.json()["error"]["code"]


async def test_ids_that_are_none_are_not_found_in_bodies_either(site: Inside) -> None:
    for name in ("\0", "x\0", "conv_\0", "c" * 5000):
        refused(await ask(site.client, conversation=name), 404, "conversation_not_found")
        refused(await ask(site.client, previous_response_id=name), 404, "previous_response_not_found")
    made = (await site.client.post("/v1/conversations", json={})).json()["id"]
    for item in (NUL, f"msg_{NUL}"):
        refused(await site.client.get(f"/v1/conversations/{made}/items/{item}"), 404, "item_not_found")
        refused(await site.client.delete(f"/v1/conversations/{made}/items/{item}"), 404, "item_not_found")


async def test_nul_in_texts_becomes_a_replacement_character_everywhere(site: Inside, upstream: Upstream) -> None:
    """Both databases keep the same text: input, instructions, metadata, titles, items; and a search for it finds it."""
    made = await site.client.post(
        "/v1/conversations",
        json={"metadata": {"title": "a\0b", "k\0": "v\0"}, "items": [{"role": "user", "content": "c\0d"}]},
    )
    assert made.status_code == 200, made.text
    assert made.json()["title"] == "a\ufffdb"
    assert made.json()["metadata"] == {"title": "a\ufffdb", "k\ufffd": "v\ufffd"}
    conversation = made.json()["id"]
    changed = await site.client.post(
        f"/v1/conversations/{conversation}", json={"title": "e\0f", "metadata": {"m": "\0"}}
    )
    assert changed.status_code == 200, changed.text
    read = (await site.client.get(f"/v1/conversations/{conversation}")).json()
    assert (read["title"], read["metadata"]) == ("e\ufffdf", {"m": "\ufffd"})
    added = await site.client.post(
        f"/v1/conversations/{conversation}/items", json={"items": [{"role": "user", "content": "g\0h"}]}
    )
    assert added.json()["data"][0]["content"][0]["text"] == "g\ufffdh"
    told = await ask(site.client, input="i\0j", instructions="k\0l", metadata={"n\0": "o\0"}, conversation=conversation)
    assert told.status_code == 200, told.text
    assert told.json()["instructions"] == "k\ufffdl"
    assert told.json()["metadata"] == {"n\ufffd": "o\ufffd"}
    assert [turn["content"] for turn in upstream.requests[-1]["messages"]] == [
        "k\ufffdl",
        "c\ufffdd",
        "g\ufffdh",
        "i\ufffdj",
    ]
    found = await site.client.get("/v1/conversations", params={"search": "g\0h"})
    assert [row["id"] for row in found.json()["data"]] == [conversation]


async def test_headers_with_control_characters_never_reach_us(site: Inside) -> None:
    """An HTTP header holds no NUL; the parser says so before anybody reads it. Odd but legal ones are taken."""
    reader, writer = await asyncio.open_connection(*site.address)
    writer.write(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nidempotency-key: a\0b\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()
    odd = await site.client.post(
        "/v1/responses", json=QUESTION, headers={b"Idempotency-Key": "é\xa0ü".encode("latin-1")}
    )
    assert odd.json()["status"] == "completed"
    assert (await site.client.get("/v1/models", headers={"x-request-id": "a b\t<"})).headers["x-request-id"][
        :4
    ] == "req_"
    for key in ("", "k" * 256):
        refused(
            await site.client.post("/v1/responses", json=QUESTION, headers={"Idempotency-Key": key}),
            400,
            "invalid_value",
        )


async def test_lists_refuse_what_they_cannot_give(site: Inside) -> None:
    conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
    response_id = (await ask(site.client)).json()["id"]
    for query in ("limit=0", "limit=101", "limit=x", "limit=-1", "limit=" + "9" * 5000, "order=up"):
        refused(await site.client.get(f"/v1/responses/{response_id}/input_items?{query}"), 400, "invalid_value")
        refused(await site.client.get(f"/v1/conversations/{conversation}/items?{query}"), 400, "invalid_value")


async def test_a_list_goes_on_after_something_that_is_in_it(site: Inside) -> None:
    conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
    response_id = (await ask(site.client)).json()["id"]
    for path in (f"/v1/responses/{response_id}/input_items", f"/v1/conversations/{conversation}/items"):
        refused(await site.client.get(f"{path}?after=msg_none"), 404, "item_not_found")
        refused(await site.client.get(f"{path}?after={NUL}"), 404, "item_not_found")


async def test_an_answer_may_not_follow_one_that_is_being_made_or_was_deleted(site: Inside, upstream: Upstream) -> None:
    """Parent still running: a conflict that clients must not repeat by themselves. Parent deleted: not there."""
    gate = Gate()
    upstream.script = [Say("x"), gate]
    conversation = (await site.client.post("/v1/conversations", json={})).json()["id"]
    running = (await ask(site.client, conversation=conversation, background=True)).json()["id"]
    await gate.reached.wait()
    for response in (
        await ask(site.client, conversation=conversation),
        await site.client.post(
            f"/v1/conversations/{conversation}/items", json={"items": [{"role": "user", "content": "x"}]}
        ),
    ):
        refused(response, 409, "conversation_busy")
        assert response.headers["x-should-retry"] == "false"
    refused(await ask(site.client, previous_response_id=running), 409, "previous_response_running")
    refused(
        await ask(site.client, previous_response_id=running, conversation=conversation), 400, "conflicting_parameters"
    )
    await site.client.delete(f"/v1/responses/{running}")
    refused(await ask(site.client, previous_response_id=running), 404, "previous_response_not_found")
    upstream.script = answer("fine")
    assert (await ask(site.client, conversation=conversation)).json()["status"] == "completed"
    await site.client.delete(f"/v1/conversations/{conversation}")
    refused(await ask(site.client, conversation=conversation), 404, "conversation_not_found")


async def test_a_key_that_only_reads_changes_nothing(site: Inside) -> None:
    """Scopes: 403 for the scope, which is no secret."""
    _, reader = await site.new_person(scopes="chat:read")
    conversation = f"conv_{'0' * 32}"
    assert (await reader.get("/v1/models")).status_code == 200
    for response in (
        await ask(reader),
        await reader.post("/v1/responses/resp_1/cancel"),
        await reader.delete("/v1/responses/resp_1"),
        await reader.post("/v1/conversations", json={}),
        await reader.post(f"/v1/conversations/{conversation}", json={"title": "x"}),
        await reader.delete(f"/v1/conversations/{conversation}"),
        await reader.post(
            f"/v1/conversations/{conversation}/items", json={"items": [{"role": "user", "content": "x"}]}
        ),
        await reader.delete(f"/v1/conversations/{conversation}/items/msg_1"),
    ):
        refused(response, 403, "missing_scope")


async def test_nobody_gets_nothing(site: Inside) -> None:
    """Without credentials every route answers 401 and says how to ask."""
    nobody = site.new_client()
    for method, path in (
        ("POST", "/v1/responses"),
        ("GET", "/v1/responses/x"),
        ("GET", "/v1/responses/x?stream=true"),
        ("POST", "/v1/responses/x/cancel"),
        ("DELETE", "/v1/responses/x"),
        ("GET", "/v1/responses/x/input_items"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/scripted"),
        ("GET", "/v1/conversations"),
        ("POST", "/v1/conversations"),
        ("GET", "/v1/conversations/x"),
        ("GET", "/v1/conversations/x/items"),
    ):
        refused(
            await nobody.request(method, path, json=QUESTION if method == "POST" else None), 401, "missing_credentials"
        )


async def test_unknown_addresses_and_methods_are_errors_of_the_api(site: Inside) -> None:
    for method, path in (
        ("GET", "/v1/nothing"),
        ("PUT", "/v1/responses/x"),
        ("PATCH", "/v1/responses"),
        ("GET", "/v1/responses"),
    ):
        response = await site.client.request(method, path)
        assert response.status_code in (404, 405)
        assert response.json()["error"]["message"]


async def test_unknown_fields_are_ignored(site: Inside) -> None:
    """Clients grow new ones every month."""
    sent = await ask(site.client, access_programs=[1], background_options={"x": 1}, tools=[], include=[], user="u")
    assert sent.json()["status"] == "completed"


async def test_after_all_of_that_an_answer_is_an_answer(site: Inside) -> None:
    sent = await ask(site.client, stream=True)
    assert text_of(events(sent.content)) == "Hello world"


async def test_a_bug_of_ours_is_an_error_of_the_api_too(site: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients parse what they get; the cause stands in the log, not in the answer."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(responses, "create", broken)
    monkeypatch.setattr(conversations, "create", broken)
    with capture_logs() as logged:
        for path in ("/v1/responses", "/v1/conversations"):
            response = await site.client.post(path, json=QUESTION)
            refused(response, 500, "server_error")
            assert "secret" not in response.text
    assert [str(line["exc_info"]) for line in logged] == ["a secret of ours"] * 2
