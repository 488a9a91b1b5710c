"""Keeps the source from being written to, and lets it go again."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from tako.ferry.errors import Blocked, SourceGone
from tako.ferry.source.connection import Source, quoted

PATIENCE = 5  # seconds that running transactions get to end
TENTHS = 10 * PATIENCE


class Fence(Protocol):
    """One way to stop the writes. `kept` is what `lift` needs to know if another process has to do it."""

    def kept(self) -> str:
        """Read what there is now, before anything is changed."""

    def set(self) -> None:
        """No write is acknowledged from here on. Raises `Blocked` if that cannot be."""

    def lift(self) -> None:
        """As it was before. May be called twice, and without `set`."""


class Before(msgspec.Struct, frozen=True):
    """What a fence found, as it is written down before it is set."""

    kind: str
    read_only: str = "0"
    super_read_only: str = "0"
    command: str = ""


@dataclass(slots=True)
class ReadOnly:
    """The whole server refuses writes, also of users with SUPER where the server knows how (MySQL). It stays so after
    the cutover, and if ferry is killed; who starts it again lifts it."""

    source: Source
    before: Before | None = None

    def kept(self) -> str:
        wide = "0" if self.source.is_mariadb else str(self.source.value("SELECT @@global.super_read_only"))
        self.before = Before("read-only", str(self.source.value("SELECT @@global.read_only")), wide)
        return msgspec.json.encode(self.before).decode()

    def set(self) -> None:
        self.source.execute(f"SET SESSION lock_wait_timeout = {PATIENCE}")
        try:
            self.source.execute(
                "SET GLOBAL read_only = ON" if self.source.is_mariadb else "SET GLOBAL super_read_only = ON"
            )
        except SourceGone as error:
            raise Blocked(
                f"The source cannot be made read-only: {error.message} The user needs SUPER, or READ_ONLY ADMIN on "
                "MariaDB; long transactions have to end first. Or take `--fence lock` or `--fence hook`."
            ) from error

    def lift(self) -> None:
        if self.before is None or self.before.kind != "read-only":
            return
        # In MySQL the wider one switches the other on; what was on before stays on.
        if not self.source.is_mariadb and self.before.super_read_only in ("0", "OFF"):
            self.source.execute("SET GLOBAL super_read_only = OFF")
        if self.before.read_only in ("0", "OFF"):
            self.source.execute("SET GLOBAL read_only = OFF")


@dataclass(slots=True)
class TablesLocked:
    """The plan's tables can be read and not written, as long as this session lives: also if ferry is killed."""

    source: Source
    tables: Sequence[str]

    def kept(self) -> str:
        return msgspec.json.encode(Before("lock")).decode()

    def set(self) -> None:
        self.source.execute(f"SET SESSION lock_wait_timeout = {PATIENCE}")
        tables = ", ".join(f"{quoted(table)} READ" for table in self.tables)
        try:
            self.source.execute(f"LOCK TABLES {tables}")
        except SourceGone as error:
            raise Blocked(
                f"The source's tables cannot be locked within {PATIENCE} s: {error.message} A long transaction holds "
                "one of them; end it, then run `tako ferry cutover` again."
            ) from error

    def lift(self) -> None:
        self.source.execute("UNLOCK TABLES")


@dataclass(slots=True)
class Hook:
    """The owner's command stops the writes, and another one lets them go again."""

    command: str
    undo: str

    def kept(self) -> str:
        return msgspec.json.encode(Before("hook", command=self.undo)).decode()

    def set(self) -> None:
        called(self.command, "The source could not be fenced")

    def lift(self) -> None:
        called(self.undo, "The source is still fenced")


def left_over(kept: str, connect: Callable[[], Source]) -> None:
    """Lift what another process has set and could not lift any more."""
    before = msgspec.json.decode(kept, type=Before)
    if before.kind == "read-only":
        with connect() as source:
            ReadOnly(source, before).lift()
    elif before.kind == "hook" and before.command:
        called(before.command, "The source is still fenced")


def called(command: str, otherwise: str) -> None:
    """Run a command of the owner's. Raises `Blocked` with the end of what it said."""
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602 (the owner's)
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines()
        raise Blocked(f"{otherwise}: {command!r} ended with {ran.returncode}{': ' + said[-1] if said else ''}.")


def await_writers(source: Source) -> None:
    """Until no session is left that has changed a row and not committed it. Raises `Blocked` after some seconds.

    Prepared XA transactions without a session (thread 0) are looked at elsewhere: the log has them.
    """
    for _ in range(TENTHS):
        found = source.rows(
            "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx "
            "WHERE trx_rows_modified > 0 AND trx_mysql_thread_id NOT IN (0, CONNECTION_ID())"
        )
        if not found:
            return
        source.execute("DO SLEEP(0.1)")  # nobody says when one has ended
    raise Blocked(
        f"The source has a transaction that has written and is not over (thread {found[0][0]}): end it, then run "
        "`tako ferry cutover` again."
    )
