"""The measures, one function each. Times in seconds, memory in bytes, unless a name says otherwise."""

import asyncio
import json
import os
import random
import statistics
from dataclasses import dataclass, replace

from bench.readers import Reader, Seen, connect
from bench.servers import Process, Site, busy, clock

IDLE = "paced:chunks=2,rate=0.0001"
FIRST_TOKEN = "paced:chunks=50,rate=50"


def paced(chunks: int, rate: float) -> str:
    return f"paced:chunks={chunks},rate={rate:g}"


@dataclass(frozen=True)
class Target:
    """Where to ask, and whose CPU to count."""

    name: str
    process: Process
    port: int
    path: str
    key: str = ""

    def ask(self, model: str, **more: object) -> bytes:
        """A request for one streamed answer."""
        question = {"input": "hello"} if self.key else {"messages": [{"role": "user", "content": "hello"}]}
        return self._request("POST", self.path, {"model": model, "stream": True, **question, **more})

    def get(self, path: str) -> bytes:
        return self._request("GET", path, None)

    def _request(self, method: str, path: str, body: object) -> bytes:
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Content-Length: {len(data)}"]
        lines += ["Content-Type: application/json"] if data else []
        lines += [f"Authorization: Bearer {self.key}"] if self.key else []
        return "\r\n".join([*lines, "", ""]).encode() + data


@dataclass(frozen=True)
class Relayed:
    """Many answers at once: microseconds of CPU for each chunk, and milliseconds until the first one and of lag."""

    name: str
    cpu_us: float
    first_ms: float
    lag_ms: float
    lag_p99_ms: float
    foreign: float
    """Cores that neither the server nor the bench used: above 0.2 the run is void."""


async def relay(target: Target, upstream: Process, *, streams: int, chunks: int, rate: float) -> Relayed:
    """`streams` answers at once, begun over one period, each of `chunks` chunks at `rate` a second."""
    request = target.ask(paced(chunks, rate))
    readers = await asyncio.gather(*(connect(target.port) for _ in range(streams)))

    async def one(n: int) -> Seen:
        await asyncio.sleep(n / streams)
        return await readers[n].ask(request, chunks)

    before, upstream_before, all_before, began = target.process.usage(), upstream.usage(), busy(), clock()
    own_before = _own_cpu()
    seen = await asyncio.gather(*map(one, range(streams)))
    took = clock() - began
    server = target.process.usage().cpu - before.cpu
    known = server + upstream.usage().cpu - upstream_before.cpu + _own_cpu() - own_before
    foreign = max(0.0, (busy() - all_before - known) / took)
    for reader in readers:
        reader.close()
    lags = sorted(lag for one_seen in seen for lag in one_seen.lags)
    return Relayed(
        target.name,
        server / (streams * chunks) * 1e6,
        statistics.median(s.first_chunk - s.asked for s in seen) / 1e6,
        lags[len(lags) // 2] / 1e6,
        lags[len(lags) * 99 // 100] / 1e6,
        foreign,
    )


async def first_token(target: Target, upstream: Process) -> float:
    """Milliseconds from asking to the first token, of 20 answers begun within a second; the median of 5 runs."""
    runs = [await relay(target, upstream, streams=20, chunks=50, rate=50) for _ in range(5)]
    return statistics.median(run.first_ms for run in runs)


def median_of(runs: list[Relayed]) -> Relayed:
    """The run with the median CPU, with the medians of the times."""
    middle = sorted(runs, key=lambda run: run.cpu_us)[len(runs) // 2]
    return replace(
        middle,
        first_ms=statistics.median(run.first_ms for run in runs),
        lag_ms=statistics.median(run.lag_ms for run in runs),
        lag_p99_ms=statistics.median(run.lag_p99_ms for run in runs),
    )


@dataclass(frozen=True)
class Resumed:
    """Milliseconds to the first byte, and to the last one that there was."""

    first_ms: float
    last_ms: float


async def resume(target: Target, *, chunks: int, times: int, running: bool) -> Resumed:
    """Join an answer of `chunks` chunks from its beginning, one reader after another; while it runs, or after it."""
    rate = 2000.0
    reader = await connect(target.port)
    model = paced(chunks, rate)
    if running:
        # It goes on at once after `chunks` chunks with a long silence: what there is comes from memory.
        model = paced(chunks + 1, rate) + f",hold={chunks}"
    await reader.begin(target.ask(model, background=True), chunks)
    response_id = await _response_id(reader)
    await (reader.counted() if running else reader.ended())
    seen = []
    for _ in range(times):
        again = await connect(target.port)
        await again.begin(target.get(f"/v1/responses/{response_id}?stream=true"), chunks)
        seen.append(await (again.counted() if running else again.ended()))
        again.close()
    reader.close()
    return Resumed(
        statistics.median(s.first_byte - s.asked for s in seen) / 1e6,
        statistics.median(s.last_chunk - s.asked for s in seen) / 1e6,
    )


async def memory_per_reader(target: Target, *, readers: int) -> float:
    """Of readers that wait for an answer which says nothing."""
    first = await connect(target.port)
    await first.begin(target.ask(IDLE, background=True), 1)
    response_id = await _response_id(first)
    await first.counted()
    request = target.get(f"/v1/responses/{response_id}?stream=true")

    async def join() -> Reader:
        reader = await connect(target.port)
        await reader.begin(request, 1)
        await reader.counted()
        return reader

    joined = [await join() for _ in range(50)]
    before = target.process.usage().memory
    for _ in range(readers // 50):
        joined += await asyncio.gather(*(join() for _ in range(50)))
    grown = target.process.usage().memory - before
    for reader in [first, *joined]:
        reader.close()
    return grown / (len(joined) - 50)


async def start_up(site: Site) -> tuple[float, int]:
    """Seconds from starting the process to an answer of /healthz, and the memory that it then has."""
    began = clock()
    with site.served() as process:
        await process.listening(site.port)
        reader = await connect(site.port)
        await reader.ask(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        took = clock() - began
        return took, process.usage().memory


async def _response_id(reader: Reader) -> str:
    await reader.body_holds(b'"id":"resp_')
    return "resp_" + reader.seen.body.partition(b'"id":"resp_')[2].partition(b'"')[0].decode()


def _own_cpu() -> float:
    times = os.times()
    return times.user + times.system


def shuffled(targets: list[Target], times: int) -> list[Target]:
    """Each target `times` times, in an order in which no target always comes first."""
    order: list[Target] = []
    chance = random.Random(1)
    for _ in range(times):
        order += chance.sample(targets, len(targets))
    return order
