"""Stopping an answer that another process makes: the time until its upstream sees the connection closed."""

import asyncio
import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from bench import servers, stack
from bench.readers import Reader, connect
from bench.run import Run
from bench.servers import Meter, Tree
from bench.table import Line, Measured, at_most, millis
from bench.target import Target, begin, paced

_MODEL = paced(100_000, 50)
# An answer is stopped when it has said so much.
_SHOWN = 3


@dataclass(frozen=True)
class Stopped:
    """Milliseconds from asking to the end of the connection to the upstream, and to the answer of whoever was asked."""

    closed_ms: float
    closed_p99_ms: float
    answered_ms: float
    times: int
    foreign: float


async def stop(owner: Target, asked: Target, upstream: Tree, upstream_port: int, *, times: int) -> Stopped:
    """Answers made by `owner`, each stopped at `asked`, one after another."""
    closed: list[float] = []
    answered: list[float] = []
    told = await connect(upstream_port)
    await _closings(told)
    asking = await connect(asked.port)
    meter = Meter(owner.parts, upstream)
    for _ in range(times):
        answer = await begin(owner, _MODEL, _SHOWN)
        await answer.first.counted()
        seen = await asking.ask(asked.post(f"/v1/responses/{answer.id}/cancel", {}))
        while not (stamps := await _closings(told)):
            await asyncio.sleep(0.002)
        closed.append((stamps[0] - seen.asked) / 1e6)
        answered.append((seen.last_byte - seen.asked) / 1e6)
        answer.first.close()
    used = meter.read()
    asking.close()
    told.close()
    closed.sort()
    answered.sort()
    p99 = closed[min(len(closed) - 1, len(closed) * 99 // 100)]
    return Stopped(closed[len(closed) // 2], p99, answered[len(answered) // 2], times, used.foreign)


async def _closings(reader: Reader) -> list[int]:
    """When answers lost their connection since this was asked last, in nanoseconds."""
    seen = await reader.answered(b"GET /closed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    stamps: list[int] = json.loads(seen.body)
    return stamps


async def stopping(run: Run) -> Measured:
    """Stop across processes, on PostgreSQL and with Valkey beside it."""
    lines: list[Line] = []
    figures: dict[str, object] = {}
    with ExitStack() as opened:
        upstream, port = opened.enter_context(servers.upstream(run.folder, (_MODEL,)))
        models = stack.Models(port, (_MODEL,), output=1_000_000)
        for with_valkey in (False, True):
            with stack.on_postgres(run.folder, models, processes=2, with_valkey=with_valkey) as served:
                owner, other = served.targets
                done = await run.quiet(
                    f"stop, {served.name}",
                    lambda owner=owner, other=other: stop(owner, other, upstream, port, times=run.scale.stops),  # type: ignore[misc]  # mypy: lambdas with defaults
                )
            figures[served.name] = asdict(done)
            lines.append(
                Line(
                    f"stop at another process, to the closed upstream, {done.times} times, {served.name}: p50 / p99",
                    "",
                    millis(done.closed_ms, done.closed_p99_ms),
                    at_most(done.closed_p99_ms, 100, "p99 100 ms"),
                )
            )
    return Measured(tuple(lines), figures)
