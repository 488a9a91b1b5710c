"""Copies a whole site from one database into another, of whatever kind: from SQLite to PostgreSQL when it grows.

All rows of all tables in one transaction of the target, and compared there before it is committed: either everything is
there and equal, or nothing is. Answers that a process has left running are copied as they are; the first process that
serves the new database takes them over.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Table, bindparam, func, insert, inspect, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tako import migrations
from tako.core.db import Database, metadata, parse_url
from tako.core.errors import Conflict, Misconfigured
from tako.core.sole import only_one

Say = Callable[[str, int], None]
Row = tuple[Any, ...]

BATCH = 500  # rows
_HASH = 16  # bytes
_ROUND = 1 << 8 * _HASH


@dataclass(slots=True)
class _Sum:
    """Of rows in any order: the servers do not sort texts alike."""

    rows: int = 0
    hash: int = 0

    def add(self, row: Row) -> None:
        digest = hashlib.blake2b(msgspec.msgpack.encode(row), digest_size=_HASH).digest()
        self.rows += 1
        self.hash = (self.hash + int.from_bytes(digest, "little")) % _ROUND


async def run(source_url: str, target_url: str, say: Say) -> None:
    """Copy everything; `say` hears of each table and its rows when it is there and equal. The apps whose tables are
    copied must have been imported.

    Raises `Misconfigured` for addresses that cannot be right, and `Conflict` when one of the two is in use, when the
    target holds something, and when something in it is not as it is in the source; then the target is as it was.
    """
    _there(source_url)
    with ExitStack() as stack:
        for url in (source_url, target_url):
            stack.enter_context(only_one(url))
        async with Database(source_url) as source, Database(target_url) as target:
            if source.url == target.url:
                raise Misconfigured("Both addresses are the same database.")
            await migrations.upgrade(source_url)
            await migrations.upgrade(target_url)
            for db in (source, target):
                await _alone(db)
            async with source.read() as old, target.write(patient=True) as new:
                if old.dialect.name == "postgresql":
                    await old.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                await old.run_sync(_known)
                await _empty(new)
                for table in metadata.sorted_tables:
                    say(table.name, await _copy(table, old, new))


def _there(url: str) -> None:
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).is_file():
        raise Misconfigured(f"There is no database at {parsed.database}.")


def _known(connection: Connection) -> None:
    """A table of an app that was not loaded would be left behind without a word."""
    unknown = set(inspect(connection).get_table_names()) - set(metadata.tables) - {"alembic_version"}
    if unknown:
        raise Conflict(f"The source has a table that this release does not know: {min(unknown)}.")


async def _alone(db: Database) -> None:
    """On PostgreSQL whoever else is connected may be a Tako that serves. (SQLite has a lock for that.)"""
    if db.dialect != "postgresql":
        return
    async with db.read() as connection:
        others = await connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                "pid != pg_backend_pid() AND backend_type = 'client backend'"
            )
        )
    if others:
        shown = db.url.render_as_string(hide_password=True)
        raise Conflict(f"{others} other sessions use {shown}: stop every Tako that serves it, and try again.")


async def _empty(new: AsyncConnection) -> None:
    for table in metadata.sorted_tables:
        if await new.scalar(select(func.count()).select_from(select(table).limit(1).subquery())):
            raise Conflict(f"The target is not empty: its table {table.name} has rows. Give it a new database.")


async def _copy(table: Table, old: AsyncConnection, new: AsyncConnection) -> int:
    """Returns how many rows."""
    parents = _of_itself(table)
    wanted, found = _Sum(), _Sum()
    async for rows in _batches(table, old):
        for row in rows:
            wanted.add(row)
        values = [dict(zip(table.columns.keys(), row, strict=True)) for row in rows]
        await new.execute(insert(table), [value | dict.fromkeys(parents) for value in values])
    if parents:
        await _refer(table, parents, old, new)
    async for rows in _batches(table, new):
        for row in rows:
            found.add(row)
    if wanted != found:
        raise Conflict(
            f"{table.name} is not the same in the target ({found.rows} rows of {wanted.rows}); nothing was copied. "
            "Please report this: it must not happen."
        )
    return wanted.rows


def _of_itself(table: Table) -> list[str]:
    """Columns that refer to rows of the same table, which may come later."""
    return [column.name for column in table.columns if any(key.column.table is table for key in column.foreign_keys)]


async def _refer(table: Table, parents: Sequence[str], old: AsyncConnection, new: AsyncConnection) -> None:
    [key] = table.primary_key.columns
    sets = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in parents}
    statement = update(table).where(key == bindparam("row", type_=key.type)).values(sets)
    async for rows in _batches(table, old):
        named = [dict(zip(table.columns.keys(), row, strict=True)) for row in rows]
        values = [
            {"row": row[key.name]} | {f"new_{name}": row[name] for name in parents}
            for row in named
            if any(row[name] is not None for name in parents)
        ]
        if values:
            await new.execute(statement, values)


async def _batches(table: Table, connection: AsyncConnection) -> AsyncIterator[list[Row]]:
    """All rows, some at a time, each of them once."""
    key = _key(table)
    places = [list(table.columns).index(column) for column in key]
    after: Row | None = None
    while True:
        query = select(table).order_by(*key).limit(BATCH)
        if after is not None:
            query = query.where(tuple_(*key) > tuple_(*after))
        rows = [tuple(row) for row in await connection.execute(query)]
        if rows:
            yield rows
            after = tuple(rows[-1][place] for place in places)
        if len(rows) < BATCH:
            return


def _key(table: Table) -> list[Column[Any]]:
    """What tells its rows apart. Only entries of running logs have no primary key."""
    return list(table.primary_key.columns) or [table.c.log_id, table.c.n]
