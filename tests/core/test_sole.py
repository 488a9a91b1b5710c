"""One serving process for one database, on both databases."""

from pathlib import Path

import psycopg
import pytest

from tako.core.errors import Misconfigured
from tako.core.sole import only_one


async def test_a_second_process_is_told_who_serves(database_url: str) -> None:
    """It must not start: it would take the first one's answers over."""
    async with only_one(database_url):
        with pytest.raises(Misconfigured, match="Another Tako"):
            async with only_one(database_url):
                pass


async def test_the_next_one_may_serve_when_the_first_has_ended(database_url: str) -> None:
    """Nothing is left behind that somebody would have to remove by hand."""
    for _ in range(2):
        async with only_one(database_url):
            pass


async def test_a_database_that_does_not_answer_is_named_as_the_cause(tmp_path: Path) -> None:
    """One line for the operator, not a traceback of the driver."""
    with pytest.raises(Misconfigured, match="does not answer"):
        async with only_one(f"postgresql://nobody@/nothing?host={tmp_path}"):
            pass


async def test_a_program_that_uses_the_database_otherwise_is_no_hindrance(database_url: str) -> None:
    """Commands and backups run while the server runs."""
    async with only_one(database_url):
        if database_url.startswith("postgresql"):
            with psycopg.connect(database_url) as other:
                other.execute("SELECT 1")
