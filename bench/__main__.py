"""`python -m bench`: measure everything in one run, print the table, keep the figures in bench/results.json."""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from bench import measures, servers
from bench.measures import Relayed, Resumed, Target

RESULTS = Path(__file__).parent / "results.json"
# More than this many cores used by others, and a run says nothing about us.
QUIET = 0.2
RESUMED = 2000


@contextmanager
def targets(folder: Path, scale: argparse.Namespace) -> Iterator[tuple[servers.Process, servers.Site, list[Target]]]:
    """The model; a site; and what is measured: the model asked directly, nginx, and the whole server."""
    with ExitStack() as stack:
        model, port = stack.enter_context(servers.upstream(folder))
        relay, relay_port = stack.enter_context(servers.nginx(folder, port))
        names = [
            measures.paced(scale.chunks, scale.rate),
            measures.FIRST_TOKEN,
            measures.paced(RESUMED, 2000),
            measures.paced(RESUMED + 1, 2000) + f",hold={RESUMED}",
            measures.IDLE,
        ]
        site = servers.Site.made(folder / "site", port, names)
        tako = stack.enter_context(site.served())
        yield (
            model,
            site,
            [
                Target("direct", model, port, "/v1/chat/completions"),
                Target("nginx, proxy_buffering off", relay, relay_port, "/v1/chat/completions"),
                Target("Tako, SQLite journal", tako, site.port, "/v1/responses", site.key),
            ],
        )


async def run(scale: argparse.Namespace) -> dict[str, Any]:
    os.sched_setaffinity(0, {servers.LOAD_CORE})
    with tempfile.TemporaryDirectory(prefix="tako-bench-") as name:
        folder = Path(name)
        os.chmod(folder, 0o755)  # nginx drops root
        with targets(folder, scale) as (model, site, found):
            for target in found:
                await target.process.listening(target.port)
            tako = found[-1]
            _say("idle readers")  # first: what a busy server has had before would hide what they cost
            reader = await measures.memory_per_reader(tako, readers=scale.readers)
            runs: dict[str, list[Relayed]] = {target.name: [] for target in found}
            for target in measures.shuffled(found, scale.times):
                done = await _quiet_relay(target, model, scale)
                _say(f"{done.name}: {done.cpu_us:.1f} µs a chunk")
                runs[done.name].append(done)
            _say("first tokens")
            firsts = {target.name: await measures.first_token(target, model) for target in found}
            _say("resuming")
            ended = await measures.resume(tako, chunks=RESUMED, times=50, running=False)
            running = await measures.resume(tako, chunks=RESUMED, times=50, running=True)
        _say("starting")
        starts = [await measures.start_up(site) for _ in range(5)]
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "streams": scale.streams,
        "rate": scale.rate,
        "relay": [asdict(measures.median_of(each)) for each in runs.values()],
        "first_ms": firsts,
        "resume_ended": asdict(ended),
        "resume_running": asdict(running),
        "reader_bytes": reader,
        "start_seconds": statistics.median(took for took, _ in starts),
        "start_memory": statistics.median(memory for _, memory in starts),
    }


async def _quiet_relay(target: Target, model: servers.Process, scale: argparse.Namespace) -> Relayed:
    for _ in range(5):
        done = await measures.relay(target, model, streams=scale.streams, chunks=scale.chunks, rate=scale.rate)
        if done.foreign <= QUIET or scale.noisy:
            return done
        _say(f"{target.name}: others used {done.foreign:.2f} cores; once more")
    raise SystemExit("bench: this machine is too busy to measure on. End other programs, or see --noisy.")


def table(results: dict[str, Any]) -> str:
    """Markdown, as in the README."""
    direct, nginx, tako = (Relayed(**row) for row in results["relay"])
    firsts = results["first_ms"]
    ended, running = Resumed(**results["resume_ended"]), Resumed(**results["resume_running"])
    chunks = f"{results['streams']} streams x {results['rate']:g} chunks/s"
    rows = [
        (
            "CPU for each chunk, " + chunks,
            f"{nginx.cpu_us:.1f} µs",
            f"{tako.cpu_us:.1f} µs",
            tako.cpu_us / nginx.cpu_us,
        ),
        (
            "added time to the first token, 20 streams",
            f"{firsts[nginx.name] - firsts[direct.name]:.1f} ms",
            f"{firsts[tako.name] - firsts[direct.name]:.1f} ms",
            None,
        ),
        ("lag of a chunk, p50 / p99, same load", _lag(nginx), _lag(tako), None),
        (
            f"resume a running answer of {RESUMED} chunks: first / last byte",
            "none",
            f"{running.first_ms:.1f} / {running.last_ms:.1f} ms",
            None,
        ),
        ("the same answer after its end", "none", f"{ended.first_ms:.1f} / {ended.last_ms:.1f} ms", None),
        ("memory for each idle reader", "", f"{results['reader_bytes'] / 1024:.0f} KiB", None),
        (
            "start to /healthz; memory then",
            "",
            f"{results['start_seconds']:.2f} s; {results['start_memory'] / 2**20:.0f} MiB",
            None,
        ),
    ]
    lines = ["| measure | nginx | Tako | ratio |", "|---|---|---|---|"]
    lines += [f"| {what} | {a} | {b} | {'' if ratio is None else f'{ratio:.2f}'} |" for what, a, b, ratio in rows]
    return "\n".join([*lines, "", f"Measured on {results['machine']}."])


def _lag(run: Relayed) -> str:
    return f"{run.lag_ms:.2f} / {run.lag_p99_ms:.1f} ms"


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--rate", type=float, default=50.0, help="chunks a second of each stream")
    parser.add_argument("--chunks", type=int, default=500, help="chunks of each stream")
    parser.add_argument("--times", type=int, default=3, help="runs of each server; their median counts")
    parser.add_argument("--readers", type=int, default=2000, help="idle readers")
    parser.add_argument(
        "--noisy", action="store_true", help="count runs that others disturbed (to try the bench itself)"
    )
    scale = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("bench: it needs two cores, one of them for the server alone.")
    results = uvloop.run(run(scale))
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
