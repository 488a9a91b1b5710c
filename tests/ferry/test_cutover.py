"""The switch: nothing is lost, nothing is half done, and what is not ready is not switched."""

import contextlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.ferry.compare import Comparison
from tests.ferry.edge import database
from tests.support.application import SITE, Application, admit
from tests.support.ferry import Ferry
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

RULES = "[target]\nschema = 'site'\n"
TABLES = ("users", "posts", "words")
LOCK = "LOCK TABLE site.posts IN ROW EXCLUSIVE MODE"  # as a row does: the foreign key has to wait for it


@pytest.fixture
def site(source: Mysqld) -> Iterator[str]:
    name = source.new_database()
    with contextlib.closing(database.connect(source, name)) as connection:
        database.run(connection, SITE)
        admit(connection, name)
    yield name
    with contextlib.closing(source.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL read_only = OFF" if source.name == "MariaDB" else "SET GLOBAL super_read_only = OFF")
        cursor.execute("SET GLOBAL read_only = OFF")


@contextlib.contextmanager
def following(ferry: Ferry) -> Iterator["subprocess.Popen[str]"]:
    """`tako ferry run` beside the test, following."""
    with ferry.start("run", ferry.source, ferry.target, "-c", "ferry.toml", "--json") as process:
        try:
            assert process.stdout is not None
            while (line := process.stdout.readline()) and '"lag"' not in line:
                pass
            assert process.poll() is None, process.stderr and process.stderr.read()
            drain = threading.Thread(target=process.stdout.read, daemon=True)
            drain.start()
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def moving(folder: Path, source: Mysqld, target: Postgres, site: str) -> Ferry:
    ferry = Ferry(folder, source.url(site), target.new_database(), RULES)
    ferry.plan().well()
    return ferry


def test_a_site_that_is_written_to_all_the_time_moves_without_losing_a_write(
    source: Mysqld, target: Postgres, site: str, tmp_path: Path
) -> None:
    """Plan, copy, follow, verify, cutover, while an application writes; afterwards PostgreSQL can be written to."""
    ferry = moving(tmp_path, source, target, site)
    with Application(source, site) as application, following(ferry) as follower:
        while len(application.acknowledged) < 50:
            assert application.refused < 50, application.last
            time.sleep(0.01)  # until there is something to move
        checked = ferry.run("verify", "--live", "--json").well().json()
        assert checked["equal"]
        switched = ferry.run("cutover", "--json", "--hook", "true")
        assert switched.code == 0, (switched.err, switched.out)
        assert follower.wait(30) == 0
        refused = application.refused
        written = len(application.acknowledged)
        while application.refused == refused:
            time.sleep(0.01)  # the fence stays
        assert len(application.acknowledged) == written
    steps = {event["step"]: event["seconds"] for event in switched.events() if event["event"] == "cutover"}
    assert {"check", "fence", "writers", "drain", "compare", "switch", "hook", "validate"} <= steps.keys()
    with contextlib.closing(source.connect(site)) as mine, psycopg.connect(ferry.target) as its:
        compared = Comparison(mine, its)
        assert [said for table in TABLES for said in compared.differences(table, f"site.{table}")] == []
        names = {name for (name,) in its.execute("SELECT name FROM site.users").fetchall()}
        assert set(application.acknowledged) <= names
        the_site_writes(its)
    assert ferry.status().well().json()["stream"]["done"]
    assert ferry.run("cutover").well().code == 0  # once more changes nothing
    assert ferry.run("follow").well().code == 0


def the_site_writes(its: "psycopg.Connection[Any]") -> None:
    """Ids count on, flags are booleans, triggers and foreign keys work."""
    ((most,),) = its.execute("SELECT max(id) FROM site.users").fetchall()
    (id, seen) = its.execute("INSERT INTO site.users (name) VALUES ('new') RETURNING id, seen").fetchone() or (0, None)
    assert id > most
    assert seen is False
    its.execute("UPDATE site.users SET touched = '2020-01-01' WHERE id = 2")
    its.execute("UPDATE site.users SET name = 'bobby' WHERE id = 2")
    assert its.execute("SELECT extract(year FROM touched) > 2020 FROM site.users WHERE id = 2").fetchone() == (True,)
    its.execute("DELETE FROM site.users WHERE id = 2")
    assert its.execute("SELECT count(*) FROM site.posts WHERE user_id = 2").fetchone() == (0,)
    assert its.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'author'").fetchone() == (True,)


def test_what_is_not_verified_is_not_switched(source: Mysqld, target: Postgres, site: str, tmp_path: Path) -> None:
    ferry = moving(tmp_path, source, target, site)
    with following(ferry):
        refused = ferry.run("cutover")
        assert refused.code == 1
        assert "has not been verified" in refused.err
        assert writable(source, site)
        assert any("verified" in says for says in ferry.status().json()["stream"]["blockers"])


def test_a_difference_that_the_last_look_finds_lets_the_source_go_again(
    source: Mysqld, target: Postgres, site: str, tmp_path: Path
) -> None:
    ferry = moving(tmp_path, source, target, site)
    with following(ferry):
        ferry.run("verify", "--live").well()
        with psycopg.connect(ferry.target, autocommit=True) as its:
            its.execute("UPDATE site.words SET n = 99 WHERE word = 'b'")
        with contextlib.closing(source.connect(site)) as session, session.cursor() as cursor:
            cursor.execute("UPDATE words SET n = 5 WHERE word = 'a'")
            cursor.execute("INSERT INTO words VALUES ('c', 3)")
        with psycopg.connect(ferry.target, autocommit=True) as its:
            while its.execute("SELECT count(*) FROM site.words WHERE word = 'c'").fetchone() != (1,):
                pass
            its.execute("UPDATE site.words SET n = 98 WHERE word = 'c'")
        refused = ferry.run("cutover")
        assert refused.code == 1
        assert "1 rows differ, the first in words: c" in refused.err
        assert writable(source, site)
        with psycopg.connect(ferry.target) as its:
            keys = its.execute("SELECT count(*) FROM pg_constraint WHERE conname = 'author'").fetchone()
        assert keys == (0,), "the stream goes on, so there must be no foreign keys"
        assert ferry.run("verify", "--live", "--repair").code == 0
        assert ferry.run("verify", "--live").code == 0
        ferry.run("cutover").well()


@pytest.mark.parametrize("kind", ["lock", "hook"])
def test_other_fences(source: Mysqld, target: Postgres, site: str, tmp_path: Path, kind: str) -> None:
    ferry = moving(tmp_path, source, target, site)
    (tmp_path / "fenced").unlink(missing_ok=True)
    options = ["--fence", kind, "--hook", "touch switched"]
    if kind == "hook":
        options += ["--fence-command", "touch fenced", "--unfence-command", "rm fenced"]
    with following(ferry):
        ferry.run("verify", "--live").well()
        ferry.run("cutover", *options).well()
    assert (tmp_path / "switched").exists()
    assert (tmp_path / "fenced").exists() == (kind == "hook")


def test_who_writes_past_the_fence_is_seen(source: Mysqld, target: Postgres, site: str, tmp_path: Path) -> None:
    """A hook that stops nobody: then nothing may be switched, and nothing is lost."""
    ferry = moving(tmp_path, source, target, site)
    options = ["--fence", "hook", "--fence-command", "true", "--unfence-command", "touch lifted"]
    with Application(source, site), following(ferry):
        ferry.run("verify", "--live").well()
        refused = ferry.run("cutover", *options)
    assert refused.code == 1
    assert "is fenced" in refused.err or "is not over" in refused.err or "rows differ" in refused.err
    assert (tmp_path / "lifted").exists()
    assert not ferry.status().json()["stream"]["done"]


def test_what_waits_for_the_new_keys_was_written_past_the_fence(
    source: Mysqld, target: Postgres, site: str, tmp_path: Path
) -> None:
    ferry = moving(tmp_path, source, target, site)
    options = ["--fence", "hook", "--fence-command", "true", "--unfence-command", "true"]
    with following(ferry):
        ferry.run("verify", "--live").well()
        with psycopg.connect(ferry.target) as blocker:
            blocker.execute(LOCK)
            with ferry.start("cutover", "--json", *options) as process:
                while not blocker.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                    assert process.poll() is None
                with contextlib.closing(source.connect(site)) as session, session.cursor() as cursor:
                    cursor.execute("INSERT INTO posts (user_id, body) VALUES (1, 'past the fence')")
                    session.commit()
                blocker.rollback()
                _, said = process.communicate()
    assert process.returncode == 1
    assert "although it is fenced" in said
    assert not ferry.status().json()["stream"]["done"]


def test_a_cutover_that_is_killed_leaves_a_source_that_the_next_one_lets_go(
    source: Mysqld, target: Postgres, site: str, tmp_path: Path
) -> None:
    ferry = moving(tmp_path, source, target, site)
    with following(ferry):
        ferry.run("verify", "--live").well()
        blocker = psycopg.connect(ferry.target)
        blocker.execute(LOCK)
        with ferry.start("cutover", "--json") as process:
            assert process.stdout is not None
            while '"compare"' not in process.stdout.readline():
                assert process.poll() is None
            process.kill()
        blocker.close()
        assert not writable(source, site)
    with following(ferry):
        assert writable(source, site)
        ferry.run("cutover").well()
    assert not writable(source, site)


def writable(source: Mysqld, site: str) -> bool:
    try:
        with contextlib.closing(Application(source, site).connect()) as session, session.cursor() as cursor:
            cursor.execute("UPDATE words SET n = n + 1 WHERE word = 'b'")
            session.commit()
    except pymysql.err.MySQLError:
        return False
    return True


def test_the_steps_are_written_down(source: Mysqld, target: Postgres, site: str, tmp_path: Path) -> None:
    ferry = moving(tmp_path, source, target, site)
    with following(ferry):
        ferry.run("verify", "--live").well()
        said = ferry.run("cutover").well()
    assert "Nothing could be written for" in said.out
    steps = json.loads(ferry.status().well().out)["stream"]["cutovers"]
    assert [step["step"] for step in steps][:4] == ["check", "analyse", "fence", "writers"]
    assert all(step["error"] is None for step in steps)
