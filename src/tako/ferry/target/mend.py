"""Makes some rows of the target what the source says they are."""

from collections.abc import Sequence

import psycopg

from tako.ferry.plan import PlannedTable
from tako.ferry.target.connection import Target, told
from tako.ferry.target.load import REFUSALS, Table
from tako.ferry.translate.digests import target_literal, target_text
from tako.ferry.translate.names import postgres

Key = tuple[str, ...]


def one_of(table: PlannedTable, keys: Sequence[Key]) -> str:
    """True of the rows with these keys, which are texts of the source or of PostgreSQL."""
    rows = (
        " AND ".join(
            f"{postgres(column.target)} = {target_literal(value, column)}"
            for column, value in zip(table.key_columns, key, strict=True)
        )
        for key in keys
    )
    return " OR ".join(f"({row})" for row in rows) or "false"


def rows(target: Target, schema: str, table: PlannedTable, keys: Sequence[Key]) -> str:
    """The query for all columns of these rows, as texts."""
    texts = ", ".join(target_text(column) for column in table.columns)
    name = f"{postgres(schema)}.{postgres(table.target)}"
    return f"SELECT {texts} FROM {name} WHERE {one_of(table, keys)}"  # noqa: S608 (from the plan)


def replace(target: Target, schema: str, table: PlannedTable, into: Table, gone: Sequence[Key], lines: bytes) -> bool:
    """Delete the rows `gone`, and insert or overwrite those of `lines`. False if PostgreSQL refuses: nothing is done.

    Rows are overwritten, not deleted first: others may refer to them. Our own triggers must not touch them.
    """
    name = f"{postgres(schema)}.{postgres(table.target)}"
    columns = [postgres(column.target) for column in table.copied]
    key = [postgres(column.target) for column in table.key_columns]
    sets = ", ".join(f"{column} = EXCLUDED.{column}" for column in columns if column not in key)
    listed = ", ".join(columns)
    with told(target.shown):
        try:
            with target.connection.transaction():
                target.connection.execute(f"ALTER TABLE {name} DISABLE TRIGGER USER".encode())
                target.connection.execute(f"DELETE FROM {name} WHERE {one_of(table, gone)}".encode())  # noqa: S608
                empty = f"SELECT {listed} FROM {name} WITH NO DATA"  # noqa: S608
                target.connection.execute(f"CREATE TEMP TABLE ferry_mended ON COMMIT DROP AS {empty}".encode())
                mended = Table(target, "pg_temp", "ferry_mended", [c.target for c in table.copied], into.repair)
                if mended.put(lines):
                    raise psycopg.DataError("refused")
                target.connection.execute(
                    f"INSERT INTO {name} ({listed}) SELECT {listed} FROM pg_temp.ferry_mended "  # noqa: S608
                    f"ON CONFLICT ({', '.join(key)}) DO {f'UPDATE SET {sets}' if sets else 'NOTHING'}".encode()
                )
                target.connection.execute(f"ALTER TABLE {name} ENABLE TRIGGER USER".encode())
        except REFUSALS:
            return False
    return True
