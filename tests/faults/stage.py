"""The site under test: real processes on a database of their own, and an upstream whose text is known byte by byte."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tako import migrations
from tests.conftest import owner_with_a_key
from tests.support import postgres, valkey
from tests.support.postgres import Postgres
from tests.support.process import Server
from tests.support.upstream import Cut, Finish, Gate, Pause, Raw, Say, Step, Think, Upstream, answer, words
from tests.support.valkey import Valkey

ROOT = Path(__file__).parents[2]
# Processes of a site on PostgreSQL.
PROCESSES = 3
# Seconds without a sign of life after which a process counts as dead.
LEASE = 0.5
# How long a client waits for the next byte, in seconds. A stream on which nothing happens has a heartbeat more often.
PATIENCE = 4.0
# How the answers of a crowd are made. The last three are faults of the upstream; an `endless` one
# ends when it is stopped; a `flood` is more than the site keeps rendered for readers that are slow.
MANNERS = (*("plain",) * 4, *("prefixing",) * 4, "thinking", *("endless",) * 2, "flood", "cut", "stalled", "garbled")
UPSTREAM_FAULTS = ("cut", "stalled", "garbled")
# Six megabytes: of four the kernel relieves the site for a reader that takes nothing.
FLOOD = " ".join(map(str, range(900_000)))
CONFIG = """
lease = {lease}
heartbeat = 1.0
stalled_reader = 6.0
shutdown_grace = 1.0
daily_tokens = 1000000000000
user_slots = 10
{settings}
[local]
enabled = false
[[providers]]
name = "scripted"
base_url = "{upstream}"
models = [
    {{ id = "plain", context_tokens = 1000000, max_output_tokens = 900000 }},
    {{ id = "prefixing", prefix = "assistant", context_tokens = 100000 }},
]
[[providers]]
name = "impatient"
base_url = "{upstream}"
silence_timeout = 1.0
models = [{{ id = "impatient", context_tokens = 100000 }}]
"""


@dataclass
class Answer:
    """One that the crowd asks for. `question` tells it from all others, also at the upstream; one of a `page` is asked
    for by the page's API, in a conversation of its own. `ids` are what the site called it: more than one is wrong."""

    question: str
    manner: str
    said: str
    page: bool
    ids: set[str] = field(default_factory=set)
    message_id: str = ""
    stopped: bool = False  # somebody has tried to
    told: set[str] = field(default_factory=set)  # what those were told that became of it

    @property
    def id(self) -> str:
        return min(self.ids)

    @property
    def model(self) -> str:
        return {"prefixing": "prefixing", "stalled": "impatient"}.get(self.manner, "plain")


def an_answer(source: Random, manner: str, question: str) -> Answer:
    said = "".join(words(source.randrange(1 << 30), source.randrange(40, 90)))
    return Answer(question, manner, FLOOD if manner == "flood" else said, page=source.random() < 0.6)


class Process:
    """One that serves, with clients that outlive it: it keeps its port. `slow` has hardly a buffer."""

    def __init__(self, server: Server, clock: Path) -> None:
        self.server = server
        self._clock = clock
        self.client = self.slow = httpx.AsyncClient(verify=False)

    async def start(self, key: str) -> None:
        await self.server.start()
        await self.client.aclose()
        self.client = _client(self.server.url, key)
        self.slow = _client(self.server.url, key, (socket.SOL_SOCKET, socket.SO_RCVBUF, 65536))

    def step_clock(self, seconds: int) -> None:
        """From now on its wall clock is so far from the true one."""
        new = self._clock.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n", encoding="ascii")
        new.rename(self._clock)

    async def end(self) -> None:
        await self.client.aclose()
        await self.slow.aclose()
        await self.server.kill()


def _client(url: str, key: str, *options: tuple[int, int, int]) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=10)
    return httpx.AsyncClient(
        base_url=url,
        headers={"authorization": f"Bearer {key}"},
        timeout=httpx.Timeout(PATIENCE, pool=None),
        transport=httpx.AsyncHTTPTransport(verify=False, limits=limits, socket_options=options),
    )


@dataclass(frozen=True)
class Services:
    """What a site on several processes stands on. `template` is the address of a database with the schema."""

    postgres: Postgres
    valkey: Valkey
    template: str


@contextmanager
def services() -> Iterator[Services]:
    """Both belong to nobody else: they are killed."""
    with postgres.running() as database, valkey.running() as beside:
        template = database.new_database()
        asyncio.run(migrations.upgrade(template))
        yield Services(database, beside, template)


class Stage:
    """A site and its answers. One on SQLite has one process and no `services`."""

    def __init__(self, processes: Sequence[Process], upstream: Upstream, services: Services | None) -> None:
        self.processes = processes
        self.upstream = upstream
        self.services = services
        self.url = processes[0].server.database_url
        self.answers: dict[str, Answer] = {}
        self.wrong: list[str] = []
        self.trouble = asyncio.Event()
        upstream.script = self._script

    @property
    def postgres(self) -> Postgres:
        assert self.services is not None
        return self.services.postgres

    @property
    def valkey(self) -> Valkey:
        assert self.services is not None
        return self.services.valkey

    def found(self, problem: str) -> None:
        """Something is not as it was promised; each problem is told once."""
        if problem not in self.wrong:
            self.wrong.append(problem)
        self.trouble.set()

    def _script(self, body: dict[str, Any]) -> list[Step]:
        """What is said is the same each time; where a beginning is given, it goes on behind it, in other pieces."""
        messages = body["messages"]
        if messages[0]["role"] == "system":
            return answer("A title")
        begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
        asked = self.answers[messages[0]["content"]]
        return _script(asked.manner, asked.said[len(begun) :], 7 if begun else 5)


def _script(manner: str, text: str, step: int) -> list[Step]:
    if manner == "flood":
        return [
            *(one for n in range(0, len(text), 16384) for one in (Say(text[n : n + 16384]), Pause(0.008))),
            Finish(),
        ]
    spoken: list[Step] = [one for n in range(0, len(text), step) for one in (Say(text[n : n + step]), Pause(0.03))]
    half = spoken[: len(spoken) // 2]
    match manner:
        case "thinking":
            return [Think("so 🐙"), Pause(0.03), Think("…"), *spoken, Finish()]
        case "endless" | "stalled":
            return [*half, Gate()]
        case "cut":
            return [*half, Cut()]
        case "garbled":
            return [*half, Raw(b"data: {nonsense\n\n")]
    return [*spoken, Finish()]


@asynccontextmanager
async def stage(folder: Path, services: Services | None, mutant: str = "", settings: str = "") -> AsyncIterator[Stage]:
    """A site that serves: on PostgreSQL with Valkey where there are `services`, else on SQLite."""
    # Processes are started so often here that what was compiled must be kept, also where others do not.
    around = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    if services is not None:
        url = services.postgres.new_database(template=services.template)
        around |= {"TAKO_DATABASE_URL": url, "TAKO_VALKEY_URL": services.valkey.url}
    program = ("tests.faults.mutated", mutant) if mutant else ("tako",)
    async with Upstream() as upstream:
        config = CONFIG.format(lease=LEASE, settings=settings, upstream=upstream.url)
        processes: list[Process] = []
        for n in range(1 if services is None else PROCESSES):
            own = folder / f"process-{n}"
            (own / "data").mkdir(parents=True, mode=0o700)
            clock = own / "clock"
            server = Server(own, config, {**around, **_clock(clock), "PGAPPNAME": own.name}, program)
            processes.append(Process(server, clock))
            processes[-1].step_clock(0)
        if services is None:
            await migrations.upgrade(processes[0].server.database_url)
        key = await owner_with_a_key(processes[0].server.database_url)
        try:
            await asyncio.gather(*(process.start(key) for process in processes))
            yield Stage(processes, upstream, services)
        finally:
            for process in processes:
                await process.end()


def _clock(file: Path) -> dict[str, str]:
    """What lets the wall clock of a process, not that by which it measures time, be set while it runs."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        raise RuntimeError(
            "The fault suite needs libfaketime. As root: apt-get install --no-install-recommends libfaketime"
        )
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
