"""The plan: everything that copy and verify do, written down before anything is done."""

from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tako.ferry import schema
from tako.ferry.errors import BadRules
from tako.ferry.rules import CopyRule, Rules

FORMAT = 2
Level = Literal["refuse", "change", "note"]


class PlannedColumn(Struct, frozen=True, omit_defaults=True):
    """One column on both sides. The SQL that reads and digests it is ready to be sent."""

    source: str
    target: str
    source_type: str
    type: str
    cast: str
    read: str
    """The source's expression whose text PostgreSQL takes for the value."""
    compare: str
    """How two values are compared when their texts differ."""
    form: Literal["text", "hex", "bytes"] = "text"
    source_digest: str | None = None
    target_digest: str | None = None
    key: str = ""
    ordered: bool = False
    copied: bool = True
    """False: PostgreSQL makes the value itself (a generated column)."""
    not_null: bool = False
    default: str | None = None
    collation: str | None = None
    allowed: tuple[str, ...] = ()
    """The only values, if there is such a condition."""
    labels: tuple[str, ...] = ()
    generated: str | None = None
    counts: bool = False
    """AUTO_INCREMENT."""
    nul: str = "refuse"
    invalid_utf8: str = "refuse"
    comment: str = ""


class PlannedTable(Struct, frozen=True, omit_defaults=True):
    """`key` are source names of columns that identify a row; `whole` tables are copied in one piece."""

    source: str
    target: str
    columns: tuple[PlannedColumn, ...]
    key: tuple[str, ...] = ()
    key_index: str = ""
    declared: bool = False
    """The key is one by rule only; the source has no index for it."""
    whole: bool = False
    rows: int = 0
    bytes: int = 0
    comment: str = ""

    @property
    def copied(self) -> tuple[PlannedColumn, ...]:
        return tuple(column for column in self.columns if column.copied)

    @property
    def key_columns(self) -> tuple[PlannedColumn, ...]:
        return tuple(self.column(name) for name in self.key)

    def column(self, source: str) -> PlannedColumn:
        return next(column for column in self.columns if column.source == source)


class Risk(Struct, frozen=True, omit_defaults=True):
    """What is not the same afterwards, or could be lost. `refuse` keeps the copy from starting; `write` answers it."""

    level: Level
    code: str
    says: str
    table: str = ""
    column: str = ""
    count: int | None = None
    write: str = ""


class Statements(Struct, frozen=True):
    """`before` makes schema, types and tables; `after` keys, triggers and comments, each once, in this order."""

    before: tuple[str, ...]
    after: tuple[str, ...]


class SourcePart(Struct, frozen=True):
    url: str
    server: Literal["mysql", "mariadb"]
    version: str
    database: str


class TargetPart(Struct, frozen=True):
    url: str
    version: int
    schema: str
    make_schema: bool


class Plan(Struct, frozen=True):
    version: int
    hash: str
    created_at: str
    source: SourcePart
    target: TargetPart
    digest: Literal["md5", "sha256"]
    schema: schema.Database
    schema_hash: str
    tables: tuple[PlannedTable, ...]
    ddl: Statements
    risks: tuple[Risk, ...]
    copy: CopyRule
    rules: Rules
    """All that was decided: a column that is added later is planned by them."""

    @property
    def open_questions(self) -> tuple[Risk, ...]:
        return tuple(risk for risk in self.risks if risk.level == "refuse")

    def table(self, source: str) -> PlannedTable:
        return next(table for table in self.tables if table.source == source)


def sealed(plan: Plan) -> Plan:
    """The plan with its hash: of what will be done, not of when it was made, what was counted, or how fast to go."""
    return replace(plan, hash=_hash(plan))


def write(plan: Plan, file: Path) -> None:
    try:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")
    except OSError as error:
        raise BadRules(f"The plan {file} cannot be written: {error.strerror}.") from error


def read(file: Path) -> Plan:
    """Raises `BadRules` if there is none, or if somebody has changed it by hand."""
    try:
        plan = msgspec.json.decode(file.read_bytes(), type=Plan)
    except OSError as error:
        raise BadRules(f"There is no plan {file}: run `tako ferry plan SOURCE_URL TARGET_URL -o {file}`.") from error
    except msgspec.MsgspecError as error:
        raise BadRules(f"{file} is no plan of this version of ferry ({error}): run `tako ferry plan` again.") from error
    if plan.version != FORMAT:
        raise BadRules(f"{file} is a plan of another version of ferry: run `tako ferry plan` again.")
    if plan.hash != _hash(plan):
        raise BadRules(f"{file} has been changed by hand: write what you want into ferry.toml and plan again.")
    return plan


def _hash(plan: Plan) -> str:
    tables = [replace(table, rows=0, bytes=0) for table in plan.tables]
    parts: dict[str, Any] = {
        "source": [plan.source.server, plan.source.database, plan.schema_hash],
        "target": plan.target.schema,
        "digest": plan.digest,
        "tables": tables,
        "ddl": plan.ddl,
        "rules": replace(plan.rules, copy=CopyRule()),
        "open": [risk.code for risk in plan.open_questions],
    }
    return schema.digest(parts)
