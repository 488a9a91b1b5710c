"""kill -9 of the tool, the source or the target at any moment of a copy: in the end all is there, once."""

import contextlib
import itertools
import json
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.ferry.compare import Comparison
from tests.ferry.edge import database
from tests.support.ferry import Ferry
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

SEED = 20_261_126
VICTIMS = ("tool", "tool", "source", "target", "session")
TABLES = ("notes", "answers", "numbers", "loose")
ROWS = 2000
SCRIPT = """
CREATE TABLE notes (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, at datetime(6) NOT NULL, body text NOT NULL,
  seen tinyint(1), instant timestamp NULL DEFAULT NULL, KEY by_time (at));
CREATE TABLE answers (a varchar(20) NOT NULL, b int NOT NULL, body text, PRIMARY KEY (a, b), UNIQUE KEY b (b));
CREATE TABLE numbers (id int NOT NULL, n decimal(10,2), bytes_ varbinary(60), UNIQUE KEY id (id));
CREATE TABLE loose (v int, body varchar(200));
"""
# Small chunks, so that there are many to be killed in; the rest between them is a third of the time.
RULES = """
[target]
schema = "moved"

[copy]
chunk_bytes = 8192
sleep_ratio = 0.5

[tables.loose]
without_key = "whole"
"""


@dataclass
class Copying:
    """A migration that is killed until it is done. `lines` are the chunks that it said it had committed."""

    ferry: Ferry
    source: Mysqld
    target: Postgres
    chance: random.Random
    kills: int = 0
    lines: list[tuple[str, int]] = field(default_factory=list)

    def run(self, most: int) -> None:
        """With no more than so many kills in the way."""
        while True:
            victim = self.chance.choice(VICTIMS) if self.kills < most else None
            process = self.ferry.start("copy", "--json")
            said = self._killed(victim, process) if victim else []
            out, err = process.communicate(timeout=100)
            self.lines += _chunks([*said, *out.splitlines()])
            if victim in ("target", "session"):
                self._forget_what_the_target_lost()
            if process.returncode == 0:
                return
            self._failed_well(victim, process.returncode, err)

    def _killed(self, victim: str, process: "subprocess.Popen[str]") -> list[str]:
        """Let it work for a while, until some chunk or for some time; then kill. Returns what it said before."""
        said = []
        assert process.stdout is not None
        if self.chance.random() < 0.7:
            for _ in range(self.chance.randint(1, 30)):
                if line := process.stdout.readline():
                    said.append(line)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.chance.uniform(0.2, 2))
        if process.poll() is None:
            self.kills += 1
            self._kill(victim, process)
        return said

    def _kill(self, victim: str, process: "subprocess.Popen[str]") -> None:
        match victim:
            case "tool":
                process.kill()
            case "session":
                for backend in _sessions(self.target, self.ferry.target):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        backend.kill()
                        psutil.wait_procs([backend])
                self.target.wait()
            case _:
                server = self.source if victim == "source" else self.target
                server.kill()
                server.start()

    def _forget_what_the_target_lost(self) -> None:
        """A killed PostgreSQL may lose its last commits, a chunk's rows and its progress together, no earlier ones."""
        with psycopg.connect(self.ferry.target) as connection:
            found = connection.execute("SELECT to_regclass('ferry.chunks')").fetchone()
            chunks = "SELECT table_name, n FROM ferry.chunks" if found != (None,) else "SELECT '', 0 WHERE false"
            kept = set(connection.execute(chunks.encode()).fetchall())
        lost = [line for line in self.lines if line not in kept]
        assert self.lines[len(self.lines) - len(lost) :] == lost, "lost others than the last"
        self.lines = self.lines[: len(self.lines) - len(lost)]

    def _failed_well(self, victim: str | None, code: int, err: str) -> None:
        """By the kill, or with exit code 1 and one line that says what to do."""
        if victim == "tool" and code == -9:
            return
        assert victim in ("source", "target", "session"), (victim, code, err)
        assert code == 1, (victim, code, err)
        assert len(err.strip().splitlines()) == 1, err


def _chunks(lines: list[str]) -> Iterator[tuple[str, int]]:
    for line in lines:
        event: dict[str, Any] = json.loads(line) if line.endswith("}") or line.endswith("}\n") else {}
        if event.get("event") == "chunk":
            yield event["table"], event["n"]


def _sessions(target: Postgres, url: str) -> list[psutil.Process]:
    """The server's processes that serve a database."""
    name = url.partition("@/")[2].partition("?")[0]
    found: list[psutil.Process] = []
    for child in psutil.Process(target.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself
            if name in " ".join(child.cmdline()):
                found.append(child)
    return found


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--fault-rounds"))


@pytest.mark.timeout(1200)
def test_killed_at_any_moment_and_started_again_it_copies_everything_once(
    source: Mysqld, target: Postgres, tmp_path: Path, kills: int
) -> None:
    chance = random.Random(f"{SEED} {source.name}")
    name = filled(source, chance)
    done = 0
    for copy in itertools.count():  # some end before anybody was killed
        if done >= kills:
            break
        folder = tmp_path / f"copy-{copy}"
        folder.mkdir()
        copying = Copying(Ferry(folder, source.url(name), target.new_database(), RULES), source, target, chance)
        copying.ferry.plan().well()
        copying.run(kills - done)
        done += copying.kills
        everything_is_there_once(copying, name)


def test_a_copy_that_said_it_is_finished_stays_so_when_the_target_is_killed(
    mariadb_server: Mysqld, target: Postgres, tmp_path: Path
) -> None:
    name = filled(mariadb_server, random.Random(SEED))
    ferry = Ferry(tmp_path, mariadb_server.url(name), target.new_database(), RULES)
    ferry.plan().well()
    with ferry.start("copy", "--json") as process:
        assert process.stdout is not None
        while '"finished"' not in process.stdout.readline():
            assert process.poll() is None
        target.kill()
        target.start()
    assert ferry.status().well().json()["state"] == "copied"


def everything_is_there_once(copying: Copying, name: str) -> None:
    assert differences(copying.source, name, copying.ferry.target) == []
    assert copying.ferry.verify().well().json()["equal"]
    assert len(set(copying.lines)) == len(copying.lines), "a chunk was reported twice"
    with psycopg.connect(copying.ferry.target) as connection:
        for table in TABLES:
            chunks = connection.execute(
                "SELECT n, low::text, high::text, row_count FROM ferry.chunks WHERE table_name = %s ORDER BY n",
                (table,),
            ).fetchall()
            assert [n for n, *_ in chunks] == list(range(len(chunks))), table
            assert sum(row_count for *_, row_count in chunks) == ROWS, table
            # Each begins where the one before it ended.
            ends = [high if high is not None else low for _, low, high, _ in chunks]
            assert [low for _, low, _, _ in chunks[1:]] == ends[:-1], table


def differences(source: Mysqld, name: str, address: str) -> list[str]:
    with contextlib.closing(source.connect(name)) as mine, psycopg.connect(address) as its:
        compared = Comparison(mine, its)
        return [said for table in TABLES for said in compared.differences(table, f"moved.{table}")]


def filled(source: Mysqld, chance: random.Random) -> str:
    """A database whose rows differ in size, and in order by key and by time of arrival."""
    name = source.new_database()
    with contextlib.closing(database.connect(source, name)) as connection:
        database.run(connection, SCRIPT)
        for table, rows in _rows(chance).items():
            chance.shuffle(rows)
            database.insert(connection, table, rows)
    return name


def _rows(chance: random.Random) -> dict[str, list[tuple[Any, ...]]]:
    def text(most: int) -> str:
        return "".join(chance.choices("ab \t\n\\é😀", k=chance.randint(0, most)))

    return {
        "notes": [
            (n * 3, f"2026-01-01 00:{n % 60:02}:00.{n:06}", text(200), n % 2, f"2026-03-08 02:{n % 60:02}:30")
            for n in range(1, ROWS + 1)
        ],
        "answers": [(f"{'aZé9'[n % 4]}{n % 50}", n, text(100)) for n in range(ROWS)],
        "numbers": [(n - ROWS // 2, n / 100, chance.randbytes(n % 60)) for n in range(ROWS)],
        "loose": [(n % 100, text(30)) for n in range(ROWS)],
    }
