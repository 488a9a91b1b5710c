"""Readers that cost next to nothing: they scan for the upstream's time stamps and count, they do not parse events."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

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
    last_chunk: int = 0
    last_byte: int = 0
    lags: list[int] = field(default_factory=list)
    """From the upstream's write to this reader's read, of each chunk."""
    body: bytes = b""
    """The beginning of the body, to tell what went wrong or which answer it is."""


class Reader(asyncio.Protocol):
    """One connection, one request at a time. It stops counting stamps after `chunks`: later events repeat the text."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self.seen = Seen()
        self._changed = asyncio.Event()
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is none of asyncio's

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._changed.set()

    async def ask(self, request: bytes, chunks: int = 0) -> Seen:
        """Send `request`, read the whole answer. Raises ConnectionError where the other side is gone or refuses."""
        await self.begin(request, chunks)
        return await self.ended()

    async def begin(self, request: bytes, chunks: int = 0) -> None:
        """Send `request`, return with the first byte of its body."""
        self._send(request, chunks)
        await self._until(lambda: self.seen.first_byte > 0)

    async def answered(self, request: bytes) -> Seen:
        """Send `request`, return with the end of its answer, whatever that says."""
        self._send(request, 0)
        await self._until(lambda: self.seen.last_byte > 0)
        return self.seen

    async def counted(self) -> Seen:
        """Until all chunks that were to be counted are there."""
        await self._until(lambda: len(self.seen.lags) == self._chunks)
        return self.seen

    async def ended(self) -> Seen:
        """Until the whole answer is there."""
        await self._until(lambda: self.seen.last_byte > 0)
        seen = self.seen
        if seen.status != 200 or len(seen.lags) != self._chunks:
            raise ConnectionError(f"HTTP {seen.status}, {len(seen.lags)} of {self._chunks} chunks: {seen.body[:300]!r}")
        return seen

    async def body_holds(self, text: bytes) -> None:
        await self._until(lambda: text in self.seen.body)

    def _send(self, request: bytes, chunks: int) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._chunks, self._rest = chunks, b""
        self.seen = Seen(asked=time.monotonic_ns())
        assert self._transport is not None
        self._transport.write(request)

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            if self._lost:
                raise ConnectionError(f"closed after {self.seen.body[-200:]!r}")
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        if self._transport:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._now = time.monotonic_ns()
        self._parser.feed_data(data)
        self._changed.set()

    def on_headers_complete(self) -> None:
        self.seen.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        seen = self.seen
        if not seen.first_byte:
            seen.first_byte = self._now
        if len(seen.body) < 1000:
            seen.body += body[:1000]
        if len(seen.lags) < self._chunks:
            self._count(self._rest + body)

    def _count(self, body: bytes) -> None:
        seen, end = self.seen, 0
        for stamp in STAMP.finditer(body):
            seen.first_chunk = seen.first_chunk or self._now
            seen.lags.append(self._now - int(stamp[1]))
            end = stamp.end()
            if len(seen.lags) == self._chunks:
                seen.last_chunk = self._now
                return
        self._rest = body[max(end, len(body) - LONGEST_STAMP) :]

    def on_message_complete(self) -> None:
        self.seen.last_byte = self._now


async def connect(port: int) -> Reader:
    _, reader = await asyncio.get_running_loop().create_connection(Reader, "127.0.0.1", port)
    return reader
