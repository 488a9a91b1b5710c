"""`verify` while the source is written to and followed by somebody else: it must tell being late from being wrong."""

from itertools import count

import pytest

from tako.ferry.source.position import Position
from tests.ferry import moving
from tests.ferry.moving import Move
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

TABLES = {
    "keyed": ["CREATE TABLE flags (id int PRIMARY KEY, n int NOT NULL)", "INSERT INTO flags VALUES (1, 0), (2, 0)"],
    "keyless": ["CREATE TABLE flags (id int NOT NULL, n int NOT NULL)", "INSERT INTO flags VALUES (1, 0), (2, 0)"],
}
KEYLESS = '\n[tables.flags]\nwithout_key = "whole"\n'
RULES = "[target]\nschema = 'moved'\n"


@pytest.fixture(params=TABLES)
def move(request: pytest.FixtureRequest, source: Mysqld, target: Postgres) -> Move:
    made = moving.new(source, target, *TABLES[request.param])
    assert made.all_of_it(RULES + (KEYLESS if request.param == "keyless" else ""))["flags"].equal
    return made


def test_a_row_that_goes_to_and_fro_is_not_called_different(move: Move) -> None:
    """The source reads the same before and after; between, it was something else, and the target shows that."""
    move.found("UPDATE moved.flags SET n = 100 WHERE id = 1")
    between = count(1)

    def passed(_: Position) -> None:
        move.found("UPDATE moved.flags SET n = %s WHERE id = 1", [next(between)])

    found = move.verify(passed=passed)
    assert found["flags"].equal
    assert found["flags"].moving == 1


def test_a_row_that_stays_wrong_is(move: Move) -> None:
    move.found("UPDATE moved.flags SET n = 7 WHERE id = 2")
    found = move.verify(passed=lambda _: None)
    assert not found["flags"].equal
    assert found["flags"].different == 1


def test_a_row_that_was_only_late_is_equal(move: Move) -> None:
    move.run("UPDATE flags SET n = 7 WHERE id = 2")

    def passed(_: Position) -> None:
        move.found("UPDATE moved.flags SET n = 7 WHERE id = 2")

    found = move.verify(passed=passed)
    assert found["flags"].equal
    assert found["flags"].moving == 0
