"""What a run cost: wall time, CPU of source, target and tool, and the tool's memory at its peak."""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres
from tests.support.process import die_with_parent

SAMPLE_SECONDS = 0.1
SETTLE_SECONDS = 1.0  # a session's process ends after its client, and counts only when it has


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock, seconds of CPU, MiB of memory."""

    wall: float
    source: float
    target: float
    tool: float
    memory: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.wall + other.wall,
            self.source + other.source,
            self.target + other.target,
            self.tool + other.tool,
            max(self.memory, other.memory),
        )


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    said: str  # the end of what it wrote
    cost: Cost


class Servers:
    """The two ends, whose CPU is counted."""

    def __init__(self, source: Mysqld, target: Postgres) -> None:
        self.source = source
        self.target = target

    def run(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        until: Callable[[], bool] | None = None,
    ) -> Ran:
        """Run a tool in a folder; one that never ends, until something is so."""
        before = self._cpu()
        began = time.monotonic()
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )
            memory = _Memory(process.pid)
            if until is not None:
                threading.Thread(target=_end, args=(process, until), name="until").start()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            log.seek(0)
            said = log.read().decode(errors="replace")[-4000:]
        wall = time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        source, target = (now - then for now, then in zip(self._cpu(), before, strict=True))
        cost = Cost(wall, source, target, usage.ru_utime + usage.ru_stime, memory.end())
        return Ran(process.returncode, said, cost)

    def _cpu(self) -> tuple[float, float]:
        return _cpu_of(self.source.pid), _cpu_of(self.target.pid)


def _end(process: "subprocess.Popen[bytes]", until: Callable[[], bool]) -> None:
    while process.returncode is None and not until():
        time.sleep(SAMPLE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)


def _cpu_of(pid: int) -> float:
    """Of a server with all its children; those that ended are counted when their parent has waited for them."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            spent = child.cpu_times()
        except psutil.NoSuchProcess:
            continue  # then its parent's times have it, and lag by the little that it just did
        total += spent.user + spent.system
    return float(total)


class _Memory:
    """Samples the memory of a process and its children while it lives."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory")
        self._thread.start()

    def end(self) -> float:
        self._over.set()
        self._thread.join()
        return self._peak / 2**20

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            total = 0
            try:
                for process in (self._process, *self._process.children(recursive=True)):
                    total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            self._peak = max(self._peak, total)
