"""Statements run on the event loop, and what is long or has to wait does not stop it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tako.core import sqlite
from tako.core.db import Database

LONG = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000000) SELECT count(*), max(i) FROM n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tako.db"


@pytest.fixture
async def db(file: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite:///{file}") as database:
        async with database.write() as connection:
            await connection.execute(text("CREATE TABLE t (i INTEGER)"))
        yield database


async def turns(work: "asyncio.Task[object]") -> int:
    """How often the event loop turns until `work` is done."""
    count = 0
    while not work.done():
        count += 1
        await asyncio.sleep(0.001)
    return count


@pytest.mark.slow
async def test_a_long_read_leaves_the_loop_to_others(db: Database) -> None:
    """A search through all texts must not stop every answer of the site."""

    async def read() -> object:
        async with db.read() as connection:
            return (await connection.execute(LONG)).one()

    reading = asyncio.create_task(read())
    assert await turns(reading) > 10
    assert tuple(await reading) == (6_000_000, 6_000_000)  # type: ignore[arg-type]  # a row


async def test_a_short_statement_waits_for_no_thread(db: Database) -> None:
    """Which is the point of it all."""

    async def write() -> None:
        async with db.write() as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))

    writing = asyncio.create_task(write())
    for _ in range(5):  # SQLAlchemy closes its connection in a task of its own
        await asyncio.sleep(0)
    assert writing.done()


async def test_a_write_waits_beside_the_loop_while_another_program_has_the_lock(db: Database, file: Path) -> None:
    """`tako user create` while the server runs."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with db.write() as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))

    writing = asyncio.create_task(write())
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not writing.done()
    other.execute("COMMIT")
    await writing
    assert other.execute("SELECT count(*) FROM t").fetchone() == (1,)
    other.close()


@pytest.mark.slow
async def test_a_patient_transaction_leaves_the_loop_to_others(db: Database) -> None:
    """A purge deletes what has gathered in an hour."""

    async def write() -> None:
        async with db.write(patient=True) as connection:
            await connection.execute(text(f"INSERT INTO t SELECT * FROM ({LONG.text.replace('count(*), ', '')})"))

    assert await turns(asyncio.create_task(write())) > 10
    async with db.write() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar() == 1


@pytest.mark.slow
async def test_whoever_is_cancelled_leaves_a_connection_that_works(db: Database) -> None:
    """A client that goes away in the middle of its search."""

    async def read() -> None:
        async with db.read() as connection:
            await connection.execute(LONG)

    reading = [asyncio.create_task(read()) for _ in range(8)]
    await asyncio.sleep(0.01)
    for task in reading:
        task.cancel()
    assert all(
        isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*reading, return_exceptions=True)
    )
    for _ in range(8):
        async with db.read() as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar() == 1


async def test_an_error_leaves_nothing_of_its_transaction(db: Database) -> None:
    """All or nothing, also without a driver's thread."""

    async def write() -> None:
        async with db.write() as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))
            raise RuntimeError("scripted")

    with pytest.raises(RuntimeError):
        await write()
    async with db.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar() == 0


async def test_writers_of_one_process_take_turns(db: Database) -> None:
    """None is lost, none is refused."""

    async def add() -> None:
        async with db.write() as connection:
            (count,) = (await connection.execute(text("SELECT count(*) FROM t"))).one()
            await asyncio.sleep(0)
            await connection.execute(text("INSERT INTO t VALUES (:i)"), {"i": count})

    await asyncio.gather(*(add() for _ in range(50)))
    async with db.read() as connection:
        rows = (await connection.execute(text("SELECT i FROM t ORDER BY i"))).scalars()
        assert list(rows) == list(range(50))


async def test_the_write_ahead_log_does_not_grow_for_ever(db: Database, file: Path) -> None:
    """No connection checkpoints by itself, since that waits for the disk."""
    blob = "x" * 100_000
    for _ in range(200):
        async with db.write() as connection:
            await connection.execute(text("CREATE TABLE IF NOT EXISTS big (data TEXT)"))
            await connection.execute(text("INSERT INTO big VALUES (:data)"), {"data": blob})
        db.written(len(blob))
        if db._checkpoint is not None:
            await asyncio.wait([db._checkpoint])
    assert file.with_name("tako.db-wal").stat().st_size < 3 * sqlite.CHECKPOINT_AFTER
