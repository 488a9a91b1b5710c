"""The processes under test: started on a core of their own, ended with us, and asked what they used."""

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

SERVER_CORE = 0
LOAD_CORE = 1
_libc = ctypes.CDLL(None)

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream model {{ server 127.0.0.1:{upstream}; keepalive 512; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
        }}
    }}
}}
"""


class NotStarted(Exception):
    """A program that was to be measured is not there, or ends at once."""


class Tree:
    """Processes with all their children, also those that have ended meanwhile."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids

    def cpu(self) -> float:
        """Seconds since they were started."""
        all_times = [process.cpu_times() for process in self._living()]
        return sum(times.user + times.system + times.children_user + times.children_system for times in all_times)

    def memory(self) -> int:
        """Bytes: the proportional set size."""
        return sum(int(process.memory_full_info().pss) for process in self._living())

    def _living(self) -> Iterator[psutil.Process]:
        for pid in self._pids:
            root = psutil.Process(pid)
            yield root
            yield from root.children(recursive=True)

    def __add__(self, other: "Tree") -> "Tree":
        return Tree(*self._pids, *other._pids)


class Process(Tree):
    """A process pinned to `core`, with all its children, that ends with us."""

    def __init__(self, command: list[str], core: int, folder: Path, environment: dict[str, str] | None = None) -> None:
        def prepare() -> None:
            _libc.prctl(1, signal.SIGKILL)
            os.sched_setaffinity(0, {core})
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # for 10,000 readers

        self._name = Path(command[0]).name
        self.log = folder / f"{self._name}.log"
        with open(self.log, "ab") as log:
            self._popen = subprocess.Popen(
                command, preexec_fn=prepare, stdout=log, stderr=log, env={**os.environ, **(environment or {})}
            )
        super().__init__(self._popen.pid)

    def listening(self, port: int, patience: float = 30.0) -> None:
        """Wait until it takes connections; `patience` in seconds. Nothing else is to be done meanwhile."""
        until = clock() + patience
        while clock() < until and self._popen.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return
            time.sleep(0.01)
        raise NotStarted(f"{self._name} does not start: {self.log.read_text()[-2000:]}")

    def end(self) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


@dataclass(frozen=True)
class Used:
    """CPU in seconds of what was counted, by name; and the cores that neither that nor the bench used: above 0.2, what
    was measured is void."""

    cpu: Mapping[str, float]
    seconds: float
    foreign: float


class Meter:
    """What is used from now on: by `counted`, and by nobody that we know."""

    def __init__(self, counted: Mapping[str, Tree], *others: Tree) -> None:
        self._counted = counted
        self._others = others
        self._before = self._look()
        self._all_before, self._began = busy(), clock()

    def read(self) -> Used:
        seconds = clock() - self._began
        everything = busy() - self._all_before
        now = self._look()
        used = {name: now[name] - before for name, before in self._before.items()}
        cpu = {name: used[name] for name in self._counted}
        return Used(cpu, seconds, max(0.0, (everything - sum(used.values())) / seconds))

    def _look(self) -> dict[str, float]:
        own = os.times()
        ours = own.user + own.system + own.children_user + own.children_system
        known = {"": ours + sum(tree.cpu() for tree in self._others)}
        return known | {name: tree.cpu() for name, tree in self._counted.items()}


@contextmanager
def upstream(folder: Path, models: Iterable[str]) -> Iterator[tuple[Process, int]]:
    """The model, with its port; it lists `models`."""
    port = free_port()
    process = Process([sys.executable, "-m", "bench.upstream", str(port), *models], LOAD_CORE, folder)
    try:
        process.listening(port)
        yield process, port
    finally:
        process.end()


@contextmanager
def nginx(folder: Path, upstream_port: int) -> Iterator[tuple[Process, int]]:
    """A relay that does nothing else, as the measure of what a relay must cost."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        raise NotStarted("nginx is missing. As root: apt-get install --no-install-recommends nginx-light")
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, upstream=upstream_port, port=port))
    process = Process([found, "-c", str(config), "-e", str(folder / "nginx.log")], SERVER_CORE, folder)
    try:
        process.listening(port)
        yield process, port
    finally:
        process.end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def busy() -> float:
    """CPU seconds that this whole machine has used, stolen time included."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def clock() -> float:
    return time.perf_counter()
