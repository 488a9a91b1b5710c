"""What a table map says of a table, and whether that is the table that was planned.

The map is the only thing in the log that shows a change of a table's columns to whoever missed the statement, so it is
compared with the frozen schema each time a table gets a new number: types, sizes, signs, character sets, NOT NULL, and
names where the server writes them (binlog_row_metadata = FULL).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from tako.ferry.schema import BYTES, GEOMETRY, TEXT, Column
from tako.ferry.source.binlog.events import number

TINY, SHORT, LONG, FLOAT, DOUBLE, LONGLONG, INT24 = 1, 2, 3, 4, 5, 8, 9
DATE, YEAR, VARCHAR, BIT, TIMESTAMP2, DATETIME2, TIME2 = 10, 13, 15, 16, 17, 18, 19
VECTOR, JSON, DECIMAL, ENUM, SET, BLOB, VAR_STRING, STRING, GEOMETRIC = 242, 245, 246, 247, 248, 252, 253, 254, 255
BLOB_COMPRESSED, VARCHAR_COMPRESSED = 140, 141  # MariaDB's, for columns that are declared COMPRESSED
COMPRESSED = {BLOB_COMPRESSED: BLOB, VARCHAR_COMPRESSED: VARCHAR}
NUMERIC = frozenset({TINY, SHORT, LONG, FLOAT, DOUBLE, LONGLONG, INT24, DECIMAL})
CHARACTER = frozenset({VARCHAR, VAR_STRING, STRING, BLOB, *COMPRESSED})
# How many bytes of the map describe a column of this type further; 0 for those that are not here.
META = {
    **dict.fromkeys((FLOAT, DOUBLE, TIMESTAMP2, DATETIME2, TIME2, VECTOR, JSON, BLOB, GEOMETRIC, BLOB_COMPRESSED), 1),
    **dict.fromkeys((VARCHAR, BIT, DECIMAL, VAR_STRING, STRING, VARCHAR_COMPRESSED), 2),
    **dict.fromkeys((TINY, SHORT, LONG, LONGLONG, INT24, DATE, YEAR), 0),
}
TYPES = {
    "tinyint": TINY,
    "smallint": SHORT,
    "mediumint": INT24,
    "int": LONG,
    "bigint": LONGLONG,
    "float": FLOAT,
    "double": DOUBLE,
    "decimal": DECIMAL,
    "bit": BIT,
    "char": STRING,
    "binary": STRING,
    "inet4": STRING,
    "inet6": STRING,
    "uuid": STRING,
    "varchar": VARCHAR,
    "varbinary": VARCHAR,
    "json": JSON,
    "enum": ENUM,
    "set": SET,
    "date": DATE,
    "datetime": DATETIME2,
    "timestamp": TIMESTAMP2,
    "time": TIME2,
    "year": YEAR,
    "vector": VECTOR,
    **dict.fromkeys(GEOMETRY, GEOMETRIC),
    **dict.fromkeys((TEXT | BYTES) - {"char", "varchar", "binary", "varbinary"}, BLOB),
}
OLD_TIMES = {7: "TIMESTAMP", 11: "TIME", 12: "DATETIME"}
BLOB_WIDTHS = {"tiny": 1, "medium": 3, "long": 4}


class Wire(Struct, frozen=True):
    """One column in the log. `meta` by type: bytes of a length, digits of a fraction, most bytes, or a precision."""

    type: int
    meta: int
    scale: int
    nullable: bool


@dataclass(frozen=True, slots=True)
class TableMap:
    """`unsigned`, `charsets` and `labels` are empty where the server does not write them; by the column's place."""

    id: int
    database: str
    table: str
    columns: tuple[Wire, ...]
    names: tuple[str, ...] = ()
    unsigned: Mapping[int, bool] = field(default_factory=dict)
    charsets: Mapping[int, int] = field(default_factory=dict)
    labels: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Charsets:
    """The server's own: which character set a collation's number stands for, and how wide its characters may be."""

    of_collation: Mapping[int, str]
    widths: Mapping[str, int]


def name_of(body: bytes) -> tuple[int, str, str]:
    """The map's number, database and table, without the rest."""
    length = body[8]
    database = body[9 : 9 + length].decode()
    at = 10 + length
    table = body[at + 1 : at + 1 + body[at]].decode()
    return int.from_bytes(body[:6], "little"), database, table


def parse(body: bytes) -> TableMap:
    """Raises ValueError or IndexError for what is cut off, and for a type whose size is not known."""
    id, database, table = name_of(body)
    at = 8 + 2 + len(database.encode()) + 2 + len(table.encode())
    count, at = number(body, at)
    types = body[at : at + count]
    size, at = number(body, at + count)
    wires = list(_wires(types, body[at : at + size]))
    at += size
    bits = int.from_bytes(body[at : at + (count + 7) // 8], "little")
    at += (count + 7) // 8
    if len(wires) != count or at > len(body):
        raise ValueError("a table's description is cut off")
    columns = tuple(Wire(type, meta, scale, bool(bits >> n & 1)) for n, (type, meta, scale) in enumerate(wires))
    return TableMap(id, database, table, columns, **_optional(body, at, columns))  # type: ignore[arg-type]


def _wires(types: bytes, meta: bytes) -> Iterator[tuple[int, int, int]]:
    at = 0
    for type in types:
        if type in OLD_TIMES:
            raise ValueError(
                f"a column is an old {OLD_TIMES[type]}, as before MySQL 5.6: ALTER TABLE … FORCE makes it a new one"
            )
        if type not in META:
            raise ValueError(f"a column has the type {type}, which ferry does not know")
        data = meta[at : at + META[type]]
        if len(data) != META[type]:
            raise ValueError("a table's description is cut off")
        at += len(data)
        if type == STRING:
            yield _string(data)
        elif type == DECIMAL:
            yield type, data[0], data[1]
        elif type == BIT:
            yield type, data[0] + 8 * data[1], 0
        else:
            yield type, int.from_bytes(data, "little"), 0
    if at != len(meta):
        raise ValueError("a table's description is longer than its columns")


def _string(data: bytes) -> tuple[int, int, int]:
    """The real type is in the first byte, with two bits of a length that are turned round (Field_string)."""
    if data[0] in (ENUM, SET):
        return data[0], data[1], 0
    return STRING, (data[0] & 0x30 ^ 0x30) << 4 | data[1], 0


def _optional(body: bytes, at: int, columns: Sequence[Wire]) -> dict[str, object]:
    """What MySQL 8 and MariaDB 10.5 may add: SIGNEDNESS 1, character sets 2, 3, 10, 11, names 4, labels 5, 6."""
    places = {
        "number": [n for n, wire in enumerate(columns) if wire.type in NUMERIC],
        "text": [n for n, wire in enumerate(columns) if wire.type in CHARACTER],
        "choice": [n for n, wire in enumerate(columns) if wire.type in (ENUM, SET)],
        "enum": [n for n, wire in enumerate(columns) if wire.type == ENUM],
        "set": [n for n, wire in enumerate(columns) if wire.type == SET],
    }
    unsigned: dict[int, bool] = {}
    charsets: dict[int, int] = {}
    labels: dict[int, tuple[bytes, ...]] = {}
    names: tuple[str, ...] = ()
    while at < len(body):
        kind = body[at]
        size, at = number(body, at + 1)
        part = body[at : at + size]
        at += size
        if len(part) != size:
            raise ValueError("a table's description is cut off")
        if kind == 1:
            unsigned = {n: bool(part[i >> 3] & 0x80 >> (i & 7)) for i, n in enumerate(places["number"])}
        elif kind in (2, 10):
            charsets |= _default_charsets(part, places["text" if kind == 2 else "choice"])
        elif kind in (3, 11):
            charsets |= zip(places["text" if kind == 3 else "choice"], _numbers(part), strict=True)
        elif kind == 4:
            names = tuple(name.decode() for name in _texts(part, 0, None)[0])
        elif kind in (5, 6):
            labels |= _labels(part, places["set" if kind == 5 else "enum"])
    return {"unsigned": unsigned, "charsets": charsets, "labels": labels, "names": names}


def _numbers(part: bytes) -> Iterator[int]:
    at = 0
    while at < len(part):
        value, at = number(part, at)
        yield value


def _default_charsets(part: bytes, places: Sequence[int]) -> dict[int, int]:
    default, *rest = _numbers(part)
    others = dict(zip(rest[::2], rest[1::2], strict=True))
    return {n: others.get(i, default) for i, n in enumerate(places)}


def _texts(part: bytes, at: int, count: int | None) -> tuple[list[bytes], int]:
    found: list[bytes] = []
    while at < len(part) if count is None else len(found) < count:
        length, at = number(part, at)
        if at + length > len(part):
            raise ValueError("a name is cut off")
        found.append(part[at : at + length])
        at += length
    return found, at


def _labels(part: bytes, places: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
    at = 0
    found = {}
    for n in places:
        count, at = number(part, at)
        texts, at = _texts(part, at, count)
        found[n] = tuple(texts)
    return found


def differences(made: TableMap, columns: Sequence[Column], charsets: Charsets) -> Iterator[str]:
    """In which way the table in the log is not the planned one, in words."""
    if len(made.columns) != len(columns):
        yield f"it has {len(made.columns)} columns in the log, {len(columns)} in the plan"
        return
    for n, (wire, column) in enumerate(zip(made.columns, columns, strict=True)):
        if made.names and made.names[n].lower() != column.name.lower():
            yield f"column {n + 1} is called {made.names[n]} in the log, {column.name} in the plan"
        elif said := _difference(made, n, wire, column, charsets):
            yield f"column {column.name} {said}"


def _difference(made: TableMap, n: int, wire: Wire, column: Column, charsets: Charsets) -> str:
    wanted = TYPES.get(column.base)
    if column.base == "vector" and wire.type == VARCHAR:  # MariaDB's
        wanted = VARCHAR
    if COMPRESSED.get(wire.type, wire.type) != wanted:
        return f"has the type {wire.type} in the log, {column.type} in the plan"
    if wire.nullable != column.nullable:
        return "may be NULL in the log, not in the plan" if wire.nullable else "is NOT NULL in the log, not in the plan"
    if n in made.unsigned and made.unsigned[n] != column.unsigned:
        return "has another sign in the log than in the plan"
    if column.charset and n in made.charsets:
        charset = charsets.of_collation.get(made.charsets[n])
        if charset is not None and _same_charset(charset) != _same_charset(column.charset):
            return f"is {charset} in the log, {column.charset} in the plan"
    if (
        wire.type not in COMPRESSED
        and (size := _size(column, charsets)) is not None
        and size != (wire.meta, wire.scale)
    ):
        return f"has another size in the log than {column.type} in the plan"
    return ""


def _same_charset(name: str) -> str:
    return "utf8" if name == "utf8mb3" else name


def _size(column: Column, charsets: Charsets) -> tuple[int, int] | None:
    """Meta and scale that a column of the plan has in a map; None where several are right."""
    base = column.base
    if base == "decimal":
        return column.precision, column.scale
    if base in ("datetime", "timestamp", "time"):
        return column.fraction, 0
    if base == "bit":
        return column.precision, 0
    if base == "enum":
        return (1 if len(column.labels) < 256 else 2), 0
    if base == "set":
        bytes_ = (len(column.labels) + 7) // 8
        return (bytes_ if bytes_ <= 4 else 8), 0
    if base in ("char", "varchar") and column.charset and column.charset in charsets.widths:
        return column.length * charsets.widths[column.charset], 0
    if base in ("binary", "varbinary"):
        return column.length, 0
    if TYPES.get(base) == BLOB:
        return next((width for prefix, width in BLOB_WIDTHS.items() if base.startswith(prefix)), 2), 0
    return None
