"""The SQL that reads a table piece by piece in the order of its key."""

from collections.abc import Sequence

from tako.ferry.plan import PlannedColumn, PlannedTable
from tako.ferry.source.connection import quoted


def select(table: PlannedTable, after: Sequence[str] | None, limit: int) -> str:
    """Rows behind the key `after` (its literals), at most `limit` of them."""
    reads = ", ".join(column.read for column in table.copied)
    sql = f"SELECT {reads} FROM {quoted(table.source)}"  # noqa: S608 (from the plan)
    if table.whole:
        return sql
    if not table.declared:
        sql += f" FORCE INDEX ({quoted(table.key_index or 'PRIMARY')})"
    if after is not None:
        sql += f" WHERE {behind(table, after)}"
    order = ", ".join(quoted(name) for name in table.key)
    return f"{sql} ORDER BY {order} LIMIT {limit}"


def behind(table: PlannedTable, after: Sequence[str]) -> str:
    """(a, b) > (x, y), spelled so that the index is used: a >= x AND (a > x OR (a = x AND (b > y)))."""
    names = [quoted(name) for name in table.key]
    condition = f"{names[-1]} > {after[-1]}"
    for name, literal in zip(names[-2::-1], list(after)[-2::-1], strict=True):
        condition = f"({name} > {literal} OR ({name} = {literal} AND {condition}))"
    return f"{names[0]} >= {after[0]} AND {condition}" if len(names) > 1 else condition


def of_keys(table: PlannedTable, keys: Sequence[Sequence[str]]) -> str:
    """Just these rows."""
    return f"{select_columns(table, table.copied)} WHERE {one_of(table, keys)}"


def one_of(table: PlannedTable, keys: Sequence[Sequence[str]]) -> str:
    names = [quoted(name) for name in table.key]
    rows = (" AND ".join(f"{name} = {literal}" for name, literal in zip(names, key, strict=True)) for key in keys)
    return " OR ".join(f"({row})" for row in rows)


def select_columns(table: PlannedTable, columns: Sequence[PlannedColumn]) -> str:
    reads = ", ".join(column.read for column in columns)
    return f"SELECT {reads} FROM {quoted(table.source)}"  # noqa: S608 (from the plan)
