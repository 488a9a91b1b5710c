"""A table that the source changed in a way that can be followed: what it is from there on."""

from collections.abc import Sequence

from msgspec.structs import replace

from tako.ferry import planning, schema
from tako.ferry.changes import Amended
from tako.ferry.errors import Stopped
from tako.ferry.plan import Plan, PlannedTable
from tako.ferry.source import Source, catalog
from tako.ferry.source.binlog.statements import Added, Meaning
from tako.ferry.source.binlog.stream import Event


def amended(
    source: Source, plan: Plan, table: schema.Table, planned: PlannedTable, said: Meaning, sql: str, event: Event
) -> Amended:
    """Columns as the statement says where, and the source's schema says what; indexes as they are there now.

    The schema may be younger than the statement. What was changed since comes in the log as well, and stops there; a
    column that is not what the statement made of it stops here.
    """
    now = next((found for found in catalog.read(source).tables if found.name == table.name), None)
    if now is None:
        raise _stop(f"the table {table.name} is not there any more", sql, event)
    columns = list(table.columns)
    for added in said.added:
        columns.insert(_place(columns, added, sql, event), _column(now, added, sql, event))
    made = replace(table, columns=tuple(columns), indexes=_indexes(table, now, columns))
    into = planned
    names = []
    for added in said.added:
        column, risks = planning.added(plan, made, made.column(added.name))
        if any(risk.level == "refuse" for risk in risks):
            raise _stop(next(risk.says for risk in risks if risk.level == "refuse"), sql, event)
        if column is not None:
            into = replace(into, columns=(*into.columns, replace(column, not_null=False, default=None)))
            names.append(column.target)
    return Amended(made, into, tuple(names), sql)


def _place(columns: Sequence[schema.Column], added: Added, sql: str, event: Event) -> int:
    if added.after is None:
        return len(columns)
    if not added.after:
        return 0
    for n, column in enumerate(columns):
        if column.name.lower() == added.after.lower():
            return n + 1
    raise _stop(f"there is no column {added.after}", sql, event)


def _column(now: schema.Table, added: Added, sql: str, event: Event) -> schema.Column:
    found = next((column for column in now.columns if column.name.lower() == added.name.lower()), None)
    if found is None:
        raise _stop(f"the source has no column {now.name}.{added.name} any more", sql, event)
    labels = catalog.labels(added.type) if added.type.startswith(("enum", "set")) else ()
    base = _base(added.type)
    same = (base == found.base or (base == "json" and found.json)) and labels == found.labels
    if not same or not found.nullable or found.default is not None or found.generated:
        raise _stop(f"{now.name}.{found.name} is another column in the source by now", sql, event)
    return found


_SYNONYMS = {
    **{
        "integer": "int",
        "int4": "int",
        "int8": "bigint",
        "int1": "tinyint",
        "int2": "smallint",
        "middleint": "mediumint",
    },
    **{"bool": "tinyint", "boolean": "tinyint", "dec": "decimal", "numeric": "decimal", "fixed": "decimal"},
    **{"real": "double", "float8": "double", "float4": "float", "character": "char", "long": "mediumtext"},
    **{"nvarchar": "varchar", "nchar": "char", "serial": "bigint"},
}


def _base(type: str) -> str:
    """The type's first word, as the schema calls it. (MariaDB's json is a longtext.)"""
    word = type.partition("(")[0]
    return _SYNONYMS.get(word, word)


def _indexes(table: schema.Table, now: schema.Table, columns: Sequence[schema.Column]) -> tuple[schema.Index, ...]:
    here = {column.name for column in columns} | {""}
    return tuple(index for index in now.indexes if set(index.columns) <= here)


def _stop(why: str, sql: str, event: Event) -> Stopped:
    said = " ".join(sql.split())
    return Stopped(
        f"The source's log changes a table at {event.place} in a way that cannot be followed ({why}): {said[:300]}. "
        "`tako ferry abort`, then plan and copy anew.",
        place=event.place,
        statement=sql,
    )


def plan_with(plan: Plan, table: schema.Table, planned: PlannedTable) -> Plan:
    """The plan with another table in the place of the one of that name."""
    tables = tuple(table if old.name == table.name else old for old in plan.schema.tables)
    return replace(
        plan,
        schema=replace(plan.schema, tables=tables),
        tables=tuple(planned if old.source == planned.source else old for old in plan.tables),
    )
