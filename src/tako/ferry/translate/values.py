"""Values as COPY writes them: taken apart, repaired where a rule says so, compared when their texts differ."""

import ipaddress
import json
import re
from decimal import Decimal, InvalidOperation

from tako.core.errors import Conflict
from tako.ferry.plan import PlannedColumn

# PostgreSQL writes all of these, we write the first four.
_UNESCAPE = {b"\\\\": b"\\", b"\\n": b"\n", b"\\t": b"\t", b"\\r": b"\r", b"\\b": b"\b", b"\\f": b"\f", b"\\v": b"\v"}
_ESCAPED = re.compile(rb"\\[ntrbfv\\]")


class BadKey(Conflict):
    """A key by which the source cannot be asked for its row."""


_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}"]+)')
NULL = b"\\N"


def value(field: bytes) -> bytes | None:
    """What a field of a line stands for."""
    if field == NULL:
        return None
    return _ESCAPED.sub(lambda found: _UNESCAPE[found[0]], field) if b"\\" in field else field


def field(value: bytes | None) -> bytes:
    """A value as a field of a line."""
    if value is None:
        return NULL
    return value.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t").replace(b"\r", b"\\r")


def fields(line: bytes) -> list[bytes | None]:
    return [value(part) for part in line.rstrip(b"\n").split(b"\t")]


_EQUAL = {"number": "number", "float": "number", "boolean": "number", "bytes": "hex", "instant": "quoted"}


def equal_literal(value: bytes, column: PlannedColumn) -> str:
    """A literal that is equal to the column's value, though perhaps not ordered as it is (an enum)."""
    return source_literal(value, column.key or _EQUAL.get(column.compare, "text"))


def source_literal(value: bytes, how: str) -> str:
    """A key's value, as either server prints it, as a literal that the source compares as it compares the column.

    Raises `BadKey` for what can be none.
    """
    if how == "text":
        return f"_utf8mb4 X'{value.hex()}'" if value else "''"
    text = value.decode("ascii")
    if how == "hex":
        digits = text.removeprefix("\\x").replace("-", "")
        return f"X'{digits}'"
    text = {"true": "1", "false": "0"}.get(text, text.removesuffix("+00"))
    if not re.fullmatch(r"[-+0-9.:eE ]+", text):
        raise BadKey(
            f"A row has the key {text!r}, which is no number and no date. Repair it in the source and plan again."
        )
    return text if how == "number" else f"'{text}'"


def repaired(value: bytes | None, column: PlannedColumn) -> bytes | None:
    """The value as the column's rule wants what PostgreSQL refuses: U+0000, and bytes that are no UTF-8."""
    if value is None or column.compare not in ("text", "json"):
        return value
    if column.nul == "remove":
        value = value.replace(b"\0", b"")
    elif column.nul == "replace":
        value = value.replace(b"\0", "\ufffd".encode())
    if column.compare == "json" and column.nul != "refuse":
        value = _json_nul(value, column.nul)
    if column.invalid_utf8 == "replace":
        value = value.decode("utf-8", "replace").encode()
    return value


def equal(source: bytes | None, target: bytes | None, compare: str) -> bool:
    """Whether two texts stand for the same value."""
    if source == target:
        return True
    if source is None or target is None:
        return False
    try:
        return canonical(source, compare) == canonical(target, compare)
    except (ValueError, KeyError, InvalidOperation, RecursionError):
        return False


def _json_nul(value: bytes, how: str) -> bytes:
    """The escape of U+0000, but not a backslash that is itself escaped before u0000."""
    put = b"\\ufffd" if how == "replace" else b""
    return re.sub(rb"(\\\\)|\\u0000", lambda found: found[1] or put, value)


def fingerprint(value: bytes | None, compare: str) -> object:
    """The same for equal values, in one process."""
    if value is None:
        return None
    try:
        return hash(_hashable(canonical(value, compare)))
    except (ValueError, KeyError, InvalidOperation, RecursionError):
        return value


def _hashable(value: object) -> object:
    if isinstance(value, dict):
        return frozenset((key, _hashable(inner)) for key, inner in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def canonical(text: bytes, compare: str) -> object:
    """The value itself, so that two texts of it are equal. Raises what a wrong text raises."""
    said = text.decode()
    match compare:
        case "number":
            return Decimal(said)
        case "float":
            return float(said)
        case "boolean":
            return {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}[said]
        case "bytes":
            return said.lower()
        case "instant":
            return _instant(said)
        case "interval":
            short = said.rstrip("0").rstrip(".") if "." in said else said
            return short.removeprefix("-") if set(short) <= set("-0:") else short
        case "json":
            return json.loads(said, parse_float=_number, parse_int=_number, object_pairs_hook=_object)
        case "inet":
            return ipaddress.ip_interface(said)
        case "uuid":
            return said.replace("-", "").lower()
        case "set":
            return [quoted or bare for quoted, bare in _ELEMENT.findall(said)]
        case _:
            return said


def _instant(said: str) -> str:
    """Without the zeros at the end of the fraction, and without the zone, which is UTC on both sides."""
    said = said.removesuffix("+00")
    return said.rstrip("0").rstrip(".") if "." in said else said


def _number(said: str) -> tuple[str, Decimal]:
    # Marked, so that 1 is not true.
    return ("number", Decimal(said))


def _object(pairs: list[tuple[str, object]]) -> object:
    return dict(pairs)
