"""What of a plan can be followed: rows must be told apart, and what changes them must be in the log."""

from tako.ferry.errors import Refused
from tako.ferry.plan import Plan, PlannedTable
from tako.ferry.source import Source, facts
from tako.ferry.target import Target, following
from tako.ferry.target.apply import Cascade
from tako.ferry.target.following import Run

ACTIONS = frozenset({"CASCADE", "SET NULL"})


def check(plan: Plan, source: Source, target: Target) -> dict[str, Run]:
    """Raises `Refused` for what cannot be followed. Returns, by the names of tables without a key, the run of the copy
    that has them: what it has seen must not be applied again."""
    logs_cascades = facts.logs_cascades(source)
    planned = {table.source: table for table in plan.tables}
    runs = following.runs(target, plan.hash)
    skips = {}
    for table in plan.schema.tables:
        if table.name not in planned:
            continue
        if table.versioned:
            raise Refused(f"The table {table.name} keeps its history (SYSTEM VERSIONING), which cannot be followed.")
        if not has_key(planned[table.name]):
            first, last = following.runs_of(target, plan.hash, table.name)
            at = runs[last - 1]
            if not at.exact or first != last:
                raise Refused(
                    f"The table {table.name} has no key, and the moment of its copy is not known exactly: "
                    "copy anew without interruption, or give it a key."
                )
            skips[table.name] = at
        for foreign in table.foreign_keys:
            acts = {foreign.on_delete, foreign.on_update} & ACTIONS
            if acts and not logs_cascades and foreign.table not in planned:
                raise Refused(
                    f"Rows of {table.name} change with those of {foreign.table} ({foreign.name}, {acts.pop()}), "
                    "which the source does not log, and which is not followed. Move it too, or skip this one."
                )
    return skips


def has_key(table: PlannedTable) -> bool:
    """Its rows can be told apart in the target: nothing in the key is NULL, and no rule changes its dates."""
    return bool(table.key) and all(
        column.copied and column.not_null and bool(column.key or not column.cast.startswith(("date", "timestamp")))
        for column in table.key_columns
    )


def cascades_of(plan: Plan) -> dict[str, list[Cascade]]:
    """By the table that is referred to: which tables its rows change when they go or change."""
    planned = {table.source: table for table in plan.tables}
    found: dict[str, list[Cascade]] = {}
    for table in plan.schema.tables:
        for foreign in table.foreign_keys:
            if table.name not in planned or foreign.table not in planned or foreign.schema != plan.schema.name:
                continue
            if not {foreign.on_delete, foreign.on_update} & ACTIONS:
                continue
            child, parent = planned[table.name], planned[foreign.table]
            found.setdefault(parent.source, []).append(
                Cascade(
                    child.source,
                    tuple(child.column(name).target for name in foreign.columns),
                    tuple(parent.column(name).target for name in foreign.references),
                    foreign.on_delete,
                    foreign.on_update,
                )
            )
    return found
