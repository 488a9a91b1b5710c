"""A small sample of the fault suite: a round on each database, and a mutant that the judge must notice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import faults, mutants
from tests.faults.__main__ import noticed
from tests.faults.play import Tally, play
from tests.faults.stage import Services, services, stage

# Servers start and die here, beside other tests.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def both() -> Iterator[Services]:
    with services() as servers:
        yield servers


@pytest.mark.parametrize(
    ("database", "dealt"),
    [
        ("postgresql", ["SIGSTOP of a process, 3 s", "PostgreSQL killed"]),
        ("sqlite", ["kill -9 of a process", "SIGTERM of a process"]),
    ],
)
async def test_whatever_is_done_to_a_site_it_keeps_its_promises(
    tmp_path: Path, both: Services, database: str, dealt: list[str]
) -> None:
    """A crowd reads, leaves, comes again elsewhere and stops, and finds everything as it was promised."""
    tally = Tally()
    async with stage(tmp_path, both if database == "postgresql" else None) as scene:
        deck = faults.ON_POSTGRES if database == "postgresql" else faults.ON_SQLITE
        await play(scene, 0, tally, dealt, deck=deck)
    assert tally.violations == []
    assert set(dealt) <= set(tally.faults), "a fault did not come about"


async def test_a_site_that_gives_an_event_twice_is_noticed(tmp_path: Path, both: Services) -> None:
    """The judge can fail."""
    broken = next(one for one in mutants.MUTANTS if one.broken is mutants.cursor_off_by_one)
    assert await noticed(tmp_path, both, broken)
