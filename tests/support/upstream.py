"""A scripted OpenAI-compatible upstream on loopback: faults are exact bytes, its text is known byte by byte."""

import asyncio
import contextlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Say:
    text: str


@dataclass(frozen=True)
class Think:
    text: str


@dataclass(frozen=True)
class Raw:
    """Exact bytes of the body."""

    data: bytes


@dataclass(frozen=True)
class Gate:
    """Nothing more until the test opens it."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Status:
    """Instead of a stream: this answer."""

    code: int
    body: bytes = b'{"error":{"message":"scripted"}}'
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Cut:
    """Drop the connection."""


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Turnstile:
    """Nothing more until the test lets one step through."""

    permits: asyncio.Semaphore


@dataclass(frozen=True)
class Finish:
    """The end: finish_reason, usage, [DONE]."""

    reason: str = "stop"
    usage: tuple[int, int] | None = (7, 11)


Step = Say | Think | Raw | Gate | Turnstile | Status | Cut | Pause | Finish
Script = Sequence[Step] | Callable[[dict[str, Any]], Sequence[Step]]  # or what makes it from the request


def words(seed: int, count: int) -> list[str]:
    """Chunks of a text that is the same for the same seed: several scripts, emoji, separators, quotes, newlines."""
    pieces = [
        "tako ",
        "章",
        "魚",
        "🐙",
        "é",
        "\n",
        "\u2028",
        '"',
        "\\",
        "</script>",
        "\u0085",
        "a\tb ",
        "ß",
        "data: ",
        "👩‍🚀",
    ]
    source = random.Random(seed)
    return [f"{n}:{source.choice(pieces)}" for n in range(count)]


def answer(*texts: str, reason: str = "stop") -> list[Step]:
    return [*map(Say, texts), Finish(reason)]


class Upstream:
    """`async with Upstream() as upstream`; set `script` (or `scripts[model]`) before asking."""

    def __init__(self) -> None:
        self.renew()
        self.open = 0
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None

    def renew(self) -> None:
        """As if nothing had been asked or set."""
        self.script: Script = answer("Hello", " world")
        self.scripts: dict[str, Script] = {}
        self.then: list[Sequence[Step]] = []  # scripts of the next requests, first come first served
        self.requests: list[dict[str, Any]] = []
        self.heads: list[str] = []  # request lines and headers
        self.models: tuple[int, bytes] = (200, b'{"object":"list","data":[]}')  # what GET /models answers

    async def __aenter__(self) -> "Upstream":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        await self.hang_up()

    async def hang_up(self) -> None:
        """Break off whatever is being answered."""
        connections = [task for task in asyncio.all_tasks() if task.get_name() == "upstream-connection"]
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.sleep(0)

    async def idle(self) -> None:
        """Until no answer is being made."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.open == 0)

    async def asked(self, times: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= times)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.set_name("upstream-connection")
        # Who is cancelled ends as any other: Python 3.11 logs it as a failure else.
        ended = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.closing(writer), contextlib.suppress(*ended):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head.decode())
                if head.startswith(b"GET /v1/models "):
                    status, listing = self.models
                    start = f"HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\n"
                    writer.write(f"{start}content-length: {len(listing)}\r\n\r\n".encode() + listing)
                    continue
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                body = json.loads(await reader.readexactly(length))
                if b"/chat/completions" not in head:
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                    continue
                await self._answer(body, reader, writer)

    async def _answer(self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.then.pop(0) if self.then else self.scripts.get(body["model"], self.script)
        if callable(script):
            script = script(body)
        async with self._changed:
            self.requests.append(body)
            self.open += 1
            self._changed.notify_all()
        gone = asyncio.create_task(reader.read(1), name="upstream-gone")
        play = asyncio.create_task(self._play(script, writer), name="upstream-play")
        try:
            await asyncio.wait((gone, play), return_when=asyncio.FIRST_COMPLETED)
            if play.done():
                play.result()
            if gone.done():
                raise ConnectionError
        finally:
            for task in (gone, play):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await task
            async with self._changed:
                self.open -= 1
                self._changed.notify_all()

    async def _play(self, script: Sequence[Step], writer: asyncio.StreamWriter) -> None:
        started = False

        def send(data: bytes) -> None:
            nonlocal started
            if not started:
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                started = True
            if data:
                writer.write(b"%x\r\n%b\r\n" % (len(data), data))

        for step in script:
            match step:
                case Status(code, body, headers):
                    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
                    length = f"content-length: {len(body)}\r\n\r\n"
                    head = f"HTTP/1.1 {code} Scripted\r\ncontent-type: application/json\r\n{lines}{length}"
                    writer.write(head.encode() + body)
                    return
                case Cut():
                    await writer.drain()
                    writer.transport.abort()
                    raise ConnectionError
                case Gate():
                    send(b"")
                    await writer.drain()
                    step.reached.set()
                    await step.opened.wait()
                case Turnstile(permits):
                    await writer.drain()
                    await permits.acquire()
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Raw(data):
                    send(data)
                case _:
                    for data in rendered(step):
                        send(data)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def rendered(step: Step) -> Iterator[bytes]:
    match step:
        case Say(text):
            yield chunk({"content": text})
        case Think(text):
            yield chunk({"reasoning_content": text})
        case Finish(reason, usage):
            yield chunk({}, reason)
            if usage is not None:
                counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
                yield event({"id": "up-1", "choices": [], "usage": counts})
            yield b"data: [DONE]\n\n"


def chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
    return event({"id": "up-1", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()
