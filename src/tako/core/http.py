"""HTTP in the small: errors as JSON, request ids, bodies with a bound. Plain ASGI, no middleware classes."""

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol

import msgspec
import structlog

from tako.core import ids
from tako.core.errors import TakoError, TooLarge, TooMany

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

log = structlog.get_logger("tako.http")
_SAFE_ID = re.compile(r"[\w.:-]{1,64}\Z")


class App(Protocol):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Disconnected(Exception):
    """The client went away before it had sent its whole request."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that (lower-case) name."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


async def read_body(scope: Scope, receive: Receive, *, limit: int) -> bytes:
    """The request's body; `TooLarge` as soon as more than `limit` bytes are announced or seen."""
    announced = header(scope, b"content-length")
    if announced and announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join(chunks)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request is larger than {limit} bytes, the limit of this site.", code="request_too_large")


async def send_bytes(send: Send, status: int, body: bytes, content_type: bytes, headers: Iterable[Header] = ()) -> None:
    """One whole response."""
    start = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, status: int, value: object, headers: Iterable[Header] = ()) -> None:
    await send_bytes(send, status, msgspec.json.encode(value), b"application/json", headers)


async def send_error(scope: Scope, send: Send, error: TakoError) -> None:
    """An error in the shape of the API that was asked: OpenAI's under /v1, problem+json (RFC 9457) elsewhere."""
    headers: list[Header] = []
    if isinstance(error, TooMany) and error.retry_after is not None:
        headers.append((b"retry-after", str(max(1, round(error.retry_after))).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.status in (409, 422):
        # The stock OpenAI clients repeat a 409 by themselves, which cannot help here.
        headers.append((b"x-should-retry", b"false"))
    if scope["path"].startswith("/v1"):
        await send_json(send, error.status, openai_error(error), headers)
    else:
        body = msgspec.json.encode(problem(error, scope.get("tako.request_id")))
        await send_bytes(send, error.status, body, b"application/problem+json", headers)


def openai_error(error: TakoError) -> dict[str, object]:
    return {"error": {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}}


def problem(error: TakoError, request_id: str | None) -> dict[str, object]:
    """RFC 9457, with `code` and `param` for programs."""
    fields = {
        "type": "about:blank",
        "title": type(error).__name__,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "param": error.param,
        "request_id": request_id,
    }
    return {key: value for key, value in fields.items() if value is not None}


def request_id(scope: Scope) -> str:
    """The caller's own `X-Request-Id` when it is harmless, else a fresh one."""
    given = header(scope, b"x-request-id")
    return given if given and _SAFE_ID.match(given) else ids.new("req")
