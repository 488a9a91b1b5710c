"""Whether a chunk or a question costs more when there is more of everything: answers at once, messages before it."""

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import sqlalchemy

from bench import servers, stack
from bench.readers import Reader, connect
from bench.run import Run, say
from bench.servers import Meter, Tree
from bench.table import Line, Measured, at_most, micros, millis
from bench.target import SERVER, Target, paced
from tako.chat import models as tables
from tako.core import db, ids
from tako.core.accounts.models import principals

# Of all answers together, in chunks a second, however many there are: below what fills a core.
_TOTAL = 3000.0
# What grows by less than this is flat: two runs of one server differ by as much.
_FLAT = 1.25
_SHORT = paced(2, 1000)
_CONTEXT = 4096
_SHORT_ONE = 100
_TEXT = "An octopus has three hearts, nine brains and blue blood; two of the hearts pump it through the gills. " * 2


@dataclass(frozen=True)
class Steady:
    """CPU of the server for each chunk in microseconds, while so many answers run and none begins or ends."""

    streams: int
    cpu_us: float
    core: float
    foreign: float


async def steady(target: Target, upstream: Tree, *, streams: int, seconds: float) -> Steady:
    rate = _TOTAL / streams
    # They begin over a second or, where there are many, as fast as they can be made; then a second of peace.
    before = max(1.0, streams / 100)
    chunks = round((before + seconds + 3) * rate)
    readers = await asyncio.gather(*(connect(target.port) for _ in range(streams)))
    request = target.ask(_growing(streams, seconds))

    async def begin(n: int) -> Reader:
        await asyncio.sleep(n * before / streams)
        await readers[n].begin(request, chunks)
        return readers[n]

    await asyncio.gather(*map(begin, range(streams)))
    await asyncio.sleep(1.0)
    seen = sum(len(reader.seen.lags) for reader in readers)
    meter = Meter(target.parts, upstream)
    await asyncio.sleep(seconds)
    used = meter.read()
    seen = sum(len(reader.seen.lags) for reader in readers) - seen
    for reader in readers:
        await reader.ended()
        reader.close()
    return Steady(streams, used.cpu[SERVER] / seen * 1e6, used.cpu[SERVER] / used.seconds, used.foreign)


def _growing(streams: int, seconds: float) -> str:
    rate = _TOTAL / streams
    return paced(round((max(1.0, streams / 100) + seconds + 3) * rate), rate)


async def streams(run: Run) -> Measured:
    """10, 100 and 1,000 answers at once which say the same number of chunks together."""
    seconds = run.scale.seconds * 0.6
    names = tuple(_growing(count, seconds) for count in run.scale.growth)
    with ExitStack() as opened:
        upstream, port = opened.enter_context(servers.upstream(run.folder, names))
        served = opened.enter_context(stack.on_sqlite(run.folder, stack.Models(port, names)))
        runs: dict[int, list[Steady]] = {count: [] for count in run.scale.growth}
        for count in run.shuffled(run.scale.growth):
            done = await run.quiet(
                f"{count} streams",
                lambda count=count: steady(served.target, upstream, streams=count, seconds=seconds),  # type: ignore[misc]  # mypy: lambdas with defaults
            )
            say(f"  {count} streams: {micros(done.cpu_us)}, core {done.core:.0%}")
            runs[count].append(done)
    middle = {count: sorted(each, key=lambda one: one.cpu_us)[len(each) // 2] for count, each in runs.items()}
    grown = middle[max(middle)].cpu_us / middle[min(middle)].cpu_us
    counts = " / ".join(f"{count:,}" for count in middle)
    return Measured(
        (
            Line(
                f"CPU of a chunk of {counts} streams, {_TOTAL:,.0f} chunks/s together, SQLite",
                "",
                " / ".join(micros(each.cpu_us) for each in middle.values()),
                at_most(grown, _FLAT, "flat"),
            ),
        ),
        {str(count): asdict(each) for count, each in middle.items()},
    )


@dataclass(frozen=True)
class Asked:
    """Milliseconds until a question is taken, and of the server's CPU for it and its short answer."""

    messages: int
    taken_ms: float
    cpu_ms: float
    foreign: float


async def ask(
    target: Target, upstream: Tree, conversations: Mapping[int, Sequence[str]], *, times: int
) -> dict[int, Sequence[Asked]]:
    """The same question in conversations of different lengths, in turns; those of one length in turns, too."""
    found: dict[int, list[Asked]] = {messages: [] for messages in conversations}
    reader = await connect(target.port)
    for n in range(times):
        for messages, some in conversations.items():
            found[messages].append(await _asked(reader, target, upstream, messages, some[n % len(some)]))
    reader.close()
    return dict(found)


async def _asked(reader: Reader, target: Target, upstream: Tree, messages: int, conversation: str) -> Asked:
    request = target.ask(_SHORT, conversation=conversation, truncation="auto")
    meter = Meter(target.parts, upstream)
    seen = await reader.ask(request, 2)
    used = meter.read()
    return Asked(messages, (seen.first_byte - seen.asked) / 1e6, used.cpu[SERVER] * 1000, used.foreign)


@dataclass(frozen=True)
class _Round:
    asked: Mapping[int, Sequence[Asked]]
    foreign: float


async def conversations(run: Run) -> Measured:
    """Questions in conversations of 10, 1,000 and 10,000 messages, to a model that reads 4,096 tokens."""
    lines: list[Line] = []
    figures: dict[str, object] = {}
    with ExitStack() as opened:
        upstream, port = opened.enter_context(servers.upstream(run.folder, (_SHORT,)))
        models = stack.Models(port, (_SHORT,), context=_CONTEXT, output=1024)
        for served in (
            opened.enter_context(stack.on_sqlite(run.folder, models)),
            opened.enter_context(stack.on_postgres(run.folder, models)),
        ):
            made = {count: _some(served.site.database_url, count, run) for count in run.scale.messages}

            async def once(served: stack.Stack = served, made: Mapping[int, Sequence[str]] = made) -> _Round:
                meter = Meter(served.target.parts, upstream)
                asked = await ask(served.target, upstream, made, times=run.scale.questions)
                return _Round(asked, meter.read().foreign)

            await once()  # what is made at the first time only is not what a question costs
            done = await run.quiet(f"questions, {served.name}", once)
            times = {count: statistics.median(one.taken_ms for one in each) for count, each in done.asked.items()}
            cpu = {count: statistics.fmean(one.cpu_ms for one in each) for count, each in done.asked.items()}
            figures[served.name] = {"taken_ms": times, "cpu_ms": cpu}
            counts = " / ".join(f"{count:,}" for count in times)
            # Ten messages fill a part of the context only; from there on the same number is read.
            full = [times[count] for count in sorted(times)[1:]]
            lines.append(
                Line(
                    f"asking in a conversation of {counts} messages, {served.name}: until it is taken",
                    "",
                    f"{millis(*times.values())}; CPU {millis(*cpu.values())}",
                    at_most(max(full), min(full) * _FLAT, "flat within the context"),
                )
            )
    return Measured(tuple(lines), figures)


def _some(url: str, messages: int, run: Run) -> list[str]:
    """A question makes its conversation longer by two: a short one gets one question only."""
    return [_fill(url, messages) for _ in range(1 if messages > _SHORT_ONE else run.scale.questions)]


def _fill(url: str, messages: int) -> str:
    """A conversation of so many messages, written at once; its id."""
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    conversation = ids.new("conv")
    at = db.now()
    names = [ids.new("mesg") for _ in range(messages)]
    with engine.begin() as connection:
        owner = connection.execute(sqlalchemy.select(principals.c.id)).scalars().first()
        connection.execute(
            sqlalchemy.insert(tables.conversations).values(
                id=conversation,
                principal_id=owner,
                title="octopus",
                title_wanted=False,
                version=1,
                metadata={},
                leaf_id=names[-1],
                created_at=at,
                updated_at=at,
            )
        )
        connection.execute(
            sqlalchemy.insert(tables.messages),
            [
                {
                    "id": name,
                    "conversation_id": conversation,
                    "parent_id": names[n - 1] if n else None,
                    "role": "assistant" if n % 2 else "user",
                    "status": "completed",
                    "token_count": 50,
                    "created_at": at + n,
                }
                for n, name in enumerate(names)
            ],
        )
        connection.execute(sqlalchemy.insert(tables.items), [_item(name, n) for n, name in enumerate(names)])
    engine.dispose()
    return conversation


def _item(message: str, n: int) -> dict[str, object]:
    kind = "output_text" if n % 2 else "input_text"
    role = "assistant" if n % 2 else "user"
    content = {"type": "message", "role": role, "content": [{"type": kind, "text": _TEXT}]}
    return {
        "id": ids.new("msg"),
        "message_id": message,
        "position": 0,
        "type": "message",
        "content": content,
        "text": _TEXT,
    }
