r"""How each MySQL type goes: its PostgreSQL type, how a snapshot reads it, how both servers write it for a checksum.

One `Rendering` drives the snapshot's SQL, the keys of chunks and the verification, so the three cannot disagree.

PostgreSQL is the judge of every value: a rendering sends what the source holds (`2` for a boolean, `0000-00-00` for a
date, bytes that are no UTF-8) and PostgreSQL refuses what it cannot keep; the row is rejected, never bent. A value is
changed only where a rule says so.

Never REPLACE, CONCAT or HEX a long value on the source: a result longer than max_allowed_packet is NULL there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from tako.ferry.errors import BadRules
from tako.ferry.rules import ColumnRule
from tako.ferry.schema import BYTES, GEOMETRY, INTEGERS, TEXT, Column
from tako.ferry.translate.names import mysql

Compare = Literal["text", "number", "float", "boolean", "bytes", "instant", "interval", "json", "inet", "uuid", "set"]

HEX_LIMIT = 65_535  # twice this is surely shorter than any max_allowed_packet that we accept
UNCONVERTED = frozenset({"utf8", "utf8mb3", "utf8mb4", "ascii"})


@dataclass(frozen=True, slots=True)
class Hash:
    """A hash that both servers know. (MySQL 9.6 and later have no MD5 any more.)"""

    name: Literal["md5", "sha256"]

    def source(self, expression: str) -> str:
        return f"MD5({expression})" if self.name == "md5" else f"SHA2({expression},256)"

    def target(self, expression: str, *, binary: bool = False) -> str:
        if self.name == "md5":
            return f"md5({expression})"
        data = expression if binary else f"convert_to({expression},'UTF8')"
        return f"encode(sha256({data}),'hex')"


@dataclass(frozen=True, slots=True)
class Rendering:
    """`{c}` in `target_digest` stands for the column. Both digests give the same short text for the same value."""

    type: str
    read: str
    compare: Compare
    source_digest: str | None
    target_digest: str | None
    form: Literal["text", "hex", "bytes"] = "text"
    key: Literal["", "number", "text", "hex", "quoted"] = ""
    """How a value becomes a literal for the source again; empty: it does not, or the source orders it otherwise."""
    ordered: bool = False
    """Both servers order the values the same."""
    allowed: tuple[str, ...] = ()
    """The only values; a condition of the target."""
    labels: tuple[str, ...] = ()
    """Of the enum type that has to be made first."""


def default_cast(column: Column) -> str:
    """What becomes of a column if no rule says anything."""
    if column.json:
        return "json-to-jsonb"
    if column.base in INTEGERS:
        if column.base == "tinyint" and column.width == 1 and not column.unsigned:
            return "tinyint-to-boolean"
        return "unsigned-to-bigint" if column.base == "bigint" and column.unsigned else "integer"
    if column.base == "bit":
        return "bit-to-boolean" if column.precision == 1 else "bit-to-bit"
    if column.base in TEXT:
        return "text"
    if column.base in BYTES or column.base == "vector":
        return "binary-to-bytea"
    if column.base in GEOMETRY:
        return "geometry-to-bytea"
    return {
        "float": "float",
        "double": "double",
        "decimal": "decimal",
        "enum": "enum-to-check",
        "set": "set-to-text",
        "date": "date",
        "datetime": "datetime-to-timestamp",
        "timestamp": "timestamp-to-timestamptz",
        "time": "time-to-interval",
        "year": "year",
        "inet4": "inet",
        "inet6": "inet",
        "uuid": "uuid",
    }.get(column.base, "to-text")


def render(column: Column, cast: str, rule: ColumnRule, hash: Hash, *, mariadb: bool) -> Rendering:
    """Raises `BadRules` for a cast that there is not, or that is not for this type."""
    made = CASTS.get(cast)
    if made is None:
        raise BadRules(f"There is no cast {cast!r} (column {column.name}); there are {', '.join(sorted(CASTS))}.")
    bases, function = made
    if bases and column.base not in bases:
        raise BadRules(
            f"The cast {cast} is not for {column.type} (column {column.name}); leave it away or take another."
        )
    rendering = function(_Context(column, mysql(column.name), rule, hash, mariadb))
    if rule.type is not None:
        rendering = _retyped(rendering, rule.type)
    if rule.collation is not None and rendering.compare == "text":
        rendering = replace(rendering, type=_collated(rendering.type, rule.collation))
    return rendering


@dataclass(frozen=True, slots=True)
class _Context:
    column: Column
    name: str
    rule: ColumnRule
    hash: Hash
    mariadb: bool


def _retyped(rendering: Rendering, type: str) -> Rendering:
    """Another type by rule: PostgreSQL reads the same text, and what it prints is compared value by value."""
    same = type.split("(")[0].strip().lower() == rendering.type.split("(")[0]
    if same or {type, rendering.type} <= {"text", "citext", "varchar"}:
        return replace(rendering, type=type)
    whole = {"smallint", "integer", "bigint", "numeric"}
    if rendering.compare == "number" and type.split("(")[0].lower() in whole:
        return replace(rendering, type=type)
    return replace(rendering, type=type, source_digest=None, target_digest=None, ordered=False, allowed=(), labels=())


def _collated(type: str, collation: str) -> str:
    return "citext" if collation == "citext" else type


def _integer(at: _Context) -> Rendering:
    column = at.column
    size = INTEGERS[column.base]
    types = {1: "smallint", 2: "smallint", 3: "integer", 4: "integer", 8: "bigint"}
    wider = {1: "smallint", 2: "integer", 3: "integer", 4: "bigint", 8: "bigint"}
    return _number(at, (wider if column.unsigned else types)[size])


def _number(at: _Context, type: str) -> Rendering:
    read = f"{at.name}+0" if at.column.zerofill else at.name
    return Rendering(type, read, "number", read, "{c}::text", key="number", ordered=True)


def _unsigned_to_numeric(at: _Context) -> Rendering:
    return _number(at, "numeric(20,0)")


def _unsigned_to_bigint(at: _Context) -> Rendering:
    return _number(at, "bigint")


def _boolean(at: _Context) -> Rendering:
    # PostgreSQL reads 0 and 1 and refuses 2.
    return Rendering("boolean", at.name, "boolean", at.name, "({c}::int)::text", key="number", ordered=True)


def _nonzero(at: _Context) -> Rendering:
    read = f"{at.name}<>0"
    return Rendering("boolean", read, "boolean", read, "({c}::int)::text")


def _bit_to_boolean(at: _Context) -> Rendering:
    read = f"{at.name}+0"
    return Rendering("boolean", read, "boolean", read, "({c}::int)::text", key="number", ordered=True)


def _bit_to_bit(at: _Context) -> Rendering:
    size = at.column.precision
    read = f"LPAD(BIN({at.name}+0),{size},'0')"
    return Rendering(f"bit({size})", read, "text", read, "{c}::text")


def _bit_to_bigint(at: _Context) -> Rendering:
    read = f"{at.name}+0"
    return Rendering("bigint", read, "number", read, "{c}::text", key="number", ordered=True)


def _decimal(at: _Context) -> Rendering:
    return _number(at, f"numeric({at.column.precision},{at.column.scale})")


def _float(at: _Context) -> Rendering:
    # Alone, a FLOAT is printed with six digits: 16777217 comes as 16777200.
    read = f"{at.name}+0e0"
    return Rendering(
        "real", read, "float", _source_float(read), _target_float("{c}::float8"), key="number", ordered=True
    )


def _double(at: _Context) -> Rendering:
    read = f"{at.name}+0e0" if at.column.zerofill else at.name
    return Rendering(
        "double precision", read, "float", _source_float(read), _target_float("{c}"), key="number", ordered=True
    )


def _source_float(read: str) -> str:
    """Sign, digits and exponent: both servers print the shortest digits, but change to 1e15 at different sizes."""
    text = f"CAST({read} AS CHAR)"
    mantissa = f"SUBSTRING_INDEX(TRIM(LEADING '-' FROM {text}),'e',1)"
    exponent = f"IF(LOCATE('e',{text})>0,SUBSTRING_INDEX({text},'e',-1)+0,0)"
    return _digits(
        text, mantissa, exponent, f"SUBSTRING_INDEX({mantissa},'.',1)", "SIGNED", "IF(LEFT({0},1)='-','-','')"
    )


def _target_float(value: str) -> str:
    text = f"{value}::text"
    mantissa = f"split_part(ltrim({text},'-'),'e',1)"
    exponent = f"CASE WHEN strpos({text},'e')>0 THEN split_part({text},'e',2)::int ELSE 0 END"
    sign = "CASE WHEN left({0},1)='-' THEN '-' ELSE '' END"
    return _digits(text, mantissa, exponent, f"split_part({mantissa},'.',1)", "int", sign)


def _digits(text: str, mantissa: str, exponent: str, whole: str, integer: str, sign: str) -> str:
    digits = f"REPLACE({mantissa},'.','')"
    stripped = f"TRIM(LEADING '0' FROM {digits})"
    place = f"CAST({exponent}+LENGTH({whole})-LENGTH({digits})+LENGTH({stripped}) AS {integer})"
    shown = f"TRIM(TRAILING '0' FROM {stripped})"
    zero = f"CASE WHEN {stripped}='' THEN '0' ELSE CONCAT({sign.format(text)},{shown},'e',{place}) END"
    return f"CASE WHEN {text} IS NULL THEN NULL ELSE {zero} END"


def _sent(at: _Context) -> str:
    """A text's bytes as UTF-8. What its character set does not know comes with U+0000, which PostgreSQL refuses."""
    name, charset, rule = at.name, at.column.charset, at.rule
    if rule.encoding == "double-utf8":
        once = f"CONVERT({name} USING latin1)"
        again = f"CONVERT(CAST({once} AS BINARY) USING utf8mb4)"
        # Only what survives the way back was encoded twice; the rest stays.
        return (
            f"IF(CAST(CONVERT({once} USING utf8mb4) AS BINARY)=CAST({name} AS BINARY) "
            f"AND CAST({again} AS BINARY)=CAST({once} AS BINARY),{again},{name})"
        )
    if charset in UNCONVERTED or charset is None or rule.encoding == "utf8":
        return name
    converted = f"CONVERT({name} USING utf8mb4)"
    if charset == "latin1":
        return converted
    same = f"CAST(CONVERT({converted} USING {charset}) AS BINARY)=CAST({name} AS BINARY)"
    return f"IF({name} IS NULL,NULL,IF({same},{converted},CONCAT(_utf8mb4 X'00','not valid in {charset}')))"


def _text(at: _Context) -> Rendering:
    column = at.column
    short = column.base in ("char", "varchar")
    return _textual(at, f"varchar({max(column.length, 1)})" if short else "text")


def _textual(at: _Context, type: str) -> Rendering:
    read = _sent(at)
    plain = at.rule.encoding is None
    return Rendering(type, read, "text", at.hash.source(read), at.hash.target("{c}::text"), key="text" if plain else "")


def _to_text(at: _Context) -> Rendering:
    if at.column.base in TEXT or at.column.base in ("enum", "set"):
        return replace(_textual(at, "text"), key="text" if at.column.base in TEXT else "")
    return Rendering("text", at.name, "text", at.hash.source(f"CONCAT({at.name})"), at.hash.target("{c}::text"))


def _text_to_uuid(at: _Context) -> Rendering:
    digest = f"REPLACE(LOWER(CONVERT({at.name} USING utf8mb4)),'-','')"
    return Rendering("uuid", at.name, "uuid", digest, "replace({c}::text,'-','')", key="text")


def _enum_to_text(at: _Context) -> Rendering:
    return replace(_textual(at, "text"), key="")


def _enum_to_check(at: _Context) -> Rendering:
    allowed = at.column.labels if at.rule.empty_enum != "keep" else (*at.column.labels, "")
    return replace(_enum(at, "text"), allowed=allowed)


def _enum_to_type(at: _Context) -> Rendering:
    return replace(_enum(at, ""), labels=at.column.labels)


def _enum(at: _Context, type: str) -> Rendering:
    """Index 0 is '', which stands for an invalid value."""
    read = _sent(at)
    if at.rule.empty_enum == "null":
        read = f"IF({at.name}+0=0,NULL,{read})"
    return Rendering(type, read, "text", at.hash.source(read), at.hash.target("{c}::text"))


def _set_to_text(at: _Context) -> Rendering:
    return replace(_textual(at, "text"), key="")


def _set_to_array(at: _Context) -> Rendering:
    """Labels have no commas, but may have quotes and backslashes."""
    plain = _sent(at)
    safe = f"REPLACE(REPLACE({plain},'\\\\','\\\\\\\\'),'\"','\\\\\"')"
    read = f"IF({at.name}+0=0,'{{}}',CONCAT('{{\"',REPLACE({safe},',','\",\"'),'\"}}'))"
    return Rendering(
        "text[]", read, "set", at.hash.source(plain), at.hash.target("array_to_string({c},',')"), form="text"
    )


def _date(at: _Context) -> Rendering:
    read = _without_zero_dates(at)
    return Rendering("date", read, "text", f"CONCAT({read})", "{c}::text", key="quoted", ordered=True)


def _datetime(at: _Context) -> Rendering:
    return _instant(at, f"timestamp({at.column.fraction})", "to_char({c},'YYYY-MM-DD HH24:MI:SS.US')")


def _timestamp(at: _Context) -> Rendering:
    return _instant(
        at,
        f"timestamptz({at.column.fraction})",
        "to_char({c} AT TIME ZONE 'UTC','YYYY-MM-DD HH24:MI:SS.US')",
    )


def _instant(at: _Context, type: str, target: str) -> Rendering:
    read = _without_zero_dates(at)
    fraction = at.column.fraction
    rest = "0" * (6 - fraction) if fraction else ".000000"
    source = f"CONCAT({read},'{rest}')" if rest else f"CONCAT({read})"
    return Rendering(type, read, "instant", source, target, key="quoted", ordered=True)


def zero_date(name: str) -> str:
    """True of 0000-00-00, 2026-00-00, 2026-02-00 and of the year 0, none of which PostgreSQL has."""
    return f"(YEAR({name})=0 OR MONTH({name})=0 OR DAYOFMONTH({name})=0)"


def invalid_date(name: str) -> str:
    """True of 2026-02-30, which a source with ALLOW_INVALID_DATES keeps."""
    year = f"YEAR({name})"
    leap = f"(MOD({year},4)=0 AND (MOD({year},100)<>0 OR MOD({year},400)=0))"
    return (
        f"((MONTH({name}) IN (4,6,9,11) AND DAYOFMONTH({name})=31) "
        f"OR (MONTH({name})=2 AND DAYOFMONTH({name})>IF({leap},29,28)))"
    )


def _without_zero_dates(at: _Context) -> str:
    read = at.name
    for answer, condition in ((at.rule.invalid_dates, invalid_date), (at.rule.zero_dates, zero_date)):
        if answer == "refuse" or (condition is invalid_date and at.column.base == "timestamp"):
            continue
        value = "NULL" if answer == "null" else f"'{dated(str(answer), at.column)}'"
        read = f"IF({condition(at.name)},{value},{read})"
    return read


def dated(value: str, column: Column) -> str:
    """A rule's date in the form of the column's other values."""
    if column.base == "date":
        return value[:10]
    whole = value if len(value) > 10 else f"{value} 00:00:00"
    seconds, _, fraction = whole.partition(".")
    return f"{seconds}.{fraction.ljust(column.fraction, '0')[: column.fraction]}" if column.fraction else seconds


def _time_to_interval(at: _Context) -> Rendering:
    return _time(at, "interval" + (f"({at.column.fraction})" if at.column.fraction else ""))


def _time_to_time(at: _Context) -> Rendering:
    return _time(at, f"time({at.column.fraction})")


def _time(at: _Context, type: str) -> Rendering:
    """PostgreSQL prints no zeros at the end of a fraction."""
    digest = f"CONCAT({at.name})"
    if at.column.fraction:
        digest = f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {digest}))"
    return Rendering(type, at.name, "interval", digest, "{c}::text", key="quoted", ordered=True)


def _year(at: _Context) -> Rendering:
    read = f"{at.name}+0"
    return Rendering("smallint", read, "number", read, "{c}::text", key="number", ordered=True)


def _binary(at: _Context) -> Rendering:
    source = at.hash.source(at.name)
    target = at.hash.target("{c}", binary=True)
    if 0 < at.column.length <= HEX_LIMIT and at.column.base in ("binary", "varbinary"):
        return Rendering("bytea", f"HEX({at.name})", "bytes", source, target, form="hex", key="hex", ordered=True)
    return Rendering("bytea", at.name, "bytes", source, target, form="bytes")


def _binary_to_uuid(at: _Context) -> Rendering:
    if at.column.length != 16:
        raise BadRules(f"binary-to-uuid is for 16 bytes; {at.column.name} is {at.column.type}.")
    read = f"LOWER(HEX({at.name}))"
    return Rendering("uuid", read, "uuid", read, "replace({c}::text,'-','')", key="hex", ordered=True)


def _geometry_to_bytea(at: _Context) -> Rendering:
    return _bytes_of(at, at.name)


def _geometry_to_wkb(at: _Context) -> Rendering:
    return _bytes_of(at, f"ST_AsBinary({at.name})")


def _bytes_of(at: _Context, read: str) -> Rendering:
    return Rendering("bytea", read, "bytes", at.hash.source(read), at.hash.target("{c}", binary=True), form="bytes")


def _json(type: str) -> Callable[[_Context], Rendering]:
    def made(at: _Context) -> Rendering:
        if type == "jsonb" and at.mariadb:
            # MariaDB keeps the text as it was written; jsonb does not. So values are compared, not texts.
            return Rendering(type, _sent(at), "json", None, None)
        read = at.name if at.column.base == "json" else _sent(at)
        compare: Compare = "text" if type == "text" else "json"
        source = at.hash.source(f"CAST({read} AS CHAR)" if at.column.base == "json" else read)
        return Rendering(type, read, compare, source, at.hash.target("{c}::text"))

    return made


def _inet(at: _Context) -> Rendering:
    return Rendering("inet", at.name, "inet", f"CAST({at.name} AS CHAR)", "host({c})")


def _uuid(at: _Context) -> Rendering:
    return Rendering("uuid", at.name, "uuid", f"REPLACE(CAST({at.name} AS CHAR),'-','')", "replace({c}::text,'-','')")


_INTEGERS = frozenset(INTEGERS)
_LABELLED = TEXT | {"enum"}
_JSON = TEXT | {"json"}

CASTS: dict[str, tuple[frozenset[str], Callable[[_Context], Rendering]]] = {
    "integer": (_INTEGERS, _integer),
    "unsigned-to-bigint": (_INTEGERS, _unsigned_to_bigint),
    "unsigned-to-numeric": (_INTEGERS, _unsigned_to_numeric),
    "tinyint-to-boolean": (_INTEGERS, _boolean),
    "nonzero-to-boolean": (_INTEGERS, _nonzero),
    "bit-to-boolean": (frozenset({"bit"}), _bit_to_boolean),
    "bit-to-bit": (frozenset({"bit"}), _bit_to_bit),
    "bit-to-bigint": (frozenset({"bit"}), _bit_to_bigint),
    "decimal": (frozenset({"decimal"}), _decimal),
    "float": (frozenset({"float"}), _float),
    "double": (frozenset({"double"}), _double),
    "text": (TEXT, _text),
    "to-text": (frozenset(), _to_text),
    "text-to-uuid": (TEXT, _text_to_uuid),
    "enum-to-text": (frozenset({"enum"}), _enum_to_text),
    "enum-to-check": (frozenset({"enum"}), _enum_to_check),
    "enum-to-type": (frozenset({"enum"}), _enum_to_type),
    "set-to-text": (frozenset({"set"}), _set_to_text),
    "set-to-array": (frozenset({"set"}), _set_to_array),
    "date": (frozenset({"date"}), _date),
    "datetime-to-timestamp": (frozenset({"datetime"}), _datetime),
    "datetime-to-timestamptz": (frozenset({"datetime"}), _timestamp),
    "timestamp-to-timestamptz": (frozenset({"timestamp"}), _timestamp),
    "timestamp-to-timestamp": (frozenset({"timestamp"}), _datetime),
    "time-to-interval": (frozenset({"time"}), _time_to_interval),
    "time-to-time": (frozenset({"time"}), _time_to_time),
    "year": (frozenset({"year"}), _year),
    "binary-to-bytea": (BYTES | {"vector"}, _binary),
    "binary-to-uuid": (frozenset({"binary", "varbinary"}), _binary_to_uuid),
    "geometry-to-bytea": (GEOMETRY, _geometry_to_bytea),
    "geometry-to-wkb": (GEOMETRY, _geometry_to_wkb),
    "json-to-jsonb": (_JSON, _json("jsonb")),
    "json-to-json": (_JSON, _json("json")),
    "json-to-text": (_JSON, _json("text")),
    "inet": (frozenset({"inet4", "inet6"}), _inet),
    "uuid": (frozenset({"uuid"}), _uuid),
}
