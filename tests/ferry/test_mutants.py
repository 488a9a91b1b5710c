"""The tests of the copy are worth something: each promise is broken on purpose once, and it is seen."""

import random
from pathlib import Path

import pytest

from tests.ferry import mutants
from tests.ferry.test_kills import RULES, SEED, differences, filled
from tests.support.ferry import Ferry
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="session")
def site(mariadb_server: Mysqld) -> str:
    """The name of its database."""
    return filled(mariadb_server, random.Random(SEED))


@pytest.mark.parametrize("mutant", [mutant.__name__ for mutant in mutants.BROKEN])
def test_a_broken_promise_is_seen(
    mariadb_server: Mysqld, target: Postgres, site: str, tmp_path: Path, mutant: str
) -> None:
    assert complaints(mariadb_server, target, site, tmp_path, mutant) != []


@pytest.mark.parametrize("mutant", [mutant.__name__ for mutant in mutants.DYING])
def test_a_death_at_the_worst_moment_is_survived(
    mariadb_server: Mysqld, target: Postgres, site: str, tmp_path: Path, mutant: str
) -> None:
    assert complaints(mariadb_server, target, site, tmp_path, mutant) == []


def complaints(source: Mysqld, target: Postgres, site: str, folder: Path, mutant: str) -> list[str]:
    """What is wrong with a copy that this one has made, with as many starts as it takes."""
    rules = RULES.replace("chunk_bytes = 8192", "chunk_bytes = 65536")
    program = ("-m", "tests.ferry.mutants", mutant, "ferry")
    copying = Ferry(folder, source.url(site), target.new_database(), rules, program)
    copying.plan().well()
    ran = copying.copy()
    deaths = 0
    while ran.code == -9:
        deaths += 1
        ran = copying.copy()
    assert deaths > 0 or mutant in ("chunks_overlap", "chunks_leave_gaps", "local_time", "backslashes_as_they_are")
    if ran.code:
        return [ran.err]
    found = differences(source, site, copying.target)
    copying.program = ("-m", "tako", "ferry")
    assert copying.verify().code == (1 if found else 0), "verify and the comparison of our own do not agree"
    return found
