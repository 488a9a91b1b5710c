"""The capacity model: what one process carries alone, and what a second one costs."""

import dataclasses

import pytest
from bench.scale import Costs, Habits, costs_of, needs

COSTS = Costs(
    server_us=100,
    away_us=160,
    delivery_us=20,
    postgres_us=40,
    valkey_us=5,
    echoed=600,
    wal=400,
    stored=20_000,
    reader=18_000,
    idle_us=1,
)


def test_a_small_site_is_one_process_without_valkey() -> None:
    """1,000 users ask 300 questions in the busiest hour: 42 chunks a second."""
    small = needs(1000, Habits(), COSTS)
    assert small.chunks_s == pytest.approx(1000 * 0.1 * 20 * 0.15 / 3600 * 500)
    assert (small.processes, small.valkey_cores, small.valkey_s) == (1, 0, 0)
    assert small.commits_s == small.chunks_s  # fewer than a process could make


def test_a_large_site_pays_for_readers_elsewhere() -> None:
    """With many processes nearly every reader is at another one than the maker."""
    large = needs(10**7, Habits(), COSTS)
    dear = needs(10**7, Habits(), dataclasses.replace(COSTS, away_us=260))
    assert dear.server_cores - large.server_cores == pytest.approx(large.chunks_s * 100 / 1e6 / 0.6, rel=0.05)
    assert large.commits_s == large.processes * COSTS.commits_s
    assert large.stored_year == 10**7 * 0.1 * 20 * 365 * COSTS.stored


def test_costs_come_from_the_rows_of_the_bench() -> None:
    """A row that was renamed must not go unnoticed."""
    part = {"cpu_us": {"server": 90.0, "PostgreSQL": 30.0, "Valkey": 4.0}}
    relay = {
        "runs": {"PostgreSQL + Valkey": part, "PostgreSQL + Valkey, read at another process": part},
        "echoed_bytes": 600.0,
        "written": {"wal_of_chunk": 400.0, "stored_of_answer": 20_000.0},
    }
    results = {
        "relay-60": {"figures": relay},
        "idle": {"figures": {"bytes": 18_000.0, "core": 0.01, "readers": 10_000}},
        "readers": {"figures": {"PostgreSQL + Valkey": {"all": {"delivery_us": 20.0}}}},
    }
    assert costs_of(results).idle_us == pytest.approx(1.0)
    with pytest.raises(KeyError, match="idle"):
        costs_of({name: row for name, row in results.items() if name != "idle"})
