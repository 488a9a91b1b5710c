"""Every value of every type arrives as what it was, by `tako ferry verify` and by a comparison of our own."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.ferry.compare import Comparison, Invalid
from tests.ferry.edge import database
from tests.support.ferry import Ferry
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

RULES = """
[target]
schema = "moved"

[copy]
chunk_bytes = 1024

[defaults]
zero_dates = "null"
invalid_dates = "null"
"""
# What these tables need besides.
MORE_RULES = {
    "types.sql": """
[tables.choices.columns.e]
empty_enum = "keep"
[tables.choices.columns.e_default]
empty_enum = "keep"
""",
    "keys.sql": """
[tables.key_none]
without_key = "whole"
[tables.key_nullable]
without_key = "whole"
""",
}
# What a careless session of the target would inherit from its database.
TARGET_DEFAULTS = {
    "timezone": "America/New_York",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "search_path": "nowhere",
    "statement_timeout": "30s",
    "default_transaction_isolation": "serializable",
}
# What a careless session of the source would inherit from its server.
SOURCE_DEFAULTS = {
    "sql_mode": "ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,PAD_CHAR_TO_FULL_LENGTH",
    "sql_select_limit": "10",
    "sql_auto_is_null": "1",
    "group_concat_max_len": "8",
    "div_precision_increment": "0",
    "character_set_client": "latin1",
    "lc_time_names": "de_DE",
    "net_write_timeout": "2",
}


@pytest.fixture
def address(target: Postgres) -> str:
    """An empty database whose defaults change how values look."""
    url = target.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in TARGET_DEFAULTS.items():
            connection.execute(
                f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {name} = ''{value}''', current_database()); END $$"
            )
    return url


@pytest.mark.parametrize("script", ["types.sql", "texts.sql", "large.sql", "keys.sql", "names.sql", "own"])
def test_every_value_arrives_as_it_was(source: Mysqld, address: str, tmp_path: Path, script: str) -> None:
    script = f"{source.name.lower()}.sql" if script == "own" else script
    name = database.make(source, script)
    ferry = moved(tmp_path, source.url(name), address, script)
    assert differences(source, name, ferry) == {}


def test_the_defaults_of_the_source_s_sessions_change_nothing(source: Mysqld, address: str, tmp_path: Path) -> None:
    scripts = ("types.sql", "texts.sql", "keys.sql")
    name = database.make(source, *scripts)
    with hostile(source):
        ferry = moved(tmp_path, source.url(name), address, *scripts)
    assert differences(source, name, ferry) == {}


def moved(folder: Path, source: str, address: str, *scripts: str) -> Ferry:
    """Planned, copied and verified, with nothing rejected."""
    ferry = Ferry(folder, source, address, RULES + "".join(MORE_RULES.get(script, "") for script in scripts))
    ferry.plan().well()
    ferry.copy().well()
    ferry.verify().well()
    return ferry


def differences(source: Mysqld, name: str, ferry: Ferry) -> Mapping[str, list[str]]:
    """Of every table, where there are any."""
    found = {}
    with contextlib.closing(source.connect(name)) as mine, psycopg.connect(ferry.target) as its:
        with mine.cursor() as cursor:
            cursor.execute("SHOW TABLES")
            tables = {str(table) for (table,) in cursor.fetchall()}
        planned = {table["source"]: table for table in ferry.planned()["tables"]}
        assert planned.keys() == tables
        for table, plan in planned.items():
            copied = {column["source"]: column["target"] for column in plan["columns"]}
            compared = Comparison(mine, its, copied=copied, every=_null_when_invalid)
            found[table] = compared.differences(table, f"moved.{plan['target']}")
    return {table: rows for table, rows in found.items() if rows}


@contextlib.contextmanager
def hostile(source: Mysqld) -> Iterator[None]:
    """Every session that starts now has these defaults, unless it says otherwise."""
    with contextlib.closing(source.connect()) as connection, connection.cursor() as cursor:
        before: dict[str, Any] = {}
        for name, value in SOURCE_DEFAULTS.items():
            cursor.execute(f"SELECT @@GLOBAL.{name}")
            before[name] = (cursor.fetchone() or [None])[0]
            cursor.execute(f"SET GLOBAL {name} = {value if value.isdecimal() else repr(value)}")
        try:
            yield
        finally:
            for name, value in before.items():
                cursor.execute(f"SET GLOBAL {name} = %s", (value,))


def _null_when_invalid(value: object) -> object:
    return None if isinstance(value, Invalid) else value
