"""Sessions on the source, in which every value comes out the same whatever the server's settings are."""

import os
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql
from pymysql.constants import CLIENT, ER

from tako.ferry.errors import BadRules, SnapshotLost, SourceGone

PASSWORD = "TAKO_FERRY_SOURCE_PASSWORD"
# What a site has set globally must change no value: a select limit would cut tables, PAD_CHAR_TO_FULL_LENGTH pad.
SESSION = (
    "SET SESSION sql_mode = '', time_zone = '+00:00', sql_select_limit = 18446744073709551615, "
    "net_write_timeout = 3600, net_read_timeout = 3600, wait_timeout = 604800, sql_big_selects = 1, "
    "sql_safe_updates = 0"
)
LEAST_PACKET = 1 << 20


@dataclass(frozen=True, slots=True)
class Address:
    """Where a source is. `shown` is its URL without the password."""

    host: str
    port: int
    socket: str | None
    user: str
    password: str
    database: str
    tls: ssl.SSLContext | None
    shown: str


@dataclass(frozen=True, slots=True)
class Version:
    server: Literal["mysql", "mariadb"]
    number: tuple[int, int, int]
    text: str


class Source:
    """One session. Used by one thread at a time."""

    def __init__(self, connection: "pymysql.Connection[Any]", address: Address) -> None:
        self.connection = connection
        self.address = address
        self.version = _version(str(connection.get_server_info()))  # type: ignore[no-untyped-call]

    @property
    def is_mariadb(self) -> bool:
        return self.version.server == "mariadb"

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with told(self.address), self.connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            return list(cursor.fetchall())

    def value(self, sql: str, parameters: Sequence[object] = ()) -> Any:
        rows = self.rows(sql, parameters)
        return rows[0][0] if rows else None

    def execute(self, sql: str) -> None:
        self.rows(sql)

    def close(self) -> None:
        if self.connection.open:
            self.connection.close()

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(address: Address) -> Source:
    """A session in UTC, strict about nothing and changing nothing. Raises `SourceGone`."""
    with told(address):
        connection = pymysql.connect(
            host=address.host,
            port=address.port,
            unix_socket=address.socket,
            user=address.user,
            password=address.password,
            database=address.database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=20,
            ssl=address.tls,
            client_flag=CLIENT.FOUND_ROWS,
        )
    source = Source(connection, address)
    source.execute(SESSION)
    source.execute("SET SESSION " + ("max_statement_time = 0" if source.is_mariadb else "max_execution_time = 0"))
    if int(source.value("SELECT @@max_allowed_packet")) < LEAST_PACKET:
        raise SourceGone("The source's max_allowed_packet is below 1 MiB: SET GLOBAL max_allowed_packet = 67108864;")
    return source


@contextmanager
def told(address: Address) -> Iterator[None]:
    """The driver's errors as ours, with the next step."""
    try:
        yield
    except (pymysql.err.OperationalError, pymysql.err.InterfaceError, OSError) as error:
        said = error.args[-1] if error.args else error
        if error.args[:1] == (ER.TABLE_DEF_CHANGED,):
            raise SnapshotLost(f"The source {address.shown} failed: {said}.") from error
        raise SourceGone(
            f"The source {address.shown} failed: {said}. When it answers again, run the same command again."
        ) from error
    except pymysql.err.MySQLError as error:
        raise SourceGone(f"The source {address.shown} refused: {error.args[-1] if error.args else error}.") from error


def parse(url: str) -> Address:
    """`mysql://user:password@host:port/database?unix_socket=…&tls=require|verify&ca=…`. Raises `BadRules`."""
    parts = urlsplit(url)
    if parts.scheme not in ("mysql", "mariadb"):
        raise BadRules(f"The source's address begins with mysql:// or mariadb://, not with {parts.scheme or url!r}.")
    database = unquote(parts.path.strip("/"))
    if not database or "/" in database:
        raise BadRules("The source's address ends with the database's name: mysql://user@host:3306/database.")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := options.keys() - {"unix_socket", "tls", "ca"}:
        raise BadRules(f"The source's address has an option {min(unknown)!r}; there are unix_socket, tls and ca.")
    try:
        port = parts.port or 3306
    except ValueError:
        raise BadRules("The port in the source's address is no number.") from None
    return Address(
        host=parts.hostname or "localhost",
        port=port,
        socket=options.get("unix_socket"),
        user=unquote(parts.username or "root"),
        password=unquote(parts.password) if parts.password else os.environ.get(PASSWORD, ""),
        database=database,
        tls=_tls(options),
        shown=without_password(url),
    )


def without_password(url: str) -> str:
    """The URL as it may be written down."""
    return re.sub(r"^([a-z]+://[^:/@]*):[^?]*@", r"\1@", url)


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _tls(options: dict[str, str]) -> ssl.SSLContext | None:
    mode = options.get("tls")
    if mode is None:
        return None
    if mode not in ("require", "verify"):
        raise BadRules("tls= in the source's address is require or verify.")
    context = ssl.create_default_context(cafile=options.get("ca"))
    if mode == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _version(text: str) -> Version:
    # MariaDB 10 says "5.5.5-10.11.19-MariaDB" to old clients.
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text.removeprefix("5.5.5-"))
    if found is None:
        raise SourceGone(f"The source calls itself {text!r}, which is no version of MySQL or MariaDB.")
    number = (int(found[1]), int(found[2]), int(found[3]))
    return Version("mariadb" if "mariadb" in text.lower() else "mysql", number, ".".join(found.groups()))
