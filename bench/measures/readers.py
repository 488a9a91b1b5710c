"""Many readers of one answer: what a delivery costs, and what they do to the writer. And readers who wait."""

import asyncio
import statistics
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from tests.support import valkey

from bench import peers, servers, stack
from bench.measures.relay import FULL
from bench.readers import Reader, connect
from bench.run import Run
from bench.servers import Meter, Tree
from bench.table import Line, Measured, at_most, micros, millis
from bench.target import SERVER, Running, Target, begin, paced

# 1,000 readers of this are 10,000 deliveries a second.
_RATE = 10.0
# As many readers as resumable-stream is measured with, of an answer that comes as fast as it is taken.
_CROWD = 50
_CROWD_CHUNKS = 2000
_FLAT = paced(_CROWD_CHUNKS, 0) + ";wait=1"
_IDLE = paced(2, 0.0001)
_STEP = 50


@dataclass(frozen=True)
class Fanned:
    """One answer with many readers: seconds from its first to its last chunk, as its first reader sees it, and the lag
    of that reader and of all of them; CPU of the server for each delivery in microseconds."""

    readers: int
    seconds: float
    lag_ms: float
    lag_p99_ms: float
    delivery_us: float
    core: float
    foreign: float


async def fan(targets: tuple[Target, ...], upstream: Tree, model: str, *, readers: int, chunks: int) -> Fanned:
    """The first of `targets` makes the answer; they all have the same number of its readers."""
    answer = await begin(targets[0], model, chunks)
    joined: list[Reader] = []
    for n in range(0, readers, _STEP):
        some = range(n, min(n + _STEP, readers))
        joined += await asyncio.gather(*(_join(targets[k % len(targets)], answer, chunks) for k in some))
    missed = max((len(reader.seen.lags) for reader in joined), default=0)
    meter = Meter(targets[0].parts, upstream)
    seen = await asyncio.gather(*(reader.counted() for reader in (answer.first, *joined)))
    used = meter.read()
    for reader in (answer.first, *joined):
        reader.close()
    own = seen[0]
    live = sorted(lag for each in seen for lag in each.lags[missed:])
    return Fanned(
        readers,
        (own.last_chunk - own.first_chunk) / 1e9,
        statistics.median(own.lags) / 1e6,
        live[len(live) * 99 // 100] / 1e6,
        used.cpu[SERVER] / (len(seen) * (chunks - missed)) * 1e6,
        used.cpu[SERVER] / used.seconds,
        used.foreign,
    )


async def _join(target: Target, answer: Running, chunks: int) -> Reader:
    reader = await connect(target.port)
    await reader.begin(target.get(answer.path), chunks)
    return reader


async def crowd(target: Target, *, readers: int, chunks: int) -> float:
    """Chunks a second of an answer that comes as fast as it is taken, as its first reader sees them, with so many
    others who read it too. They are there before it begins: it says nothing until they are."""
    answer = await begin(target, _FLAT, chunks)
    joined = await asyncio.gather(*(_join(target, answer, chunks) for _ in range(readers)))
    seen = await answer.first.counted()
    for reader in joined:
        await reader.counted()
        reader.close()
    answer.first.close()
    return chunks / ((seen.last_chunk - seen.first_chunk) / 1e9)


async def many(run: Run) -> Measured:
    """One answer with 1,000 readers on two processes, beside the same answer with none."""
    chunks = round(run.scale.seconds * 2 * _RATE)
    model = paced(chunks, _RATE)
    lines: list[Line] = []
    figures: dict[str, object] = {}
    with ExitStack() as opened:
        upstream, port = opened.enter_context(servers.upstream(run.folder, (model, _FLAT)))
        models = stack.Models(port, (model, _FLAT))
        for with_valkey in (False, True):
            with stack.on_postgres(run.folder, models, processes=2, with_valkey=with_valkey) as served:
                none = await _quiet_fan(run, served, upstream, model, 0, chunks)
                all_ = await _quiet_fan(run, served, upstream, model, run.scale.readers, chunks)
                flat_out = await _flat_out(run, served, upstream)
            lines += _lines(run, served.name, none, all_)
            figures[served.name] = {"none": asdict(none), "all": asdict(all_), "flat_out": asdict(flat_out)}
        lines.append(await _beside_resumable(run, opened, flat_out, figures))
    return Measured(tuple(lines), figures)


async def _quiet_fan(run: Run, on: stack.Stack, upstream: Tree, model: str, readers: int, chunks: int) -> Fanned:
    return await run.quiet(
        f"{readers} readers", lambda: fan(on.targets, upstream, model, readers=readers, chunks=chunks)
    )


@dataclass(frozen=True)
class FlatOut:
    """Chunks a second that are written with no readers and with `_CROWD` of them."""

    none: float
    crowded: float
    foreign: float

    def __str__(self) -> str:
        slower = self.none / self.crowded
        return f"{self.crowded:,.0f} instead of {self.none:,.0f} chunks/s: {slower:.1f} times slower"


async def _flat_out(run: Run, on: stack.Stack, upstream: Tree) -> FlatOut:
    async def usual(readers: int) -> float:
        return statistics.median([await crowd(on.target, readers=readers, chunks=_CROWD_CHUNKS) for _ in range(3)])

    async def once() -> FlatOut:
        meter = Meter(on.target.parts, upstream)
        none, crowded = await usual(0), await usual(_CROWD)
        return FlatOut(none, crowded, meter.read().foreign)

    return await run.quiet("flat out", once)


def _lines(run: Run, name: str, none: Fanned, all_: Fanned) -> list[Line]:
    what = f"one answer, {run.scale.readers} readers on two processes, {_RATE:g} chunks/s, {name}"
    slower = all_.seconds / none.seconds
    full = "; the core was full" if all_.core > FULL else f"; core {all_.core:.0%}"
    writer = f"{slower:.2f} times as long; lag {millis(none.lag_ms)} alone, {millis(all_.lag_ms)} with them"
    return [
        Line(f"{what}: CPU of a delivery", "", micros(all_.delivery_us) + full),
        Line(f"{what}: p99 of the lag of all", "", millis(all_.lag_p99_ms)),
        Line(f"{what}: its writer", "", writer, at_most(slower, 1.02, "not slowed")),
    ]


async def _beside_resumable(run: Run, opened: ExitStack, ours: FlatOut, figures: dict[str, object]) -> Line:
    what = f"writing flat out, {_CROWD} readers against none"
    if peers.RESUMABLE in run.missing:
        return Line(what, f"{peers.RESUMABLE}: {run.missing[peers.RESUMABLE]}", str(ours))
    cache = opened.enter_context(valkey.running())

    async def once() -> FlatOut:
        meter = Meter({stack.VALKEY: Tree(cache.pid)})
        none, crowded = (peers.resumable_writes(cache.url, n, _CROWD_CHUNKS)["chunks_per_s"] for n in (0, _CROWD))
        return FlatOut(none, crowded, meter.read().foreign)

    theirs = await run.quiet(peers.RESUMABLE, once)
    figures[peers.RESUMABLE] = asdict(theirs)
    return Line(what, f"{peers.RESUMABLE} {theirs}", str(ours))


@dataclass(frozen=True)
class Idle:
    """Bytes of the server for each reader who waits, and the share of a core that all of them take."""

    readers: int
    bytes: float
    core: float
    foreign: float


async def idle(target: Target, upstream: Tree, *, readers: int, rest: float) -> Idle:
    """Readers who wait for an answer that says nothing. `rest` in seconds: two heartbeats at least."""
    answer = await begin(target, _IDLE, 1)
    await answer.first.counted()

    async def join() -> Reader:
        reader = await _join(target, answer, 1)
        return await _counted(reader)

    joined = [await join() for _ in range(_STEP)]
    before = target.server.memory()
    for _ in range(readers // _STEP):
        joined += await asyncio.gather(*(join() for _ in range(_STEP)))
    grown = target.server.memory() - before
    meter = Meter(target.parts, upstream)
    await asyncio.sleep(rest)
    used = meter.read()
    for reader in [answer.first, *joined]:
        reader.close()
    count = len(joined) - _STEP
    return Idle(count, grown / count, used.cpu[SERVER] / used.seconds, used.foreign)


async def _counted(reader: Reader) -> Reader:
    await reader.counted()
    return reader


async def waiting(run: Run) -> Measured:
    """10,000 readers who wait."""
    with ExitStack() as opened:
        upstream, port = opened.enter_context(servers.upstream(run.folder, (_IDLE,)))
        models = stack.Models(port, (_IDLE,))

        async def once() -> Idle:
            # Each time a new server: what a busy one has had before would hide what they cost.
            with stack.on_sqlite(run.folder, models) as served:
                return await idle(served.target, upstream, readers=run.scale.idle, rest=run.scale.rest)

        done = await run.quiet("idle readers", once)
    count = f"{done.readers:,}"
    kib = done.bytes / 1024
    return Measured(
        (
            Line(f"memory of an idle reader, of {count}", "", f"{kib:.0f} KiB", at_most(kib, 32, "under 32 KiB")),
            Line(
                f"CPU with {count} idle readers",
                "",
                f"{done.core:.1%} of a core",
                at_most(done.core, 0.01, "under 1 %"),
            ),
        ),
        asdict(done),
    )
