"""Makes right, once, what the source's foreign keys did to rows while they were copied.

InnoDB's own cascades are not in the log (MariaDB, and MySQL before 9.6), so `target.apply` does them again. That is
right for a row whose past is known. But a row that was copied after a cascade has been changed by it already, and what
the log says of earlier times can take such a row for another one: a parent goes, a second one gets its name and brings
its children along, and the going, done again, takes them with it. No order of applying helps. So before the target is
called consistent, such tables are compared with one instant of the source that has just been applied, and mended. From
there on every row's past is known.
"""

import time
from collections.abc import Callable, Sequence

from tako.ferry import verify
from tako.ferry.errors import NeedsResync, SnapshotLost, SourceGone
from tako.ferry.plan import Plan
from tako.ferry.source import Source, position
from tako.ferry.source.position import Position
from tako.ferry.target import Target, following

Say = Callable[[dict[str, object]], None]


def settle(
    now: Callable[[], Plan],
    names: Sequence[str],
    connect: Callable[[], Source],
    target: Target,
    up_to: Callable[[Position], None],
    alive: Callable[[float], None],
    say: Say,
) -> None:
    """Compare the tables `names` of the plan as it is `now`, and mend them.

    `up_to` applies all that is before a moment of the source and nothing else; `alive` is told every now and then for
    how many seconds nothing else has been applied. Raises `NeedsResync` for a table without a key that differs.
    """
    while True:
        with connect() as source:
            # MariaDB may end an XA transaction in the log a moment before all see it: then there is another instant.
            ending = position.prepared(source) if source.is_mariadb else frozenset()
            moment = _moment(source, say)
            if moment is None:
                return
            up_to(moment)
            plan = now()
            if not ending <= set(following.open_prepared(target, plan.hash)):
                continue
            say({"event": "settling", "tables": list(names)})
            try:
                _mend(plan, names, source, target, alive, say)
            except SnapshotLost:
                continue
        return


def _moment(source: Source, say: Say) -> Position | None:
    """Opens a snapshot and says where in the log it is; None if this user cannot know that."""
    try:
        return position.snapshot(source, exact=True)
    except SourceGone as error:
        if "denied" not in error.message:
            raise
    missing = "Rows that foreign keys have changed were not compared: the source's user has no RELOAD right."
    say({"event": "trouble", "message": f"{missing} `tako ferry verify --live --repair` does it before the cutover."})
    return None


def _mend(
    plan: Plan, names: Sequence[str], source: Source, target: Target, alive: Callable[[float], None], say: Say
) -> None:
    began = time.monotonic()
    tables = [plan.table(name) for name in names]
    results = verify.mended(plan, tables, source, target, lambda: alive(time.monotonic() - began))
    for table, result in zip(tables, results, strict=True):
        say({"event": "settled", "table": table.source, "rows": result.rows, "mended": result.repaired})
        if result.different and not table.key:
            raise NeedsResync(
                f"Rows of {table.source} changed with those of another table while they were copied, and it has no key "
                "to find them by. Give it one, or `tako ferry abort` and copy anew while nobody writes."
            )
