"""Reads the schema of one database into frozen values."""

import re
from collections import defaultdict
from typing import Any, Literal

from msgspec.structs import replace

from tako.ferry.schema import Check, Column, Database, Default, ForeignKey, Index, Part, Table
from tako.ferry.source.connection import Source

COLUMNS = """
    SELECT table_name, column_name, data_type, column_type, is_nullable, column_default, character_set_name,
        collation_name, character_maximum_length, numeric_precision, numeric_scale, datetime_precision, extra,
        generation_expression, column_comment
    FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, ordinal_position"""
TABLES = """
    SELECT table_name, table_type, engine, table_comment, create_options FROM information_schema.tables
    WHERE table_schema = %s ORDER BY table_name"""
STATISTICS = """
    SELECT table_name, index_name, non_unique, index_type, column_name, sub_part, collation, index_comment, {expression}
    FROM information_schema.statistics WHERE table_schema = %s ORDER BY table_name, index_name, seq_in_index"""
FOREIGN_KEYS = """
    SELECT k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema, k.referenced_table_name,
        k.referenced_column_name, r.update_rule, r.delete_rule
    FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
        ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name
        AND r.table_name = k.table_name
    WHERE k.table_schema = %s AND k.referenced_table_name IS NOT NULL
    ORDER BY k.table_name, k.constraint_name, k.ordinal_position"""
MARIADB_CHECKS = """
    SELECT table_name, constraint_name, check_clause, 'YES' FROM information_schema.check_constraints
    WHERE constraint_schema = %s ORDER BY table_name, constraint_name"""
MYSQL_CHECKS = """
    SELECT t.table_name, c.constraint_name, c.check_clause, t.enforced
    FROM information_schema.check_constraints c JOIN information_schema.table_constraints t
        ON t.constraint_schema = c.constraint_schema AND t.constraint_name = c.constraint_name
    WHERE c.constraint_schema = %s ORDER BY t.table_name, c.constraint_name"""
ESCAPES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}


def read(source: Source) -> Database:
    """Everything that a plan is made of, except numbers of rows."""
    name = source.address.database
    kinds = {row[0]: row for row in _rows(source, TABLES)}
    columns, checks = _columns(source), _checks(source)
    primary, indexes = _indexes(source)
    foreign = _foreign_keys(source)
    tables = []
    for table, kind, engine, comment, options in kinds.values():
        if kind not in ("BASE TABLE", "SYSTEM VERSIONED"):
            continue
        valid = {match[1] for check in checks[table] if (match := _valid_json(check.expression))}
        tables.append(
            Table(
                name=table,
                columns=tuple(_as_json(column) if column.name in valid else column for column in columns[table]),
                primary=tuple(primary[table]),
                indexes=tuple(indexes[table]),
                foreign_keys=tuple(foreign[table]),
                checks=tuple(check for check in checks[table] if not _valid_json(check.expression)),
                engine=engine or "",
                partitioned="partitioned" in (options or ""),
                versioned=kind == "SYSTEM VERSIONED",
                comment=comment or "",
            )
        )
    return Database(
        name=name,
        tables=tuple(tables),
        views=tuple(table for table, kind, *_ in kinds.values() if kind == "VIEW"),
        routines=_names(source, "routine_name", "routines", "routine_schema"),
        triggers=_names(source, "trigger_name", "triggers", "trigger_schema"),
        events=_names(source, "event_name", "events", "event_schema"),
        sequences=tuple(table for table, kind, *_ in kinds.values() if kind == "SEQUENCE"),
    )


def sizes(source: Source) -> dict[str, tuple[int, int]]:
    """By table: about how many rows, and how many bytes."""
    found = _rows(
        source,
        "SELECT table_name, coalesce(table_rows, 0), coalesce(data_length, 0) FROM information_schema.tables "
        "WHERE table_schema = %s",
    )
    return {name: (int(rows), int(size)) for name, rows, size in found}


def next_value(source: Source, table: str) -> int:
    """The table's AUTO_INCREMENT, not the server's day-old memory of it."""
    if not source.is_mariadb and source.version.number >= (8, 0, 0):
        source.execute("SET SESSION information_schema_stats_expiry = 0")
    found = source.value(
        "SELECT auto_increment FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
        (source.address.database, table),
    )
    return int(found or 1)


def _rows(source: Source, sql: str) -> list[tuple[Any, ...]]:
    # MySQL gives some of these columns as bytes, by version.
    found = source.rows(sql, (source.address.database,))
    return [tuple(value.decode() if isinstance(value, bytes) else value for value in row) for row in found]


def _names(source: Source, column: str, view: str, schema: str) -> tuple[str, ...]:
    sql = f"SELECT {column} FROM information_schema.{view} WHERE {schema} = %s ORDER BY 1"  # noqa: S608 (our words)
    return tuple(row[0] for row in _rows(source, sql))


def _columns(source: Source) -> dict[str, list[Column]]:
    found: dict[str, list[Column]] = defaultdict(list)
    for row in _rows(source, COLUMNS):
        found[row[0]].append(_column(row, mariadb=source.is_mariadb))
    return found


def _column(row: tuple[Any, ...], *, mariadb: bool) -> Column:
    (
        _,
        name,
        base,
        kind,
        nullable,
        default,
        charset,
        collation,
        length,
        precision,
        scale,
        fraction,
        extra,
        how,
        comment,
    ) = row
    extra = (extra or "").lower()
    base = "int" if base == "integer" else base.lower()
    generated: Literal["", "stored", "virtual"] = ""
    if "generated" in extra.replace("default_generated", ""):
        generated = "virtual" if "virtual" in extra else "stored"
    return Column(
        name=name,
        base=base,
        type=kind,
        nullable=nullable == "YES",
        default=None if generated else _default(default, base, extra, mariadb=mariadb),
        charset=charset,
        collation=collation,
        length=int(length or 0) if length is None or int(length) < 2**31 else 2**31,
        precision=int(precision or 0),
        scale=int(scale or 0),
        fraction=int(fraction or 0),
        unsigned="unsigned" in kind.lower(),
        zerofill="zerofill" in kind.lower(),
        labels=labels(kind) if base in ("enum", "set") else (),
        auto_increment="auto_increment" in extra,
        updates_itself="on update" in extra,
        generated=generated,
        expression=(how or "").replace("\\'", "'") if generated else "",
        invisible="invisible" in extra,
        json=base == "json",
        comment=comment or "",
    )


def _default(text: str | None, base: str, extra: str, *, mariadb: bool) -> Default | None:
    """MariaDB shows SQL ('a', NULL, 5); MySQL shows the bare value, and says in `extra` when it is an expression."""
    if text is None or (mariadb and text.upper() == "NULL"):
        return None
    if mariadb and text.startswith("'"):
        return Default("literal", unescaped(text[1:-1]))
    if mariadb and not re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?|[bx]'[0-9A-Fa-f]*'|0x[0-9A-Fa-f]+", text, re.IGNORECASE):
        return Default("expression", text)
    if "default_generated" in extra or text.upper().startswith("CURRENT_TIMESTAMP"):
        return Default("expression", text.replace("\\'", "'"))
    if base in ("binary", "varbinary") and text.startswith("0x"):
        return Default("literal", bytes.fromhex(text[2:]).decode("latin1"))
    return Default("literal", text)


def labels(column_type: str) -> tuple[str, ...]:
    """The labels in `enum('a','b''c')`: they may hold commas, quotes and backslashes."""
    inside = column_type[column_type.index("(") + 1 : column_type.rindex(")")]
    return tuple(unescaped(found[1]) for found in re.finditer(r"'((?:[^'\\]|''|\\.)*)'", inside, re.DOTALL))


def unescaped(text: str) -> str:
    """What stood between the quotes of an SQL string."""
    return re.sub(
        r"''|\\(.)", lambda found: ESCAPES.get(found[1], found[1]) if found[1] else "'", text, flags=re.DOTALL
    )


def _indexes(source: Source) -> tuple[dict[str, list[Part]], dict[str, list[Index]]]:
    mysql8 = not source.is_mariadb and source.version.number >= (8, 0, 13)
    primary: dict[str, list[Part]] = defaultdict(list)
    found: dict[tuple[str, str], tuple[bool, str, str, list[Part]]] = {}
    for row in _rows(source, STATISTICS.format(expression="expression" if mysql8 else "NULL")):
        table, name, non_unique, kind, column, prefix, order, comment, expression = row
        part = Part(column or "", int(prefix or 0), order == "D", (expression or "").replace("\\'", "'"))
        if name == "PRIMARY":
            primary[table].append(part)
        else:
            found.setdefault((table, name), (not int(non_unique), kind, comment or "", []))[3].append(part)
    indexes: dict[str, list[Index]] = defaultdict(list)
    for (table, name), (unique, kind, comment, parts) in found.items():
        indexes[table].append(Index(name, unique, _kind(kind), tuple(parts), comment))
    return primary, indexes


def _kind(index_type: str) -> Literal["tree", "fulltext", "spatial"]:
    if index_type == "FULLTEXT":
        return "fulltext"
    return "spatial" if index_type in ("SPATIAL", "RTREE") else "tree"


def _foreign_keys(source: Source) -> dict[str, list[ForeignKey]]:
    found: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for row in _rows(source, FOREIGN_KEYS):
        found[row[0], row[1]].append(row)
    keys: dict[str, list[ForeignKey]] = defaultdict(list)
    for (table, name), rows in found.items():
        columns, references = tuple(row[2] for row in rows), tuple(row[5] for row in rows)
        _, _, _, schema, other, _, on_update, on_delete = rows[0]
        keys[table].append(ForeignKey(name, columns, schema, other, references, on_update, on_delete))
    return keys


def _checks(source: Source) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = defaultdict(list)
    if not source.is_mariadb and source.version.number < (8, 0, 16):
        return found
    for table, name, clause, enforced in _rows(source, MARIADB_CHECKS if source.is_mariadb else MYSQL_CHECKS):
        found[table].append(
            Check(name, clause.replace("\\'", "'") if not source.is_mariadb else clause, enforced == "YES")
        )
    return found


def _valid_json(expression: str) -> re.Match[str] | None:
    return re.fullmatch(r"\(?json_valid\(`([^`]+)`\)\)?", expression, re.IGNORECASE)


def _as_json(column: Column) -> Column:
    return replace(column, json=True)
