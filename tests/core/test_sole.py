"""One serving process for one SQLite database; PostgreSQL serves any number."""

import sqlite3
from pathlib import Path

import pytest

from tako.core.errors import Misconfigured
from tako.core.sole import only_one


def test_a_second_process_is_told_who_serves(tmp_path: Path) -> None:
    """It must not start: it would take the first one's answers over."""
    url = f"sqlite:///{tmp_path / 'tako.db'}"
    with only_one(url), pytest.raises(Misconfigured, match="Another Tako"), only_one(url):
        pass


def test_the_next_one_may_serve_when_the_first_has_ended(tmp_path: Path) -> None:
    """Nothing is left behind that somebody would have to remove by hand."""
    for _ in range(2):
        with only_one(f"sqlite:///{tmp_path / 'tako.db'}"):
            pass


def test_a_program_that_uses_the_database_otherwise_is_no_hindrance(tmp_path: Path) -> None:
    """Commands and backups run while the server runs."""
    file = tmp_path / "tako.db"
    with only_one(f"sqlite:///{file}"), sqlite3.connect(file) as other:
        other.execute("SELECT 1")


def test_any_number_may_serve_one_postgresql_database() -> None:
    """There, leases say who writes what."""
    url = "postgresql://nobody@/nothing"
    with only_one(url), only_one(url):
        pass
