"""A copy of an SQLite site's database, made while it is in use."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from tako.core.db import parse_url
from tako.core.errors import Misconfigured, NotFound, Unavailable
from tako.settings import Settings


def make(settings: Settings, file: Path | None = None) -> Path:
    """Copy the database to `file`, check the copy, and only then give it its name. Returns where it is."""
    url = parse_url(settings.database)
    if url.get_backend_name() != "sqlite":
        shown = url.set(drivername="postgresql").render_as_string(hide_password=True)
        raise Misconfigured(
            f"This site is on PostgreSQL; back it up with: pg_dump --format=custom --file=tako.dump {shown}"
        )
    source = Path(str(url.database))
    if not source.is_file():
        raise NotFound(f"There is no database at {source}.")
    name = f"tako-{datetime.now(UTC):%Y%m%d-%H%M%S}.db"
    target = file or settings.data / "backups" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    original, copy = sqlite3.connect(source), sqlite3.connect(partial)
    try:
        original.backup(copy, pages=1000)
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
    finally:
        copy.close()
        original.close()
    if verdict != "ok":
        raise Unavailable(f"The copy of {source} is damaged ({verdict}); it was left at {partial} to be looked at.")
    return partial.replace(target)
