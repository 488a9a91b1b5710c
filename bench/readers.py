"""Readers that cost next to nothing: they scan for the upstream's time stamps and count, they do not parse events."""

import asyncio
import re
import time
from dataclasses import dataclass, field

import httptools

STAMP = re.compile(rb"~(\d{16})~")
LONGEST_STAMP = 18


@dataclass
class Seen:
    """What one reader saw; times in nanoseconds of the monotonic clock."""

    status: int = 0
    asked: int = 0
    first_byte: int = 0
    first_chunk: int = 0
    last_byte: int = 0
    lags: list[int] = field(default_factory=list)
    """From the upstream's write to this reader's read, of each chunk."""
    body: bytes = b""
    """The beginning of the body, to tell what went wrong or which answer it is."""


class Reader(asyncio.Protocol):
    """One connection, one request at a time. It stops counting stamps after `chunks`: later events repeat the text."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._seen = Seen()
        self._ended: asyncio.Future[Seen] | None = None
        self._began: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._ended and not self._ended.done():
            self._ended.set_exception(ConnectionError(f"closed after {self._seen.body[-200:]!r}"))

    async def ask(self, request: bytes, chunks: int = 0) -> Seen:
        """Send `request`, read the whole answer. Raises ConnectionError where the other side is gone or refuses."""
        await self.begin(request, chunks)
        assert self._ended is not None
        seen = await self._ended
        if seen.status != 200 or len(seen.lags) != chunks:
            raise ConnectionError(f"HTTP {seen.status}, {len(seen.lags)} of {chunks} chunks: {seen.body[:300]!r}")
        return seen

    async def begin(self, request: bytes, chunks: int = 0) -> None:
        """Send `request`, return with the first byte of its body."""
        loop = asyncio.get_running_loop()
        self._began, self._ended = loop.create_future(), loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._chunks, self._rest = chunks, b""
        self._seen = Seen(asked=time.monotonic_ns())
        assert self._transport is not None
        self._transport.write(request)
        await asyncio.wait([self._began, self._ended], return_when=asyncio.FIRST_COMPLETED)

    def close(self) -> None:
        self._ended = None
        if self._transport:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._now = time.monotonic_ns()
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        self._seen.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        seen = self._seen
        if not seen.first_byte:
            seen.first_byte = self._now
            if self._began and not self._began.done():
                self._began.set_result(None)
        if len(seen.body) < 1000:
            seen.body += body[:1000]
        if len(seen.lags) < self._chunks:
            self._count(self._rest + body)

    def _count(self, body: bytes) -> None:
        seen, end = self._seen, 0
        for stamp in STAMP.finditer(body):
            seen.first_chunk = seen.first_chunk or self._now
            seen.lags.append(self._now - int(stamp[1]))
            end = stamp.end()
            if len(seen.lags) == self._chunks:
                return
        self._rest = body[max(end, len(body) - LONGEST_STAMP) :]

    def on_message_complete(self) -> None:
        self._seen.last_byte = self._now
        if self._ended and not self._ended.done():
            self._ended.set_result(self._seen)


async def connect(port: int) -> Reader:
    _, reader = await asyncio.get_running_loop().create_connection(Reader, "127.0.0.1", port)
    return reader
