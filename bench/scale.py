"""What the measured figures mean for a site of many users: the tables of docs/scale.md.

`python -m bench.scale` reads bench/results.json, in which the rows `relay-60`, `idle` and `readers` must be.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results.json"
USERS = (10**3, 10**5, 10**7)
_YEAR = 365


@dataclass(frozen=True)
class Habits:
    """What users do. Assumed, not measured: put in your own."""

    daily: float = 0.1
    """Of all users, those who come on a day."""
    questions: float = 20
    """Of one of those, on that day."""
    busiest_hour: float = 0.15
    """Of a day's questions, those of its busiest hour."""
    open: float = 0.2
    """Of a day's users, those whose page is open at the busiest moment."""
    chunks: float = 500
    rate: float = 50
    """Of an answer: chunks, and chunks a second."""
    readers: float = 1.2
    """Of a running answer: the one who asked, and a second device now and then."""
    use: float = 0.6
    """Of a core: what is planned for it; the rest is for peaks and for a process that dies."""


@dataclass(frozen=True)
class Costs:
    """What things cost. Measured: CPU in microseconds, sizes in bytes."""

    server_us: float
    """Server, for a chunk that is read where it is made."""
    away_us: float
    """Both servers, for a chunk that is read at another process."""
    delivery_us: float
    """Server, for a chunk and a further reader."""
    postgres_us: float
    valkey_us: float
    """For a chunk that is read at another process, with Valkey."""
    echoed: float
    wal: float
    """For a chunk, with its share of the answer's beginning and end."""
    stored: float
    """For an answer that has ended."""
    reader: float
    idle_us: float
    """Server, for a reader who waits, in a second."""
    commits_s: float = 500
    """Of one process at most: `commit_interval` is 2 ms."""
    connections: float = 23
    """To PostgreSQL of one process: 20 in its pool, and those that append, follow and listen."""


@dataclass(frozen=True)
class Needs:
    """What a site of so many users needs in its busiest hour."""

    users: int
    answers_s: float
    chunks_s: float
    running: float
    pages: float
    server_cores: float
    processes: int
    memory: float
    postgres_cores: float
    postgres_connections: float
    commits_s: float
    wal_s: float
    valkey_cores: float
    valkey_s: float
    stored_year: float


def needs(users: int, habits: Habits, costs: Costs) -> Needs:
    """The formulas of docs/scale.md."""
    daily = users * habits.daily
    answers = daily * habits.questions * habits.busiest_hour / 3600
    chunks = answers * habits.chunks
    pages = daily * habits.open
    deliveries = chunks * (habits.readers - 1)
    idle = pages * costs.idle_us
    # One process first: then nobody reads elsewhere.
    alone = (chunks * costs.server_us + deliveries * costs.delivery_us + idle) / 1e6 / habits.use
    away = 0.0 if alone <= 1 else 1 - 1 / alone
    chunk = costs.server_us + away * (costs.away_us - costs.server_us)
    cores = (chunks * chunk + deliveries * costs.delivery_us + idle) / 1e6 / habits.use
    processes = max(1, math.ceil(cores))
    return Needs(
        users=users,
        answers_s=answers,
        chunks_s=chunks,
        running=chunks / habits.rate,
        pages=pages,
        server_cores=cores,
        processes=processes,
        memory=pages * costs.reader,
        postgres_cores=chunks * costs.postgres_us / 1e6 / habits.use,
        postgres_connections=processes * costs.connections,
        commits_s=min(chunks, processes * costs.commits_s),
        wal_s=chunks * costs.wal,
        valkey_cores=away * chunks * costs.valkey_us / 1e6 / habits.use,
        valkey_s=away * chunks * costs.echoed,
        stored_year=daily * habits.questions * _YEAR * costs.stored,
    )


def costs_of(results: Mapping[str, Any]) -> Costs:
    """Out of bench/results.json. Raises KeyError naming the row that is missing."""
    relay, idle = results["relay-60"]["figures"], results["idle"]["figures"]
    here = relay["runs"]["PostgreSQL + Valkey"]["cpu_us"]
    away = relay["runs"]["PostgreSQL + Valkey, read at another process"]["cpu_us"]
    return Costs(
        server_us=here["server"],
        away_us=away["server"],
        delivery_us=results["readers"]["figures"]["PostgreSQL + Valkey"]["all"]["delivery_us"],
        postgres_us=here["PostgreSQL"],
        valkey_us=away["Valkey"],
        echoed=relay["echoed_bytes"],
        wal=relay["written"]["wal_of_chunk"],
        stored=relay["written"]["stored_of_answer"],
        reader=idle["bytes"],
        idle_us=idle["core"] / idle["readers"] * 1e6,
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _size(value: float) -> str:
    """`4.7 GB`."""
    power = min(4, max(0, math.floor(math.log10(max(value, 1)) / 3)))
    return f"{_number(value / 1000**power)} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


_ROWS: Sequence[tuple[str, Callable[[Needs], str]]] = (
    ("answers begun in a second", lambda n: _number(n.answers_s)),
    ("answers running at once", lambda n: _number(n.running)),
    ("chunks in a second", lambda n: _number(n.chunks_s)),
    ("open pages", lambda n: _number(n.pages)),
    ("cores of servers (processes)", lambda n: f"{_number(n.server_cores)} ({n.processes})"),
    ("memory of open pages", lambda n: _size(n.memory)),
    ("PostgreSQL: cores", lambda n: _number(n.postgres_cores)),
    ("PostgreSQL: connections", lambda n: _number(n.postgres_connections)),
    ("PostgreSQL: commits in a second, at most", lambda n: _number(n.commits_s)),
    ("PostgreSQL: log (WAL) in a second", lambda n: _size(n.wal_s)),
    ("PostgreSQL: stored in a year", lambda n: _size(n.stored_year)),
    ("Valkey: cores", lambda n: _number(n.valkey_cores)),
    ("Valkey: in and out in a second", lambda n: _size(n.valkey_s)),
)


def table(found: Sequence[Needs]) -> str:
    """Markdown."""
    heads = " | ".join(f"{need.users:,} users" for need in found)
    lines = [f"| in the busiest hour | {heads} |", "|---" * (len(found) + 1) + "|"]
    lines += [f"| {what} | {' | '.join(words(need) for need in found)} |" for what, words in _ROWS]
    return "\n".join(lines)


def main() -> None:
    if not RESULTS.exists():
        sys.exit("There are no figures yet: run `make bench` first.")
    try:
        costs = costs_of(json.loads(RESULTS.read_text()))
    except KeyError as missing:
        sys.exit(f"bench/results.json has no {missing}: run `make bench` first.")
    print("\n".join(f"{name} = {value:.1f}" for name, value in vars(costs).items()), end="\n\n")
    print(table([needs(users, Habits(), costs) for users in USERS]))


if __name__ == "__main__":
    main()
