"""Compares a table with its copy, value by value, as Python objects. Shares no code with `tako.ferry`.

PyMySQL reads the one side as plain text, so that nothing of a driver's own idea of a date or a number stands between,
psycopg the other side as objects; what each text means is said here once more, from MySQL's manual.
"""

import json
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import psycopg
import pymysql
from psycopg import sql
from psycopg.types.json import set_json_loads

Value = object
Meaning = Callable[[Any], Value]


@dataclass(frozen=True)
class Invalid:
    """A date of the source that no calendar has. Equal to no value of the copy: a comparison says what became of it."""

    text: str


@dataclass(frozen=True)
class Column:
    """One column of both sides."""

    name: str
    type: str  # MySQL's data_type
    full_type: str  # MySQL's column_type
    copy: str  # its name in the copy
    copy_type: str  # PostgreSQL's format_type


class Comparison:
    """What is to be compared: `copied` names columns of the copy that have another name there, `expected` turns a value
    of the source into the one that the rules of this copy should have made of it, `skipped` are columns left behind."""

    def __init__(
        self,
        source: "pymysql.Connection[Any]",
        target: "psycopg.Connection[Any]",
        *,
        copied: Mapping[str, str] | None = None,
        expected: Mapping[str, Meaning] | None = None,
        every: Meaning | None = None,
        skipped: Sequence[str] = (),
    ) -> None:
        self._source = source
        self._target = target
        self._copied = copied or {}
        self._expected = expected or {}
        self._every = every
        self._skipped = skipped
        set_json_loads(_json, target)

    def differences(self, table: str, copy: str) -> list[str]:
        """Every row that is not on both sides, every value that is not the same. `copy` is `schema.table`."""
        columns = self.columns(table, copy)
        key = self._key(table)
        ours = self._read_source(table, columns)
        theirs = self._read_target(copy, columns)
        if key:
            places = [next(i for i, c in enumerate(columns) if c.name == name) for name in key]
            return list(_by_key(columns, places, ours, theirs))
        return [f"row {row!r}: {n:+d} in the copy" for row, n in _surplus(ours, theirs)]

    def columns(self, table: str, copy: str) -> list[Column]:
        schema, _, name = copy.partition(".")
        types: dict[str, str] = dict(
            self._target.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND attnum > 0 AND NOT attisdropped",
                (schema, name),
            ).fetchall()
        )
        with self._source.cursor() as cursor:
            cursor.execute(
                "SELECT column_name, data_type, column_type FROM information_schema.columns"
                " WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
                (table,),
            )
            found = [tuple(map(str, row)) for row in cursor.fetchall() if row[0] not in self._skipped]
        pairs = [(n, t, f, self._copied.get(n, n if n in types else n.lower())) for n, t, f in found]
        missing = [n for n, _, _, copied in pairs if copied not in types]
        if missing or not pairs:
            raise AssertionError(f"{copy} has {sorted(types)}, which lacks {missing} of {table}")
        return [Column(n, t, f, c, types[c]) for n, t, f, c in pairs]

    def _key(self, table: str) -> list[str]:
        with self._source.cursor() as cursor:
            cursor.execute(
                "SELECT column_name FROM information_schema.key_column_usage WHERE table_schema = DATABASE()"
                " AND table_name = %s AND constraint_name = 'PRIMARY' ORDER BY ordinal_position",
                (table,),
            )
            return [str(name) for (name,) in cursor.fetchall()]

    def _read_source(self, table: str, columns: Sequence[Column]) -> Iterator[tuple[Value, ...]]:
        expressions = ", ".join(_selected(column) for column in columns)
        meanings = [self._wanted(column) for column in columns]
        with self._source.cursor(pymysql.cursors.SSCursor) as cursor:
            decoders, self._source.decoders = self._source.decoders, {}
            try:
                cursor.execute(f"SELECT {expressions} FROM {_quoted(table)}")
                for row in cursor:
                    yield tuple(None if v is None else means(v) for v, means in zip(row, meanings, strict=True))
            finally:
                self._source.decoders = decoders

    def _wanted(self, column: Column) -> Meaning:
        means = _meaning(column)
        for rule in (self._every, self._expected.get(column.name)):
            if rule is not None:
                means = _chained(means, rule)
        return means

    def _read_target(self, copy: str, columns: Sequence[Column]) -> Iterator[tuple[Value, ...]]:
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(sql.Identifier(column.copy) for column in columns), sql.Identifier(*copy.split(".", 1))
        )
        meanings = [_copied_meaning(column) for column in columns]
        self._target.execute(
            "SET TIME ZONE 'UTC'; SET datestyle = ISO; SET intervalstyle = postgres; SET extra_float_digits = 1"
        )
        for row in self._target.cursor().stream(query):
            yield tuple(None if v is None else means(v) for v, means in zip(row, meanings, strict=True))


def _by_key(
    columns: Sequence[Column],
    places: Sequence[int],
    ours: Iterator[tuple[Value, ...]],
    theirs: Iterator[tuple[Value, ...]],
) -> Iterator[str]:
    copies: dict[tuple[Value, ...], tuple[Value, ...]] = {}
    for row in theirs:
        key = tuple(row[place] for place in places)
        if key in copies:
            yield f"row {key!r} twice in the copy"
        copies[key] = row
    for row in ours:
        key = tuple(row[place] for place in places)
        copy = copies.pop(key, None)
        if copy is None:
            yield f"row {key!r} missing from the copy"
        elif copy != row:
            for column, mine, its in zip(columns, row, copy, strict=True):
                if mine != its:
                    yield f"row {key!r}, {column.name}: {_short(mine)} became {_short(its)}"
    for key in copies:
        yield f"row {key!r} only in the copy"


def _surplus(ours: Iterator[Any], theirs: Iterator[Any]) -> Iterator[tuple[Value, int]]:
    counted = Counter(theirs)
    counted.subtract(Counter(ours))
    return ((row, n) for row, n in counted.items() if n)


def _short(value: Value) -> str:
    said = repr(value)
    return said if len(said) < 200 else f"{said[:120]}… ({len(said)} long)"


def _chained(first: Meaning, then: Meaning) -> Meaning:
    return lambda value: then(first(value))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _selected(column: Column) -> str:
    name = _quoted(column.name)
    if column.type == "float":
        return f"{name} + 0e0"  # as text a float has six digits
    if column.type == "vector":
        return f"HEX({name})"
    if column.type in _GEOMETRIES:
        return f"HEX({name})"  # four bytes of SRID and the WKB
    return name


def _meaning(column: Column) -> Meaning:
    """What a text of the source means."""
    if column.copy_type in ("json", "jsonb"):
        return _json
    if column.copy_type == "uuid":
        return lambda value: UUID(bytes=value) if isinstance(value, bytes) else UUID(value)
    if column.type == "vector" and column.copy_type == "bytea":
        return bytes.fromhex
    if column.type == "set" and column.copy_type.endswith("[]"):
        return lambda text: tuple(text.split(",")) if text else ()
    if column.type == "bit":
        return _bits(int(re.sub(r"\D", "", column.full_type)), column.copy_type)
    return _MEANINGS.get(column.type, _same)


def _copied_meaning(column: Column) -> Meaning:
    """The same value, as psycopg gives it."""
    if column.type == "float":
        return _float32
    if column.copy_type.endswith("[]"):
        return tuple
    if column.copy_type.startswith("time "):
        return _since_midnight
    if column.type == "vector" and column.copy_type != "bytea":
        return _vector_text
    return _same


def _same(value: Any) -> Value:
    return value


def _whole(text: str) -> Value:
    return int(text)


def _float32(number: str | float) -> Value:
    return struct.pack("f", float(number))


def _bits(width: int, copy_type: str) -> Meaning:
    if copy_type.startswith("bit"):
        return lambda value: format(int.from_bytes(value, "big"), f"0{width}b")
    return lambda value: int.from_bytes(value, "big")


def _date(text: str) -> Value:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return Invalid(text)


def _datetime(text: str) -> Value:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return Invalid(text)


def _timestamp(text: str) -> Value:
    """The session of the source is in UTC."""
    value = _datetime(text)
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _time(text: str) -> Value:
    sign, hours, minutes, seconds = re.fullmatch(r"(-?)(\d+):(\d+):([\d.]+)", text).groups()  # type: ignore[union-attr]
    length = timedelta(hours=int(hours), minutes=int(minutes)) + _seconds(seconds)
    return -length if sign else length


def _seconds(text: str) -> timedelta:
    return timedelta(microseconds=int(Decimal(text) * 1_000_000))


def _since_midnight(value: time) -> Value:
    return datetime.combine(date.min, value) - datetime.min


def _vector(text: str) -> Value:
    return _floats(struct.iter_unpack("<f", bytes.fromhex(text)))


def _vector_text(value: str) -> Value:
    return _floats((float(number),) for number in json.loads(value))


def _floats(numbers: Iterator[tuple[float, ...]]) -> Value:
    return tuple(struct.pack("f", number) for (number,) in numbers)


def _json(text: str | bytes) -> Value:
    return _frozen(json.loads(text, parse_float=Decimal, parse_int=Decimal))


def _frozen(value: Any) -> Value:
    """With the kind beside each value, because Python takes `true` for 1; an object's keys have no order."""
    match value:
        case dict():
            return ("object", frozenset((key, _frozen(item)) for key, item in value.items()))
        case list():
            return ("array", tuple(map(_frozen, value)))
        case _:
            return (type(value).__name__, value)


_GEOMETRIES = {
    *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"),
    *("geometrycollection", "geomcollection"),
}
_MEANINGS: dict[str, Meaning] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), _whole),
    "decimal": Decimal,
    "float": _float32,
    "double": float,
    "date": _date,
    "datetime": _datetime,
    "timestamp": _timestamp,
    "time": _time,
    "inet4": ip_address,
    "inet6": ip_address,
    "vector": _vector,
    **dict.fromkeys(_GEOMETRIES, bytes.fromhex),
}
