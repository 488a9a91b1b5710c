"""A source's schema, frozen: what `plan` read once and what everything afterwards believes."""

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct

TEXT = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
INTEGERS = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}
DATES = frozenset({"date", "datetime", "timestamp"})
GEOMETRY = frozenset(
    {
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
        "geomcollection",
    }
)


class Default(Struct, frozen=True):
    """A column's default: a literal without its quotes, or an SQL expression."""

    kind: Literal["literal", "expression"]
    text: str


class Column(Struct, frozen=True, omit_defaults=True):
    """`type` is as the source writes it (`bigint(20) unsigned`), `base` its first word."""

    name: str
    base: str
    type: str
    nullable: bool
    default: Default | None = None
    charset: str | None = None
    collation: str | None = None
    length: int = 0
    """Characters of a text, bytes of a binary."""
    precision: int = 0
    scale: int = 0
    fraction: int = 0
    """Digits behind the seconds."""
    unsigned: bool = False
    zerofill: bool = False
    labels: tuple[str, ...] = ()
    auto_increment: bool = False
    updates_itself: bool = False
    """ON UPDATE CURRENT_TIMESTAMP."""
    generated: Literal["", "stored", "virtual"] = ""
    expression: str = ""
    invisible: bool = False
    json: bool = False
    """A JSON type, or MariaDB's: a text that must be JSON."""
    comment: str = ""

    @property
    def width(self) -> int:
        """What stands in the parentheses of an integer type, 0 if nothing does: tinyint(2)."""
        inside = self.type.partition("(")[2].partition(")")[0]
        return int(inside) if inside.isdigit() else 0


class Part(Struct, frozen=True, omit_defaults=True):
    """One part of an index: a column, or a beginning of it, or an expression."""

    column: str = ""
    prefix: int = 0
    descending: bool = False
    expression: str = ""


class Index(Struct, frozen=True, omit_defaults=True):
    name: str
    unique: bool
    kind: Literal["tree", "fulltext", "spatial"]
    parts: tuple[Part, ...]
    comment: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(part.column for part in self.parts)


class ForeignKey(Struct, frozen=True):
    name: str
    columns: tuple[str, ...]
    schema: str
    table: str
    references: tuple[str, ...]
    on_update: str
    on_delete: str


class Check(Struct, frozen=True):
    name: str
    expression: str
    enforced: bool


class Table(Struct, frozen=True, omit_defaults=True):
    name: str
    columns: tuple[Column, ...]
    primary: tuple[Part, ...] = ()
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    engine: str = "InnoDB"
    partitioned: bool = False
    versioned: bool = False
    comment: str = ""

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


class Database(Struct, frozen=True, omit_defaults=True):
    """All tables of one database, and the names of what is listed only."""

    name: str
    tables: tuple[Table, ...]
    views: tuple[str, ...] = ()
    routines: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()


def digest(value: object) -> str:
    """The same for equal values, in every process."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def differences(before: Database, after: Database) -> list[str]:
    """What somebody has changed, in words."""
    old = {table.name: table for table in before.tables}
    new = {table.name: table for table in after.tables}
    said = [f"table {name} is gone" for name in old.keys() - new.keys()]
    said += [f"table {name} is new" for name in new.keys() - old.keys()]
    for name in old.keys() & new.keys():
        if old[name] != new[name]:
            said += _changes(old[name], new[name])
    return sorted(said)


def _changes(before: Table, after: Table) -> list[str]:
    old = {column.name: column for column in before.columns}
    new = {column.name: column for column in after.columns}
    said = [f"column {before.name}.{name} is gone" for name in old.keys() - new.keys()]
    said += [f"column {before.name}.{name} is new" for name in new.keys() - old.keys()]
    said += [
        f"column {before.name}.{name} is not as it was" for name in old.keys() & new.keys() if old[name] != new[name]
    ]
    return said or [f"the keys or constraints of {before.name} are not as they were"]
