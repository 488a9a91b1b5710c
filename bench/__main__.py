"""`python -m bench`: measure every row beside its peers in one run, and print the table. Each row's figures go to
bench/results.json as soon as they are there."""

import argparse
import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import uvloop

from bench import peers, servers
from bench.measures import growth, readers, relay, resume, start, stop
from bench.run import SHORT, Run, Scale, say
from bench.table import Line, Measured, table

RESULTS = Path(__file__).parent / "results.json"
ROWS: Mapping[str, Callable[[Run], Awaitable[Measured]]] = {
    "idle": readers.waiting,
    "relay-300": relay.of_300,
    "relay-60": relay.of_60,
    "relay-10": relay.of_10,
    "first-token": relay.first,
    "resume": resume.resuming,
    "readers": readers.many,
    "stop": stop.stopping,
    "start": start.starting,
    "streams": growth.streams,
    "conversations": growth.conversations,
}


async def measured(name: str, run: Run) -> Measured | None:
    """None where it could not be measured: the others are to be measured all the same."""
    say(f"{name}: {' '.join((ROWS[name].__doc__ or '').split())}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tako-bench-") as folder:
        os.chmod(folder, 0o755)  # nginx drops root
        try:
            done = await ROWS[name](Run(Path(folder), run.scale, run.noisy, run.missing))
        except Exception:  # whatever it is
            say(f"!! {name} was not measured:\n{traceback.format_exc()}")
            for log in sorted(Path(folder).rglob("*.log")):
                say(f"-- the end of {log.relative_to(folder)}:\n{log.read_text(errors='replace')[-1500:]}")
            return None
    say(f"  {time.monotonic() - began:.0f} s")
    return done


def keep(name: str, done: Measured, run: Run) -> None:
    """Write down a row; those of earlier runs stay until they are measured anew."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[name] = {
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "machine": machine(),
        "noisy": run.noisy,
        "scale": asdict(run.scale),
        "lines": [asdict(line) for line in done.lines],
        "figures": done.figures,
    }
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n")


def machine() -> str:
    node = subprocess.run([peers.node(), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, Node {node}"


async def measure(names: list[str], run: Run) -> int:
    """All rows that were asked for. Returns the exit code."""
    os.sched_setaffinity(0, {servers.LOAD_CORE})
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # for 10,000 readers
    lines: list[Line] = []
    failed = []
    for name in names:
        done = await measured(name, run)
        await asyncio.sleep(1)  # what was closed goes
        if done is None:
            failed.append(name)
            lines.append(Line(name, "", "**was not measured**"))
            continue
        keep(name, done, run)
        lines += done.lines
    print(table(lines))
    print(f"\nMeasured on {machine()}{', disturbed by others' if run.noisy else ''}; {peers.versions()}.")
    if failed:
        say(f"!! not measured: {', '.join(failed)}")
    return 1 if failed else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog="rows: " + "; ".join(f"{name}: {' '.join((row.__doc__ or '').split())}" for name, row in ROWS.items()),
    )
    parser.add_argument("--rows", default=",".join(ROWS), help="only these, by name, separated by commas")
    parser.add_argument("--short", action="store_true", help="a few minutes for all of it: to try the bench itself")
    parser.add_argument("--noisy", action="store_true", help="count what others disturbed: to try the bench itself")
    parser.add_argument(
        "--without",
        default="",
        help=f"peers to leave out: {', '.join(map(peers.slug, peers.ALL))} (the second is 7 GB)",
    )
    given = parser.parse_args()
    names = given.rows.split(",")
    without = given.without.split(",") if given.without else []
    if unknown := {*names} - {*ROWS} | {*without} - {*map(peers.slug, peers.ALL)}:
        parser.error(f"there is no {', '.join(sorted(unknown))}; see --help")
    if (os.cpu_count() or 1) < 2:
        parser.error("it needs two cores, one of them for the server alone")
    scale = SHORT if given.short else Scale()
    run = Run(Path(), scale, given.noisy, peers.install(without))
    sys.exit(uvloop.run(measure(names, run)))


if __name__ == "__main__":
    main()
