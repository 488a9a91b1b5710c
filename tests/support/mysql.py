"""A throw-away MySQL, out of the tree that `scripts/mysql` unpacks."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support import mysqld
from tests.support.mysqld import CACHE, Mysqld

ROOT = CACHE / "mysql"
OPTIONS = (
    "--mysqlx=OFF",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--innodb-redo-log-capacity=8M",
    # 130 MB less for each of the servers that a parallel run has
    "--performance-schema-max-table-instances=200",
    "--performance-schema-max-digest-length=0",
    "--performance-schema-digests-size=0",
    "--performance-schema-events-statements-history-long-size=0",
    "--performance-schema-error-size=0",
    "--performance-schema-max-program-instances=0",
)


@contextmanager
def running(options: Sequence[str] = ()) -> Iterator[Mysqld]:
    """Start one, and stop it. The options win over those of the tests."""
    command = _command()
    version = subprocess.check_output([*command, "--version"], text=True).split()[2]
    initialised = CACHE / f"mysql-data-{version}"
    if not initialised.exists():
        with mysqld.initialising(initialised) as folder:
            _initialise(command, str(folder))
    with mysqld.running("MySQL", [*command, *OPTIONS], initialised, options) as server:
        yield server


def _initialise(command: list[str], folder: str) -> None:
    options = ["--initialize-insecure", "--innodb-flush-method=nosync", "--innodb-redo-log-capacity=8M"]
    subprocess.run(
        [*command, *options, f"--datadir={folder}", *mysqld.as_root()],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (Path(folder) / "auto.cnf").unlink()  # each copy gets an identity of its own


def _command() -> list[str]:
    """Its libraries are newer than the machine's, so it runs with the loader that it came with."""
    libraries = ROOT / "usr/lib/x86_64-linux-gnu"
    binary = ROOT / "usr/sbin/mysqld"
    if not binary.exists():
        raise RuntimeError(
            "The tests of `tako ferry` need MySQL: run `make mysql`, which unpacks one into .cache/mysql."
        )
    share = ROOT / "usr/share/mysql"
    return [
        str(libraries / "ld-linux-x86-64.so.2"),
        "--library-path",
        f"{libraries}:{ROOT / 'usr/lib/mysql/private'}",
        str(binary),
        "--no-defaults",
        f"--basedir={ROOT / 'usr'}",
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share / 'charsets'}",
        f"--plugin-dir={ROOT / 'usr/lib/mysql/plugin'}",
    ]
