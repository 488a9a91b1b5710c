"""Makes a plan: reads the source's schema, counts what could be lost, applies the rules, rehearses the DDL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from tako.ferry import plan as plans
from tako.ferry import rules as ruling
from tako.ferry import schema
from tako.ferry.plan import Level, Plan, PlannedColumn, PlannedTable, Risk, SourcePart, TargetPart
from tako.ferry.rules import ColumnRule, Rules
from tako.ferry.source import Source, catalog, facts
from tako.ferry.target import Target
from tako.ferry.translate import checks, ddl, expressions, names, questions, types
from tako.ferry.translate.types import Hash, Rendering

Counted = Mapping[tuple[str, str], int]
"""By column and code."""


@dataclass(slots=True)
class _Table:
    """One table while it is being planned."""

    table: schema.Table
    rules: Rules
    counted: Counted
    hash: Hash
    into: str
    mariadb: bool
    risks: list[Risk] = field(default_factory=list)

    def risk(
        self, level: Level, code: str, says: str, column: str = "", count: int | None = None, write: str = ""
    ) -> None:
        if write and column:
            write = f"[tables.{toml_key(self.table.name)}.columns.{toml_key(column)}]\n{write}"
        elif write:
            write = f"[tables.{toml_key(self.table.name)}]\n{write}"
        self.risks.append(Risk(level, code, says, table=self.table.name, column=column, count=count, write=write))

    def count(self, column: str, code: str) -> int:
        return self.counted.get((column, code), 0)


def make(source: Source, target: Target, rules: Rules, created_at: str) -> Plan:
    """The plan, whatever its risks; `plan.open_questions` says what has to be answered first."""
    database = catalog.read(source)
    ruling.check_names(rules, {table.name: {c.name: c for c in table.columns} for table in database.tables})
    into = rules.target.schema or names.folded(database.name, rules.names)
    hash = Hash("md5" if facts.has_md5(source) else "sha256")
    sizes = catalog.sizes(source)
    risks: list[Risk] = []
    pairs: list[ddl.Pair] = []
    for table in database.tables:
        if rules.table(table.name).skip:
            risks.append(Risk("change", "table_skipped", "The table is skipped by rule.", table=table.name))
            continue
        table = _true_defaults(source, table)
        columns = [count for column in table.columns for count in checks.counts(column)]
        work = _Table(table, rules, facts.count(source, table.name, columns), hash, into, source.is_mariadb)
        planned = _planned(work, *sizes.get(table.name, (0, 0)))
        if planned.declared:
            _declared_risks(work, planned, facts.without_identity(source, table.name, planned.key))
        pairs.append((table, planned))
        risks += work.risks
    risks += _collisions([planned for _, planned in pairs])
    make_schema = not target.has_schema(into)
    statements, left = ddl.statements(pairs, rules, into, database.name, make_schema=make_schema)
    risks += left + [risk for table, planned in pairs for risk in ddl.case_of_keys(table, planned)]
    risks += [*_listed(database), *_server(source, sum(size for _, size in sizes.values()))]
    risks += _target(target, into, [planned for _, planned in pairs], statements)
    order = {"refuse": 0, "change": 1, "note": 2}
    return plans.sealed(
        Plan(
            version=plans.FORMAT,
            hash="",
            created_at=created_at,
            source=SourcePart(source.address.shown, source.version.server, source.version.text, database.name),
            target=TargetPart(target.shown, target.version, into, make_schema),
            digest=hash.name,
            schema=database,
            schema_hash=schema.digest(database),
            tables=tuple(planned for _, planned in pairs),
            ddl=statements,
            risks=tuple(sorted(risks, key=lambda risk: order[risk.level])),
            copy=rules.copy,
            rules=rules,
        )
    )


def _true_defaults(source: Source, table: schema.Table) -> schema.Table:
    """A "?" in a default may stand for any character beyond U+FFFF (see `_known_labels`); the server knows which."""
    columns = []
    for column in table.columns:
        default = column.default
        if default is not None and default.kind == "literal" and "?" in default.text and column.charset:
            text = facts.default_of(source, table.name, column.name)
            column = replace(column, default=replace(default, text=default.text if text is None else text))
        columns.append(column)
    return replace(table, columns=tuple(columns))


def toml_key(name: str) -> str:
    """A name as a key of TOML."""
    bare = name.replace("_", "").replace("-", "")
    if bare.isascii() and bare.isalnum():
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _planned(work: _Table, rows: int, size: int) -> PlannedTable:
    table = work.table
    rule = work.rules.table(table.name)
    target = rule.name or names.folded(table.name, work.rules.names)
    if len(target.encode()) > names.LONGEST:
        target = names.fitting(target)
    if target != table.name:
        work.risk("change", "table_renamed", f"The table {table.name} is called {target}.")
    columns = tuple(column for column in (_column(work, c) for c in table.columns) if column is not None)
    planned = PlannedTable(table.name, target, columns, rows=rows, bytes=size, comment=table.comment)
    planned = _generated(work, planned)
    _table_risks(work)
    return _keyed(work, planned)


def added(plan: Plan, table: schema.Table, column: schema.Column) -> tuple[PlannedColumn | None, tuple[Risk, ...]]:
    """A column that the source got later, by the plan's own rules; None if they skip it. Its values are all NULL."""
    work = _Table(table, plan.rules, {}, Hash(plan.digest), plan.target.schema, plan.source.server == "mariadb")
    return _column(work, column), tuple(work.risks)


def _column(work: _Table, column: schema.Column) -> PlannedColumn | None:
    rule = work.rules.column(work.table.name, column)
    if rule.skip:
        work.risk("change", "column_skipped", "The column is skipped by rule.", column.name)
        return None
    rule = _as_flag(work, column, rule)
    if rule.empty_enum == "keep" and not work.count(column.name, "empty_enum"):
        rule = replace(rule, empty_enum="refuse")  # there is nothing to keep, so the target need not allow it
    cast = _known_labels(work, column, rule.cast or _cast(work, column, rule))
    rendering = types.render(column, cast, rule, work.hash, mariadb=work.mariadb)
    _value_risks(work, column, rule, cast, rendering)
    if rendering.type == "citext" and column.base in ("char", "varchar"):
        work.risk("change", "length", f"citext has no limit of {column.length} characters.", column.name)
    target = rule.name or names.folded(column.name, work.rules.names)
    if len(target.encode()) > names.LONGEST:
        target = names.fitting(target)
    if target != column.name:
        work.risk("change", "column_renamed", f"The column {column.name} is called {target}.", column.name)
    type = rendering.type
    if rendering.labels:
        type = f"{names.postgres(work.into)}.{names.postgres(names.fitting(f'{work.table.name}_{target}'))}"
    default = _default(work, column, rule, type)
    return PlannedColumn(
        source=column.name,
        target=target,
        source_type=column.type,
        type=type,
        cast=cast,
        read=rendering.read,
        compare=rendering.compare,
        form=rendering.form,
        source_digest=rendering.source_digest,
        target_digest=rendering.target_digest,
        key=_key(work, column, rule, rendering),
        ordered=rendering.ordered,
        not_null=_not_null(work, column, rule),
        default=default,
        collation=rule.collation,
        allowed=rendering.allowed,
        labels=rendering.labels,
        counts=column.auto_increment,
        nul=rule.nul or "refuse",
        invalid_utf8=rule.invalid_utf8 or "refuse",
        comment=column.comment,
    )


def _known_labels(work: _Table, column: schema.Column, cast: str) -> str:
    """The servers show their schema in three-byte UTF-8: a label with an emoji in it looks like one with a "?"."""
    if cast not in ("enum-to-check", "enum-to-type") or not any("?" in label for label in column.labels):
        return cast
    says = "Some labels of the enum cannot be read exactly (a character beyond U+FFFF looks like a question mark)"
    if cast == "enum-to-type":
        work.risk("refuse", "labels", f"{says}: no type can be made.", column.name, write='cast = "enum-to-text"')
        return cast
    work.risk("change", "labels", f"{says}: the target takes every text.", column.name)
    return "enum-to-text"


def _key(work: _Table, column: schema.Column, rule: ColumnRule, rendering: Rendering) -> str:
    """Nothing, if rules change some of the column's dates: then a row's place cannot be told from its line."""
    changed = rule.zero_dates != "refuse" and work.count(column.name, "zero_date")
    changed = changed or (rule.invalid_dates != "refuse" and work.count(column.name, "invalid_date"))
    return "" if changed else rendering.key


def _as_flag(work: _Table, column: schema.Column, rule: ColumnRule) -> ColumnRule:
    """Integers that hold only 0 and 1: a proposal, or by the preset a decision."""
    if column.base not in schema.INTEGERS or rule.cast or rule.type or column.auto_increment or column.generated:
        return rule
    if work.count(column.name, "not_boolean") or types.default_cast(column) == "tinyint-to-boolean":
        return rule
    values = work.count(column.name, "values")
    key = column.name in {part.column for part in work.table.primary}
    key = key or any(column.name in foreign.columns for foreign in work.table.foreign_keys)
    narrow = column.base == "tinyint" and (values > 0 or 0 < column.width <= 2)
    if work.rules.flags and narrow and not key:
        says = f"The column is {column.type} and holds only 0 and 1 ({values} rows): it becomes boolean (preset gorm)."
        work.risk("change", "flag", says, column.name, values, 'type = "smallint"')
        return replace(rule, cast="tinyint-to-boolean")
    if values and not key:
        says = f"The column is {column.type} and holds only 0 and 1 in {values} rows; if it is a flag, make it boolean."
        work.risk("note", "flag_proposed", says, column.name, values, 'cast = "tinyint-to-boolean"')
    return rule


def _cast(work: _Table, column: schema.Column, rule: ColumnRule) -> str:
    cast = types.default_cast(column)
    if column.auto_increment and cast == "tinyint-to-boolean":
        return "integer"
    if rule.type in ("boolean", "bool") and column.base in schema.INTEGERS:
        return "tinyint-to-boolean"
    if rule.type == "uuid" and column.base in schema.TEXT:
        return "text-to-uuid"
    if rule.type is not None and cast == "tinyint-to-boolean":
        return "integer"
    if cast == "unsigned-to-bigint" and rule.type is None and work.count(column.name, "beyond_bigint"):
        return cast if column.auto_increment else "unsigned-to-numeric"
    return cast


def _not_null(work: _Table, column: schema.Column, rule: ColumnRule) -> bool:
    to_null = rule.zero_dates == "null" and work.count(column.name, "zero_date")
    to_null = to_null or (rule.invalid_dates == "null" and work.count(column.name, "invalid_date"))
    to_null = to_null or (rule.empty_enum == "null" and work.count(column.name, "empty_enum"))
    if rule.not_null is not None:
        if rule.not_null and to_null:
            says = "The rules want NOT NULL, and NULL for values that PostgreSQL has not: both cannot be."
            work.risk("refuse", "not_null", says, column.name, write="not_null = false")
        return rule.not_null
    if column.nullable:
        return False
    if to_null:
        says = "The column loses NOT NULL, because by rule some of its values become NULL."
        work.risk("change", "not_null_dropped", says, column.name)
        return False
    return True


def _default(work: _Table, column: schema.Column, rule: ColumnRule, type: str) -> str | None:
    if rule.default is not None:
        return None if rule.default == "none" else rule.default
    made = expressions.default(column.default, type, {})
    if made.problem:
        says = f"The column has no default afterwards: {made.problem}."
        work.risk("change", "default_left_out", says, column.name, write='default = "…"')
    return made.sql


def _value_risks(work: _Table, column: schema.Column, rule: ColumnRule, cast: str, rendering: Rendering) -> None:
    """Rows that PostgreSQL would refuse as they are, or that a rule changes."""
    for question in questions.about(column, rule, cast, rendering):
        count = work.count(column.name, question.code)
        if count:
            level: Level = "refuse" if question.write else "change"
            work.risk(level, question.code, f"{count} rows {question.says}.", column.name, count, question.write)
    if rendering.type == "jsonb" and column.base != "json":
        says = "jsonb keeps values, not the text: order and doubles of keys, and spaces, are lost."
        work.risk("note", "jsonb", says, column.name, write='cast = "json-to-json"')


def _generated(work: _Table, planned: PlannedTable) -> PlannedTable:
    """Columns that the source computes: the target computes them too, if the expression is known to mean the same."""
    targets = {column.source: names.postgres(column.target) for column in planned.columns}
    columns = []
    for column in planned.columns:
        original = work.table.column(column.source)
        columns.append(_computed(work, original, column, targets) if original.generated else column)
    return replace(planned, columns=tuple(columns))


def _computed(
    work: _Table, original: schema.Column, column: PlannedColumn, targets: Mapping[str, str]
) -> PlannedColumn:
    rule = work.rules.column(work.table.name, original)
    if rule.generated == "plain":
        says = f"The column is computed by the source ({original.expression}) and an ordinary one in the target."
        work.risk("change", "generated_plain", says, column.source)
        return replace(column, default=None)
    sql = rule.generated or expressions.translated(original.expression, targets)
    if sql is None:
        says = f"The column is computed by an expression that ferry does not know: {original.expression}."
        work.risk("refuse", "generated", says, column.source, write='generated = "plain"  # or SQL of PostgreSQL')
        return column
    if original.generated == "virtual":
        says = "The column is computed when it is read in the source, and stored in the target."
        work.risk("note", "generated_stored", says, column.source)
    return replace(column, generated=sql, copied=False, default=None)


def _table_risks(work: _Table) -> None:
    table = work.table
    if table.engine.lower() not in ("innodb", ""):
        says = (
            f"The table is kept by {table.engine}, which has no snapshots: rows that change during the copy may differ."
        )
        work.risk("change", "no_snapshot", says)
    if table.partitioned:
        work.risk("change", "partitioned", "The table is partitioned in the source, and one table in the target.")
    if table.versioned:
        work.risk("change", "versioned", "The table keeps its history in the source; only the present rows are copied.")
    for column in table.columns:
        if column.invisible:
            says = "The column is invisible in the source (SELECT * leaves it out), and visible in the target."
            work.risk("change", "invisible", says, column.name)


def _keyed(work: _Table, planned: PlannedTable) -> PlannedTable:
    """What identifies a row: the primary key, else a unique index without NULLs, else what the rules say."""
    rule = work.rules.table(planned.source)
    here = {column.source for column in planned.columns}
    index = ""
    primary = () if any(part.prefix for part in work.table.primary) else tuple(p.column for p in work.table.primary)
    key = rule.key or primary
    if not key:
        key, index = _unique(work.table)
    if missing := [name for name in key if name not in here]:
        work.risk(
            "refuse",
            "key",
            f"The column {missing[0]} is skipped, but it is part of the key.",
            missing[0],
            write="skip = false",
        )
        return planned
    if not key and rule.without_key != "whole":
        says = "The table has no key: it is copied whole, from the beginning if interrupted, and cannot be followed."
        work.risk("refuse", "no_key", says, write='without_key = "whole"  # or key = ["…"], or skip = true')
    planned = replace(planned, key=key, key_index=index, declared=rule.key is not None and rule.key != primary)
    if not key or not all(column.key and column.copied for column in planned.key_columns):
        if key:
            says = "The key cannot be walked in pieces: the table is copied whole, from the beginning if interrupted."
            work.risk("note", "whole", says)
        return replace(planned, whole=True)
    return planned


def _declared_risks(work: _Table, planned: PlannedTable, count: int) -> None:
    """The source does not keep a key that only the rules declare, and rows with the same one could be passed over."""
    key = ", ".join(planned.key)
    if count:
        says = f"{count} rows have no {key} of their own: it is no key."
        work.risk("refuse", "no_key", says, count=count, write='without_key = "whole"')
    says = f"The target gets a unique index over {key}, which the source has not."
    work.risk("change", "declared_key", says)


def _unique(table: schema.Table) -> tuple[tuple[str, ...], str]:
    for index in table.indexes:
        plain = all(part.column and not part.prefix for part in index.parts)
        if index.unique and index.kind == "tree" and plain and not any(table.column(c).nullable for c in index.columns):
            return index.columns, index.name
    return (), ""


def _collisions(tables: Sequence[PlannedTable]) -> Iterator[Risk]:
    for name in names.collisions(table.target for table in tables):
        says = f"Two tables would be called {name}."
        first = next(table.source for table in tables if table.target == name)
        yield Risk("refuse", "names", says, table=first, write=f'[tables.{toml_key(first)}]\nname = "…"')
    for table in tables:
        for name in names.collisions(column.target for column in table.columns):
            write = f'[tables.{toml_key(table.source)}.columns."…"]\nname = "…"'
            yield Risk("refuse", "names", f"Two columns would be called {name}.", table=table.source, write=write)


def _listed(database: schema.Database) -> Iterator[Risk]:
    """What ferry does not move. It is named, so that nobody finds out later."""
    for kind in ("views", "routines", "triggers", "events", "sequences"):
        found = getattr(database, kind)
        if found:
            says = f"{len(found)} {kind} are not moved; write them anew where they are needed: {', '.join(found)}."
            yield Risk("change", kind, says, count=len(found))


def _server(source: Source, size: int) -> Iterator[Risk]:
    for code, says in facts.log_risks(source, size):
        yield Risk("note", code, says)


def _target(target: Target, into: str, tables: Sequence[PlannedTable], statements: plans.Statements) -> Iterator[Risk]:
    taken = target.taken(into, [table.target for table in tables])
    for name in taken:
        says = f"The target has a table {into}.{name} already: drop it, or name another schema."
        yield Risk("refuse", "exists", says, table=name, write='[target]\nschema = "…"')
    if taken:
        return
    failed = target.rehearse((*statements.before, *statements.after))
    if failed is not None:
        yield Risk("refuse", "ddl", f"PostgreSQL refuses {failed.statement.splitlines()[0]!r}: {failed.error}.")
