"""Those who ask, read, leave, come again somewhere else, and stop, as clients on bad networks do."""

import asyncio
import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import httpx

from tests.faults.stage import MANNERS, Answer, Process, Stage, an_answer
from tests.support.sse import blocks, numbers

# Of each answer.
READERS = 3
# How long a reader of a flood takes nothing at most, in seconds, and how much of it it has by then, in bytes.
REST = 8.0
CAUGHT_UP = 500_000
# How long a client that was turned away waits before it comes again, in seconds.
AGAIN = 0.05
# How often at most a reader leaves before the end.
LEAVES = 3
# What a client may be told while something is broken: come again.
BUSY = (503, 507)
# What it means to be told something else.
REFUSED = {400: "a cursor of events that were shown is refused", 404: "an answer that was shown is not there"}


@dataclass(frozen=True)
class Dialect:
    """How its events are asked for from a cursor on, and how its last one is known."""

    path: str
    cursor: str
    ends: tuple[bytes, ...]

    def query(self, answer: Answer, after: int | None = None) -> str:
        return self.path.format(answer) + ("" if after is None else self.cursor.format(after))


RESPONSES = Dialect(
    "/v1/responses/{0.id}?stream=true",
    "&starting_after={}",
    tuple(b"\nevent: response.%b\n" % kind for kind in (b"completed", b"incomplete", b"failed")),
)
COMPACT = Dialect("/api/messages/{0.message_id}/stream?response_id={0.id}", "&after={}", (b"\nevent: done\n",))


@dataclass
class Reader:
    """One through all its connections, by those of which the `late` come last, and a `steady` one takes all at once.
    `seen` are the whole events that reached it."""

    answer: Answer
    dialect: Dialect
    source: Random
    late: bool
    steady: bool
    seen: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def wire(self) -> bytes:
        return b"".join(self.seen)

    @property
    def ended(self) -> bool:
        return bool(self.seen) and any(end in self.seen[-1] for end in self.dialect.ends)

    @property
    def cursor(self) -> int | None:
        return numbers(self.seen[-1])[0] if self.seen else None

    def __str__(self) -> str:
        return f"reader of {self.answer.question} by {self.dialect.path.split('/')[1]}, at {self.cursor}"


class Crowd:
    """Asks for an answer of each manner within `span` seconds, and reads each of them `READERS` times."""

    def __init__(self, stage: Stage, name: str, source: Random, *, span: float) -> None:
        self.stage = stage
        self.span = span
        self.answers = [an_answer(source, manner, f"{name}, question {n}") for n, manner in enumerate(MANNERS)]
        self.readers = [_reader(source, answer, n) for answer in self.answers for n in range(READERS)]
        self.counts: Counter[str] = Counter()
        self._source = source
        self._known = {answer.question: asyncio.Event() for answer in self.answers}
        self._ended = {answer.question: asyncio.Event() for answer in self.answers}
        self._most = asyncio.Event()
        stage.answers |= {answer.question: answer for answer in self.answers}

    async def live(self) -> None:
        """Until each question is answered, each reader has the end, and each stop was obeyed."""
        source = self._source
        async with asyncio.TaskGroup() as group:
            for answer in self.answers:
                group.create_task(self._ask(answer, source.uniform(0, self.span), source.random() < 0.4))
                if answer.manner == "endless" or source.random() < 0.15:
                    for _ in range(source.choice((1, 2))):
                        group.create_task(self._stop(answer, source.uniform(0.2, 2.5)))
            reading = [group.create_task(self._read(reader)) for reader in self.readers if not reader.late]
            for reader in self.readers:
                if reader.late:
                    group.create_task(self._read(reader))
            await asyncio.gather(*reading)
            self._most.set()

    def _somewhere(self, source: Random) -> Process:
        return source.choice(self.stage.processes)

    def _fine(self, response: httpx.Response, *expected: int) -> bool:
        """Whether it is an answer; to be told to come again is all right, anything else is not."""
        if response.status_code in expected:
            return True
        if response.status_code not in BUSY:
            told = f"{response.request.method} was answered with {response.status_code}"
            self.stage.found(REFUSED.get(response.status_code, told))
        return False

    async def _ask(self, answer: Answer, at: float, twice: bool) -> None:
        """With one key, until it is answered; perhaps by two at once, as behind a proxy that tries again."""
        await asyncio.sleep(at)
        source = Random(answer.question)
        self.counts["POSTs sent twice"] += twice
        await asyncio.gather(*(self._ask_once(answer, Random(source.random())) for _ in range(1 + twice)))
        self._known[answer.question].set()

    async def _ask_once(self, answer: Answer, source: Random) -> None:
        ask = self._ask_as_page if answer.page else self._ask_as_client
        while True:
            try:
                if await ask(answer, self._somewhere(source).client):
                    return
            except httpx.TransportError:
                self.counts["POSTs sent again"] += 1
            await asyncio.sleep(AGAIN)

    async def _ask_as_client(self, answer: Answer, client: httpx.AsyncClient) -> bool:
        body = {"model": answer.model, "input": answer.question, "background": True}
        response = await client.post("/v1/responses", json=body, headers={"idempotency-key": answer.question})
        if not self._fine(response, 200):
            return False
        answer.ids.add(response.json()["id"])
        return True

    async def _ask_as_page(self, answer: Answer, client: httpx.AsyncClient) -> bool:
        """It closes the page as soon as it knows the answer's name."""
        body = {"model": answer.model, "text": answer.question}
        headers = {"idempotency-key": answer.question}
        async with client.stream("POST", "/api/conversations/messages", json=body, headers=headers) as response:
            if not self._fine(response, 200):
                return False
            wire = b""
            async for piece in response.aiter_raw():
                wire += piece
                if b"\n\n" in wire:
                    break
        if not wire.startswith(b"event: metadata\ndata: "):
            return False
        named = json.loads(wire.split(b"\n")[1].removeprefix(b"data: "))
        answer.ids.add(named["response_id"])
        answer.message_id = named["answer_id"]
        return True

    async def _stop(self, answer: Answer, after: float) -> None:
        await self._known[answer.question].wait()
        await asyncio.sleep(after)
        source = Random(after)
        answer.stopped = True
        self.counts["stops"] += 1
        while True:
            try:
                response = await self._somewhere(source).client.post(f"/v1/responses/{answer.id}/cancel")
                if self._fine(response, 200):
                    answer.told.add(response.json()["status"])
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(AGAIN)

    async def _read(self, reader: Reader) -> None:
        await self._known[reader.answer.question].wait()
        if reader.late:
            await self._most.wait()
        await asyncio.sleep(reader.source.uniform(0, 1))
        while not reader.ended:
            await self._connect(reader)
            await asyncio.sleep(AGAIN)
        self._ended[reader.answer.question].set()

    async def _rest(self, answer: Answer, seconds: float) -> None:
        """Take nothing; of a flood, until somebody else has all of it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended[answer.question].wait()

    async def _connect(self, reader: Reader) -> None:
        """Read until the stream or the connection ends, or this reader leaves, perhaps with half an event; it may stop
        reading for a while."""
        source, flood = reader.source, reader.answer.manner == "flood"
        rest = 0.0
        if not (reader.connections or reader.steady) and source.random() < (0.9 if flood else 0.2):
            rest = REST if flood else source.uniform(0.3, 3)
        most = 0 if reader.steady else 1 if reader.late else LEAVES
        upto = source.randrange(1, 6000) if not rest and reader.connections < most and source.random() < 0.7 else None
        # Who is slow falls behind what others have had rendered, so those of a flood meet.
        process = self._somewhere(Random(reader.answer.question) if flood else source)
        wire = bytearray()
        try:
            query = reader.dialect.query(reader.answer, reader.cursor)
            async with (process.slow if flood else process.client).stream("GET", query) as response:
                if not self._fine(response, 200):
                    return
                self.counts["resumes"] += reader.connections > 0
                reader.connections += 1
                async for piece in response.aiter_raw():
                    wire += piece
                    if rest and len(wire) >= (CAUGHT_UP if flood else 0):
                        self.counts["readers that stopped reading"] += 1
                        await self._rest(reader.answer, rest)
                        rest = 0.0
                    if upto is not None and len(wire) >= upto:
                        del wire[upto:]
                        break
        except httpx.TransportError:
            self.counts["connections that broke"] += 1
        reader.seen += blocks(bytes(wire))


def _reader(source: Random, answer: Answer, n: int) -> Reader:
    flood = answer.manner == "flood"
    dialect = COMPACT if answer.page and not flood and source.random() < 0.5 else RESPONSES
    late = source.random() < 0.15 and not flood
    return Reader(answer, dialect, Random(source.random()), late=late, steady=flood and n == 0)
