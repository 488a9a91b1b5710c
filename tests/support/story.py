"""A story: readers come, go and come again while an answer is made, stopped, and its server dies and starts anew.

Told inside one process, so that a test can break a part of the product and see whether the story's end finds it out.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
from sqlalchemy import text

from tako.core.accounts import store as accounts
from tako.core.accounts import tokens
from tako.server import Site, _opened
from tako.settings import Loaded, Settings
from tests.support.sse import events, numbers, text_of
from tests.support.upstream import Finish, Say, Step, Think, Turnstile, Upstream, words

# What may happen, and a number that says to whom or how much.
ACTIONS = (*("say",) * 4, *("join", "cut", "rejoin") * 2, "spin", "flush", "stop", "late", "crash")
Action = tuple[str, int]
# How long a dead process of PostgreSQL counts as alive, in seconds.
LEASE = 1.0


def random_actions(seed: int, count: int = 40) -> list[Action]:
    source = random.Random(seed)
    return [(source.choice(ACTIONS), source.randrange(1 << 16)) for _ in range(count)]


class Line:
    """The connection between one reader and the site. `taken` is what has arrived."""

    def __init__(self) -> None:
        self.lost = False
        self.on_lost: Callable[[], None] | None = None
        self.status = 0
        self.taken = b""

    async def send(self, message: Any) -> None:
        if self.lost:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.taken += message.get("body", b"")
        await asyncio.sleep(0)

    def cut(self) -> None:
        self.lost = True
        if self.on_lost is not None:
            self.on_lost()

    unsent = 0

    @property
    def ready(self) -> bool:
        return not self.lost

    def write_events(self, events: bytes) -> None:
        self.taken += events

    def abort(self) -> None:
        self.cut()


@dataclass
class Watcher:
    """One reader through all its connections. `seen` holds the whole events that reached it."""

    response_id: str
    seen: bytes = b""
    line: Line | None = None
    task: "asyncio.Task[None] | None" = None

    @property
    def cursor(self) -> int:
        return events(self.seen)[-1].id if self.seen else -1

    def hang_up(self, lost: int) -> None:
        """The connection breaks, and the last `lost` bytes never arrived: half an event is none."""
        if self.line is None:
            return
        line, self.line = self.line, None
        line.cut()
        arrived = line.taken[: len(line.taken) - lost] if lost else line.taken
        self.seen += arrived[: arrived.rfind(b"\n\n") + 2] if b"\n\n" in arrived else b""


class Told:
    """The story's scene: one site on one database, which can die, and its readers."""

    def __init__(self, database_url: str, folder: Path, upstream: Upstream, *, model: str, interval: float) -> None:
        self.settings = Settings(
            data=folder,
            database_url=database_url,
            commit_interval=interval,
            lease=LEASE,
            daily_tokens=10**9,
            upstream_retries=0,
            local={"enabled": False},
            providers=(
                {
                    "name": "scripted",
                    "base_url": upstream.url,
                    "models": [
                        {"id": "plain", "context_tokens": 100_000},
                        {"id": "prefixing", "prefix": "assistant", "context_tokens": 100_000},
                    ],
                },
            ),
        )
        self.sources = {known.name: "a test" for known in fields(Settings)}
        self.upstream = upstream
        self.model = model
        self.permits = asyncio.Semaphore(0)
        self.pieces = words(len(model), 60)
        self.key = ""
        self.asked: list[str] = []
        self.watchers: list[Watcher] = []
        self.stopped: set[str] = set()
        self.wrong: list[str] = []
        self._stack = AsyncExitStack()
        upstream.script = self._script
        self.site: Site

    def _script(self, body: dict[str, Any]) -> list[Step]:
        """The answer is the same each time; where a beginning is given, it goes on behind it."""
        last = body["messages"][-1]
        begun = last["content"] if last["role"] == "assistant" and len(body["messages"]) > 1 else ""
        rest = "".join(self.pieces)[len(begun) :]
        steps: list[Step] = [] if begun else [Turnstile(self.permits), Think("so 🐙"), Think("…")]
        for n in range(0, len(rest), 7):
            steps += [Turnstile(self.permits), Say(rest[n : n + 7])]
        return [*steps, Finish()]

    async def start(self) -> None:
        self._stack = AsyncExitStack()
        # What FastAPI serves has no part in the story, and takes longer to build than the story to tell.
        with mock.patch("tako.server._api", return_value=None):
            self.site = await self._stack.enter_async_context(_opened(Loaded(self.settings, self.sources)))
        await self._taken_over()
        if not self.key:
            self.key = tokens.new_key()
            async with self.site.db.write() as connection:
                user = await accounts.add_user(connection, f"{self.key}@example.org", "none", admin=False)
                await accounts.add_key(connection, user.id, self.key, "test", ["chat"], None)

    async def _taken_over(self) -> None:
        """Until every answer that still runs is made, or ended, by this process: on PostgreSQL that takes a lease."""
        foreign = text("SELECT count(*) FROM logs WHERE ended_at IS NULL AND process_id <> :process")
        while True:
            async with self.site.db.read() as connection:
                count = await connection.execute(foreign, {"process": self.site.chat.journal.process_id})
            if not count.scalar() and not self.site.chat.journal._adopted:
                return
            await asyncio.sleep(0.02)

    async def crash(self) -> None:
        """As kill -9: nothing that the process still had in hand is done. Connections break."""
        for watcher in self.watchers:
            watcher.hang_up(0)
        others = [
            task
            for task in asyncio.all_tasks()
            if task is not asyncio.current_task() and not task.get_name().startswith("upstream")
        ]
        for task in others:
            # SQLAlchemy gives connections back in tasks of its own, as the kernel would for a dead process.
            if "sqlalchemy" not in task.get_coro().cr_code.co_filename:  # type: ignore[union-attr]  # all are coroutines
                task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        generations, journal = self.site.chat.generations, self.site.chat.journal
        generations._running.clear()
        generations._quiet.set()
        journal._cannot_append = "dead"
        await self._stack.aclose()

    async def request(self, line: Line, method: str, path: str, query: str = "", body: object = None) -> None:
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()
            sent = True
            return {"type": "http.request", "body": msgspec.json.encode(body) if body is not None else b""}

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"authorization", f"Bearer {self.key}".encode())],
            "extensions": {"tako.connection": line},
        }
        await self.site(scope, receive, line.send)

    async def get(self, method: str, path: str, query: str = "", body: object = None) -> bytes:
        line = Line()
        await self.request(line, method, path, query, body)
        assert line.status == 200, line.taken
        return line.taken

    async def ask(self) -> None:
        body = {"model": self.model, "input": f"question {len(self.asked)}", "background": True}
        self.asked.append(msgspec.json.decode(await self.get("POST", "/v1/responses", body=body))["id"])

    async def join(self, watcher: Watcher) -> None:
        """Connect (again), with the cursor that it has."""
        watcher.line = line = Line()
        query = "stream=true" + (f"&starting_after={watcher.cursor}" if watcher.seen else "")
        watcher.task = asyncio.create_task(
            self.request(line, "GET", f"/v1/responses/{watcher.response_id}", query), name=f"reader-{id(line)}"
        )
        await spin(2)

    async def happens(self, action: Action) -> None:
        what, number = action
        watcher = self.watchers[number % len(self.watchers)] if self.watchers else None
        match what:
            case "say":
                for _ in range(number % 4 + 1):
                    self.permits.release()
                await spin(number % 7)
            case "join":
                self.watchers.append(Watcher(self.asked[-1]))
                await self.join(self.watchers[-1])
            case "cut" if watcher:
                watcher.hang_up(number % 300)
            case "rejoin" if watcher and watcher.line is None:
                await self.join(watcher)
            case "spin":
                await spin(number % 40)
            case "flush":
                await asyncio.sleep(0.01)
                await self.site.chat.journal.flush()
            case "stop" if number % 3 == 0:
                await self.stop(self.asked[-1])
            case "late":
                await self.stop(self.asked[0])
            case "crash" if number % 3 == 0:
                await self.crash()
                await self.start()

    async def stop(self, response_id: str) -> None:
        self.stopped.add(response_id)
        told = msgspec.json.decode(await self.get("POST", f"/v1/responses/{response_id}/cancel"))
        if told["status"] in ("queued", "in_progress"):
            self.wrong.append("a stop did not stop")

    async def finish(self) -> None:
        """The answer comes to its end, and everybody reads the rest."""
        for _ in range(400):
            self.permits.release()
        await self.site.chat.generations.quiet()
        self.permits = asyncio.Semaphore(0)
        for watcher in self.watchers:
            watcher.hang_up(0)
            if watcher.response_id != self.asked[-1]:
                continue
            query = "stream=true" + (f"&starting_after={watcher.cursor}" if watcher.seen else "")
            watcher.seen += await self.get("GET", f"/v1/responses/{watcher.response_id}", query)

    async def problems(self) -> list[str]:
        """Everything that is not as it was promised, in words; empty when all is well."""
        found = list(self.wrong)
        for response_id in self.asked:
            stored = await self.get("GET", f"/v1/responses/{response_id}", "stream=true")
            found += problems_of_the_stored(stored, "".join(self.pieces))
            if b'"status":"cancelled"' in stored and response_id not in self.stopped:
                found.append("an answer was cancelled that nobody stopped")
            for watcher in self.watchers:
                if watcher.response_id == response_id:
                    found += problems_of_a_reader(watcher.seen, stored)
        found += await self._problems_of_the_books()
        return found

    async def _problems_of_the_books(self) -> list[str]:
        async with self.site.db.read() as connection:
            billed = [str(row[0]) for row in await connection.execute(text("SELECT response_id FROM ledger"))]
            reserved = (await connection.execute(text("SELECT coalesce(sum(reserved), 0) FROM quotas"))).scalar()
            running = text("SELECT count(*) FROM responses WHERE status IN ('queued', 'in_progress')")
            open_ones = (await connection.execute(running)).scalar()
        found = [] if sorted(billed) == sorted(self.asked) else [f"billed {billed}, asked {self.asked}"]
        if reserved:
            found.append(f"{reserved} tokens are still set aside")
        if open_ones:
            found.append(f"{open_ones} answers never ended")
        return found


def problems_of_a_reader(seen: bytes, stored: bytes) -> list[str]:
    """Promises 1 and 2: what a reader has put together is the stored answer, byte for byte."""
    seen = seen.replace(b": hb\n", b"")
    if seen == stored:
        return []
    ids = numbers(seen)
    if len(ids) != len(set(ids)):
        return [f"a reader got events twice: {ids}"]
    if ids != numbers(stored)[: len(ids)]:
        return [f"a reader misses events: {ids}"]
    return [f"a reader's {len(seen)} bytes are not the {len(stored)} that are stored"]


def problems_of_the_stored(stored: bytes, said: str, *, may_fail: bool = False) -> list[str]:
    """The stored answer is whole in itself, and nothing but what the model said."""
    told = events(stored)
    found = []
    if [event.id for event in told] != list(range(len(told))):
        found.append("stored events are not numbered without gaps")
    ends = [event for event in told if event.name in ("response.completed", "response.incomplete", "response.failed")]
    if ends != told[-1:]:
        return [*found, f"{len(ends)} ends: {[event.name for event in told]}"]
    final = told[-1].data["response"]
    streamed = text_of(told)
    whole = "".join(part["text"] for item in final["output"] if item["type"] == "message" for part in item["content"])
    if whole != streamed:
        found.append("the final object differs from what was streamed")
    if not said.startswith(streamed):
        found.append("the stored text is not what the model said")
    if final["status"] == "completed" and streamed != said:
        found.append("a completed answer is not whole")
    if final["status"] == "failed" and not may_fail:
        found.append(f"it failed: {final['error']}")
    return found


async def spin(rounds: int) -> None:
    """Let the others run."""
    for _ in range(rounds):
        await asyncio.sleep(0)


async def tell(
    database_url: str,
    folder: Path,
    actions: Sequence[Action],
    *,
    model: str = "prefixing",
    interval: float = 0.01,
) -> list[str]:
    """Tell a story from the question to the books. Returns what was found wrong."""
    async with Upstream() as upstream:
        told = Told(database_url, folder, upstream, model=model, interval=interval)
        await told.start()
        try:
            for begin in (0, len(actions) // 2):
                await told.ask()
                for action in actions[begin : begin + len(actions) // 2]:
                    await told.happens(action)
                async with asyncio.timeout(30):
                    await told.finish()
            return await told.problems()
        except (AssertionError, TimeoutError, IndexError) as error:
            return [f"{type(error).__name__}: {error}"]
        finally:
            with contextlib.suppress(Exception):
                await told.crash()
