"""What /api/owner/ferry gives. Times are in seconds since 1970, durations in seconds, sizes in bytes."""

import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from pydantic import BaseModel

from tako.core.errors import TakoError
from tako.ferry.cutover import ALIVE, Check
from tako.ferry.errors import TargetGone
from tako.ferry.plan import Level, Plan
from tako.ferry.rules import CopyRule, Rules
from tako.ferry.source import connection as source_connection
from tako.ferry.target import connection as target_connection
from tako.ferry.watch import Seen

Stage = Literal["planned", "copying", "copied", "following", "ready", "done"]
MOST_REJECTS = 20


class FerryRisk(BaseModel):
    """`refuse` keeps the copy from starting until `write` is in ferry.toml. `where` is a table or a column."""

    level: Level
    where: str
    says: str
    write: str


class FerryPlan(BaseModel):
    """`rows` and `bytes` are about what there was. `answers` are the rules that the owner of the data has given."""

    hash: str
    created_at: str
    source: str
    source_server: str
    source_version: str
    database: str
    target: str
    target_version: int
    target_schema: str
    tables: int
    rows: int
    bytes: int
    risks: list[FerryRisk]
    answers: list[str]

    @classmethod
    def of(cls, plan: Plan) -> "FerryPlan":
        risks = [
            FerryRisk(
                level=risk.level,
                where=".".join(part for part in (risk.table, risk.column) if part),
                says=risk.says,
                write=risk.write,
            )
            for risk in plan.risks
        ]
        return cls(
            hash=plan.hash,
            created_at=plan.created_at,
            source=source_connection.without_password(plan.source.url),
            source_server=plan.source.server,
            source_version=plan.source.version,
            database=plan.source.database,
            target=target_connection.without_password(plan.target.url),
            target_version=plan.target.version // 10_000,
            target_schema=plan.target.schema,
            tables=len(plan.tables),
            rows=sum(table.rows for table in plan.tables),
            bytes=sum(table.bytes for table in plan.tables),
            risks=risks,
            answers=list(_answers(plan.rules)),
        )


class FerryTable(BaseModel):
    """`rows` of `about` are copied; `rejected` of them were refused."""

    table: str
    target: str
    rows: int
    about: int
    bytes: int
    rejected: int
    copied: bool


class FerryRun(BaseModel):
    """One run of the copy: it reads as of `at`, or, unless `exact`, a little later."""

    n: int
    at: str
    exact: bool
    started_at: int


class FerryBlocker(BaseModel):
    """What keeps a cutover from being begun. `passes`: by itself, within moments."""

    check: Check
    says: str
    command: str
    passes: bool


class FerryCutoverStep(BaseModel):
    """`took` is null while it is done, and after a death in it."""

    attempt: int
    step: str
    started_at: int
    took: float | None
    error: str | None


class FerryStream(BaseModel):
    """`at` is the place in the source's log up to which all is applied. `followed`: somebody does now.

    `stopped` says what cannot be followed and what to do; `stopped_place` is where.
    """

    at: str
    transactions: int
    changes: int
    consistent: bool
    followed: bool
    lag: float | None
    rows_per_s: float | None
    spooled: int
    trouble: str | None
    stopped: str | None
    stopped_place: str | None
    blockers: list[FerryBlocker]
    cutover: list[FerryCutoverStep]
    unwritable: float | None


class FerryReject(BaseModel):
    """A row that PostgreSQL refuses, by its key in the source."""

    table: str
    key: list[str] | None
    error: str


class FerryFailedStep(BaseModel):
    """Something after the copy that PostgreSQL refuses; `command` leaves it to somebody's hands."""

    statement: str
    error: str
    command: str


class FerryStatus(BaseModel):
    """How far it is. `working`: some ferry copies or follows now; `switching`: a cutover is under way.

    `rejected` counts the refused rows that nobody has given up, of which `rejects` are the first.
    """

    stage: Stage
    verified: bool
    other_plan: str | None
    working: bool
    switching: bool
    copied_per_s: float
    tables: list[FerryTable]
    runs: list[FerryRun]
    rejected: int
    rejects: list[FerryReject]
    failed_steps: list[FerryFailedStep]
    stream: FerryStream | None

    @classmethod
    def of(cls, found: dict[str, Any], file: Path) -> "FerryStatus":
        """`found` is the status of `tako ferry status --json`."""
        rejects = [reject for reject in found["rejects"] if not reject["accepted"]]
        return cls(
            stage=_stage(found),
            verified=found["state"] == "verified",
            other_plan=found.get("other_plan"),
            working=found.get("working", False),
            switching=found.get("switching", False),
            copied_per_s=found.get("copied_per_s", 0.0),
            tables=[FerryTable.model_validate(table) for table in found["tables"]],
            runs=[
                FerryRun(n=run["n"], at=_place(run), exact=run["exact"], started_at=_seconds(run["started_at"]))
                for run in found.get("runs", ())
            ],
            rejected=len(rejects),
            rejects=[FerryReject.model_validate(reject) for reject in rejects[:MOST_REJECTS]],
            failed_steps=[
                FerryFailedStep(
                    statement=step["statement"],
                    error=step["error"],
                    command=_command(f"tako ferry accept {step['n']}", file),
                )
                for step in found.get("failed_steps", ())
            ],
            stream=_stream(found["stream"], file) if found.get("stream") else None,
        )


class FerryProblem(BaseModel):
    """Why nothing can be read now."""

    code: Literal["plan_unreadable", "target_unreachable"]
    says: str


class FerryObject(BaseModel):
    """`status` is as of `read_at`; while there is a `problem` that is the last time that it could be read, if any.

    `commands` are what an operator types next: `run` begins or goes on, `cutover` switches.
    """

    file: str
    plan: FerryPlan | None
    status: FerryStatus | None
    read_at: int | None
    problem: FerryProblem | None
    run: str
    follow: str
    cutover: str

    @classmethod
    def of(cls, seen: Seen, file: Path) -> "FerryObject":
        plan = seen.plan and FerryPlan.of(seen.plan)
        urls = f" {shlex.quote(plan.source)} {shlex.quote(plan.target)}" if plan else ""
        return cls(
            file=str(file),
            plan=plan,
            status=FerryStatus.of(seen.status, file) if seen.status else None,
            read_at=seen.read_at and _seconds(seen.read_at),
            problem=_problem(seen),
            run=f"tako ferry run{urls} -o {shlex.quote(str(file))}",
            follow=_command("tako ferry follow", file),
            cutover=_command("tako ferry cutover", file),
        )


def _stage(found: dict[str, Any]) -> Stage:
    stream = found.get("stream")
    if found["state"] == "planned":
        return "planned"
    if stream is None:
        return "copying" if found["state"] == "copying" else "copied"
    if stream["done"]:
        return "done"
    return "following" if stream["in_the_way"] else "ready"


def _stream(found: dict[str, Any], file: Path) -> FerryStream:
    return FerryStream(
        at=_place(found),
        transactions=found["transactions"],
        changes=found["changes"],
        consistent=found["consistent"],
        followed=found["silent"] is not None and found["silent"] <= ALIVE,
        lag=found["lag"],
        rows_per_s=found["rows_per_s"],
        spooled=found["spooled"],
        trouble=found["trouble"],
        stopped=found["stopped"],
        stopped_place=found["stopped_place"],
        blockers=[
            FerryBlocker.model_validate({**blocker, "command": _command(blocker["command"], file)})
            for blocker in found["in_the_way"]
        ],
        cutover=[
            FerryCutoverStep(
                attempt=step["attempt"],
                step=step["step"],
                started_at=_seconds(step["started_at"]),
                took=step["seconds"],
                error=step["error"],
            )
            for step in found["cutovers"]
        ],
        unwritable=found["unwritable_s"],
    )


def _problem(seen: Seen) -> FerryProblem | None:
    match seen.problem:
        case None:
            return None
        case TargetGone(reason=reason):
            return FerryProblem(code="target_unreachable", says=reason)
        case TakoError(message=message):
            code: Literal["plan_unreadable", "target_unreachable"] = (
                "target_unreachable" if seen.plan else "plan_unreadable"
            )
            return FerryProblem(code=code, says=message)


def _answers(rules: Rules) -> Iterator[str]:
    """What is not as it is without a rule, as ferry.toml writes it."""
    without = msgspec.to_builtins(msgspec.structs.replace(Rules(), copy=CopyRule()))
    yield from _differing(msgspec.to_builtins(rules), without)


def _differing(given: dict[str, Any], without: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in given.items():
        where = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            yield from _differing(value, without.get(name) or {}, where)
        elif value is not None and value != without.get(name):
            yield f"{where} = {msgspec.json.encode(value).decode()}"


def _command(command: str, file: Path) -> str:
    return f"{command} {shlex.quote(str(file))}" if command else ""


def _place(found: dict[str, Any]) -> str:
    return found["gtid"] or (f"{found['file']}:{found['offset']}" if found["file"] else "")


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
