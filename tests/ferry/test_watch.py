"""What is known of a migration, and when one hears that there is more to know."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tako.core.feed import Follower
from tako.ferry import watch as watching
from tako.ferry.watch import Watch
from tako.ferry.wire import FerryObject, FerryStatus, FerryStream
from tests.support.feed import Listener
from tests.support.migration import LONG, QUESTION, STOPPED, Migration
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow
SECRET = "octopus-ink-7"


@pytest.fixture(autouse=True)
def no_news_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test hears of has been told."""
    monkeypatch.setattr(watching, "SILENCE", 3600.0)


@pytest.fixture
def migration(tmp_path: Path, postgres: Postgres) -> Iterator[Migration]:
    with Migration(tmp_path, postgres.new_database()) as made:
        made.answer()
        yield made


async def seen(watch: Watch) -> FerryObject:
    return FerryObject.of(await watch.read(), watch.file)


def status(found: FerryObject) -> FerryStatus:
    assert found.status is not None
    return found.status


def stream(found: FerryObject) -> FerryStream:
    within = status(found).stream
    assert within is not None
    return within


class Looker:
    """Reads after each hint, and at no other time."""

    def __init__(self, watch: Watch, follower: Follower) -> None:
        self._watch = watch
        self._hints = Listener(follower)
        self.hints = 0

    async def until(self, so: Callable[[FerryObject], Any]) -> FerryObject:
        async with asyncio.timeout(30):
            while True:
                await self._hints.until("changed")
                self.hints += 1
                found = await seen(self._watch)
                if so(found):
                    return found


async def test_what_was_seen_last_stays_while_the_target_is_away(migration: Migration) -> None:
    """With the reason; and it goes on by itself as soon as the target is there again."""
    migration.begin()
    migration.copy("users", 1000)
    watch = Watch(migration.file)
    async with watch.looking() as follower:
        looker = Looker(watch, follower)
        before = await looker.until(lambda found: found.problem is None)
        migration.deny()
        away = await looker.until(lambda found: found.problem is not None)
        assert away.problem is not None
        assert away.problem.code == "target_unreachable"
        assert "not currently accepting connections" in away.problem.says
        assert (away.status, away.read_at) == (before.status, before.read_at)
        migration.admit()
        back = await looker.until(lambda found: found.problem is None)
    assert status(back).tables[2].rows == 1000
    assert not status(back).working


async def test_what_stopped_is_told_whole_and_the_refused_rows_are_counted(migration: Migration) -> None:
    """The statement, the place and the command; twenty rows are enough to see what is the matter with them."""
    migration.begin()
    migration.copy("questions", 500, rejected=23)
    migration.copy_the_rest()
    migration.follow(0.4, 310)
    watch = Watch(migration.file)
    async with watch.looking() as follower:
        looker = Looker(watch, follower)
        await looker.until(lambda found: status(found).stage == "following")
        migration.stop()
        found = await looker.until(lambda found: stream(found).stopped)
        assert (stream(found).stopped, stream(found).stopped_place) == (STOPPED, "binlog.000003:48151623")
        first = stream(found).blockers[0]
        assert first.check == "stopped"
        assert first.command == f"tako ferry follow --past binlog.000003:48151623 {migration.file}"
        assert (status(found).rejected, len(status(found).rejects)) == (23, 20)
        migration.accept()
        assert status(await looker.until(lambda found: not status(found).rejected)).rejects == []


async def test_silence_is_news(migration: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever follows and is killed tells nobody: one hears all the same, once."""
    migration.begin()
    migration.copy_the_rest()
    migration.follow(0.0, 0)
    monkeypatch.setattr(watching, "SILENCE", 1.5)
    migration.target.execute("UPDATE ferry.streams SET heard_at = now() - interval '4 s'")
    watch = Watch(migration.file)
    async with watch.looking() as follower:
        looker = Looker(watch, follower)
        await looker.until(lambda found: stream(found).followed)
        await looker.until(lambda found: not stream(found).followed)


async def test_many_changes_are_few_hints(migration: Migration) -> None:
    """Two a second at most, the last of them after the last change."""
    migration.begin()
    watch = Watch(migration.file)
    async with watch.looking() as follower:
        looker = Looker(watch, follower)
        await looker.until(lambda found: status(found).stage == "copying")
        copying = asyncio.create_task(asyncio.to_thread(copy_piece_by_piece, migration, 1000))
        await looker.until(lambda found: next(t.rows for t in status(found).tables if t.table == LONG) == 1000)
        took = await copying
    assert looker.hints < 5 + took / watching.APART


def copy_piece_by_piece(migration: Migration, pieces: int) -> float:
    """Returns the seconds that it took."""
    begun = time.monotonic()
    for n in range(pieces):
        migration.copy(LONG, 1, n=n)
    return time.monotonic() - begun


async def test_the_target_is_listened_to_while_somebody_looks(migration: Migration) -> None:
    """By one session for all who look; nobody leaves one behind."""
    watch = Watch(migration.file)

    def listening() -> int:
        return int(migration.target.rows("SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN ferry'")[0][0])

    async with watch.looking() as ann:
        await Listener(ann).until("changed")
        async with watch.looking() as ben:
            migration.target.tell(migration.plan.hash)
            await Listener(ben).until("changed")
            assert [task.get_name() for task in asyncio.all_tasks()].count("ferry_watch") == 1
            assert listening() == 1
        migration.target.tell(migration.plan.hash)
        await Listener(ann).until("changed")
    async with asyncio.timeout(10):
        while listening():
            await asyncio.sleep(0)
    async with watch.looking() as cat:
        await Listener(cat).until("changed")


async def test_another_plan_at_work_is_said(migration: Migration) -> None:
    """A plan that was made anew is not the one that fills the schema."""
    migration.begin()
    migration.ask()
    found = await seen(Watch(migration.file))
    assert (status(found).stage, status(found).other_plan) == ("planned", migration.plan.hash)
    assert found.plan is not None
    assert found.plan.risks[0].model_dump() == {
        "level": "refuse",
        "where": "questions.created_at",
        "says": QUESTION.says,
        "write": QUESTION.write,
    }
    assert 'defaults.zero_dates = "null"' in found.plan.answers


async def test_a_plan_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """There is none yet, or somebody has changed it."""
    watch = Watch(tmp_path / "plan.json")
    found = await seen(watch)
    assert found.problem is not None
    assert (found.plan, found.status, found.problem.code) == (None, None, "plan_unreadable")
    async with watch.looking() as follower:
        await Listener(follower).until("changed")


async def test_the_password_of_a_plan_that_was_edited_is_not_shown(migration: Migration) -> None:
    """Its hash does not keep anybody from writing one into the address."""
    text = migration.file.read_text(encoding="utf-8").replace("ferry@db", f"ferry:{SECRET}@db")
    migration.file.write_text(text.replace("postgres@", f"postgres:{SECRET}@"), encoding="utf-8")
    found = await seen(Watch(migration.file))
    assert found.plan is not None
    assert (found.plan.source, found.problem) == ("mysql://ferry@db.example.org:3306/nekobox", None)
    assert SECRET not in found.model_dump_json()
    text = text.replace(migration.url, f"postgresql://postgres:{SECRET}@127.0.0.1:9/nowhere")
    migration.file.write_text(text, encoding="utf-8")
    found = await seen(Watch(migration.file))
    assert found.problem is not None
    assert found.problem.code == "target_unreachable"
    assert SECRET not in found.model_dump_json()
