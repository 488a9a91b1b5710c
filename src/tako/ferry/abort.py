"""Takes back what ferry has made in a schema of the target."""

import msgspec

from tako.ferry.plan import Plan
from tako.ferry.target import Target, state
from tako.ferry.translate import ddl
from tako.ferry.translate.names import postgres


def active(schema: str, target: Target) -> Plan | None:
    """The plan by which the schema was filled, as it was kept: its file may be lost, or written anew since."""
    kept = state.stored_plan(target, schema) if state.exists(target) else None
    return None if kept is None else msgspec.json.decode(kept, type=Plan)


def run(plan: Plan, target: Target) -> None:
    """All in one transaction. Where something else depends on a table, PostgreSQL refuses, and nothing is dropped."""
    schema = plan.target.schema
    with state.locked(target, schema), target.transaction():
        made_schema = state.made_schema(target, plan.hash)
        names = [f"{postgres(schema)}.{postgres(table.target)}" for table in plan.tables]
        if names:
            target.execute(f"DROP TABLE IF EXISTS {', '.join(names)}")
        for statement in ddl.dropped(plan.tables, schema):
            target.execute(statement)
        state.forget(target, plan.hash)
        if made_schema and not target.holds_anything(schema):
            target.execute(f"DROP SCHEMA {postgres(schema)}")
