"""Statements of a plan that wait: indexes until all is consistent, foreign keys and triggers until the cutover."""

from collections.abc import Callable

from tako.ferry import schema
from tako.ferry.plan import Plan, PlannedTable
from tako.ferry.target import Target, following, state
from tako.ferry.translate import ddl

AMENDED_STEPS = 100_000  # numbers of steps that came after the plan begin here


def left(plan: Plan, target: Target) -> list[tuple[int, str]]:
    """What the plan does at the cutover and is not done, with the numbers of the steps."""
    done = state.steps(target, plan.hash)
    return [(n, statement) for n, statement in _steps(plan) if n not in done and ddl.waits_for_cutover(statement)]


def take_back(plan: Plan, target: Target) -> int:
    """Undo the foreign keys and triggers that a finished copy has made; the cutover makes them again. Returns how many
    there were."""
    done = state.steps(target, plan.hash)
    back = [(n, statement) for n, statement in _steps(plan) if n in done and ddl.waits_for_cutover(statement)]
    if back:
        with target.transaction():
            for _, statement in reversed(back):
                if (undone := ddl.taken_back(statement)) is not None:
                    target.execute(undone)
            state.undo_steps(target, plan.hash, [n for n, _ in back])
    return len(back)


def make(plan: Plan, now: Plan, target: Target, say: Callable[[dict[str, object]], None]) -> None:
    """Indexes and comments of the plan, and what the source has added since, which is in the plan as it is `now`."""
    steps = _steps(plan)
    done = state.steps(target, plan.hash)
    for n, statement in steps:
        if n not in done and not ddl.waits_for_cutover(statement):
            say({"event": "step", "n": n + 1, "of": steps[-1][0] + 1, "statement": statement.splitlines()[0]})
            state.step(target, plan.hash, n, statement)
    original = {table.name: table for table in plan.schema.tables}
    planned = {table.source: table for table in now.tables}
    for table in now.schema.tables:
        if table.name in planned and table.indexes != original[table.name].indexes:
            change_indexes(plan, target, original[table.name], table, planned[table.name])
    state.finish(target, plan.hash)


def finished(plan: Plan, target: Target) -> bool:
    """What waited for the target to be consistent was done."""
    active = state.active(target, plan.target.schema)
    return active is not None and active[1] != "copying"


def change_indexes(
    plan: Plan, target: Target, before: schema.Table, after: schema.Table, planned: PlannedTable
) -> None:
    """The source has changed its indexes from those of `before` to those of `after`."""
    schemas = {table.name: table for table in plan.schema.tables}
    pairs = [(schemas[table.source], table) for table in plan.tables]  # by which the names were given
    first = AMENDED_STEPS * (1 + len(following.amendments(target, plan.hash)))
    statements = ddl.index_changes(pairs, before, after, planned, plan.rules, plan.target.schema)
    for n, statement in enumerate(statements, first):
        state.step(target, plan.hash, n, statement)


def _steps(plan: Plan) -> list[tuple[int, str]]:
    """What follows the copy: numbered behind the counters, which are set anew each time."""
    counters = sum(column.counts for table in plan.tables for column in table.columns)
    return list(enumerate(plan.ddl.after, counters))
