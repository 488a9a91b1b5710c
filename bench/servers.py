"""The processes under test: started on a core of their own, ended with us, and asked what they used."""

import asyncio
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
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
TAKO = """
[local]
enabled = false
[[providers]]
name = "paced"
base_url = "http://127.0.0.1:{upstream}/v1"
first_token_timeout = 600.0
silence_timeout = 600.0
"""
MODEL = """
[[providers.models]]
id = "{model}"
context_tokens = 1000000
max_output_tokens = 100000
"""


@dataclass(frozen=True)
class Usage:
    """CPU in seconds since the start, memory (proportional set size) in bytes, of a process and its children."""

    cpu: float
    memory: int


class Process:
    """A process pinned to `core`, with all its children."""

    def __init__(self, command: list[str], core: int, folder: Path, environment: dict[str, str] | None = None) -> None:
        def prepare() -> None:
            _libc.prctl(1, signal.SIGKILL)
            os.sched_setaffinity(0, {core})

        self.log = folder / f"{Path(command[0]).name}.log"
        with open(self.log, "ab") as log:
            self._popen = subprocess.Popen(
                command, preexec_fn=prepare, stdout=log, stderr=log, env={**os.environ, **(environment or {})}
            )

    def usage(self) -> Usage:
        cpu, memory = 0.0, 0
        root = psutil.Process(self._popen.pid)
        for process in [root, *root.children(recursive=True)]:
            times = process.cpu_times()
            cpu += times.user + times.system
            memory += process.memory_full_info().pss
        return Usage(cpu, memory)

    async def listening(self, port: int) -> None:
        """Until it takes connections."""
        for _ in range(2000):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                if self._popen.poll() is not None:
                    break
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return
        raise SystemExit(f"bench: a server does not start:\n{self.log.read_text()[-2000:]}")

    def end(self) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


@contextmanager
def upstream(folder: Path) -> Iterator[tuple[Process, int]]:
    """The model, with its port."""
    port = free_port()
    process = Process([sys.executable, "-m", "bench.upstream", str(port)], LOAD_CORE, folder)
    try:
        yield process, port
    finally:
        process.end()


@contextmanager
def nginx(folder: Path, upstream_port: int) -> Iterator[tuple[Process, int]]:
    """A relay that does nothing else, as the measure of what a relay must cost."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        raise SystemExit("bench: nginx is missing. As root: apt-get install --no-install-recommends nginx-light")
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, upstream=upstream_port, port=port))
    process = Process([found, "-c", str(config), "-e", str(folder / "nginx.log")], SERVER_CORE, folder)
    try:
        yield process, port
    finally:
        process.end()


@dataclass(frozen=True)
class Site:
    """A folder with a Tako that asks the paced upstream, and a key for it."""

    folder: Path
    port: int
    key: str

    @classmethod
    def made(cls, folder: Path, upstream_port: int, models: list[str]) -> "Site":
        """With an account, before any server runs."""
        folder.mkdir()
        text = TAKO.format(upstream=upstream_port) + "".join(MODEL.format(model=model) for model in models)
        (folder / "tako.toml").write_text(text)
        tako = [sys.executable, "-m", "tako"]
        around = ["--data", str(folder / "data"), "--config", str(folder / "tako.toml")]
        password = "correct horse\n"
        subprocess.run(
            [*tako, "user", "create", "bench@example.org", *around], input=password, text=True, check=True, stdout=-3
        )
        key = subprocess.run(
            [*tako, "token", "create", "bench@example.org", *around], text=True, check=True, capture_output=True
        )
        return cls(folder, free_port(), key.stdout.strip())

    @contextmanager
    def served(self) -> Iterator[Process]:
        around = ["--data", str(self.folder / "data"), "--config", str(self.folder / "tako.toml")]
        command = [sys.executable, "-m", "tako", "serve", "--port", str(self.port), *around]
        process = Process(command, SERVER_CORE, self.folder)
        try:
            yield process
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
