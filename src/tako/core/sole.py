"""One serving process for one database. A second would take over what the first is answering, and fence it.

SQLite: an exclusive lock on a file beside the database. PostgreSQL: a session's advisory lock, which ends with its
connection; should that break, fencing still keeps two processes from writing one log.
"""

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

import psycopg
from sqlalchemy.engine import URL

from tako.core.db import parse_url
from tako.core.errors import Misconfigured

# "tako" in ASCII: advisory locks are named by numbers, which all programs of a database share.
_LOCK = 0x74616B6F


@asynccontextmanager
async def only_one(database: str) -> AsyncIterator[None]:
    """Hold the right to serve `database`. Raises `Misconfigured` when another process has it."""
    url = parse_url(database)
    if url.get_backend_name() == "sqlite":
        with _locked_file(Path(str(url.database))):
            yield
    else:
        async with await _locked_session(url):
            yield


@contextmanager
def _locked_file(database: Path) -> Iterator[None]:
    # It will hold password hashes and upstreams' keys.
    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(f"{database}.lock", "a+", encoding="utf-8") as file:
        _lock(file, database)
        yield


def _lock(file: IO[str], database: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        raise Misconfigured(
            f"Another Tako (process {file.read().strip() or 'unknown'}) serves {database}. Stop it first, or give this "
            "one another folder with --data."
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()


async def _locked_session(url: URL) -> psycopg.AsyncConnection[tuple[object, ...]]:
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        session = await psycopg.AsyncConnection.connect(address, autocommit=True)
    except psycopg.OperationalError as error:
        raise Misconfigured(
            f"The database does not answer: {' '.join(str(error).split())} Check database_url."
        ) from error
    cursor = await session.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
    if await cursor.fetchone() == (False,):
        await session.close()
        raise Misconfigured("Another Tako serves this PostgreSQL database. Stop it first, or give this one another.")
    return session
