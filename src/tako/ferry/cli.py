"""`tako ferry`: plan, copy, follow, run, verify, cutover, status, accept, abort."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tako.core.errors import NotFound
from tako.ferry.errors import Different, Refused

if TYPE_CHECKING:
    from tako.ferry.plan import Plan
    from tako.ferry.source import Source
    from tako.ferry.target import Target
    from tako.ferry.verify import Result

app = typer.Typer(help="Move a MySQL or MariaDB database into PostgreSQL.", no_args_is_help=True)

PlanFile = Annotated[Path, typer.Argument(help="The plan's file.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
DEFAULT = Path("plan.json")


@app.command()
def plan(
    source_url: Annotated[str, typer.Argument(help="mysql://user@host:3306/database")],
    target_url: Annotated[str, typer.Argument(help="postgresql://user@host:5432/database")],
    config: Annotated[
        Path | None, typer.Option("-c", "--config", help="Rules; by default ferry.toml, if there is one.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the plan is written to.")] = DEFAULT,
    as_json: Json = False,
) -> None:
    """Read the source, write down what will be done, and say what could be lost. Changes nothing on either server."""
    from tako.ferry import plan as plans
    from tako.ferry import planning, report, rules, target
    from tako.ferry.source import connection

    read = rules.read(config or (Path("ferry.toml") if Path("ferry.toml").is_file() else None))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with connection.connect(connection.parse(source_url)) as source, target.connect(target_url) as into:
        made = planning.make(source, into, read, now)
    plans.write(made, out)
    if as_json:
        typer.echo(out.read_text())
    else:
        typer.echo("\n".join(report.lines(made)))
        if made.source.url != source_url or made.target.url != target_url:
            typer.echo(
                f"Passwords are not written into {out}: for copy and verify, "
                f"set {connection.PASSWORD} and {target.connection.PASSWORD}."
            )
    if made.open_questions:
        raise Refused(
            f"The plan {out} has {len(made.open_questions)} open questions: answer them in ferry.toml and plan again."
        )


@app.command()
def copy(
    file: PlanFile = DEFAULT,
    as_json: Json = False,
    max_mb_per_s: Annotated[float | None, typer.Option(help="No faster than this.", min=0)] = None,
    sleep_ratio: Annotated[
        float | None, typer.Option(help="After each chunk, rest this many times as long as it took.", min=0)
    ] = None,
    max_load: Annotated[
        int | None, typer.Option(help="Wait while the source runs more threads than this.", min=0)
    ] = None,
) -> None:
    """Copy all rows, then make keys and constraints. Killed at any point, it goes on when it is run again."""
    from tako.ferry import copy as copying
    from tako.ferry import progress
    from tako.ferry.throttle import Throttle

    made, target = _opened(file)
    pace = Throttle(
        made.copy.max_mb_per_s if max_mb_per_s is None else max_mb_per_s,
        made.copy.sleep_ratio if sleep_ratio is None else sleep_ratio,
        made.copy.max_load if max_load is None else max_load,
    )
    with target, progress.shown(made, _copied(made, target), as_json=as_json) as say:
        copying.run(made, lambda: _source(made), target, pace, say)
    if not as_json:
        typer.echo(f"Everything is copied. Next: tako ferry verify {file}")


@app.command()
def follow(
    file: PlanFile = DEFAULT,
    as_json: Json = False,
    past: Annotated[
        str | None, typer.Option(help="Go on behind the statement at this place, at which the stream has stopped.")
    ] = None,
    spool_mb: Annotated[
        int, typer.Option(help="How much may wait on the disk while the target is away.", min=1)
    ] = 4096,
) -> None:
    """Apply what has happened in the source since the copy, until the cutover. Killed, it goes on where it was."""
    from tako.ferry import follow, plan, progress

    made = plan.read(file)
    _unfenced(made)
    with progress.followed(as_json=as_json) as say:
        follow.run(made, lambda: _source(made), lambda: _target(made), say, past=past, most=spool_mb << 20)


@app.command()
def run(
    source_url: Annotated[str, typer.Argument(help="mysql://user@host:3306/database")],
    target_url: Annotated[str, typer.Argument(help="postgresql://user@host:5432/database")],
    config: Annotated[
        Path | None, typer.Option("-c", "--config", help="Rules; by default ferry.toml, if there is one.")
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The plan's file; one that is there is gone on with.")
    ] = DEFAULT,
    as_json: Json = False,
    spool_mb: Annotated[
        int, typer.Option(help="How much may wait on the disk while the target is away.", min=1)
    ] = 4096,
) -> None:
    """Plan, copy, follow, and wait for `tako ferry cutover`. Killed at any point, it goes on when it is run again."""
    from tako.ferry import copy as copying
    from tako.ferry import follow, progress
    from tako.ferry.throttle import Throttle

    if not out.exists():
        plan(source_url, target_url, config, out, as_json=False)
    made, target = _opened(out)
    pace = Throttle(made.copy.max_mb_per_s, made.copy.sleep_ratio, made.copy.max_load)
    with target, progress.shown(made, _copied(made, target), as_json=as_json) as say:
        copying.run(made, lambda: _source(made), target, pace, say, rows_only=True)
    _unfenced(made)
    with progress.followed(as_json=as_json) as say:
        follow.run(made, lambda: _source(made), lambda: _target(made), say, most=spool_mb << 20)


@app.command()
def verify(
    file: PlanFile = DEFAULT,
    as_json: Json = False,
    repair: Annotated[bool, typer.Option("--repair", help="Make the target's rows what the source's are.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="While the source is written to and another `tako ferry` follows it.")
    ] = False,
) -> None:
    """Compare every row of both sides."""
    from tako.ferry import cutover, follow, progress, verify
    from tako.ferry.source.position import Position

    made, target = _opened(file)
    say = (lambda event: None) if as_json else progress.narrate
    with target, _target(made) as other:

        def passed(end: Position) -> None:
            cutover.wait(made, other, end, cutover.PATIENCE)

        if live:
            cutover.await_copied(made, other)
        now = follow.amended(made, target)
        results = verify.run(now, lambda: _source(made), target, say, repair=repair, passed=passed if live else None)
    equal = all(result.equal for result in results)
    if as_json:
        typer.echo(json.dumps({"equal": equal, "tables": [_told(result) for result in results]}, indent=2))
    else:
        _tell(results)
    if not equal:
        left = sum(result.different - result.repaired for result in results)
        raise Different(
            f"{left} rows differ. If the source was written to since the copy, that is why; "
            "`tako ferry verify --repair` mends them."
        )


@app.command()
def cutover(
    file: PlanFile = DEFAULT,
    as_json: Json = False,
    fence: Annotated[
        str, typer.Option(help="How the source is kept from being written to: read-only, lock, or hook.")
    ] = "read-only",
    fence_command: Annotated[str, typer.Option(help="With --fence hook: stops all writes to the source.")] = "",
    unfence_command: Annotated[str, typer.Option(help="With --fence hook: lets them go again.")] = "",
    hook: Annotated[str, typer.Option(help="The command that switches the site to the target.")] = "",
) -> None:
    """Stop the writes to the source, apply the last of them, make the target complete, and switch the site."""
    from tako.ferry import cutover, plan, progress
    from tako.ferry.errors import BadRules

    if fence not in ("read-only", "lock", "hook"):
        raise BadRules(f"--fence is read-only, lock or hook, not {fence}.")
    made = plan.read(file)
    say = progress.machine() if as_json else progress.narrate
    how = cutover.How(cast("cutover.Kind", fence), fence_command, unfence_command, hook)
    seconds = cutover.run(made, lambda: _source(made), lambda: _target(made), how, say)
    if not as_json:
        if "stopped" in seconds:
            typer.echo(f"Done. Nothing could be written for {seconds['stopped']:.2f} s.")
        typer.echo("The site is on PostgreSQL now; `tako ferry follow` applies nothing any more.")


@app.command()
def status(file: PlanFile = DEFAULT, as_json: Json = False) -> None:
    """Say how far the plan is."""
    from tako.ferry import status

    made, target = _opened(file)
    with target:
        found = status.read(made, target)
    typer.echo(json.dumps(found, indent=2, default=str) if as_json else "\n".join(status.lines(found)))


@app.command()
def accept(
    what: Annotated[str, typer.Argument(help="The source's name of a table, or the number of a refused step.")],
    file: PlanFile = DEFAULT,
) -> None:
    """Give up the rows of a table that PostgreSQL refused, or one step after the copy; then copy again."""
    from tako.ferry.target import state

    made, target = _opened(file)
    with target:
        state.prepare(target)
        step = what.isdecimal() and state.accept_step(target, made.hash, int(what))
        count = 0 if step else state.accept(target, made.hash, what)
    if not step and not count:
        raise NotFound(f"Nothing of {what} was refused; `tako ferry status {file}` says what was.")
    typer.echo(f"{'The step is' if step else f'{count} rows are'} given up. Next: tako ferry copy {file}")


@app.command()
def abort(
    file: PlanFile = DEFAULT,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Drop the tables that ferry has made in the plan's target schema, and forget them. The source is not touched."""
    from tako.ferry import abort

    made, target = _opened(file)
    with target:
        active = abort.active(made.target.schema, target)
        tables = [table.target for table in active.tables] if active else []
        question = f"Drop {len(tables)} tables of {made.target.schema} and all rows in them?"
        if tables and not yes and not typer.confirm(question):
            raise typer.Abort
        if active:
            abort.run(active, target)
    said = f"{len(tables)} tables are dropped." if active else "There was nothing of ferry's in the target."
    typer.echo(json.dumps({"dropped": tables}) if as_json else said)


def _opened(file: Path) -> "tuple[Plan, Target]":
    from tako.ferry import plan, target

    made = plan.read(file)
    return made, target.connect(made.target.url)


def _unfenced(made: "Plan") -> None:
    """A cutover that was killed may have left the source fenced."""
    from tako.ferry import cutover
    from tako.ferry.target import following, state

    with _target(made) as target:
        if following.exists(target) and state.try_switching(target, made.target.schema):
            cutover.lift_left_over(made, lambda: _source(made), target)


def _target(made: "Plan") -> "Target":
    from tako.ferry import target

    return target.connect(made.target.url)


def _source(made: "Plan") -> "Source":
    from tako.ferry.source import connection

    return connection.connect(connection.parse(made.source.url))


def _copied(made: "Plan", target: "Target") -> dict[str, int]:
    from tako.ferry.target import state

    if not state.exists(target):
        return {}
    return {name: progress.rows for name, progress in state.progress(target, made.hash).items()}


def _told(result: "Result") -> dict[str, object]:
    return {
        "table": result.table,
        "rows": result.rows,
        "pieces": result.pieces,
        "different": result.different,
        "repaired": result.repaired,
        "accepted": result.accepted,
        "moving": result.moving,
        "differences": [{"key": list(d.key), "what": d.what, "columns": list(d.columns)} for d in result.shown],
    }


def _tell(results: "list[Result]") -> None:
    for result in results:
        said = "equal" if not result.different else f"{result.different} different, {result.repaired} repaired"
        given_up = f", {result.accepted} given up by name" if result.accepted else ""
        moving = f", {result.moving} change all the time (the cutover compares them)" if result.moving else ""
        typer.echo(f"{result.table}: {result.rows:,} rows, {said}{given_up}{moving}")
        for difference in result.shown:
            columns = f" ({', '.join(difference.columns)})" if difference.columns else ""
            typer.echo(f"  {', '.join(difference.key) or '?'}: {difference.what}{columns}")
    sys.stdout.flush()
