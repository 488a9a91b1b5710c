"""Everything at once: writers, copy, follow and cutover, while ferry, the source and the target are killed with -9."""

import contextlib
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.ferry import hammer, mutants
from tests.ferry.compare import Comparison
from tests.ferry.hammer import RULES, TABLES, Writers
from tests.support.ferry import Ferry, Ran
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

SEED = 20_261_127
DEATHS = 3
DYING = ("position_before_the_rows",)
PATIENCE = 60.0  # seconds for a thing that takes one


@dataclass
class Hammered:
    """One migration under fire."""

    ferry: Ferry
    source: Mysqld
    target: Postgres
    chance: random.Random
    kills: int = 0
    said: list[str] = field(default_factory=list)
    error: str = ""
    _news: threading.Condition = field(default_factory=threading.Condition)

    def killed(self, most: int, victims: tuple[str, ...]) -> None:
        """`tako ferry run`, again and again, until it or somebody else was killed so often."""
        while self.kills < most:
            with self.running() as process:
                victim = self.chance.choice(victims)
                # Before, while or after it begins to work, at any line that it says.
                lines = self.chance.choice((0, 1, 3, 10, 30, 60))
                while len(self.said) < lines and process.poll() is None and self._line():
                    pass
                self.kills += 1
                self._kill(victim, process)

    def copied(self) -> None:
        """As many runs as the copy takes: a TRUNCATE takes the table from under its snapshot, which ends one."""
        for _ in range(10):
            with self.running() as process, self._news:
                self._news.wait_for(
                    lambda: any('"following"' in line for line in self.said) or process.poll() is not None, PATIENCE * 3
                )
                if process.poll() is None:
                    return
        raise AssertionError(self.error)

    @contextlib.contextmanager
    def running(self) -> "Iterator[subprocess.Popen[str]]":
        self.said = []
        process = self.ferry.start("run", self.ferry.source, self.ferry.target, "-c", "ferry.toml", "--json")
        reader = threading.Thread(target=self._read, args=(process,))
        reader.start()
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            reader.join()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            with self._news:
                self.said.append(line)
                self._news.notify_all()
        self.error = process.stderr.read()
        with self._news:
            self._news.notify_all()

    def _line(self) -> bool:
        with self._news:
            known = len(self.said)
            return self._news.wait_for(lambda: len(self.said) > known, 5)

    def wait_for(self, word: str, process: "subprocess.Popen[str]", times: int = 1) -> None:
        """Until it has said so, so often."""
        with self._news:
            came = self._news.wait_for(
                lambda: sum(word in line for line in self.said) >= times or process.poll() is not None, PATIENCE * 3
            )
        assert came, self.said[-3:]
        assert process.poll() is None, (process.wait(), self.said[-3:], self.error)

    def _kill(self, victim: str, process: "subprocess.Popen[str]") -> None:
        match victim:
            case "tool":
                process.kill()
            case "session":
                database = self.ferry.target.partition("@/")[2].partition("?")[0]
                for child in psutil.Process(self.target.pid).children():
                    with contextlib.suppress(psutil.NoSuchProcess):
                        if database in " ".join(child.cmdline()):
                            child.send_signal(signal.SIGKILL)
                            break
                self.target.wait()
            case _:
                server = self.source if victim == "source" else self.target
                server.kill()
                server.start()

    def differences(self, name: str) -> list[str]:
        with contextlib.closing(self.source.connect(name)) as mine, psycopg.connect(self.ferry.target) as its:
            compared = Comparison(mine, its)
            return [said for table in TABLES for said in compared.differences(table, f"moved.{table}")]


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--fault-rounds"))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "xa",
    [pytest.param(True, id="with XA"), pytest.param(False, id="with kills of the source", marks=pytest.mark.hammer)],
)
def test_under_fire_everything_arrives_once(
    source: Mysqld, target: Postgres, tmp_path: Path, kills: int, xa: bool
) -> None:
    chance = random.Random(f"{SEED} {source.name} {xa}")
    name = hammer.made(source, chance)
    ferry = Ferry(tmp_path, source.url(name), target.new_database(), RULES)
    ferry.plan().well()
    hammered = Hammered(ferry, source, target, chance)
    victims = ("tool", "tool", "target", "session") if xa else ("tool", "tool", "target", "source", "session")
    try:
        with Writers(source, name, SEED, xa=xa) as writers:
            with hammer.compressing(source, on=chance.random() < 0.7):
                hammered.killed((kills + 1) // 2, victims)
            switched = moved(hammered, writers, xa=xa)
        assert writers.unexpected == []
    finally:
        hammer.opened(source)
    assert switched.code == 0, switched.err
    assert hammered.kills >= (kills + 1) // 2
    assert hammered.differences(name) == []


def moved(hammered: Hammered, writers: Writers, *, xa: bool) -> Ran:
    """Caught up, verified, switched; all while the writers go on."""
    ferry = hammered.ferry
    hammered.copied()
    with hammered.running() as process:
        hammered.wait_for('"following"', process)
        hammered.wait_for('"lag"', process)
        for _ in range(5):
            verified = ferry.verify("--live")
            if "is not finished" not in verified.err:  # it says so when the log takes more than a minute to catch up
                break
        assert verified.code == 0, (verified.out[-3000:], verified.err, hammered.error)
        for _ in range(30):
            ran = ferry.run("cutover", "--json")
            # One that was prepared when the fence came down is in the way, and the source is let go again.
            if not (xa and ran.code and ("XA transaction" in ran.err or "is not over" in ran.err)):
                break
        return ran


@pytest.mark.hammer
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", [mutant.__name__ for mutant in mutants.FOLLOWING])
def test_a_broken_promise_of_following_is_seen(
    mariadb_server: Mysqld, target: Postgres, tmp_path: Path, mutant: str
) -> None:
    """The hammer is worth something: each of these is caught by it, as a difference or as a refusal."""
    chance = random.Random(f"{SEED} {mutant}")
    name = hammer.made(mariadb_server, chance)
    program = ("-m", "tests.ferry.mutants", mutant, "ferry")
    ferry = Ferry(tmp_path, mariadb_server.url(name), target.new_database(), RULES, program)
    ferry.plan().well()
    hammered = Hammered(ferry, mariadb_server, target, chance)
    with (
        Writers(mariadb_server, name, SEED, xa=False) as writers,
        hammer.compressing(mariadb_server, on=True),
    ):
        hammered.copied()
        for _ in range(DEATHS if mutant in DYING else 1):
            with hammered.running() as process:
                if mutant in DYING:
                    process.wait(PATIENCE * 3)
                else:
                    with contextlib.suppress(AssertionError):
                        hammered.wait_for('"lag"', process, times=5)
                if process.poll() == 1:
                    return  # it has seen by itself that rows are not as they should be
        assert writers.unexpected == []
    ferry.program = ("-m", "tako", "ferry")
    with hammered.running() as process:
        verified = caught_up(hammered, process)
    assert verified.code != 0 or hammered.differences(name) != []


def caught_up(hammered: Hammered, process: "subprocess.Popen[str]") -> Ran:
    """Nobody writes any more; what differs now stays different."""
    with contextlib.suppress(AssertionError):
        hammered.wait_for('"lag"', process)
    return hammered.ferry.verify("--live") if process.poll() is None else Ran(1, "", "it has stopped")
