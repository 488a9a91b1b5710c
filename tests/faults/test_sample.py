"""A small sample of the fault suite: a few rounds on each database, and a mutant that the judge must notice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import faults, mutants
from tests.faults.__main__ import noticed
from tests.faults.play import Tally, play
from tests.faults.stage import Services, services, stage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def both() -> Iterator[Services]:
    with services() as servers:
        yield servers


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
async def test_whatever_is_done_to_a_site_it_keeps_its_promises(tmp_path: Path, both: Services, database: str) -> None:
    """The same seed brings the same crowd and faults: `python -m tests.faults --seed 0` (or `--seed 12`, of SQLite)."""
    deck = faults.ON_SQLITE if database == "sqlite" else faults.ON_POSTGRES
    dealt = ["disk full", "kill -9 of a process"] if database == "sqlite" else ["SIGSTOP of a process, 3 s", "PostgreSQL killed"]
    tally = Tally()
    async with stage(tmp_path, None if database == "sqlite" else both) as scene:
        await play(scene, 0, tally, dealt, deck=deck)
    assert tally.violations == []


async def test_a_takeover_that_reads_too_early_is_noticed(tmp_path: Path, both: Services) -> None:
    """The judge can fail: here by the mistake that is easiest to make."""
    naive = next(one for one in mutants.MUTANTS if one.broken is mutants.tails_read_before_the_fence)
    assert await noticed(tmp_path, both, naive)
