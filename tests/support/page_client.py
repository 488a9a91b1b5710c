"""The page as its server sees it: a browser with a session, and a strict reader of its streams."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class PageEvent:
    """`id` is None and `name` empty where the event has none."""

    id: int | None
    name: str
    data: dict[str, Any]
    raw: bytes


def page_events(wire: bytes) -> list[PageEvent]:
    """The whole events in `wire`; what follows the last blank line is discarded, as the standard says."""
    found: list[PageEvent] = []
    for block in wire.replace(b": hb\n", b"").split(b"\n\n")[:-1]:
        fields = dict(line.partition(b": ")[::2] for line in block.split(b"\n"))
        assert set(fields) <= {b"id", b"event", b"data"}
        number = int(fields[b"id"]) if b"id" in fields else None
        found.append(PageEvent(number, fields.get(b"event", b"").decode(), json.loads(fields[b"data"]), block))
    return found


def text_of(events: list[PageEvent]) -> str:
    return "".join(event.data.get("v", "") for event in events if event.name == "")


class Stream:
    """A stream as it arrives. `seen` is all that came."""

    def __init__(self, response: httpx.Response) -> None:
        self.seen: list[PageEvent] = []
        self._pieces = response.aiter_raw()
        self._waiting: list[PageEvent] = []
        self._rest = b""

    async def until(self, wanted: Callable[[PageEvent], bool]) -> PageEvent:
        """The next event that is wanted. Raises `StopAsyncIteration` when the stream ends before."""
        while True:
            while self._waiting:
                event = self._waiting.pop(0)
                self.seen.append(event)
                if wanted(event):
                    return event
            whole, separator, self._rest = (self._rest + await anext(self._pieces)).rpartition(b"\n\n")
            self._waiting = page_events(whole + separator)

    async def named(self, name: str) -> PageEvent:
        return await self.until(lambda event: event.name == name)

    async def rest(self) -> list[PageEvent]:
        """Everything up to the end, also when that is a broken connection."""
        with suppress(StopAsyncIteration, httpx.TransportError):
            await self.until(lambda event: False)
        return self.seen


class Browser:
    """A signed-in person's browser."""

    def __init__(self, url: str) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.client = httpx.AsyncClient(
            base_url=url, headers={"origin": url}, timeout=60, trust_env=False, limits=limits
        )

    async def __aenter__(self) -> "Browser":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.client.aclose()

    async def sign_up(self, email: str) -> None:
        made = await self.client.post("/api/users", json={"email": email, "password": PASSWORD})
        assert made.status_code == 201, made.text

    async def sign_in(self, email: str) -> None:
        made = await self.client.post("/api/session", json={"email": email, "password": PASSWORD})
        assert made.status_code == 201, made.text

    async def get(self, path: str, status: int = 200) -> Any:
        return await self._json("GET", path, status)

    async def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return await self._json("POST", path, status, body)

    async def _json(self, method: str, path: str, status: int, body: Any = None) -> Any:
        response = await self.client.request(method, path, json=body)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    async def ask(self, text: str, conversation_id: str | None = None, **fields: Any) -> list[PageEvent]:
        """Ask and read to the end."""
        response = await self.client.post(messages_path(conversation_id), json=body_of(text, fields))
        assert response.status_code == 200, response.text
        return page_events(response.content)

    @asynccontextmanager
    async def asking(self, text: str, conversation_id: str | None = None, **fields: Any) -> AsyncIterator[Stream]:
        async with self.streaming("POST", messages_path(conversation_id), json=body_of(text, fields)) as stream:
            yield stream

    @asynccontextmanager
    async def streaming(self, method: str, path: str, **request: Any) -> AsyncIterator[Stream]:
        async with self.client.stream(method, path, **request) as response:
            assert response.status_code == 200, (await response.aread()).decode()
            yield Stream(response)

    async def conversation(self, conversation_id: str, query: str = "") -> Any:
        return await self.get(f"/api/conversations/{conversation_id}{query}")

    async def texts(self, conversation_id: str) -> list[str]:
        """What the current branch says, message by message."""
        return [text_in(message) for message in (await self.conversation(conversation_id))["messages"]]


def text_in(message: dict[str, Any]) -> str:
    return "".join(item["text"] for item in message["items"] if item["type"] == "message")


def messages_path(conversation_id: str | None) -> str:
    return f"/api/conversations/{conversation_id}/messages" if conversation_id else "/api/conversations/messages"


def body_of(text: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"text": text, "model": "scripted", **fields}
