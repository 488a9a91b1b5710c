"""ferry.toml: what the owner of the data has decided, for the whole database, a type, a table or one column."""

import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, field

from tako.core.words import nearest
from tako.ferry.errors import BadRules
from tako.ferry.schema import Column

Names = Literal["lower", "keep"]
DATE = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?)?")


class ColumnRule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is None is not decided here. `resolved` rules have the last answers: refuse."""

    name: str | None = None
    type: str | None = None
    cast: str | None = None
    skip: bool | None = None
    not_null: bool | None = None
    default: str | None = None
    """SQL of the target; "none" for no default."""
    collation: str | None = None
    """citext, ci, ai_ci, or a collation of the target."""
    encoding: Literal["utf8", "double-utf8"] | None = None
    zero_dates: str | None = None
    invalid_dates: str | None = None
    nul: Literal["refuse", "remove", "replace"] | None = None
    invalid_utf8: Literal["refuse", "replace"] | None = None
    empty_enum: Literal["refuse", "keep", "null"] | None = None
    generated: str | None = None
    """`plain` for an ordinary column with the values, or SQL of the target."""
    fulltext: Literal["skip", "gin"] | None = None

    @property
    def repairs(self) -> bool:
        """Some values that PostgreSQL refuses are to be repaired."""
        return self.nul in ("remove", "replace") or self.invalid_utf8 == "replace"


LAST = ColumnRule(
    zero_dates="refuse",
    invalid_dates="refuse",
    nul="refuse",
    invalid_utf8="refuse",
    empty_enum="keep",
    fulltext="skip",
)


class TableRule(Struct, frozen=True, forbid_unknown_fields=True):
    name: str | None = None
    skip: bool | None = None
    key: tuple[str, ...] | None = None
    without_key: Literal["refuse", "whole"] | None = None
    columns: dict[str, ColumnRule] = field(default_factory=dict)


class TargetRule(Struct, frozen=True, forbid_unknown_fields=True):
    schema: str | None = None
    names: Names | None = None


class CopyRule(Struct, frozen=True, forbid_unknown_fields=True):
    """How the copy treats the two servers; sizes in bytes. Zero is no limit."""

    chunk_bytes: int = 8 << 20
    max_mb_per_s: float = 0
    sleep_ratio: float = 0
    max_load: int = 0
    max_rejects: int = 1000
    snapshot: Literal["one", "chunks"] = "one"


class Rules(Struct, frozen=True, forbid_unknown_fields=True):
    preset: Literal["plain", "gorm", "django"] = "plain"
    target: TargetRule = field(default_factory=TargetRule)
    copy: CopyRule = field(default_factory=CopyRule)
    defaults: ColumnRule = field(default_factory=ColumnRule)
    types: dict[str, ColumnRule] = field(default_factory=dict)
    tables: dict[str, TableRule] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        # Both ORMs quote every name, so it has to stay as it is.
        return self.target.names or ("lower" if self.preset == "plain" else "keep")

    @property
    def serial(self) -> bool:
        """Ids by `<table>_id_seq` and DEFAULT nextval, as GORM's AutoMigrate makes them; else identities."""
        return self.preset == "gorm"

    @property
    def flags(self) -> bool:
        """A tinyint that holds nothing but 0 and 1 is a boolean, whatever its width."""
        return self.preset == "gorm"

    def table(self, name: str) -> TableRule:
        """The table's own rule over those of the patterns that fit, the last one first."""
        found = [rule for pattern, rule in self.tables.items() if pattern != name and fnmatchcase(name, pattern)]
        merged = TableRule()
        for rule in (*found, self.tables.get(name, TableRule())):
            merged = TableRule(
                name=rule.name or merged.name,
                skip=merged.skip if rule.skip is None else rule.skip,
                key=rule.key or merged.key,
                without_key=rule.without_key or merged.without_key,
                columns={**merged.columns, **rule.columns},
            )
        return merged

    def column(self, table: str, column: Column) -> ColumnRule:
        """Column over type over defaults over preset."""
        rule = LAST
        for other in (
            self._preset(column),
            self.defaults,
            *(self.types[name] for name in _type_names(column) if name in self.types),
            self.table(table).columns.get(column.name, ColumnRule()),
        ):
            rule = merged(rule, other)
        return rule

    def _preset(self, column: Column) -> ColumnRule:
        if self.preset != "django":
            return ColumnRule()
        if column.base == "datetime":
            # With USE_TZ, Django writes UTC into MySQL, and makes timestamptz in PostgreSQL.
            return ColumnRule(cast="datetime-to-timestamptz")
        if column.unsigned and column.base in ("smallint", "int"):
            return ColumnRule(type="integer" if column.base == "int" else "smallint")
        return ColumnRule()


def read(file: Path | None) -> Rules:
    """Raises `BadRules` with the place of the mistake. Without a file: the preset `plain` and nothing else."""
    if file is None:
        return Rules()
    try:
        return parse(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        raise BadRules(f"The rules {file} cannot be read: {error.strerror}.") from error


def parse(text: str, file: str = "ferry.toml") -> Rules:
    try:
        rules = msgspec.convert(tomllib.loads(text), Rules)
    except tomllib.TOMLDecodeError as error:
        raise BadRules(f"{file} is no TOML: {error}.") from error
    except msgspec.ValidationError as error:
        raise BadRules(f"{file}: {error}.{_meant(str(error))}") from error
    every = [rules.defaults, *rules.types.values()]
    every += [column for table in rules.tables.values() for column in table.columns.values()]
    for rule in every:
        for word in (rule.zero_dates, rule.invalid_dates):
            if word not in (None, "refuse", "null") and not DATE.fullmatch(str(word)):
                raise BadRules(
                    f"{file}: zero_dates and invalid_dates are refuse, null, or a date as 1970-01-01, not {word}."
                )
    if rules.copy.chunk_bytes < 1024:
        raise BadRules(f"{file}: copy.chunk_bytes is at least 1024.")
    return rules


def check_names(rules: Rules, tables: Mapping[str, Mapping[str, Column]]) -> None:
    """A rule for a table or column that is not there is a slip of the pen, and would answer nothing."""
    for pattern, rule in rules.tables.items():
        fitting = [name for name in tables if name == pattern or fnmatchcase(name, pattern)]
        if not fitting and "*" in pattern:
            continue
        if not fitting:
            raise BadRules(f"The rules name a table {pattern}, which the source has not.{_near(pattern, tables)}")
        for column in rule.columns:
            if not any(column in tables[name] for name in fitting):
                near = _near(column, tables[fitting[0]])
                raise BadRules(f"The rules name a column {pattern}.{column}, which the source has not.{near}")
    fields = {name for columns in tables.values() for column in columns.values() for name in _type_names(column)}
    for name in rules.types:
        if not re.fullmatch(r"[a-z0-9]+(\(.*\))?( unsigned)?( zerofill)?", name):
            raise BadRules(
                f"The rules name a type {name!r}; write it as the source does: {', '.join(sorted(fields)[:8])}."
            )


def merged(rule: ColumnRule, over: ColumnRule) -> ColumnRule:
    """`over` where it has an answer. A cast or a type of its own also takes back the other one that came from below."""
    values = {name: getattr(over, name) for name in ColumnRule.__struct_fields__ if getattr(over, name) is not None}
    if values.keys() & {"cast", "type"}:
        values = {"cast": None, "type": None, **values}
    return msgspec.structs.replace(rule, **values)


def _type_names(column: Column) -> list[str]:
    """From general to particular: bigint, bigint unsigned, bigint(20), bigint(20) unsigned."""
    names = [column.base]
    if column.unsigned:
        names.append(f"{column.base} unsigned")
    bare = column.type.lower().removesuffix(" zerofill").removesuffix(" unsigned")
    return list(dict.fromkeys([*names, bare, column.type.lower()]))


def _meant(message: str) -> str:
    found = re.search(r"unknown field `(\w+)`", message)
    known = {name for kind in (Rules, TargetRule, CopyRule, TableRule, ColumnRule) for name in kind.__struct_fields__}
    return _near(found[1], known) if found else ""


def _near(word: str, known: Mapping[str, object] | set[str]) -> str:
    return nearest(word, sorted(known))
