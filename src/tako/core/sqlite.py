"""SQLite under SQLAlchemy's asyncio: a statement runs on the event loop, and only a long one in a thread.

A thread for each connection (aiosqlite) costs a statement three or four hops of 60 µs each, and each hop waits for the
interpreter's lock, up to 5 ms in a busy server; a transaction that holds the one writer's place meanwhile is what
everybody waits for. Our statements are point reads and writes of 10 to 20 µs. So they run where they are, except:

* A read that takes more than `STEPS` of SQLite's instructions is interrupted, and starts again in a thread.
* A statement that finds the database locked by another program waits in a thread.
* A transaction that is known to be long (`patient`) runs in a thread, statement by statement.
* Checkpoints, the only moment at which WAL mode with synchronous=NORMAL waits for the disk, run in a thread.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import pool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL
from sqlalchemy.util import await_only

T = TypeVar("T")

PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "wal_autocheckpoint=0")
# About a millisecond of reading.
STEPS = 20_000
# How long another program may hold the lock, in milliseconds.
PATIENCE = 10_000
# SQLite's own limit, in bytes (1,000 pages), after which the write-ahead log is copied back into the database.
CHECKPOINT_AFTER = 1000 * 4096


class Connection(sqlite3.Connection):
    """`patient` sends every statement to a thread; `reader` says that a statement may be interrupted and run again."""

    patient = False
    reader = False

    def cursor(self, factory: Any = None) -> "Cursor":  # type: ignore[override]  # SQLAlchemy never gives a factory
        return Cursor(self)

    def commit(self) -> None:
        if self.in_transaction:
            self.cursor().execute("COMMIT")


class Cursor(sqlite3.Cursor):
    """Has all rows when `execute` returns, so that fetching never waits."""

    connection: Connection
    _rows: list[Any]

    def execute(self, sql: str, parameters: Any = ()) -> "Cursor":
        self._run(lambda: sqlite3.Cursor.execute(self, sql, parameters))
        return self

    def executemany(self, sql: str, parameters: Iterable[Any]) -> "Cursor":
        given = list(parameters)
        self._run(lambda: sqlite3.Cursor.executemany(self, sql, given))
        return self

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        size = self.arraysize if size is None else size
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    def fetchall(self) -> list[Any]:
        taken, self._rows = self._rows, []
        return taken

    async def _async_soft_close(self) -> None:
        """SQLAlchemy calls this when a result may be left unread; there is nothing to wait for."""

    def _run(self, statement: Callable[[], object]) -> None:
        def whole() -> list[Any]:
            statement()
            return sqlite3.Cursor.fetchall(self) if self.description else []

        self._rows = await_only(run(self.connection, whole))


async def run(connection: Connection, statement: Callable[[], T]) -> T:
    """Run `statement`, which uses `connection`, here or beside the loop."""
    if not connection.patient:
        try:
            return statement()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_INTERRUPT):
                raise
    running = asyncio.get_running_loop().run_in_executor(None, _patiently, connection, statement)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        # The connection is not free before the thread has let it go.
        connection.interrupt()
        with contextlib.suppress(sqlite3.Error):
            await running
        raise


def plain(connection: Connection) -> sqlite3.Cursor:
    """A cursor that SQLAlchemy has no part in, for use within `run`."""
    return sqlite3.Cursor(connection)


def _patiently(connection: Connection, statement: Callable[[], T]) -> T:
    connection.set_progress_handler(None, 0)
    plain(connection).execute(f"PRAGMA busy_timeout={PATIENCE}")
    try:
        return statement()
    finally:
        plain(connection).execute("PRAGMA busy_timeout=0")
        _hurry(connection)


def _hurry(connection: Connection) -> None:
    if connection.reader:
        connection.set_progress_handler(_interrupt, STEPS)


def _interrupt() -> int:
    return 1


def connect(path: str, pragmas: Sequence[str]) -> Connection:
    """A connection for `run`, which begins its transactions itself."""
    connection = sqlite3.connect(path, timeout=PATIENCE / 1000, factory=Connection, check_same_thread=False)
    prepare(connection, pragmas, reader=False)
    return connection


def prepare(connection: Connection, pragmas: Sequence[str], *, reader: bool) -> None:
    """Set up a new connection, patiently: another program may just be changing the journal's mode."""
    connection.isolation_level = None
    connection.reader = reader
    for pragma in (f"busy_timeout={PATIENCE}", *pragmas, *(["query_only=ON"] if reader else []), "busy_timeout=0"):
        plain(connection).execute(f"PRAGMA {pragma}")
    _hurry(connection)


def checkpoint(path: str) -> None:
    """Copy the write-ahead log back, as far as readers allow, and stop nobody. Waits for the disk: not for the loop."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


class Dialect(SQLiteDialect_pysqlite):
    """`sqlite+tako:///path`."""

    driver = "tako"
    supports_statement_cache = True
    is_async = True

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.AsyncAdaptedQueuePool

    def create_connect_args(self, url: URL) -> Any:
        arguments, options = super().create_connect_args(url)
        return arguments, {**options, "factory": Connection, "check_same_thread": False}

    def get_driver_connection(self, connection: Any) -> Any:
        return connection


registry.register("sqlite.tako", __name__, "Dialect")
