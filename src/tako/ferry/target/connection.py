"""Sessions on the target."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tako.ferry.errors import BadRules, Deadlocked, TargetGone

PASSWORD = "TAKO_FERRY_TARGET_PASSWORD"
OLDEST = 130_000
# Where it is told that something of a migration has changed; the message is its plan's hash.
CHANNEL = "ferry"
# Every value is read and printed the same, whatever the database's settings are. What was said to be done is on the
# target's disk; only chunks do not wait for it (`state.record`).
SESSION = (
    "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1; "
    "SET bytea_output = 'hex'; SET client_encoding = 'UTF8'; SET synchronous_commit = local; "
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 0; "
    "SET standard_conforming_strings = on; SET client_min_messages = warning; "
    "SET search_path = public; SET default_transaction_isolation = 'read committed'; "
    "SET default_transaction_read_only = off"
)


@dataclass(frozen=True, slots=True)
class Failed:
    statement: str
    error: str


class Target:
    """One session. `shown` is the target's URL without the password."""

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", shown: str) -> None:
        self.connection = connection
        self.shown = shown

    @property
    def version(self) -> int:
        return self.connection.info.server_version

    def rows(
        self, statement: str, parameters: Sequence[object] | Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        with told(self.shown):
            # Without parameters a percent sign is just that.
            cursor = self.connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def lines(self, query: str) -> Iterator[bytes]:
        """The rows of a query as lines of COPY text, one after the other."""
        with told(self.shown), self.connection.cursor().copy(f"COPY ({query}) TO STDOUT".encode()) as copy:
            rest = b""
            for data in copy:
                *whole, rest = (rest + bytes(data)).split(b"\n")
                yield from whole

    def execute(self, statement: str, parameters: Sequence[object] | None = None) -> int:
        with told(self.shown):
            return self.connection.execute(statement.encode(), parameters).rowcount

    def tell(self, plan_hash: str) -> None:
        """That something of the plan's migration has changed: whoever listens hears it when the transaction commits."""
        self.execute("SELECT pg_notify(%s, %s)", (CHANNEL, plan_hash))

    def listen(self) -> None:
        """From here on `await_notice` hears what is told."""
        self.execute(f"LISTEN {CHANNEL}")

    def await_notice(self, timeout: float) -> None:
        """Until something is told, or for so many seconds."""
        with told(self.shown):
            for _ in self.connection.notifies(timeout=timeout, stop_after=1):
                pass

    def holds_up_another(self) -> bool:
        """Another session waits for a lock that this one has."""
        found = self.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return bool(found)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with told(self.shown), self.connection.transaction():
            yield

    def has_schema(self, name: str) -> bool:
        return bool(self.rows("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,)))

    def taken(self, schema: str, names: Sequence[str]) -> list[str]:
        """Those of the names that some table, view or index has already."""
        found = self.rows(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = ANY(%s) ORDER BY 1",
            (schema, list(names)),
        )
        return [name for (name,) in found]

    def holds_anything(self, schema: str) -> bool:
        """A table, type, function or collation is in the schema."""
        kinds = (
            ("pg_class", "relnamespace"),
            ("pg_type", "typnamespace"),
            ("pg_proc", "pronamespace"),
            ("pg_collation", "collnamespace"),
        )
        each = " UNION ALL ".join(
            f"SELECT 1 FROM {table} WHERE {column} = to_regnamespace(quote_ident($1))"  # noqa: S608 (our words)
            for table, column in kinds
        )
        return bool(self.rows(each.replace("$1", "%(schema)s"), {"schema": schema}))

    def rehearse(self, statements: Sequence[str]) -> Failed | None:
        """Run them all and take everything back. Returns the one that PostgreSQL refuses."""
        with told(self.shown), self.connection.transaction(force_rollback=True):
            for statement in statements:
                try:
                    with self.connection.transaction():
                        self.connection.execute(statement.encode())
                except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
                    return Failed(statement, first_line(error))
        return None

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(url: str, *, patience: int | None = None) -> Target:
    """A session in UTC that commits each statement. Raises `TargetGone`, or `BadRules` for what is no address.

    A server that says nothing for `patience` seconds counts as gone; by default only once the network gives it up.
    """
    shown = without_password(url)
    with told(shown):
        connection = psycopg.connect(url, **arguments(url, patience))  # type: ignore[arg-type]
    target = Target(connection, shown)
    if target.version < OLDEST:
        target.close()
        raise BadRules(f"The target is PostgreSQL {target.version // 10_000}; ferry needs 13 or newer.")
    for statement in SESSION.split("; "):
        target.execute(statement)
    if patience is not None:
        target.execute(f"SET statement_timeout = '{patience}s'")
    encoding = target.rows("SHOW server_encoding")[0][0]
    if encoding != "UTF8":
        target.close()
        raise BadRules(f"The target database keeps its texts in {encoding}; make one with ENCODING 'UTF8'.")
    return target


def arguments(url: str, patience: int | None = None) -> dict[str, object]:
    """What a session needs beside the address. Raises `BadRules` for what is no address."""
    if urlsplit(url).scheme not in ("postgresql", "postgres"):
        raise BadRules("The target's address begins with postgresql://.")
    found: dict[str, object] = {"autocommit": True, "application_name": "tako ferry"}
    password = os.environ.get(PASSWORD)
    if password and without_password(url) == url:  # one that stands in the address wins, as everywhere
        found["password"] = password
    if patience is not None:
        found |= {"connect_timeout": patience, "tcp_user_timeout": patience * 1000}
        found |= {"keepalives_idle": patience, "keepalives_interval": patience, "keepalives_count": 1}
    return found


def without_password(url: str) -> str:
    """The URL as it may be written down."""
    url = re.sub(r"^(\w+://[^:/@]*):[^?]*@", r"\1@", url)
    return re.sub(r"([?&])password=[^&]*&?", r"\1", url).rstrip("?&")


def first_line(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).splitlines()[0]


@contextmanager
def told(shown: str) -> Iterator[None]:
    """The driver's errors as ours, with the next step."""
    try:
        yield
    except psycopg.errors.DeadlockDetected as error:
        raise Deadlocked(f"The target {shown} refused: {first_line(error)}. Run the same command again.") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise TargetGone(
            f"The target {shown} failed: {first_line(error)}. When it answers again, run the same command again.",
            reason=first_line(error),
        ) from error
    except psycopg.Error as error:
        raise TargetGone(f"The target {shown} refused: {first_line(error)}.") from error
