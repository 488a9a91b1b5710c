"""One serving process for one SQLite database, by an exclusive lock on a file beside it. A second would take over what
the first is answering. PostgreSQL serves any number: there, leases say who writes what."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tako.core.db import parse_url
from tako.core.errors import Misconfigured


@contextmanager
def only_one(database_url: str) -> Iterator[None]:
    """Hold the right to serve that database. Raises `Misconfigured` when another process has it."""
    url = parse_url(database_url)
    if url.get_backend_name() != "sqlite":
        yield
        return
    database = Path(str(url.database))
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
