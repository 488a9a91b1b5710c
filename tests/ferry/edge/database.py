"""Makes the edge tables in a source database."""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from tests.ferry.edge import rows
from tests.support.mysqld import Mysqld

HERE = Path(__file__).parent


def connect(server: Mysqld, database: str) -> "pymysql.Connection[Any]":
    """A session that stores what an old site may have stored."""
    connection = server.connect(database, client_flag=CLIENT.MULTI_STATEMENTS)
    with connection.cursor() as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'")
    return connection


def make(server: Mysqld, *scripts: str) -> str:
    """A new database out of these files of this folder. Returns its name."""
    database = server.new_database()
    with contextlib.closing(connect(server, database)) as connection:
        for script in scripts:
            run(connection, (HERE / script).read_text(encoding="utf-8"))
        if "texts.sql" in scripts:
            insert(connection, "texts", rows.texts())
        if "large.sql" in scripts:
            for n, size in enumerate(rows.large_texts()):
                run(connection, f"INSERT INTO large VALUES ({n}, CONCAT('\\\\', REPEAT('x', {size - 3}), '\\t\\n'))")
        if "keys.sql" in scripts:
            for table in rows.KEYED:
                insert(connection, table, rows.keyed(table))
    return database


def run(connection: "pymysql.Connection[Any]", statements: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statements)
        while cursor.nextset():
            pass


def insert(connection: "pymysql.Connection[Any]", table: str, found: Iterable[Sequence[Any]]) -> None:
    connection.begin()
    with connection.cursor() as cursor:
        for row in found:
            places = ", ".join(["%s"] * len(row))
            cursor.execute(f"INSERT INTO {table} VALUES ({places})", row)
    connection.commit()
