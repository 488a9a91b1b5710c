"""/v1/responses as plain ASGI routes: a reader that waits for hours should cost as little as it can."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from tako.chat import answers, fold, follow, history, responses, store
from tako.chat.dialects.responses import Responses
from tako.chat.entries import AnyEntry, decode
from tako.chat.generation import Generation
from tako.chat.http.requests import CreateResponse, cursor, idempotency_key, parse
from tako.chat.responses import Chat
from tako.chat.store import Response
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import Principal
from tako.core.connection import connection
from tako.core.errors import Invalid, NotFound
from tako.core.http import Header, Receive, Scope, Send, header, read_body, send_json
from tako.core.journal import Log
from tako.core.sse import Reader, Source, Wheel

_SKIP_ALL = 1 << 60


@dataclass(frozen=True, slots=True)
class ResponsesEndpoint:
    """Everything under /v1/responses. `foreground_grace` is in seconds, `max_body` in bytes."""

    chat: Chat
    authenticator: Authenticator
    wheel: Wheel
    tails: follow.Tails
    foreground_grace: float
    max_body: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Routes by hand: five paths."""
        match (scope["method"], scope["path"].removeprefix("/v1/responses").strip("/").split("/")):
            case ("POST", [""]):
                await self._create(scope, receive, send)
            case ("GET", [response_id]) if response_id:
                await self._retrieve(scope, send, response_id)
            case ("DELETE", [response_id]) if response_id:
                await self._delete(scope, send, response_id)
            case ("POST", [response_id, "cancel"]):
                await self._cancel(scope, send, response_id)
            case ("GET", [response_id, "input_items"]):
                await self._input_items(scope, send, response_id)
            case _:
                raise NotFound(f"There is no {scope['method']} {scope['path']} here.", code="not_found")

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self.authenticator.principal(scope)
        body = await read_body(scope, receive, limit=self.max_body)
        request = parse(CreateResponse, body)
        row = await responses.create(self.chat, principal, request.ask(body, idempotency_key(scope)))
        headers = [(b"x-response-id", row.id.encode())]
        generation = self.chat.generations.find(row.id)
        if request.stream:
            await self._stream(scope, send, principal, row, -1, headers, generation)
        elif row.background:
            await self._send_object(send, row, headers)
        else:
            await self._send_when_ended(scope, send, row, headers, generation)

    async def _retrieve(self, scope: Scope, send: Send, response_id: str) -> None:
        principal = await self.authenticator.principal(scope)
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        stream = _flag(query, "stream")
        after = _cursor(query, header(scope, b"last-event-id"))
        row = await responses.find(self.chat, principal, response_id)
        if not stream:
            await self._send_object(send, row, [])
            return
        log = await answers.log_of(self.chat, row)
        last = self._last(row) if after >= 0 else None
        if last is not None and after >= last and header(scope, b"last-event-id") is not None:
            # An EventSource would come again and again; this is how it is told that there is no more.
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        if log is not None and after >= 0:
            tail = self.tails.of(log, Responses)
            if after >= tail.rendered:
                await self.chat.journal.look(log)  # another process may have shown what we have not heard of yet
            if after >= tail.rendered:
                raise Invalid(
                    f"starting_after={after} is past the last event of this response.",
                    code="invalid_cursor",
                    param="starting_after",
                )
        caught_up = self.chat.watch.resumed(running=log is not None)
        generation = await answers.join(self.chat, row)
        await self._stream(scope, send, principal, row, after, [], generation, caught_up)

    async def _cancel(self, scope: Scope, send: Send, response_id: str) -> None:
        principal = await self.authenticator.principal(scope)
        row = await answers.cancel(self.chat, principal, response_id)
        await self._send_object(send, row, [])

    async def _delete(self, scope: Scope, send: Send, response_id: str) -> None:
        principal = await self.authenticator.principal(scope)
        await answers.delete(self.chat, principal, response_id)
        await send_json(send, 200, {"id": response_id, "object": "response", "deleted": True})

    async def _input_items(self, scope: Scope, send: Send, response_id: str) -> None:
        principal = await self.authenticator.principal(scope)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        row = await responses.find(self.chat, principal, response_id)
        items = await self._inputs_of(row)
        await send_json(send, 200, page_of(items, query))

    async def _inputs_of(self, row: Response) -> list[dict[str, Any]]:
        async with self.chat.db.read() as db:
            if row.message_id is None:
                kept = await history.input_items(db, row)
                return [
                    {**responses.message_item(responses.InputItem(item["role"], item["text"])).content}
                    | {"id": item["id"], "status": "completed"}
                    for item in kept
                ]
            items: list[dict[str, Any]] = []
            for message_id in row.ask["inputs"]:
                for message in await store.branch(db, message_id, page=1):
                    items += [{**item.content, "id": item.id, "status": message.status} for item in message.items]
            return items

    async def _stream(
        self,
        scope: Scope,
        send: Send,
        principal: Principal,
        row: Response,
        after: int,
        headers: list[Header],
        generation: Generation | None,
        caught_up: Callable[[], None] | None = None,
    ) -> None:
        reader = Reader(await self._source(row, after, caught_up), principal, scope, send)
        if generation is not None:
            generation.attach()
        try:
            with self.wheel.watching(reader):
                await reader.run(headers)
        finally:
            if generation is not None:
                generation.leave(self.foreground_grace)

    async def _source(self, row: Response, after: int, caught_up: Callable[[], None] | None) -> Source:
        log = await answers.log_of(self.chat, row)
        if log is not None:
            return follow.Live(self.tails.of(log, Responses), Responses, after, caught_up)
        row = await answers.ended(self.chat, row)
        return follow.Ended(follow.replay(Responses(after), fold.load(row.fold or b"").entries()), caught_up)

    async def _send_when_ended(
        self,
        scope: Scope,
        send: Send,
        row: Response,
        headers: list[Header],
        generation: Generation | None,
    ) -> None:
        """A foreground request without a stream: one object, when the answer is whole or its client has gone."""
        log = await answers.log_of(self.chat, row)
        if log is not None:
            gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            client = connection(scope)

            def lost() -> None:
                if not gone.done():
                    gone.set_result(None)

            client.on_lost = lost
            ended = asyncio.create_task(log.wait_end(), name=f"wait-{row.id}")
            if generation is not None:
                generation.attach()
            try:
                await asyncio.wait((ended, gone), return_when=asyncio.FIRST_COMPLETED)
            finally:
                client.on_lost = None
                ended.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await ended
                if generation is not None:
                    generation.leave(self.foreground_grace)
            if client.lost:
                return
        async with self.chat.db.read() as db:
            # Whoever asked gets the answer, even when it was not to be stored and has expired with its end.
            row = await store.response(db, row.id, hidden=True)
        await self._send_object(send, row, headers)

    async def _send_object(self, send: Send, row: Response, headers: list[Header]) -> None:
        """The response as of now, with the number of the last event that its text includes."""
        log = await answers.log_of(self.chat, row)
        if log is None:
            row = await answers.ended(self.chat, row)
        state = Responses(after=_SKIP_ALL)
        for entry in self._entries(row, log):
            state.feed(entry)
        last = (b"x-last-sequence-number", str(state.next - 1).encode())
        await send_json(send, 200, {**state.response(), **await self._queue(log)}, [*headers, last])

    async def _queue(self, log: Log | None) -> dict[str, Any]:
        """The place of a response that waits for a slot. Not among its events: other clients know none such."""
        place = await answers.place(self.chat, log)
        return {} if place is None else {"queue": {"place": place}}

    def _entries(self, row: Response, log: Log | None) -> Iterator[AnyEntry]:
        if log is not None:
            return (decode(raw) for raw in log.entries[: log.committed])
        if row.fold is not None:
            return fold.load(row.fold).entries()
        return iter((decode(row.created),))

    def _last(self, row: Response) -> int | None:
        """The number of the last event, once the response has ended."""
        if row.fold is None:
            return None
        state = Responses(after=_SKIP_ALL)
        for entry in fold.load(row.fold).entries():
            state.feed(entry)
        return state.next - 1


def page_of(items: list[dict[str, Any]], query: dict[str, list[str]]) -> dict[str, Any]:
    """OpenAI's list object: `limit` (1 to 100, default 20), `order` (default desc), `after` (an item's id)."""
    limit = _limit(query)
    order = query.get("order", ["desc"])[-1]
    if order not in ("asc", "desc"):
        raise Invalid("order must be asc or desc.", code="invalid_value", param="order")
    if order == "desc":
        items = items[::-1]
    if after := query.get("after", [""])[-1]:
        ids = [item["id"] for item in items]
        if after not in ids:
            raise NotFound("There is no such item to go on after.", code="item_not_found", param="after")
        items = items[ids.index(after) + 1 :]
    return list_object(items[:limit], more=len(items) > limit)


def list_object(data: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }


def _limit(query: dict[str, list[str]]) -> int:
    text = query.get("limit", ["20"])[-1]
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 100):
        raise Invalid("limit must be a whole number from 1 to 100.", code="invalid_value", param="limit")
    return int(text)


def _flag(query: dict[str, list[str]], name: str) -> bool:
    value = query.get(name, ["false"])[-1].lower()
    if value not in ("true", "false", "1", "0"):
        raise Invalid(f"{name} must be true or false.", code="invalid_value", param=name)
    return value in ("true", "1")


def _cursor(query: dict[str, list[str]], last_event_id: str | None) -> int:
    """The number of the last event that the reader has: the larger of the two places where it may stand."""
    given = [("starting_after", value) for value in query.get("starting_after", [])]
    return cursor([*given, ("Last-Event-ID", last_event_id)] if last_event_id is not None else given)
