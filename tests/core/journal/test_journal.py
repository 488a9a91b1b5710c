"""The contract of the journal, on both databases."""

import asyncio

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core.db import Database
from tako.core.journal import Fenced, Journal
from tako.core.journal.log import Closed, Log
from tako.core.journal.models import journal_entries, logs


async def nothing(connection: AsyncConnection) -> None:
    """An end with nothing besides the log."""


async def begin(db: Database, journal: Journal, name: str = "log_1") -> Log:
    async with db.write() as connection:
        epoch = await journal.create(connection, name)
    return journal.open(name, epoch, [b"first"])


async def stored(db: Database) -> int:
    async with db.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(journal_entries))).scalar_one())


async def test_an_entry_is_durable_before_a_reader_sees_it(db: Database) -> None:
    """Shown means kept."""
    async with Journal(db) as journal:
        log = await begin(db, journal)
        log.append(b"second")
        assert log.committed == 1
        await log.wait(1)
        assert log.committed == 2
        assert await stored(db) == 1


async def test_entries_that_come_together_share_a_commit(db: Database) -> None:
    """One wait and one commit per process, never one per log."""
    async with Journal(db, interval=0.05) as journal:
        logs_ = [await begin(db, journal, f"log_{n}") for n in range(20)]
        for log in logs_:
            log.append(b"a")
            log.append(b"b")
        await asyncio.gather(*(log.wait(2) for log in logs_))
        assert journal.commits == 1
        assert await stored(db) == 40


async def test_the_first_words_of_an_answer_wait_for_nobody(db: Database) -> None:
    """All others wait for those that come within the interval; also if it is over before it has begun."""
    async with Journal(db, interval=3600) as journal:
        log = await begin(db, journal)
        log.append(b"after quiet")
        await log.wait(1)
        log.append(b"waits")
        await asyncio.sleep(0.05)
        assert log.committed == 2
        log.append(b"at once", at_once=True)
        await log.wait(3)
        log.append(b"early", at_once=True)
        await log.wait(4)
        log.append(b"waits again")
        await asyncio.sleep(0.05)
        assert log.committed == 5
        log.append(b"lets the journal end", at_once=True)


async def test_the_end_is_one_fact(db: Database) -> None:
    """An end whose transaction fails has not happened, and can be tried again."""
    async with Journal(db) as journal:
        log = await begin(db, journal)
        log.append(b"second")

        async def fails(connection: AsyncConnection) -> None:
            raise RuntimeError("scripted")

        with pytest.raises(RuntimeError):
            await journal.end(log, [b"last"], fails)
        assert not log.ended
        assert log.entries == [b"first", b"second"]
        await journal.end(log, [b"last"], nothing)
        assert log.ended
        assert log.entries == [b"first", b"second", b"last"]
        assert log.committed == 3
        assert journal.find("log_1") is None


async def test_a_log_that_is_ending_takes_no_more(db: Database) -> None:
    """What comes after the end belongs to nobody."""
    async with Journal(db) as journal:
        log = await begin(db, journal)
        await journal.end(log, [b"last"], nothing)
        with pytest.raises(Closed):
            log.append(b"late")


async def test_who_takes_over_finds_every_entry_that_was_shown(db: Database) -> None:
    """The death of a process loses nothing that was shown."""
    dead = Journal(db)
    await dead.__aenter__()
    log = await begin(db, dead)
    for n in range(100):
        log.append(b"%d" % n)
        if n % 7 == 0:
            await log.wait(log.committed)
    await dead.flush()
    shown = log.entries[1 : log.committed]
    async with Journal(db) as journal:
        (left,) = await journal.take_over_all()
        assert left.log_id == "log_1"
        assert left.epoch == 2
        assert [left.entries[n] for n in range(1, len(left.entries) + 1)] == shown
    await dead.__aexit__(None, None, None)


async def test_what_was_fenced_cannot_end_the_log(db: Database) -> None:
    """What wakes from a pause cannot write: its epoch is old."""
    async with Journal(db) as paused:
        log = await begin(db, paused)
        async with Journal(db) as journal:
            await journal.take_over_all()
            with pytest.raises(Fenced):
                await paused.end(log, [b"last"], nothing)


async def test_a_fenced_process_cannot_append(postgres: "object", db: Database) -> None:
    """On PostgreSQL the statement itself refuses; on SQLite a file lock keeps the second process from starting."""
    if db.dialect == "sqlite":
        return
    async with Journal(db) as paused:
        log = await begin(db, paused)
        async with Journal(db) as journal:
            await journal.take_over_all()
            log.append(b"late")
            await log.wait_end()
            assert log.fenced
            assert log.entries == [b"first"]
            assert await stored(db) == 0


async def test_what_has_ended_is_swept_at_the_next_start(db: Database) -> None:
    """The live table holds running logs only."""
    async with Journal(db) as journal:
        log = await begin(db, journal)
        log.append(b"second")
        await log.wait(1)
        await journal.end(log, [b"last"], nothing)
    async with Journal(db) as journal:
        assert await journal.take_over_all() == []
    assert await stored(db) == 0


async def test_two_that_end_the_same_log_end_it_once(db: Database) -> None:
    """The first end wins; the second is told."""
    async with Journal(db) as journal:
        log = await begin(db, journal)
        results = await asyncio.gather(
            journal.end(log, [b"one"], nothing), journal.end(log, [b"two"], nothing), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["Fenced", "NoneType"]
        assert len(log.entries) == 2
    async with db.read() as connection:
        assert (await connection.execute(select(logs.c.ended_at))).scalar() is not None


async def test_old_entries_are_trimmed_while_others_run(tmp_path: object) -> None:
    """On SQLite the live table stays small although nothing in it is indexed."""
    from pathlib import Path

    from tako import migrations
    from tako.core.journal.sqlite import SQLiteStore

    assert isinstance(tmp_path, Path)
    url = f"sqlite:///{tmp_path / 'tako.db'}"
    await migrations.upgrade(url)
    async with Database(url) as db, Journal(db, interval=0) as journal:
        for n in range(4):
            log = await begin(db, journal, f"log_{n}")
            for _ in range(SQLiteStore.TRIM_ROWS):
                log.append(b"x")
            await log.wait(SQLiteStore.TRIM_ROWS)
            await journal.end(log, [], nothing)
        log = await begin(db, journal, "log_last")
        log.append(b"x")
        await log.wait(1)
        assert await stored(db) <= SQLiteStore.TRIM_ROWS + 1
