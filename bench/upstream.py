"""A model that costs next to nothing: a paced OpenAI-compatible stream of chunks, each with the time it was sent.

The model's name holds the settings: `paced:chunks=500,rate=50` sends 500 chunks, 50 a second; with `hold=400` it says
nothing more after 400 of them.
Every delta starts with `~` + the monotonic clock in nanoseconds (16 digits; one clock for the whole machine) + `~`.
"""

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import cast

import httptools
import uvloop

MODELS = {"object": "list", "data": [{"id": "paced", "object": "model", "created": 0, "owned_by": "bench"}]}
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

    @classmethod
    def of(cls, model: str) -> "Pace":
        _, _, given = model.partition(":")
        values = dict(pair.split("=") for pair in given.split(",") if pair)
        return cls(
            int(values.get("chunks", cls.chunks)),
            float(values.get("rate", cls.rate)),
            int(values.get("hold", cls.hold)),
        )

    def last(self) -> bytes:
        usage = {"prompt_tokens": 10, "completion_tokens": self.chunks, "total_tokens": self.chunks + 10}
        return _frame(_event({}, "stop", usage=usage)) + _frame(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection; requests follow each other on it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is none of asyncio's
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._begin()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

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
        else:
            text = json.dumps(MODELS).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text)
            self._transport.write(head + text)

    def _answer(self, pace: Pace) -> None:
        self._transport.write(FIRST)
        self._say(pace, 0, self._loop.time())

    def _say(self, pace: Pace, said: int, began: float) -> None:
        if said == pace.hold:
            return
        if said == pace.chunks:
            self._transport.write(pace.last())
            return
        self._transport.write(self._chunk())
        self._timer = self._loop.call_at(began + (said + 1) / pace.rate, self._say, pace, said + 1, began)

    def _chunk(self) -> bytes:
        return b"%b%016d%b" % (BEFORE_STAMP, int(self._loop.time() * 1e9), AFTER_STAMP)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
