"""A value out of the source's log as the field of COPY text that the copy would have read.

The copy lets the source make the text (`Rendering.read`); here the same is made of what the log holds, cast by cast.
Where only the source knows how (a character set without a codec of the same mind, a double encoding), it is asked for
`Rendering.read` of that very value, so the two ways cannot disagree.
"""

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import cast

from tako.ferry.plan import PlannedColumn
from tako.ferry.rules import ColumnRule
from tako.ferry.schema import BYTES, GEOMETRY, INTEGERS, TEXT, Column
from tako.ferry.translate import values
from tako.ferry.translate.types import UNCONVERTED, dated

Field = Callable[[object], bytes]
"""A value that is not NULL: int, float or bytes by its type (`source.binlog.images`)."""
Ask = Callable[[PlannedColumn, Column, bytes], bytes | None]
"""`Rendering.read` of a value, as the source computes it."""
Labels = Callable[[int], bytes]
"""The text of an enum's number or a set's bits."""

KEPT = 4096  # values of a column that are remembered when the source had to be asked
_ASCII = frozenset(
    {
        "latin1",
        "latin2",
        "latin5",
        "latin7",
        "greek",
        "hebrew",
        "cp1250",
        "cp1251",
        "cp1256",
        "cp1257",
        "koi8r",
        "koi8u",
    }
    | {"cp850", "cp852", "cp866", "macroman", "macce", "gbk", "gb2312", "gb18030", "big5", "ujis", "eucjpms", "euckr"}
)  # a text of ASCII alone is the same bytes in these
_ZERO = re.compile(rb"0000-|....-00|....-..-00")
_DAYS = {b"04": b"30", b"06": b"30", b"09": b"30", b"11": b"30"}


def is_plain_text(column: Column, planned: PlannedColumn, rule: ColumnRule) -> bool:
    """The log's bytes are the text, and want nothing but escaping."""
    if column.base not in TEXT or planned.form != "text" or rule.encoding == "double-utf8":
        return False
    return column.charset in UNCONVERTED or rule.encoding == "utf8"


def is_plain_integer(column: Column, planned: PlannedColumn) -> bool:
    return column.base in INTEGERS and planned.cast != "nonzero-to-boolean" and not _padded(column, planned)


def field(column: Column, planned: PlannedColumn, rule: ColumnRule, ask: Ask, labels: Labels) -> Field:
    """What makes the field of a column's values."""
    if planned.cast == "geometry-to-wkb":
        return _asked_for_wkb(planned, column, ask)
    if planned.form in ("hex", "bytes"):
        return _upper_hex if planned.form == "hex" else _hex
    if planned.cast == "binary-to-uuid":
        return lambda value: _bytes(value).hex().encode()
    if column.base in ("enum", "set"):
        return _choice(column, planned, rule, labels)
    if column.base in TEXT:
        return _text(column, planned, rule, ask)
    if column.base in INTEGERS or column.base == "year":
        return _integer(column, planned)
    if column.base == "bit":
        return _bits(column, planned)
    if column.base in ("date", "datetime", "timestamp"):
        return _dates(column, rule)
    if column.base in BYTES | GEOMETRY | {"vector"}:
        return _asked(planned, column, ask)  # by rule another form than bytes
    return _escaped


def _bytes(value: object) -> bytes:
    return cast(bytes, value)


def _int(value: object) -> int:
    return cast(int, value)


def _escaped(value: object) -> bytes:
    return values.field(_bytes(value))


def _hex(value: object) -> bytes:
    return b"\\\\x" + _bytes(value).hex().encode()


def _upper_hex(value: object) -> bytes:
    return b"\\\\x" + _bytes(value).hex().upper().encode()


def _padded(column: Column, planned: PlannedColumn) -> bool:
    """Zeros in front are shown unless the copy reads the number (`c+0`)."""
    return column.zerofill and planned.cast == "to-text"


def _integer(column: Column, planned: PlannedColumn) -> Field:
    if planned.cast == "nonzero-to-boolean":
        return lambda value: b"1" if value else b"0"
    if _padded(column, planned):
        return lambda value: b"%0*d" % (column.width, _int(value))
    if column.base == "year" and planned.cast == "to-text":
        return lambda value: b"%04d" % _int(value)
    return lambda value: b"%d" % _int(value)


def _bits(column: Column, planned: PlannedColumn) -> Field:
    if planned.cast == "bit-to-bit":
        return lambda value: format(_int(value), f"0{column.precision}b").encode()
    if planned.cast == "to-text":
        size = (column.precision + 7) // 8
        return lambda value: values.field(_int(value).to_bytes(size, "big"))
    return lambda value: b"%d" % _int(value)


def _choice(column: Column, planned: PlannedColumn, rule: ColumnRule, labels: Labels) -> Field:
    if planned.cast == "set-to-array":
        return lambda value: values.field(_array(labels(_int(value))) if value else b"{}")

    def choice(value: object) -> bytes:
        if not value and column.base == "enum":
            return values.NULL if rule.empty_enum == "null" else b""
        return values.field(labels(_int(value)))

    return lru_cache(KEPT)(choice)


def _array(text: bytes) -> bytes:
    safe = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'{"' + safe.replace(b",", b'","') + b'"}'


def _text(column: Column, planned: PlannedColumn, rule: ColumnRule, ask: Ask) -> Field:
    if is_plain_text(column, planned, rule):
        return _escaped
    codec = {"ucs2": "utf-16-be", "utf16": "utf-16-be", "utf16le": "utf-16-le", "utf32": "utf-32-be"}.get(
        str(column.charset)
    )
    asked = _asked(planned, column, ask)
    if rule.encoding is None and codec is not None:
        return _decoded(codec, asked)
    if rule.encoding is None and column.charset not in _ASCII:
        return asked

    def text(value: object) -> bytes:
        data = _bytes(value)
        return values.field(data) if data.isascii() else asked(data)

    return text


def _decoded(codec: str, asked: Field) -> Field:
    def text(value: object) -> bytes:
        try:
            return values.field(_bytes(value).decode(codec).encode())
        except UnicodeError:  # half of a pair: the source says what it makes of that
            return asked(value)

    return text


def _asked(planned: PlannedColumn, column: Column, ask: Ask) -> Field:
    @lru_cache(KEPT)
    def remembered(data: bytes) -> bytes:
        return values.field(ask(planned, column, data))

    return lambda value: remembered(_bytes(value))


def _asked_for_wkb(planned: PlannedColumn, column: Column, ask: Ask) -> Field:
    def wkb(value: object) -> bytes:
        data = _bytes(value)
        if data[:4] == b"\0\0\0\0":
            return _hex(data[4:])
        # In some reference systems latitude and longitude change places on the way out.
        found = ask(planned, column, data)
        return values.NULL if found is None else _hex(found)

    return wkb


def _dates(column: Column, rule: ColumnRule) -> Field:
    """The rules for dates that PostgreSQL has not; without a rule it will refuse them."""
    zero, invalid = rule.zero_dates, rule.invalid_dates
    if column.base == "timestamp":
        invalid = "refuse"  # there are none
    if zero == "refuse" and invalid == "refuse":
        return _escaped

    def put(answer: str | None, value: bytes) -> bytes:
        if answer == "refuse":
            return value
        return values.NULL if answer == "null" else dated(str(answer), column).encode()

    def moment(value: object) -> bytes:
        data = _bytes(value)
        if _ZERO.match(data):
            return put(zero, data) if zero != "refuse" else put(invalid if _is_invalid(data) else "refuse", data)
        return put(invalid, data) if data[8:10] > b"28" and _is_invalid(data) else data

    return moment


def _is_invalid(said: bytes) -> bool:
    month, day = said[5:7], said[8:10]
    if month == b"02":
        year = int(said[:4])
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return day > (b"29" if leap else b"28")
    return day > _DAYS.get(month, b"31")


def inet(value: object) -> bytes:
    """MariaDB's inet4 and inet6, which the source prints as it prints INET6_NTOA."""
    address = ipaddress.ip_address(_bytes(value))
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return f"::ffff:{address.ipv4_mapped}".encode()
    return str(address).encode()
