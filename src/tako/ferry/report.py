"""A plan as a person reads it: what will be made, what will not be the same, what has to be answered first."""

from collections.abc import Iterator

from tako.ferry.plan import Plan, PlannedTable, Risk

TITLES = {
    "refuse": "Open questions: the copy will not start until ferry.toml answers them",
    "change": "Not the same in the target",
    "note": "Good to know",
}


def lines(plan: Plan) -> Iterator[str]:
    source, target = plan.source, plan.target
    made = ", which will be made" if target.make_schema else ""
    yield f"From {source.server} {source.version}, database {source.database}: {source.url}"
    yield f"To PostgreSQL {target.version // 10_000}, schema {target.schema}{made}: {target.url}"
    for table in plan.tables:
        yield ""
        yield from _table(table)
    yield ""
    yield "DDL before the copy:"
    yield from (f"  {line}" for statement in plan.ddl.before for line in f"{statement};".splitlines())
    yield ""
    yield "DDL after it:"
    yield from (f"  {line}" for statement in plan.ddl.after for line in f"{statement};".splitlines())
    for level, title in TITLES.items():
        found = [risk for risk in plan.risks if risk.level == level]
        if found:
            yield ""
            yield f"{title}:"
            for risk in found:
                yield from _risk(risk)
    yield ""
    yield _verdict(plan)


def _table(table: PlannedTable) -> Iterator[str]:
    how = "in one piece" if table.whole else f"in pieces by {', '.join(table.key)}"
    yield f"{table.source} -> {table.target}: about {table.rows:,} rows, {table.bytes / 1e6:,.1f} MB, {how}"
    for column in table.columns:
        name = column.source if column.source == column.target else f"{column.source} -> {column.target}"
        how = f"computed: {column.generated}" if column.generated else f"read as {_short(column.read)}"
        null = " not null" if column.not_null else ""
        yield f"  {name}: {column.source_type} -> {column.type}{null} ({column.cast}; {how})"


def _short(sql: str) -> str:
    return sql if len(sql) <= 60 else f"{sql[:57]}…"


def _risk(risk: Risk) -> Iterator[str]:
    where = ".".join(part for part in (risk.table, risk.column) if part)
    yield f"  {where + ': ' if where else ''}{risk.says}"
    if risk.write:
        yield from (f"      {line}" for line in risk.write.splitlines())


def _verdict(plan: Plan) -> str:
    questions = len(plan.open_questions)
    if questions:
        return f"{questions} open questions. Answer them in ferry.toml and plan again."
    return "Nothing is left to answer: tako ferry copy"
