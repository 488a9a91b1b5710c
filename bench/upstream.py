"""A model that costs next to nothing: a paced OpenAI-compatible stream of chunks, each with the time it was sent.

The model's name holds the settings: `paced:chunks=500;rate=50` sends 500 chunks, 50 a second; with `hold=400` it says
nothing more after 400 of them; with `rate=0` it says all as fast as it is taken;
with `wait=1` it says nothing for a second first.
`GET /closed` tells, and forgets, when answers that it had not finished lost their connection, in nanoseconds.
Every delta starts with `~` + the monotonic clock in nanoseconds (16 digits; one clock for the whole machine) + `~`.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import httptools
import uvloop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STAMP = "~0000000000000000~"


def _event(delta: dict[str, str], finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    data = {"id": "chatcmpl-paced", "object": "chat.completion.chunk", "created": 0, "model": "paced"}
    return b"data: %b\n\n" % json.dumps({**data, "choices": [choice], **more}, separators=(",", ":")).encode()


def _frame(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


FIRST = HEAD + _frame(_event({"role": "assistant", "content": ""}))
BEFORE_STAMP, AFTER_STAMP = _frame(_event({"content": STAMP + "word"})).split(b"0" * 16)


@dataclass(frozen=True)
class Pace:
    chunks: int = 500
    rate: float = 50.0
    hold: int = -1
    wait: float = 0.0

    @classmethod
    def of(cls, model: str) -> "Pace":
        _, _, given = model.partition(":")
        values = dict(pair.split("=") for pair in given.split(";") if pair)
        return cls(
            int(values.get("chunks", cls.chunks)),
            float(values.get("rate", cls.rate)),
            int(values.get("hold", cls.hold)),
            float(values.get("wait", cls.wait)),
        )

    def last(self) -> bytes:
        usage = {"prompt_tokens": 10, "completion_tokens": self.chunks, "total_tokens": self.chunks + 10}
        return _frame(_event({}, "stop", usage=usage)) + _frame(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection; requests follow each other on it. `closed` is shared by all."""

    def __init__(self, models: Sequence[str], closed: list[int]) -> None:
        self._models = models
        self._closed = closed
        self._answering = False
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is none of asyncio's
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._begin()

    def connection_lost(self, error: Exception | None) -> None:
        if self._answering:
            self._closed.append(time.monotonic_ns())
            self._answering = False
        if self._timer:
            self._timer.cancel()
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        self._request.feed_data(data)

    def _begin(self) -> None:
        self._request = httptools.HttpRequestParser(self)
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        url, body = self._url, self._body
        self._url = self._body = b""
        if url.endswith(b"/chat/completions"):
            self._answer(Pace.of(json.loads(body)["model"]))
        elif url.endswith(b"/closed"):
            self._tell(self._closed)
            self._closed.clear()
        else:
            models = [{"id": model, "object": "model", "created": 0, "owned_by": "bench"} for model in self._models]
            self._tell({"object": "list", "data": models})

    def _tell(self, what: object) -> None:
        text = json.dumps(what).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text)
        self._transport.write(head + text)

    def _answer(self, pace: Pace) -> None:
        self._answering = True
        self._transport.write(FIRST)
        if pace.rate:
            self._say(pace, 0, self._loop.time())
        else:
            self._task = self._loop.create_task(self._say_all(pace), name="answer")

    async def _say_all(self, pace: Pace) -> None:
        await asyncio.sleep(pace.wait)
        for _ in range(pace.chunks):
            await self._room.wait()
            self._transport.write(_chunk())
            await asyncio.sleep(0)  # or everything would be one write
        self._end(pace)

    def _say(self, pace: Pace, said: int, began: float) -> None:
        if said == pace.hold:
            return
        if said == pace.chunks:
            self._end(pace)
            return
        self._transport.write(_chunk())
        self._timer = self._loop.call_at(began + (said + 1) / pace.rate, self._say, pace, said + 1, began)

    def _end(self, pace: Pace) -> None:
        self._answering = False
        self._transport.write(pace.last())


def _chunk() -> bytes:
    # Not the loop's time: uvloop has that in whole milliseconds.
    return b"%b%016d%b" % (BEFORE_STAMP, time.monotonic_ns(), AFTER_STAMP)


async def serve(port: int, models: Sequence[str]) -> None:
    closed: list[int] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(models, closed), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2:]))
