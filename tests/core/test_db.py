"""The database's surface: what its refusals become."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tako.core.db import Database
from tako.core.errors import Unavailable
from tests.support.postgres import Postgres


async def test_a_wrong_statement_is_a_bug_not_a_busy_database(db: Database) -> None:
    """Trying it again would never help, and would hide it."""
    with pytest.raises(DBAPIError):
        async with db.write() as connection:
            await connection.execute(text("SELECT * FROM no_such_table"))


async def test_a_connection_that_is_cut_inside_a_transaction_is_told_as_unavailable(postgres: Postgres) -> None:
    """The end of an answer is tried again for as long as that takes."""
    url = postgres.new_database()
    async with Database(url) as db:

        async def write() -> None:
            async with db.write() as connection:
                (pid,) = (await connection.execute(text("SELECT pg_backend_pid()"))).one()
                with psycopg.connect(url, autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
                await connection.execute(text("SELECT 1"))

        with pytest.raises(Unavailable):
            await write()
        async with db.read() as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar() == 1


async def test_a_database_that_is_down_is_told_as_unavailable(postgres: Postgres) -> None:
    """Not as a traceback, whichever statement meets it first."""
    url = postgres.new_database().replace("?host=", "?host=/nowhere")
    async with Database(url) as db:
        with pytest.raises(Unavailable):
            async with db.read():
                pass


async def test_a_database_that_cannot_be_opened_is_told_as_unavailable(tmp_path: Path) -> None:
    """A folder that was moved away under the server, or a disk that fell off."""
    async with Database(f"sqlite:///{tmp_path}/gone/tako.db") as db:
        with pytest.raises(Unavailable):
            async with db.write():
                pass
