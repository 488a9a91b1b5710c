"""Chunks on their way from the upstream to readers: what each costs, how late it is, and how late the first one is."""

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace

from bench import peers, servers, stack
from bench.readers import Reader, Seen, connect
from bench.run import Run, say
from bench.servers import Meter, Tree
from bench.table import Line, Measured, at_most, micros, millis
from bench.target import SERVER, Target, paced

RATE = 50.0
# At 300 streams the server's core is full; this many are carried by all ways through it.
CARRIED = 60
_WARM = paced(20, 200)
CHAT = "/v1/chat/completions"
# Of the server's core: more than this, and it was full.
FULL = 0.95


@dataclass(frozen=True)
class Relayed:
    """Many answers at once: microseconds of CPU for each chunk, by part; milliseconds to the first one, and of lag."""

    name: str
    cpu_us: Mapping[str, float]
    core: float
    """The share of its core that the server used."""
    first_ms: float
    lag_ms: float
    lag_p99_ms: float
    foreign: float

    @property
    def server_us(self) -> float:
        return self.cpu_us[SERVER]


async def relay(
    target: Target, upstream: Tree, *, streams: int, chunks: int, rate: float, read_at: Target | None = None
) -> Relayed:
    """`streams` answers at once, begun within a second, each of `chunks` chunks at `rate` a second. With `read_at`,
    they are asked for at `target` and read at another process."""
    model = paced(chunks, rate)
    asking = await asyncio.gather(*(connect(target.port) for _ in range(streams)))
    reading = await asyncio.gather(*(connect(read_at.port) for _ in range(streams))) if read_at else asking

    async def one(n: int) -> Seen:
        await asyncio.sleep(n / streams)
        if read_at is None:
            return await asking[n].ask(target.ask(model), chunks)
        asked = await _asked_elsewhere(asking[n], target, model)
        seen = await reading[n].ask(read_at.get(f"/v1/responses/{asked.name}?stream=true"), chunks)
        return replace(seen, asked=asked.at)

    meter = Meter(target.parts, upstream)
    seen = await asyncio.gather(*map(one, range(streams)))
    used = meter.read()
    for reader in {*asking, *reading}:
        reader.close()
    lags = sorted(lag for one_seen in seen for lag in one_seen.lags)
    return Relayed(
        target.name,
        {name: cpu / (streams * chunks) * 1e6 for name, cpu in used.cpu.items()},
        used.cpu[SERVER] / used.seconds,
        statistics.median(s.first_chunk - s.asked for s in seen) / 1e6,
        lags[len(lags) // 2] / 1e6,
        lags[len(lags) * 99 // 100] / 1e6,
        used.foreign,
    )


@dataclass(frozen=True)
class _Asked:
    name: str
    at: int


async def _asked_elsewhere(reader: Reader, target: Target, model: str) -> _Asked:
    seen = await reader.ask(target.ask(model, background=True, stream=False))
    return _Asked("resp_" + seen.body.partition(b'"id":"resp_')[2].partition(b'"')[0].decode(), seen.asked)


def median_of(runs: Sequence[Relayed]) -> Relayed:
    """The run with the median CPU of the server, with the medians of the times."""
    middle = sorted(runs, key=lambda run: run.server_us)[len(runs) // 2]
    return replace(
        middle,
        first_ms=statistics.median(run.first_ms for run in runs),
        lag_ms=statistics.median(run.lag_ms for run in runs),
        lag_p99_ms=statistics.median(run.lag_p99_ms for run in runs),
    )


@dataclass(frozen=True)
class _Way:
    """One way from the upstream to the readers."""

    name: str
    target: Target
    read_at: Target | None = None


async def of_300(run: Run) -> Measured:
    """300 answers at once, 50 chunks a second each: whatever the server keeps them in, beside nginx."""
    chunks = round(run.scale.seconds * RATE)
    models = stack.Models(0, (paced(chunks, RATE), _WARM))
    with ExitStack() as opened:
        upstream, port = opened.enter_context(servers.upstream(run.folder, models.names))
        nginx = _nginx(opened, run, port)
        models = replace(models, upstream=port)
        stacks = [
            opened.enter_context(stack.on_sqlite(run.folder, models)),
            opened.enter_context(stack.on_postgres(run.folder, models)),
            opened.enter_context(stack.on_postgres(run.folder, models, with_valkey=True)),
        ]
        ways = [_Way("nginx", nginx), *(_Way(each.name, each.target) for each in stacks)]
        found = await _relayed(run, ways, upstream, chunks, RATE)
    load = f"CPU of a chunk, {run.scale.streams} streams x {RATE:g}/s"
    lines = _beside_nginx(load, found)
    nginx_lag = millis(found["nginx"].lag_ms, found["nginx"].lag_p99_ms)
    tako = found["SQLite"]
    lines.append(Line("lag of a chunk then, SQLite: p50 / p99", nginx_lag, millis(tako.lag_ms, tako.lag_p99_ms)))
    return Measured(tuple(lines), _figures(found))


async def of_60(run: Run) -> Measured:
    """As many answers as all ways carry: also made by one process and read at another."""
    streams = min(CARRIED, run.scale.streams)
    chunks = round(run.scale.seconds * RATE)
    models = stack.Models(0, (paced(chunks, RATE), _WARM))
    with ExitStack() as opened:
        upstream, port = opened.enter_context(servers.upstream(run.folder, models.names))
        nginx = _nginx(opened, run, port)
        models = replace(models, upstream=port)
        sqlite = opened.enter_context(stack.on_sqlite(run.folder, models))
        plain = opened.enter_context(stack.on_postgres(run.folder, models, processes=2))
        valkey = opened.enter_context(stack.on_postgres(run.folder, models, processes=2, with_valkey=True))
        ways = [
            _Way("nginx", nginx),
            _Way(sqlite.name, sqlite.target),
            _Way(plain.name, plain.target),
            _Way(valkey.name, valkey.target),
            _Way(f"{plain.name}, read at another process", *plain.targets),
            _Way(f"{valkey.name}, read at another process", *valkey.targets),
        ]
        found = await _relayed(run, ways, upstream, chunks, RATE, streams)
        written = await _written(plain, upstream, streams, chunks)
        echoed = await _echoed(valkey, upstream, streams, chunks)
    load = f"CPU of a chunk, {streams} streams x {RATE:g}/s"
    lines = _beside_nginx(load, found)
    size = f"{written.wal_of_chunk:.0f} B and {written.commits_of_chunk:.2f} commits"
    lines.append(Line(f"PostgreSQL's log (WAL) for each chunk, {chunks} of an answer", "", size))
    lines.append(Line("Valkey, in and out, for each chunk read at another process", "", f"{echoed:.0f} B"))
    return Measured(
        tuple(lines), {**_figures(found), "written": asdict(written), "echoed_bytes": echoed, "chunks": chunks}
    )


async def of_10(run: Run) -> Measured:
    """Ten answers at once: LiteLLM is full at about 800 chunks a second."""
    streams, chunks = 10, round(run.scale.seconds / 2 * RATE)
    models = stack.Models(0, (paced(chunks, RATE), _WARM))
    with ExitStack() as opened:
        upstream, port = opened.enter_context(servers.upstream(run.folder, models.names))
        nginx = _nginx(opened, run, port)
        tako = opened.enter_context(stack.on_sqlite(run.folder, replace(models, upstream=port)))
        litellm = peers.litellm(opened, run, port, models.names)
        ways = [_Way("nginx", nginx), _Way(tako.name, tako.target)]
        if isinstance(litellm, Target):
            ways.append(_Way(litellm.name, litellm))
        found = await _relayed(run, ways, upstream, chunks, RATE, streams)
    load = f"CPU of a chunk, {streams} streams x {RATE:g}/s"
    ours = found[tako.name].server_us
    lines = [Line(load, f"nginx {micros(found['nginx'].server_us)}", micros(ours))]
    if isinstance(litellm, peers.Missing):
        lines.append(Line(load, str(litellm), micros(ours)))
    else:
        theirs = found[litellm.name].server_us
        tako_words = f"{micros(ours)}: {theirs / ours:.0f} times cheaper"
        aim = at_most(15 * ours, theirs, "at least 15 times cheaper")
        lines.append(Line(load, f"LiteLLM {_cost(found[litellm.name])}", tako_words, aim))
    return Measured(tuple(lines), _figures(found))


async def first(run: Run) -> Measured:
    """Time to the first token that each server adds to asking the upstream itself, with 20 answers at once."""
    model = paced(50, RATE)
    with ExitStack() as opened:
        upstream, port = opened.enter_context(servers.upstream(run.folder, (model, _WARM)))
        nginx = _nginx(opened, run, port)
        direct = Target("direct", port, CHAT, {SERVER: upstream})
        tako = opened.enter_context(stack.on_sqlite(run.folder, stack.Models(port, (model, _WARM))))
        others = [
            peers.litellm(opened, run, port, (model, _WARM)),
            await peers.open_webui(opened, run, port),
        ]
        targets = [direct, nginx, tako.target, *(each for each in others if isinstance(each, Target))]
        for target in targets:
            await _warm(target)
        runs: dict[str, list[float]] = {target.name: [] for target in targets}
        for target in run.shuffled(targets) + run.shuffled(targets)[: 2 * len(targets)]:
            done = await run.quiet(target.name, lambda target=target: _first(target, upstream))  # type: ignore[misc]
            runs[target.name].append(done.first_ms)
    asked = {name: statistics.median(times) for name, times in runs.items()}
    added = {name: max(0.0, ms - asked["direct"]) for name, ms in asked.items()}
    ours = added[tako.target.name]
    lines = [Line("added time to the first token, 20 streams", f"nginx {millis(added[nginx.name])}", millis(ours))]
    for other in others:
        if isinstance(other, peers.Missing):
            lines.append(Line("the same", str(other), millis(ours)))
        else:
            aim = at_most(ours, added[other.name] / 10, "a tenth")
            lines.append(Line("the same", f"{other.name} {millis(added[other.name])}", millis(ours), aim))
    return Measured(tuple(lines), {"first_ms": asked})


async def _first(target: Target, upstream: Tree) -> Relayed:
    counted = target if target.name != "direct" else replace(target, parts={SERVER: Tree()})
    return await relay(counted, upstream, streams=20, chunks=50, rate=RATE)


async def _warm(target: Target) -> None:
    """What a server does at its first requests only is not what a request costs."""
    reader = await connect(target.port)
    for _ in range(5):
        await reader.ask(target.ask(_WARM), 20)
    reader.close()


@dataclass(frozen=True)
class Written:
    """What PostgreSQL wrote for each chunk, and keeps of each answer once it has ended, in bytes."""

    wal_of_chunk: float
    commits_of_chunk: float
    stored_of_answer: float


async def _written(on: stack.Stack, upstream: Tree, streams: int, chunks: int) -> Written:
    stack.compact(on.site.database_url)
    before = stack.Kept.now(on.site.database_url)
    await relay(on.target, upstream, streams=streams, chunks=chunks, rate=RATE)
    wal = stack.Kept.now(on.site.database_url)
    stack.compact(on.site.database_url)
    after = stack.Kept.now(on.site.database_url)
    count = streams * chunks
    return Written(
        (wal.wal - before.wal) / count, (wal.commits - before.commits) / count, (after.size - before.size) / streams
    )


async def _echoed(on: stack.Stack, upstream: Tree, streams: int, chunks: int) -> float:
    """Bytes in and out of Valkey for each chunk."""
    assert on.cache is not None
    before = stack.traffic(on.cache)
    await relay(on.target, upstream, streams=streams, chunks=chunks, rate=RATE, read_at=on.targets[1])
    return (stack.traffic(on.cache) - before) / (streams * chunks)


def _nginx(opened: ExitStack, run: Run, upstream: int) -> Target:
    process, port = opened.enter_context(servers.nginx(run.folder, upstream))
    return Target("nginx", port, CHAT, {SERVER: process})


async def _relayed(
    run: Run, ways: Sequence[_Way], upstream: Tree, chunks: int, rate: float, streams: int = 0
) -> dict[str, Relayed]:
    runs: dict[str, list[Relayed]] = {way.name: [] for way in ways}

    async def measure(way: _Way) -> Relayed:
        count = streams or run.scale.streams
        return await relay(way.target, upstream, streams=count, chunks=chunks, rate=rate, read_at=way.read_at)

    for way in ways:
        await _warm(way.target)
    for way in run.shuffled(ways):
        done = await run.quiet(way.name, lambda way=way: measure(way))  # type: ignore[misc]  # mypy: lambdas with defaults
        say(f"  {way.name}: {_cost(done)}")
        runs[way.name].append(done)
    return {name: median_of(each) for name, each in runs.items()}


def _beside_nginx(load: str, found: Mapping[str, Relayed]) -> list[Line]:
    nginx = found["nginx"]
    lines = []
    for name, ours in found.items():
        if name != "nginx":
            ratio = ours.server_us / nginx.server_us
            aim = at_most(ratio, 2.5, "server at most 2.5 times nginx")
            lines.append(Line(f"{load}: {name}", f"nginx {_cost(nginx)}", f"{_cost(ours)}; {ratio:.1f} times", aim))
    return lines


def _cost(run: Relayed) -> str:
    """`74 µs, PostgreSQL 20 µs; core full`."""
    parts = [micros(run.server_us)]
    parts += [f"{name} {micros(us)}" for name, us in run.cpu_us.items() if name != SERVER]
    full = "; its core was full" if run.core > FULL else f"; core {run.core:.0%}"
    return ", ".join(parts) + full


def _figures(found: Mapping[str, Relayed]) -> dict[str, object]:
    return {"runs": {name: asdict(each) for name, each in found.items()}}
