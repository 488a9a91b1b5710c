"""A throw-away MariaDB or MySQL that can be killed and started again on its data: what the two have in common."""

import contextlib
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pymysql

from tests.support.process import die_with_parent

CACHE = Path(__file__).parents[2] / ".cache"
# What a killed server has handed to the kernel survives it, so nothing waits for a disk.
OPTIONS = (
    "--server-id=1",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--binlog-row-image=FULL",
    "--sync-binlog=0",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=0",
    "--character-set-server=utf8mb4",
    "--max-allowed-packet=64M",
    "--max-connections=60",
    "--table-open-cache=200",
    "--innodb-buffer-pool-size=64M",
    "--bind-address=127.0.0.1",
    "--secure-file-priv=",
    "--default-time-zone=+08:00",  # who forgets to ask for UTC shall see it
    "--sql-mode=NO_ENGINE_SUBSTITUTION",  # the old sites that leave MySQL have zero dates
)


class Mysqld:
    """One server with a folder, a unix socket and a loopback port of its own. `root` has no password."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, options: Sequence[str] = ()) -> None:
        self.name = name
        self.folder = folder
        self.socket = folder / "socket"
        self.port = _free_port()
        self._command = [
            *command,
            f"--datadir={folder / 'data'}",
            f"--socket={self.socket}",
            f"--pid-file={folder / 'pid'}",
            f"--tmpdir={folder}",  # a server that starts deletes the temporary tables that lie there, whosever they are
            f"--port={self.port}",
            *OPTIONS,
            *options,
            *as_root(),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it (again) and wait until it answers."""
        said = self.folder / "notify"
        said.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(said))
            with open(self.folder / "log", "ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                    env={**os.environ, "NOTIFY_SOCKET": str(said)},
                    preexec_fn=die_with_parent,
                )
            self._wait(notify, self._process)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def connect(self, database: str | None = None, **options: Any) -> "pymysql.Connection[Any]":
        """A session of `root` over the socket, in UTC, that commits each statement."""
        return pymysql.connect(
            unix_socket=str(self.socket),
            user="root",
            database=database,
            charset="utf8mb4",
            autocommit=True,
            init_command="SET time_zone = '+00:00'",
            **options,
        )

    def new_database(self) -> str:
        """The name of an empty database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}`")
        return name

    def url(self, database: str) -> str:
        """The address of a database for a client on the loopback port."""
        return f"mysql://root@127.0.0.1:{self.port}/{database}"

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def _wait(self, notify: socket.socket, process: "subprocess.Popen[bytes]") -> None:
        """Both servers tell systemd when they are ready; here we are systemd."""
        ended = os.pidfd_open(process.pid)
        try:
            while notify.fileno() in select.select([notify.fileno(), ended], [], [], 90)[0]:
                if b"READY=1" in notify.recv(4096):
                    return
        finally:
            os.close(ended)
        raise RuntimeError(f"{self.name} does not start: {self.log()}")


@contextlib.contextmanager
def running(name: str, command: Sequence[str], initialised: Path, options: Sequence[str] = ()) -> Iterator[Mysqld]:
    """Start one on a copy of an initialised data folder, and remove it all in the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name.lower()}-"))
    shutil.copytree(initialised, folder / "data")
    server = Mysqld(name, command, folder, options)
    try:
        server.start()
        yield server
    finally:
        server.kill()  # nobody will read the data again
        shutil.rmtree(folder)


@contextlib.contextmanager
def initialising(target: Path) -> Iterator[Path]:
    """A folder to initialise, which becomes `target` at once and whole; the first of two workers wins."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    try:
        yield folder / "data"
        with contextlib.suppress(OSError):  # the other one was there first
            (folder / "data").rename(target)
    finally:
        shutil.rmtree(folder)


def as_root() -> list[str]:
    """Both servers refuse to run as root by mistake; for a throw-away server that nobody else reaches it is none."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _free_port() -> int:
    """Below the ports that the kernel gives to clients, so that it is still free when the server is started again."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
