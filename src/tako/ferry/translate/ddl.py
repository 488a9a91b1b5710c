"""The target's DDL, and a line for everything of the source's that it does not have."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tako.ferry import schema
from tako.ferry.plan import PlannedColumn, PlannedTable, Risk, Statements
from tako.ferry.rules import Rules
from tako.ferry.translate import expressions
from tako.ferry.translate.names import fitting, literal, postgres

# ICU's levels: 2 knows accents but not case, 1 neither; as MySQL's _ci and _ai_ci.
COLLATIONS = {"ci": "und-u-ks-level2", "ai_ci": "und-u-ks-level1"}
ACTIONS = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})
SHORT = 600  # characters that surely fit into a page of an index, 2,704 bytes

Pair = tuple[schema.Table, PlannedTable]


@dataclass(frozen=True, slots=True)
class _Names:
    """Where things go: the target's schema, and what each index and constraint is called there."""

    schema: str
    tables: Mapping[str, PlannedTable]
    taken: Mapping[str, int]

    def table(self, name: str) -> str:
        return f"{postgres(self.schema)}.{postgres(name)}"

    def relation(self, table: str, name: str) -> str:
        """Indexes have names per table in MySQL, per schema in PostgreSQL."""
        return fitting(name if self.taken[name] == 1 else f"{table}_{name}")


def statements(
    pairs: Sequence[Pair], rules: Rules, into: str, database: str, *, make_schema: bool
) -> tuple[Statements, list[Risk]]:
    """The DDL in order, and what it leaves out or changes."""
    taken = Counter(planned.target for _, planned in pairs)
    taken.update(index.name for table, _ in pairs for index in table.indexes if index.kind != "spatial")
    names = _Names(into, {table.name: planned for table, planned in pairs}, taken)
    risks: list[Risk] = []
    before = [f"CREATE SCHEMA IF NOT EXISTS {postgres(into)}"] if make_schema else []
    before += _collations(pairs, into)
    after: list[str] = []
    for table, planned in pairs:
        before += _types(planned, into)
        before += _sequences(planned, rules, names)
        before.append(_table(table, planned, rules, names, risks))
        before += _owned(planned, rules, names)
        # The index that stands for a primary key is there from the beginning.
        before += _indexes(
            table, planned, [i for i in table.indexes if i.name == planned.key_index], rules, names, risks
        )
        after += _indexes(
            table, planned, [i for i in table.indexes if i.name != planned.key_index], rules, names, risks
        )
        after += _updates(table, planned, names)
        after += _comments(planned, names)
    for table, planned in pairs:
        after += _foreign_keys(table, planned, database, names, risks)
    after += [f"ANALYZE {names.table(planned.target)}" for _, planned in pairs]
    return Statements(tuple(before), tuple(after)), risks


def added_column(planned: PlannedTable, name: str, rules: Rules, into: str) -> Iterator[str]:
    """What gives a table of the target one more column, NULL in every row."""
    column = next(column for column in planned.columns if column.target == name)
    if column.labels:
        yield f"CREATE TYPE {column.type} AS ENUM ({', '.join(map(literal, column.labels))})"
    names = _Names(into, {}, {})
    yield f"ALTER TABLE {names.table(planned.target)} ADD COLUMN {_column(planned, column, rules, names)}"


def index_changes(
    pairs: Sequence[Pair], before: schema.Table, table: schema.Table, planned: PlannedTable, rules: Rules, into: str
) -> Iterator[str]:
    """What makes the target's indexes over a table those that the source has now, when it had those of `before`."""
    taken = Counter(other.target for _, other in pairs)
    taken.update(index.name for other, _ in pairs for index in other.indexes if index.kind != "spatial")
    for index in (*before.indexes, *table.indexes):
        taken[index.name] = max(taken[index.name], 1)
    names = _Names(into, {}, taken)
    old = {index.name: index for index in before.indexes}
    new = {index.name: index for index in table.indexes}
    for name in old.keys() - new.keys() | {name for name in old.keys() & new.keys() if old[name] != new[name]}:
        if name != planned.key_index:
            yield f"DROP INDEX IF EXISTS {names.table(names.relation(planned.target, name))}"
    made = [index for name, index in new.items() if old.get(name) != index and name != planned.key_index]
    yield from _indexes(table, planned, made, rules, names, [])


_FOREIGN_KEY = re.compile(r'ALTER TABLE (.+?) ADD CONSTRAINT (".+?") FOREIGN KEY', re.DOTALL)
_TRIGGER = re.compile(r'CREATE TRIGGER (".+?") BEFORE UPDATE ON (.+?) FOR EACH ROW', re.DOTALL)
_FUNCTION = re.compile(r"CREATE FUNCTION (.+?\(\)) RETURNS trigger", re.DOTALL)


def waits_for_cutover(statement: str) -> bool:
    """Foreign keys and triggers do to rows what the source's log does already; statistics want all of the rows."""
    return taken_back(statement) is not None or "VALIDATE CONSTRAINT" in statement or statement.startswith("ANALYZE ")


def taken_back(statement: str) -> str | None:
    """What undoes one of the statements above that must not be there while the source is followed."""
    if found := _FOREIGN_KEY.match(statement):
        return f"ALTER TABLE {found[1]} DROP CONSTRAINT IF EXISTS {found[2]}"
    if found := _TRIGGER.match(statement):
        return f"DROP TRIGGER IF EXISTS {found[1]} ON {found[2]}"
    if found := _FUNCTION.match(statement):
        return f"DROP FUNCTION IF EXISTS {found[1]} CASCADE"
    return None


def _collations(pairs: Sequence[Pair], into: str) -> list[str]:
    used = {column.collation for _, planned in pairs for column in planned.columns}
    made = ["CREATE EXTENSION IF NOT EXISTS citext"] if "citext" in used else []
    for name, locale in COLLATIONS.items():
        if name in used:
            options = f"provider = icu, locale = {literal(locale)}, deterministic = false"
            made.append(f"CREATE COLLATION {postgres(into)}.{postgres(name)} ({options})")
    return made


def _types(planned: PlannedTable, into: str) -> list[str]:
    made = []
    for column in planned.columns:
        if column.labels:
            labels = ", ".join(map(literal, column.labels))
            made.append(f"CREATE TYPE {column.type} AS ENUM ({labels})")
    return made


def _sequence(planned: PlannedTable, column: PlannedColumn) -> str:
    return fitting(f"{planned.target}_{column.target}_seq")


def _sequences(planned: PlannedTable, rules: Rules, names: _Names) -> list[str]:
    if not rules.serial:
        return []
    return [
        f"CREATE SEQUENCE {names.table(_sequence(planned, column))} AS {column.type}"
        for column in planned.columns
        if column.counts
    ]


def _owned(planned: PlannedTable, rules: Rules, names: _Names) -> list[str]:
    if not rules.serial:
        return []
    table = names.table(planned.target)
    return [
        f"ALTER SEQUENCE {names.table(_sequence(planned, column))} OWNED BY {table}.{postgres(column.target)}"
        for column in planned.columns
        if column.counts
    ]


def _table(table: schema.Table, planned: PlannedTable, rules: Rules, names: _Names, risks: list[Risk]) -> str:
    lines = [_column(planned, column, rules, names) for column in planned.columns]
    primary = [part.column for part in table.primary]
    if primary:
        columns = ", ".join(postgres(planned.column(name).target) for name in primary)
        lines.append(f"CONSTRAINT {postgres(fitting(f'{planned.target}_pkey'))} PRIMARY KEY ({columns})")
    elif planned.key and not planned.key_index:
        columns = ", ".join(postgres(planned.column(name).target) for name in planned.key)
        lines.append(f"CONSTRAINT {postgres(fitting(f'{planned.target}_ferry_key'))} UNIQUE ({columns})")
    lines += _checks(table, planned, risks)
    return f"CREATE TABLE {names.table(planned.target)} (\n    " + ",\n    ".join(lines) + "\n)"


def _column(planned: PlannedTable, column: PlannedColumn, rules: Rules, names: _Names) -> str:
    words = [postgres(column.target), column.type]
    if column.collation in COLLATIONS:
        words.append(f"COLLATE {names.table(column.collation)}")
    elif column.collation not in (None, "citext"):
        words.append(f"COLLATE {postgres(str(column.collation))}")
    if column.generated is not None:
        words.append(f"GENERATED ALWAYS AS ({column.generated}) STORED")
    elif column.counts and rules.serial:
        words.append(f"DEFAULT nextval({literal(names.table(_sequence(planned, column)))})")
    elif column.counts:
        words.append("GENERATED BY DEFAULT AS IDENTITY")
    elif column.default is not None:
        words.append(f"DEFAULT {column.default}")
    if column.not_null:
        words.append("NOT NULL")
    if column.allowed:
        allowed = ", ".join(map(literal, column.allowed))
        words.append(f"CHECK ({postgres(column.target)} IN ({allowed}))")
    return " ".join(words)


def _checks(table: schema.Table, planned: PlannedTable, risks: list[Risk]) -> Iterator[str]:
    targets = _targets(planned)
    for check in table.checks:
        sql = expressions.translated(check.expression, targets) if check.enforced else None
        if sql is not None:
            yield f"CONSTRAINT {postgres(fitting(check.name))} CHECK ({sql})"
            continue
        why = "holds something that ferry does not know" if check.enforced else "is not enforced by the source either"
        risks.append(
            Risk(
                "change",
                "check_left_out",
                f"The condition {check.name}, {check.expression}, {why}: it is left out.",
                table=table.name,
            )
        )


def _targets(planned: PlannedTable) -> dict[str, str]:
    return {column.source: postgres(column.target) for column in planned.columns}


def _indexes(
    table: schema.Table,
    planned: PlannedTable,
    indexes: Sequence[schema.Index],
    rules: Rules,
    names: _Names,
    risks: list[Risk],
) -> Iterator[str]:
    for index in indexes:
        left_out = _left_out(table, planned, index, rules)
        if left_out is not None:
            risks.append(left_out)
            continue
        name = names.relation(planned.target, index.name)
        if name != index.name:
            says = f"The index {index.name} is called {name}: in PostgreSQL its name is taken, or too long."
            risks.append(Risk("change", "index_renamed", says, table=table.name))
        where = names.table(planned.target)
        if index.kind == "fulltext":
            texts = " || ' ' || ".join(f"coalesce({_targets(planned)[column]}::text, '')" for column in index.columns)
            yield f"CREATE INDEX {postgres(name)} ON {where} USING gin (to_tsvector('simple', {texts}))"
            continue
        parts = ", ".join(_part(table, planned, index, part, risks) for part in index.parts)
        yield f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {postgres(name)} ON {where} ({parts})"
        _ci(table, planned, index, risks)


def _left_out(table: schema.Table, planned: PlannedTable, index: schema.Index, rules: Rules) -> Risk | None:
    def risk(level: str, code: str, says: str) -> Risk:
        return Risk("refuse" if level == "refuse" else "change", code, says, table=table.name)

    here = _targets(planned)
    if any(part.column and part.column not in here for part in index.parts):
        return risk("change", "index_left_out", f"The index {index.name} has a column that is skipped: it is left out.")
    if index.kind == "spatial":
        return risk("change", "spatial_left_out", f"The spatial index {index.name} is left out.")
    if index.kind == "fulltext":
        columns = [rules.column(table.name, table.column(name)) for name in index.columns]
        if not all(rule.fulltext == "gin" for rule in columns):
            return risk(
                "change",
                "fulltext_left_out",
                f'The full-text index {index.name} is left out; fulltext = "gin" in [defaults] makes a GIN index.',
            )
    if any(part.expression and expressions.translated(part.expression, here) is None for part in index.parts):
        says = f"The index {index.name} is over an expression that ferry does not know: it is left out."
        return risk("change", "index_left_out", says)
    return None


def _part(table: schema.Table, planned: PlannedTable, index: schema.Index, part: schema.Part, risks: list[Risk]) -> str:
    order = " DESC" if part.descending else ""
    if part.expression:
        return f"({expressions.translated(part.expression, _targets(planned))}){order}"
    column = planned.column(part.column)
    name = postgres(column.target)
    if not part.prefix:
        return name + order
    if not index.unique and table.column(part.column).length <= SHORT and column.type.startswith("varchar"):
        says = f"The index {index.name} is over {part.prefix} characters of {part.column}; it gets the whole column."
        risks.append(Risk("change", "prefix_index", says, table=table.name, column=part.column))
        return name + order
    beginning = f"left({name}, {part.prefix})"
    if column.type == "bytea":
        beginning = f"substring({name} from 1 for {part.prefix})"
    says = f"The index {index.name} is over the beginning of {part.column}; to use it, queries must say {beginning}."
    risks.append(Risk("change", "prefix_index", says, table=table.name, column=part.column))
    return f"({beginning}){order}"


def _ci(table: schema.Table, planned: PlannedTable, index: schema.Index, risks: list[Risk]) -> None:
    if not index.unique:
        return
    for name in index.columns:
        if name and ignores_case(table.column(name)) and planned.column(name).collation is None:
            risks.append(_case(table.name, name, f"the unique index {index.name}"))


def case_of_keys(table: schema.Table, planned: PlannedTable) -> list[Risk]:
    """A primary key over a text that ignores case."""
    return [
        _case(table.name, part.column, "the primary key")
        for part in table.primary
        if ignores_case(table.column(part.column)) and planned.column(part.column).collation is None
    ]


def ignores_case(column: schema.Column) -> bool:
    return column.collation is not None and column.collation.endswith("_ci")


def _case(table: str, column: str, what: str) -> Risk:
    return Risk(
        "change",
        "case_insensitive_unique",
        f"{column} is compared without case by the source ({what}), and with case by PostgreSQL: "
        "'A' and 'a' can both be stored, and a search for 'A' does not find 'a'.",
        table=table,
        column=column,
        write=f'[tables.{table}.columns.{column}]\ncollation = "citext"',
    )


def _foreign_keys(
    table: schema.Table, planned: PlannedTable, database: str, names: _Names, risks: list[Risk]
) -> Iterator[str]:
    here = _targets(planned)
    for key in table.foreign_keys:
        other = names.tables.get(key.table) if key.schema == database else None
        if other is None or not set(key.references) <= _targets(other).keys() or not set(key.columns) <= here.keys():
            says = f"The foreign key {key.name} refers to {key.schema}.{key.table}, which is not moved: it is left out."
            risks.append(Risk("change", "foreign_key_left_out", says, table=table.name))
            continue
        columns = ", ".join(here[name] for name in key.columns)
        references = ", ".join(_targets(other)[name] for name in key.references)
        actions = "".join(
            f" ON {event} {action}"
            for event, action in (("UPDATE", key.on_update), ("DELETE", key.on_delete))
            if action in ACTIONS
        )
        if actions:
            says = f"The foreign key {key.name} changes other rows ({actions.strip()}), which the source may not log."
            risks.append(Risk("note", "cascade", says, table=table.name))
        where = names.table(planned.target)
        name = postgres(fitting(key.name))
        yield (
            f"ALTER TABLE {where} ADD CONSTRAINT {name} FOREIGN KEY ({columns}) "
            f"REFERENCES {names.table(other.target)} ({references}){actions} NOT VALID"
        )
        yield f"ALTER TABLE {where} VALIDATE CONSTRAINT {name}"


def _updates(table: schema.Table, planned: PlannedTable, names: _Names) -> Iterator[str]:
    """ON UPDATE CURRENT_TIMESTAMP: when something else changes and nobody sets the column."""
    here = _targets(planned)
    columns = [
        (here[column.name], column.fraction)
        for column in table.columns
        if column.updates_itself and column.name in here
    ]
    if not columns:
        return
    function = names.table(fitting(f"{planned.target}_on_update"))
    sets = "\n".join(
        f"        IF NEW.{name} IS NOT DISTINCT FROM OLD.{name} THEN\n"
        f"            NEW.{name} = CURRENT_TIMESTAMP({fraction});\n        END IF;"
        for name, fraction in columns
    )
    yield (
        f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $ferry$\nBEGIN\n"
        f"    IF NEW IS DISTINCT FROM OLD THEN\n{sets}\n    END IF;\n    RETURN NEW;\nEND\n$ferry$"
    )
    name = postgres(fitting(f"{planned.target}_on_update"))
    where = names.table(planned.target)
    yield f"CREATE TRIGGER {name} BEFORE UPDATE ON {where} FOR EACH ROW EXECUTE FUNCTION {function}()"


def _comments(planned: PlannedTable, names: _Names) -> Iterator[str]:
    where = names.table(planned.target)
    if planned.comment:
        yield f"COMMENT ON TABLE {where} IS {literal(planned.comment)}"
    for column in planned.columns:
        if column.comment:
            yield f"COMMENT ON COLUMN {where}.{postgres(column.target)} IS {literal(column.comment)}"


def dropped(tables: Sequence[PlannedTable], into: str) -> Iterator[str]:
    """What is left when the tables are gone: functions, types and collations that the statements above have made."""
    used = {column.collation for table in tables for column in table.columns}
    for table in tables:
        function = fitting(f"{table.target}_on_update")
        yield f"DROP FUNCTION IF EXISTS {postgres(into)}.{postgres(function)}()"
        yield from (f"DROP TYPE IF EXISTS {column.type}" for column in table.columns if column.labels)
    for name in COLLATIONS:
        if name in used:
            yield f"DROP COLLATION IF EXISTS {postgres(into)}.{postgres(name)}"
