"""The comparison that the other tests trust: it sees every kind of value, and a difference in any of them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pymysql
import pytest

from tests.ferry.compare import Comparison, Invalid
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

UUID_ = "0123456789ABCDEF"
POINT = "000000000101000000000000000000F03F0000000000000040"
# MySQL's type and value, PostgreSQL's type, the same value, another value
SHARED = [
    ("tinyint(1)", "1", "boolean", "true", "false"),
    ("tinyint(2)", "2", "boolean", None, "true"),
    ("int", "-5", "integer", "-5", "5"),
    ("bigint unsigned", "18446744073709551615", "numeric(20)", "18446744073709551615", "18446744073709551614"),
    ("decimal(10,2)", "1.10", "numeric(10,2)", "1.1", "1.11"),
    ("float", "16777216", "real", "16777216", "16777218"),
    ("float", "0.1", "real", "0.1", "0.10000001"),
    ("double", "0.1", "double precision", "0.1", "0.10000000000000002"),
    ("bit(12)", "b'101'", "bit(12)", "B'000000000101'", "B'000000000100'"),
    ("bit(1)", "b'1'", "boolean", "true", "false"),
    ("bit(12)", "b'101'", "bigint", "5", "4"),
    ("varchar(9)", "'a '", "varchar(9)", "'a '", "'a'"),
    ("varchar(9)", "'NULL'", "varchar(9)", "'NULL'", "NULL"),
    ("varchar(9)", "NULL", "varchar(9)", "NULL", "''"),
    ("text", "'é'", "text", "'é'", "U&'e\\0301'"),
    ("json", "'{\"a\": 1}'", "jsonb", "'{\"a\": 1.0}'", "'{\"a\": true}'"),
    ("json", "'[1, 2]'", "jsonb", "'[1,2]'", "'[2, 1]'"),
    ("json", "'0.1'", "jsonb", "'0.1'", "'0.10000000000000001'"),
    ("enum('a','b')", "'b'", "text", "'b'", "'a'"),
    ("set('a','b')", "'a,b'", "text", "'a,b'", "'b,a'"),
    ("set('a','b')", "'a,b'", "text[]", "'{a,b}'", "'{a}'"),
    ("set('a','b')", "''", "text[]", "'{}'", "NULL"),
    ("date", "'2026-01-02'", "date", "'2026-01-02'", "'2026-02-01'"),
    ("date", "'2026-02-30'", "date", None, "'2026-03-02'"),
    ("date", "'0000-00-00'", "date", None, "NULL"),
    ("datetime(6)", "'2026-01-02 03:04:05.000001'", "timestamp", "'2026-01-02 03:04:05.000001'", "'2026-01-02'"),
    ("timestamp NULL", "'2026-01-02 03:04:05'", "timestamptz", "'2026-01-02 03:04:05Z'", "'2026-01-02 03:04:05+08'"),
    ("time(2)", "'-01:30:00.25'", "interval", "'-01:30:00.25'", "'-01:29:59.75'"),
    ("time", "'23:59:59'", "time", "'23:59:59'", "'23:59:58'"),
    ("year", "2026", "smallint", "2026", "2025"),
    ("binary(4)", "x'6100'", "bytea", "'\\x61000000'", "'\\x6100'"),
    ("binary(16)", f"x'{UUID_ * 2}'", "uuid", f"'{UUID_ * 2}'", f"'{UUID_}{'0' * 16}'"),
    ("point", "ST_GeomFromText('POINT(1 2)')", "bytea", f"'\\x{POINT}'", "'\\x00'"),
]  # fmt: skip


@pytest.fixture
def ends(source: Mysqld, target: Postgres) -> Iterator[tuple["pymysql.Connection[Any]", "psycopg.Connection[Any]"]]:
    database = source.new_database()
    with contextlib.closing(source.connect(database)) as mine, psycopg.connect(target.new_database()) as its:
        with mine.cursor() as cursor:
            cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES'")
        yield mine, its


def test_a_difference_in_any_value_is_seen_and_none_where_there_is_none(
    ends: tuple["pymysql.Connection[Any]", "psycopg.Connection[Any]"],
) -> None:
    source, target = ends
    for n, (type_, value, copy_type, same, other) in enumerate(SHARED):
        with source.cursor() as cursor:
            cursor.execute(f"CREATE TABLE t{n} (id int NOT NULL PRIMARY KEY, v {type_})")
            cursor.execute(f"INSERT INTO t{n} VALUES (1, {value}), (2, {value})")
        target.execute(f"CREATE TABLE t{n} (id integer, v {copy_type})")
        target.execute(f"INSERT INTO t{n} VALUES (1, {same or 'NULL'}), (2, {other})")
        wrong = [row.split(":")[0] for row in Comparison(source, target).differences(f"t{n}", f"public.t{n}")]
        assert wrong == (["row (2,), v"] if same else ["row (1,), v", "row (2,), v"]), (type_, value, other)


def test_rows_that_are_missing_added_or_doubled_are_seen(
    ends: tuple["pymysql.Connection[Any]", "psycopg.Connection[Any]"],
) -> None:
    source, target = ends
    with source.cursor() as cursor:
        cursor.execute("CREATE TABLE keyed (id int NOT NULL PRIMARY KEY, v int)")
        cursor.execute("INSERT INTO keyed VALUES (1, 1), (2, 2), (3, 3)")
        cursor.execute("CREATE TABLE loose (v int)")
        cursor.execute("INSERT INTO loose VALUES (1), (1), (2)")
    target.execute("CREATE TABLE keyed AS SELECT * FROM (VALUES (1, 1), (3, 3), (3, 3), (4, 4)) AS rows (id, v)")
    target.execute("CREATE TABLE loose AS SELECT * FROM (VALUES (1), (2), (2)) AS rows (v)")
    compared = Comparison(source, target)
    assert compared.differences("keyed", "public.keyed") == [
        "row (3,) twice in the copy",
        "row (2,) missing from the copy",
        "row (4,) only in the copy",
    ]
    assert sorted(compared.differences("loose", "public.loose")) == [
        "row (1,): -1 in the copy",
        "row (2,): +1 in the copy",
    ]


def test_an_impossible_date_is_equal_to_what_the_rule_says_only(
    ends: tuple["pymysql.Connection[Any]", "psycopg.Connection[Any]"],
) -> None:
    source, target = ends
    with source.cursor() as cursor:
        cursor.execute("CREATE TABLE d (id int NOT NULL PRIMARY KEY, v date)")
        cursor.execute("INSERT INTO d VALUES (1, '2026-02-30'), (2, '2026-02-03')")
    target.execute("CREATE TABLE d AS SELECT * FROM (VALUES (1, NULL), (2, date '2026-02-03')) AS rows (id, v)")
    null = Comparison(source, target, every=lambda value: None if isinstance(value, Invalid) else value)
    assert null.differences("d", "public.d") == []
    assert Comparison(source, target).differences("d", "public.d") == [
        "row (1,), v: Invalid(text='2026-02-30') became None"
    ]
