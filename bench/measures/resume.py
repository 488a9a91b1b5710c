"""Joining an answer that is already there: the time until the first byte, and until the last one that there is."""

import asyncio
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from tests.support import valkey

from bench import peers, servers, stack
from bench.readers import Reader, Seen, connect
from bench.run import Run
from bench.servers import Meter, Tree
from bench.table import Aim, Line, Measured, at_most, millis
from bench.target import SERVER, Target, begin, paced

CHUNKS = 2000
AT_ONCE = 50
_RUNNING = paced(CHUNKS + 1, 2000, hold=CHUNKS)
_ENDED = paced(CHUNKS, 2000)


@dataclass(frozen=True)
class Resumed:
    """Milliseconds to the first byte and to the last one: of readers one after another, their median; of `AT_ONCE` at
    once, their median and the slowest."""

    first_ms: float
    last_ms: float
    crowd_first_ms: float
    crowd_last_ms: float
    crowd_slowest_ms: float
    foreign: float


async def resume(target: Target, path: str, upstream: Tree, *, times: int, ended: bool) -> Resumed:
    """Join the answer at `path` from its beginning."""
    request = target.get(path)

    async def one() -> Seen:
        reader = await connect(target.port)
        seen = await _read(reader, request, ended)
        reader.close()
        return seen

    async def crowd() -> list[Seen]:
        readers = await asyncio.gather(*(connect(target.port) for _ in range(AT_ONCE)))
        seen = await asyncio.gather(*(_read(reader, request, ended) for reader in readers))
        for reader in readers:
            reader.close()
        return seen

    await one()  # what is made at the first time only is not what a reader waits for
    meter = Meter(target.parts, upstream)
    alone = [await one() for _ in range(times)]
    crowds = [await crowd() for _ in range(max(3, times // 5))]
    used = meter.read()
    return Resumed(
        _median(alone, "first_byte"),
        _median(alone, "last_chunk"),
        statistics.median(_median(each, "first_byte") for each in crowds),
        statistics.median(_median(each, "last_chunk") for each in crowds),
        statistics.median(max(seen.last_chunk - seen.asked for seen in each) / 1e6 for each in crowds),
        used.foreign,
    )


async def _read(reader: Reader, request: bytes, ended: bool) -> Seen:
    await reader.begin(request, CHUNKS)
    return await (reader.ended() if ended else reader.counted())


def _median(seen: Sequence[Seen], what: str) -> float:
    return float(statistics.median(getattr(each, what) - each.asked for each in seen)) / 1e6


async def resuming(run: Run) -> Measured:
    """2,000 chunks that are there: from memory where they are made, from another process, after the end."""
    with ExitStack() as opened:
        upstream, port = opened.enter_context(servers.upstream(run.folder, (_RUNNING, _ENDED)))
        models = stack.Models(port, (_RUNNING, _ENDED))
        sqlite = opened.enter_context(stack.on_sqlite(run.folder, models))
        shared = opened.enter_context(stack.on_postgres(run.folder, models, processes=2))
        found = {
            "from memory": await _of_tako(run, sqlite.target, sqlite.target, upstream, _RUNNING),
            "made by another process (PostgreSQL)": await _of_tako(
                run, shared.targets[0], shared.targets[1], upstream, _RUNNING
            ),
            "after its end": await _of_tako(run, sqlite.target, sqlite.target, upstream, _ENDED),
        }
        theirs = await _of_resumable(run, opened, upstream)
    lines: list[Line] = []
    for where, ours in found.items():
        running = "after" not in where
        alone = f"resume {CHUNKS} chunks, {where}: first / last byte"
        crowd = f"the same, {AT_ONCE} at once: last byte of the median / the slowest"
        if isinstance(theirs, peers.Missing):
            lines.append(Line(alone, str(theirs), millis(ours.first_ms, ours.last_ms)))
            lines.append(Line(crowd, str(theirs), millis(ours.crowd_last_ms, ours.crowd_slowest_ms)))
        else:
            words = millis(theirs.resumed.first_ms, theirs.resumed.last_ms) if running else theirs.after_end
            aim = _aim(ours, theirs.resumed) if running else None
            lines.append(Line(alone, words, millis(ours.first_ms, ours.last_ms), aim))
            words = millis(theirs.resumed.crowd_last_ms, theirs.resumed.crowd_slowest_ms) if running else words
            aim = _crowd_aim(ours, theirs.resumed) if running else None
            lines.append(Line(crowd, words, millis(ours.crowd_last_ms, ours.crowd_slowest_ms), aim))
    figures = {where: asdict(each) for where, each in found.items()}
    if not isinstance(theirs, peers.Missing):
        figures[peers.RESUMABLE] = asdict(theirs)
    return Measured(tuple(lines), figures)


def _aim(ours: Resumed, theirs: Resumed) -> Aim:
    met = ours.first_ms <= theirs.first_ms and ours.last_ms <= 2 * theirs.last_ms
    return Aim("first byte before theirs, last within 2 times", met)


def _crowd_aim(ours: Resumed, theirs: Resumed) -> Aim:
    return at_most(ours.crowd_last_ms, 2 * theirs.crowd_last_ms, "within 2 times")


async def _of_tako(run: Run, made_at: Target, read_at: Target, upstream: Tree, model: str) -> Resumed:
    ended = model == _ENDED
    answer = await begin(made_at, model, CHUNKS)
    await (answer.first.ended() if ended else answer.first.counted())
    done = await run.quiet(
        "resume", lambda: resume(read_at, answer.path, upstream, times=run.scale.resumes, ended=ended)
    )
    answer.first.close()
    return done


@dataclass(frozen=True)
class _Theirs:
    resumed: Resumed
    after_end: str


async def _of_resumable(run: Run, opened: ExitStack, upstream: Tree) -> _Theirs | peers.Missing:
    """Behind Node's own HTTP server, so that the same readers can read it."""
    if peers.RESUMABLE in run.missing:
        return peers.Missing(peers.RESUMABLE, run.missing[peers.RESUMABLE])
    port = servers.free_port()
    cache = opened.enter_context(valkey.running())
    process = opened.enter_context(peers.resumable(run.folder, cache.url, "serve", str(port)))
    process.listening(port)
    target = Target(peers.RESUMABLE, port, "/", {SERVER: process, stack.VALKEY: Tree(cache.pid)})
    asking = await connect(port)
    await asking.ask(target.post(f"/begin/answer/{CHUNKS}", None))
    done = await run.quiet(
        peers.RESUMABLE, lambda: resume(target, "/answer", upstream, times=run.scale.resumes, ended=False)
    )
    await asking.ask(target.post("/end/answer", None))
    status = await _status(target, "/answer")
    asking.close()
    return _Theirs(done, "nothing is kept" if status == 204 else f"HTTP {status}")


async def _status(target: Target, path: str) -> int:
    reader = await connect(target.port)
    seen = await reader.answered(target.get(path))
    reader.close()
    return seen.status
