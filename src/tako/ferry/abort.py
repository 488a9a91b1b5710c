"""Takes back what a plan has made in the target."""

from tako.ferry.plan import Plan
from tako.ferry.target import Target, state
from tako.ferry.translate import ddl
from tako.ferry.translate.names import postgres


def tables(plan: Plan, target: Target) -> list[str]:
    """Those that are there because of this plan."""
    if not state.exists(target) or (state.active(target, plan.target.schema) or ("",))[0] != plan.hash:
        return []
    return target.taken(plan.target.schema, [table.target for table in plan.tables])


def run(plan: Plan, target: Target) -> None:
    """All in one transaction; nothing of anybody else's is dropped (no CASCADE), or the whole is refused."""
    if not tables(plan, target):
        return
    schema = plan.target.schema
    with state.locked(target, schema), target.transaction():
        made_schema = state.made_schema(target, plan.hash)
        names = [f"{postgres(schema)}.{postgres(table.target)}" for table in plan.tables]
        target.execute(f"DROP TABLE IF EXISTS {', '.join(names)}")
        for statement in ddl.dropped(plan.tables, schema):
            target.execute(statement)
        state.forget(target, plan.hash)
        if made_schema and not target.holds_anything(schema):
            target.execute(f"DROP SCHEMA {postgres(schema)}")
