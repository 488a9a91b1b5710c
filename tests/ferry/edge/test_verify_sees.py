"""`tako ferry verify` sees the smallest change of a value of any type, names its row and column, and can mend it."""

import contextlib
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.ferry.compare import Comparison
from tests.ferry.edge import database
from tests.ferry.edge.test_values import MORE_RULES, RULES, differences
from tests.support.ferry import Ferry
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROW = 2
# By the beginning of PostgreSQL's name of the type.
CHANGES = {
    "smallint": "CASE WHEN {0} > 0 THEN {0} - 1 ELSE {0} + 1 END",
    "integer": "CASE WHEN {0} > 0 THEN {0} - 1 ELSE {0} + 1 END",
    "bigint": "CASE WHEN {0} > 0 THEN {0} - 1 ELSE {0} + 1 END",
    "numeric": "CASE WHEN {0} > 0 THEN {0} - 10::numeric ^ -scale({0}) ELSE {0} + 10::numeric ^ -scale({0}) END",
    "real": "{0} * 0.9999999",
    "double": "{0} * 0.9999999999999998",
    "boolean": "NOT {0}",
    "bit": "~ {0}",
    "text": "overlay({0} PLACING '#' FROM 1 FOR 1)",
    "character": "overlay({0} PLACING '#' FROM 1 FOR 1)",
    "bytea": "CASE WHEN length({0}) = 0 THEN '\\x01' ELSE set_byte({0}, 0, 255 - get_byte({0}, 0)) END",
    "date": "{0} - 1",
    "timestamp(0)": "{0} - interval '1 second'",
    "timestamp(3)": "{0} - interval '1 millisecond'",
    "timestamp(6)": "{0} - interval '1 microsecond'",
    "interval": "{0} - interval '1 second'",
    "jsonb": "jsonb_build_array({0})",
}


def test_verify_sees_the_smallest_change_of_every_column(source: Mysqld, target: Postgres, tmp_path: Path) -> None:
    name = database.make(source, "types.sql")
    ferry = Ferry(tmp_path, source.url(name), target.new_database(), RULES + MORE_RULES["types.sql"])
    ferry.plan().well()
    ferry.copy().well()
    with contextlib.closing(source.connect(name)) as mine, psycopg.connect(ferry.target) as its:
        compared = Comparison(mine, its)
        changed = {}
        for table in ferry.planned()["tables"]:
            types = {c.copy: c.copy_type for c in compared.columns(table["source"], f"moved.{table['target']}")}
            changed[table["source"]] = _change(its, table["target"], types)
    assert sum(map(len, changed.values())) > 60
    found = ferry.verify()
    assert found.code == 1
    assert {table["table"]: _seen(table) for table in found.json()["tables"]} == changed
    ferry.verify("--repair").well()
    assert differences(source, name, ferry) == {}


def _change(connection: "psycopg.Connection[Any]", table: str, types: dict[str, str]) -> set[str]:
    """Every value of one row that is not NULL; computed ones follow. Returns the columns."""
    name = sql.Identifier("moved", table)
    for (check,) in connection.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass",
        (f'moved."{table}"',),
    ).fetchall():
        connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(name, sql.Identifier(check)))
    row = connection.execute(
        sql.SQL("SELECT {} FROM {} WHERE id = %s").format(sql.SQL(", ").join(map(sql.Identifier, types)), name), (ROW,)
    ).fetchone()
    assert row is not None
    computed = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attgenerated <> ''"
    computed_ones = {column for (column,) in connection.execute(computed, (f'moved."{table}"',)).fetchall()}
    changes = {column for column, value in zip(types, row, strict=True) if value is not None} - {"id"}
    for column in changes - computed_ones:
        change = next(text for beginning, text in CHANGES.items() if types[column].startswith(beginning))
        there = sql.Identifier(column)
        update = sql.SQL("UPDATE {} SET {} = {} WHERE id = %s").format(name, there, sql.SQL(change).format(there))
        connection.execute(update, (ROW,))
    return changes


def _seen(table: dict[str, Any]) -> set[str]:
    assert {key for difference in table["differences"] for key in difference["key"]} <= {str(ROW)}
    return {column for difference in table["differences"] for column in difference["columns"]}
