"""The site's database: SQLite or PostgreSQL behind one small surface, reads apart from writes.

SQLite takes one writer at a time, and its own way of waiting is to sleep; so all writers of a process queue on
`Database.writer`, and start with BEGIN IMMEDIATE (the driver's default lost 243 of 320 concurrent updates).
Times are integers: microseconds since 1970 UTC, the same in both databases.
"""

import asyncio
import contextlib
import select
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import structlog
from sqlalchemy import BigInteger, MetaData, event
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tako.core import sqlite
from tako.core.errors import Misconfigured, Unavailable

_log = structlog.get_logger("tako.db")

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_ix",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)
Micros = BigInteger
# What a small transaction adds to SQLite's write-ahead log: four pages, in bytes.
_SMALL = 4 * 4096
# A transaction on PostgreSQL may rest for this long at least, in seconds, however short the lease: a machine that is
# busy is not one that is paused.
_LEAST_REST = 3.0


# The low byte is the kind; the higher ones say more of it (https://sqlite.org/rescode.html).
_SQLITE_AWAY = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)


# ON CONFLICT is written alike in both, but SQLAlchemy has an INSERT for each.
UPSERTS: dict[str, Callable[[Any], Any]] = {"sqlite": sqlite_insert, "postgresql": postgres_insert}


def now() -> int:
    """Microseconds since 1970 UTC by this machine's clock."""
    return time.time_ns() // 1000


class StorageFull(Unavailable):
    """The database cannot grow; what was written before stays."""

    status = 507


class Database:
    """Connections to the site's one database. Use as an async context manager.

    `url` is `sqlite:///path` or `postgresql://…`. `read()` gives a connection that sees one state of SQLite, and on
    PostgreSQL one in each statement, which then is all that is sent. `write()` gives one transaction that is committed
    on leaving and rolled back on an exception; `patient` says that it will take long, so that SQLite does it beside the
    event loop. On PostgreSQL a transaction in which nothing happens for half a `lease` (in seconds; never less than 3)
    is rolled back: a process that is paused must not hold what others wait for.
    """

    def __init__(self, url: str, *, readers: int = 4, max_pages: int = 0, lease: float = 15.0) -> None:
        self.url = parse_url(url)
        self.dialect: Literal["sqlite", "postgresql"] = (
            "sqlite" if self.url.get_backend_name() == "sqlite" else "postgresql"
        )
        self.writer = asyncio.Lock()
        self._since_checkpoint = 0
        self._checkpoint: asyncio.Future[None] | None = None
        self.pragmas: Sequence[str] = ()
        if self.dialect == "sqlite":
            self.pragmas = (*sqlite.PRAGMAS, *([f"max_page_count={max_pages}"] if max_pages else []))
            self._write_engine = _sqlite_engine(self.url, self.pragmas, pool_size=1, reader=False)
            self._read_engine = _sqlite_engine(self.url, self.pragmas, pool_size=readers, reader=True)
        else:
            rest = round(max(lease / 2, _LEAST_REST) * 1000)
            self._write_engine = create_async_engine(
                self.url,
                pool_size=10,
                max_overflow=10,
                hide_parameters=True,
                connect_args={"options": f"-c idle_in_transaction_session_timeout={rest}"},
            )
            event.listen(self._write_engine.sync_engine, "checkout", _alive)
            self._read_engine = self._write_engine.execution_options(isolation_level="AUTOCOMMIT")

    async def __aenter__(self) -> "Database":
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint])
        await self._read_engine.dispose()
        await self._write_engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        with _Explained():
            async with self._read_engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, patient: bool = False) -> AsyncIterator[AsyncConnection]:
        async with self.writer if self.dialect == "sqlite" else contextlib.nullcontext():
            with _Explained():
                async with self._write_engine.connect() as connection:
                    if self.dialect == "sqlite":
                        (await connection.get_raw_connection()).dbapi_connection.patient = patient  # type: ignore[union-attr]  # ours
                    async with connection.begin():
                        yield connection
        self.written(_SMALL)

    def written(self, size: int) -> None:
        """So many bytes more are in SQLite's write-ahead log; from time to time they are copied back."""
        self._since_checkpoint += size
        if self.dialect != "sqlite" or self._since_checkpoint < sqlite.CHECKPOINT_AFTER:
            return
        if self._checkpoint is None or self._checkpoint.done():
            self._since_checkpoint = 0
            loop = asyncio.get_running_loop()
            self._checkpoint = loop.run_in_executor(None, sqlite.checkpoint, str(self.url.database))
            self._checkpoint.add_done_callback(_checkpointed)


def _alive(connection: Any, record: object, proxy: object) -> None:
    """A session that PostgreSQL has ended is not handed out. To know that takes no question: an idle one has nothing to
    say but its end."""
    driver = connection.driver_connection
    said = select.poll()
    said.register(driver.fileno(), select.POLLIN)
    if said.poll(0):
        raise InvalidatePoolError


def _checkpointed(done: "asyncio.Future[None]") -> None:
    """One that fails costs only space: the next one copies more."""
    if not done.cancelled() and (error := done.exception()) is not None:
        _log.warning("checkpoint_failed", reason=str(error))


class _Explained:
    """Turns the database's refusals that an operator can mend into our own errors, at the border."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DBAPIError) and is_full(error.orig):
            raise StorageFull(
                "The disk or database of this site is full: free some space; nothing that was stored is lost.",
                code="storage_full",
            ) from error
        if isinstance(error, DBAPIError) and _is_away(error):
            raise Unavailable(
                "The database does not answer now; the request was not carried out.", code="database_unavailable"
            ) from error


def _is_away(error: DBAPIError) -> bool:
    """Whether the database may do it later: it restarts, is busy, its disk fails. A wrong statement stays wrong."""
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def is_full(error: BaseException | None) -> bool:
    """Whether a driver's exception says that no space is left (SQLite's FULL, PostgreSQL's class 53)."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return str(getattr(error, "sqlstate", "") or "") == "53100"


def parse_url(url: str) -> URL:
    """The SQLAlchemy URL, with the async driver that we use for it."""
    drivers = {"sqlite": "sqlite+tako", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Misconfigured(f"database_url is not a database address: {error}") from error
    driver = drivers.get(parsed.drivername.split("+")[0])
    if driver is None:
        raise Misconfigured(f"database_url: {parsed.drivername!r} is not supported; use sqlite:///… or postgresql://…")
    return parsed.set(drivername=driver)


def _sqlite_engine(url: URL, pragmas: Sequence[str], *, pool_size: int, reader: bool) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=pool_size, max_overflow=0, pool_timeout=60, hide_parameters=True)
    begin = "BEGIN" if reader else "BEGIN IMMEDIATE"

    @event.listens_for(engine.sync_engine, "connect")
    def connected(dbapi_connection: Any, record: object) -> None:
        sqlite.prepare(dbapi_connection, pragmas, reader=reader)

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
