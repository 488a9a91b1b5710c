"""A throw-away MariaDB from Debian's packages."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support import mysqld
from tests.support.mysqld import CACHE, Mysqld


@contextmanager
def running(options: Sequence[str] = ()) -> Iterator[Mysqld]:
    """Start one, and stop it. The options win over those of the tests."""
    binary = _found("mariadbd")
    version = subprocess.check_output([binary, "--version"], text=True).split()[2]
    initialised = CACHE / f"mariadb-data-{version}"
    if not initialised.exists():
        with mysqld.initialising(initialised) as folder:
            _initialise(str(folder))
    with mysqld.running("MariaDB", [binary, "--no-defaults", "--gtid-strict-mode=ON"], initialised, options) as server:
        yield server


def _initialise(folder: str) -> None:
    subprocess.run(
        [
            _found("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={folder}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *mysqld.as_root(),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _found(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None:
        raise RuntimeError(
            f"The tests of `tako ferry` need {program}: apt-get install mariadb-server-core mariadb-client-core"
        )
    return found
