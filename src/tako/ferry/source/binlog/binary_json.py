"""MySQL's binary JSON, as MySQL itself prints it (sql-common/json_binary.h, json_dom.cc).

A value is a type and, from a place of its container on, offsets; small values stand in the offset's place. Offsets that
lead out of the value, or a depth of more than a hundred, raise ValueError: the bytes are not what MySQL wrote.
"""

import base64
import struct
from collections.abc import Callable
from typing import Never

from tako.ferry.source.binlog import plain

_SMALL_OBJECT, _LARGE_OBJECT, _SMALL_ARRAY, _LARGE_ARRAY, _LITERAL = range(5)
_INT16, _UINT16, _INT32, _UINT32, _INT64, _UINT64, _DOUBLE, _STRING = range(5, 13)
_OPAQUE = 15
_NUMBERS = {_INT16: "<h", _UINT16: "<H", _INT32: "<i", _UINT32: "<I", _INT64: "<q", _UINT64: "<Q"}
_INLINE = frozenset({_LITERAL, _INT16, _UINT16})
_INLINE_LARGE = _INLINE | {_INT32, _UINT32}
_LITERALS = {0: b"null", 1: b"true", 2: b"false"}
_DEPTH = 100  # the server's own limit
_ESCAPES = {
    **{code: b"\\u%04x" % code for code in range(0x20)},
    0x08: b"\\b",
    0x09: b"\\t",
    0x0A: b"\\n",
    0x0C: b"\\f",
    0x0D: b"\\r",
    0x22: b'\\"',
    0x5C: b"\\\\",
}


def text(data: bytes) -> bytes:
    """The value as `SELECT` prints it. Nothing at all is the `null` that an old server writes for a missing value."""
    return _value(data[0], data, 1, _DEPTH) if data else b"null"


def _value(kind: int, data: bytes, at: int, depth: int) -> bytes:
    if depth == 0:
        raise ValueError("JSON is nested deeper than MySQL allows")
    if kind in (_SMALL_OBJECT, _LARGE_OBJECT, _SMALL_ARRAY, _LARGE_ARRAY):
        return _container(kind, data[at:], depth)
    if kind == _LITERAL:
        return _LITERALS[data[at]] if data[at] in _LITERALS else _bad("a literal")
    if kind in _NUMBERS:
        return b"%d" % struct.unpack_from(_NUMBERS[kind], data, at)[0]
    if kind == _DOUBLE:
        return _double(struct.unpack_from("<d", data, at)[0])
    if kind == _STRING:
        length, at = _length(data, at)
        return quoted(_cut(data, at, length))
    if kind == _OPAQUE:
        length, begin = _length(data, at + 1)
        return _opaque(data[at], _cut(data, begin, length))
    return _bad(f"the type {kind}")


def _container(kind: int, data: bytes, depth: int) -> bytes:
    large = kind in (_LARGE_OBJECT, _LARGE_ARRAY)
    wide = 4 if large else 2
    count, size = (int.from_bytes(data[n * wide : (n + 1) * wide], "little") for n in (0, 1))
    keyed = kind in (_SMALL_OBJECT, _LARGE_OBJECT)
    entries = 2 * wide + (count * (wide + 2) if keyed else 0)
    if size > len(data) or entries + count * (1 + wide) > size:
        raise ValueError("a JSON value is cut off")
    parts = []
    for n in range(count):
        at = entries + n * (1 + wide)
        inner = data[at]
        if inner not in (_INLINE_LARGE if large else _INLINE):
            at = int.from_bytes(data[at + 1 : at + 1 + wide], "little")
            value = _value(inner, data[:size], at, depth - 1)
        else:
            value = _value(inner, data[:size], at + 1, depth - 1)
        parts.append(_key(data, 2 * wide + n * (wide + 2), wide) + b": " + value if keyed else value)
    return b"{" + b", ".join(parts) + b"}" if keyed else b"[" + b", ".join(parts) + b"]"


def _key(data: bytes, at: int, wide: int) -> bytes:
    begin = int.from_bytes(data[at : at + wide], "little")
    return quoted(_cut(data, begin, int.from_bytes(data[at + wide : at + wide + 2], "little")))


def quoted(value: bytes) -> bytes:
    """A text in the quotes and escapes that MySQL writes."""
    if not any(byte in value for byte in (b'"', b"\\")) and min(value, default=0x20) >= 0x20:
        return b'"' + value + b'"'
    return b'"' + b"".join(_ESCAPES.get(byte) or bytes((byte,)) for byte in value) + b'"'


def _double(value: float) -> bytes:
    """So that it stays a double when it is read again."""
    said = plain.double(value)
    return said if b"." in said or b"e" in said else said + b".0"


def _opaque(type: int, data: bytes) -> bytes:
    """Values of SQL in JSON: decimals, dates and times have a text; the rest is base64."""
    made = _OPAQUES.get(type)
    if made is not None:
        return made(data)
    return b'"base64:type%d:%s"' % (type, base64.b64encode(data))


def _decimal(data: bytes) -> bytes:
    return plain.decimal(data[2:], data[0], data[1])


def _time(data: bytes) -> bytes:
    """Hours, minutes, seconds and microseconds in one signed number (TIME_from_longlong_time_packed)."""
    packed = int.from_bytes(data, "little", signed=True)
    sign, packed = (b"-", -packed) if packed < 0 else (b"", packed)
    fraction, whole = packed & 0xFFFFFF, packed >> 24
    return b'"%s%02d:%02d:%02d.%06d"' % (sign, whole >> 12 & 0x3FF, whole >> 6 & 63, whole & 63, fraction)


def _datetime(data: bytes) -> bytes:
    packed = int.from_bytes(data, "little", signed=True)
    return b'"%s.%06d"' % (plain.moment(packed >> 24), packed & 0xFFFFFF)


def _date(data: bytes) -> bytes:
    packed = int.from_bytes(data, "little", signed=True)
    return b'"%s"' % plain.moment(packed >> 24)[:10]


_OPAQUES: dict[int, Callable[[bytes], bytes]] = {
    246: _decimal,
    10: _date,
    11: _time,
    12: _datetime,
    7: _datetime,
}


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Seven bits per byte, the lowest first; the eighth says that there are more."""
    value = 0
    for n in range(5):
        byte = data[at + n]
        value |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            return value, at + n + 1
    return _bad("a length"), at


def _cut(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise ValueError("a JSON value is cut off")
    return data[at : at + length]


def _bad(what: str) -> Never:
    raise ValueError(f"{what} in a JSON value is none of MySQL's")
