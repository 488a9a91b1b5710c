"""How far a plan is, out of the target's schema `ferry`."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tako.ferry import cutover
from tako.ferry.plan import Plan
from tako.ferry.target import Target, following, state


def read(plan: Plan, target: Target) -> dict[str, Any]:
    """Shapes are those of `tako ferry status --json`."""
    active = state.active(target, plan.target.schema) if state.exists(target) else None
    if active is None or active[0] != plan.hash:
        return {
            "plan_hash": plan.hash,
            "target_schema": plan.target.schema,
            "state": "planned",
            "other_plan": active and active[0],
            "tables": [],
            "rejects": [],
        }
    found = state.described(target, plan.hash)
    found["working"] = state.is_locked(target, plan.target.schema)
    found["switching"] = state.is_switching(target, plan.target.schema)
    found["copied_per_s"] = state.copied_per_second(target, plan.hash)
    done = state.progress(target, plan.hash)
    found["tables"] = [
        {
            "table": table.source,
            "target": table.target,
            "rows": done[table.source].rows,
            "about": table.rows,
            "bytes": done[table.source].bytes,
            "chunks": done[table.source].chunks,
            "rejected": done[table.source].rejected,
            "copied": done[table.source].copied,
        }
        for table in plan.tables
    ]
    found["rejects"] = [
        {"table": r.table, "key": r.key, "sqlstate": r.sqlstate, "error": r.error, "accepted": r.accepted}
        for r in state.rejects(target, plan.hash)
    ]
    found["failed_steps"] = [
        {"n": n, "statement": statement, "error": error}
        for n, statement, error in state.failed_steps(target, plan.hash)
    ]
    found["stream"] = _stream(plan, target)
    return found


def _stream(plan: Plan, target: Target) -> dict[str, Any] | None:
    if not following.exists(target):
        return None
    stream = following.read(target, plan.hash)
    if stream is None:
        return None
    blockers = cutover.blockers(plan, target)
    steps = following.cutovers(target, plan.hash)
    return {
        "gtid": stream.gtid,
        "file": stream.file,
        "offset": stream.offset,
        "consistent": stream.consistent,
        "lag": stream.lag,
        "rows_per_s": stream.rate,
        "spooled": stream.spooled,
        "silent": stream.silent,
        "transactions": stream.transactions,
        "changes": stream.changes,
        "trouble": stream.trouble,
        "stopped": stream.stopped,
        "stopped_place": stream.stopped_place,
        "fenced": stream.fence is not None,
        "done": stream.done,
        "blockers": [blocker.says for blocker in blockers],
        "in_the_way": [asdict(blocker) for blocker in blockers],
        "cutovers": [asdict(step) for step in steps],
        "unwritable_s": cutover.unwritable(steps) if stream.done else None,
    }


def lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"Plan {found['plan_hash'][:12]} into schema {found['target_schema']}: {found['state']}"
    if found.get("other_plan"):
        yield f"  another plan ({found['other_plan'][:12]}) is filling this schema"
    if found["state"] == "copying" and not found["working"]:
        yield "  nobody copies now: run the same command again"
    for run in found.get("runs", []):
        where = run["gtid"] or f"{run['file']}:{run['offset']}"
        exact = "" if run["exact"] else " (or a little later)"
        yield f"  run {run['n']} reads as of {where}{exact}, since {run['started_at']:%Y-%m-%d %H:%M:%S}"
    for table in found["tables"]:
        done = "copied" if table["copied"] else f"{table['rows']:,} of about {table['about']:,} rows"
        rejected = f", {table['rejected']} refused" if table["rejected"] else ""
        yield f"  {table['table']}: {done}, {table['bytes'] / 1e6:,.1f} MB in {table['chunks']} chunks{rejected}"
    if found.get("stream"):
        yield from _stream_lines(found["stream"])
    waiting = [reject for reject in found["rejects"] if not reject["accepted"]]
    for reject in waiting[:10]:
        yield f"  refused: {reject['table']} {', '.join(reject['key'] or ())}: {reject['error']}"
    for step in found.get("failed_steps", []):
        yield f"  refused step {step['n']}: {step['statement'].splitlines()[0]}: {step['error']}"
    if waiting:
        yield "Repair these rows in the source and copy again, or give them up: tako ferry accept TABLE"


def _stream_lines(stream: dict[str, Any]) -> Iterator[str]:
    where = stream["gtid"] or f"{stream['file']}:{stream['offset']}"
    yield f"  followed up to {where}: {stream['transactions']:,} transactions, {stream['changes']:,} rows"
    if stream["done"]:
        yield "  the cutover is done"
    elif stream["silent"] is None or stream["silent"] > cutover.ALIVE:
        yield "  nobody follows now: tako ferry follow"
    else:
        spooled = f", {stream['spooled'] / 1e6:,.0f} MB wait" if stream["spooled"] else ""
        yield f"  {stream['lag'] or 0:.1f} s behind, {stream['rows_per_s'] or 0:,.0f} rows/s{spooled}"
    for step in stream["cutovers"]:
        took = "…" if step["seconds"] is None else f"{step['seconds']:.2f} s"
        yield f"  cutover {step['attempt']}, {step['step']}: {took}{' ' + step['error'] if step['error'] else ''}"
    for blocker in stream["blockers"]:
        yield f"  before a cutover: {blocker}"
