"""A copy of an SQLite site's database, made while it is in use."""

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from tako.core.db import parse_url
from tako.core.errors import Invalid, NotFound, Unavailable
from tako.settings import Settings


def make(settings: Settings, file: Path | None = None) -> Path:
    """Copy the database to `file`, check the copy, and only then give it its name. Returns where it is."""
    url = parse_url(settings.database)
    if url.get_backend_name() != "sqlite":
        shown = url.set(drivername="postgresql").render_as_string(hide_password=True)
        raise Invalid(f"This site is on PostgreSQL; back it up with: pg_dump --format=custom --file=tako.dump {shown}")
    source = Path(str(url.database))
    if not source.is_file():
        raise NotFound(f"There is no database at {source}.")
    name = f"tako-{datetime.now(UTC):%Y%m%d-%H%M%S}.db"
    target = file or settings.data / "backups" / name
    if target.exists() and target.samefile(source):
        raise Invalid(f"{target} is the database itself; choose another file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    # It holds password hashes.
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if (verdict := _copy(source, partial)) != "ok":
        raise Unavailable(f"The copy of {source} is damaged ({verdict}); it was left at {partial} to be looked at.")
    with open(partial, "rb") as written:
        os.fsync(written.fileno())
    return partial.replace(target)


def _copy(source: Path, target: Path) -> str:
    """Copy, and say what SQLite thinks of the copy."""
    original, copy = sqlite3.connect(source), sqlite3.connect(target)
    try:
        # In one step: a copy in several starts again after every write of the server, and may never end. In WAL mode
        # the step reads one consistent state and stops nobody.
        original.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode=DELETE")
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
    finally:
        copy.close()
        original.close()
    return str(verdict)
