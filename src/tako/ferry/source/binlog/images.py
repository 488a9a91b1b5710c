"""Images of rows become lines of COPY text, by Python code that is made for each table.

A loop over columns that looks at types costs four times as much as a function in which the types are written out
(the idea is that of any query compiler). What is made reads the columns of one table map in order, writes the fields
of those that are copied, and steps over the rest. It trusts no length: whatever leads past the end is `Damaged`.

What reaches a field's renderer (`translate.streamed`): int for integers, years, bits, enums and sets; for everything
else the bytes of the text that the source prints, or of the value where it is binary.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tako.ferry.schema import Column
from tako.ferry.source.binlog import binary_json, plain, tables
from tako.ferry.source.binlog.tables import Wire
from tako.ferry.translate import streamed, values
from tako.ferry.translate.streamed import Field

Image = Callable[[bytes, int], tuple[int, bytes, bytes]]
"""(data, where) -> (where the next one begins, the key's fields with tabs between, the line or nothing)."""

_INTEGERS = {
    # type: (bytes, signed, unsigned)
    tables.TINY: (1, "I1(b,p)[0]", "b[p]"),
    tables.SHORT: (2, "I2(b,p)[0]", "U2(b,p)[0]"),
    tables.LONG: (4, "I4(b,p)[0]", "U4(b,p)[0]"),
    tables.LONGLONG: (8, "I8(b,p)[0]", "U8(b,p)[0]"),
    tables.INT24: (3, "int24(b[p:p+3],'little',signed=True)", "int24(b[p:p+3],'little')"),
}
_NAMES: dict[str, Any] = {
    "I1": struct.Struct("<b").unpack_from,
    "I2": struct.Struct("<h").unpack_from,
    "U2": struct.Struct("<H").unpack_from,
    "I4": struct.Struct("<i").unpack_from,
    "U4": struct.Struct("<I").unpack_from,
    "I8": struct.Struct("<q").unpack_from,
    "U8": struct.Struct("<Q").unpack_from,
    "F4": struct.Struct("<f").unpack_from,
    "F8": struct.Struct("<d").unpack_from,
    "int24": int.from_bytes,
    "big": int.from_bytes,
    "plain": plain,
    "json": binary_json.text,
    "escaped": values.field,
    "inet": streamed.inet,
}


@dataclass(frozen=True, slots=True)
class Sink:
    """One column that is copied: its place in the table, and what makes its field (None: as it is, or escaped)."""

    place: int
    field: Field | None


def compiled(columns: Sequence[Column], wires: Sequence[Wire], sinks: Sequence[Sink], key: Sequence[int]) -> Image:
    """The function that reads one image. `key` are places of columns, in the key's order.

    With no sinks but those of the key the line is empty, which is all that a row's removal wants.
    """
    fields = {sink.place: sink.field for sink in sinks}
    names = dict(_NAMES)
    names |= {f"r{place}": field for place, field in fields.items() if field is not None}
    whole = set(fields) - set(key) or not key
    size = (len(columns) + 7) // 8
    required = sum(1 << n for n, wire in enumerate(wires) if not wire.nullable)
    code = [
        "def image(b, p):",
        f" nul=big(b[p:p+{size}],'little')",
        f" p+={size}",
        f" if nul & {required}: raise ValueError('NULL in a column that has none')",
    ]
    for place, (column, wire) in enumerate(zip(columns, wires, strict=True)):
        wanted = place in fields
        lines = _read(place, column, wire, wanted, fields.get(place))
        if wire.nullable:
            code.append(f" if nul & {1 << place}:")
            code.append(f"  f{place}=b'\\\\N'" if wanted else "  pass")
            code.append(" else:")
            code += [f"  {line}" for line in lines]
        else:
            code += [f" {line}" for line in lines]
    code.append(" if p>len(b): raise ValueError('a row is cut off')")
    key_text = _joined([f"f{place}" for place in key], "")
    line_text = _joined([f"f{sink.place}" for sink in sinks], "\\n") if whole else "b''"
    code.append(f" return p, {key_text}, {line_text}")
    exec(compile("\n".join(code), "<images>", "exec"), names)  # noqa: S102 (our own code; names come from no one)
    made: Image = names["image"]
    return made


def _joined(fields: Sequence[str], end: str) -> str:
    if not fields:
        return "b''"
    pattern = "\\t".join(["%b"] * len(fields)) + end
    return f"b'{pattern}' % ({', '.join(fields)},)"


def _read(place: int, column: Column, wire: Wire, wanted: bool, field: Field | None) -> list[str]:
    """Code that reads one value that is not NULL into `f<place>`."""
    value, advance, before = _value(column, wire)
    lines = list(before)
    if wanted:
        if field is not None:
            put = f"r{place}({value})"
        elif wire.type in _INTEGERS or wire.type == tables.YEAR:
            put = f"b'%d' % {value}"
        else:
            lines.append(f"v={value}")
            lines.append("if b'\\\\' in v or b'\\n' in v or b'\\t' in v or b'\\r' in v: v=escaped(v)")
            put = "v"
        lines.append(f"f{place}={put}")
    lines.append(advance)
    return lines


def _value(column: Column, wire: Wire) -> tuple[str, str, list[str]]:
    """The expression of the value at p, the statement that steps over it, and what comes before."""
    type, meta = wire.type, wire.meta
    if type in _INTEGERS:
        size, signed, unsigned = _INTEGERS[type]
        return (unsigned if column.unsigned else signed), f"p+={size}", []
    if type == tables.YEAR:
        return "(b[p]+1900 if b[p] else 0)", "p+=1", []
    if type == tables.FLOAT:
        return "plain.double(F4(b,p)[0])", "p+=4", []
    if type == tables.DOUBLE:
        return _double(column), "p+=8", []
    if type == tables.DECIMAL:
        size = plain.decimal_size(meta, wire.scale)
        return f"plain.decimal(b[p:p+{size}],{meta},{wire.scale})", f"p+={size}", []
    if type == tables.BIT:
        size = (meta + 7) // 8
        return f"big(b[p:p+{size}],'big')", f"p+={size}", []
    if type in (tables.ENUM, tables.SET):
        return f"big(b[p:p+{meta}],'little')", f"p+={meta}", []
    if type == tables.DATE:
        return "plain.date(big(b[p:p+3],'little'))", "p+=3", []
    if type in (tables.DATETIME2, tables.TIMESTAMP2, tables.TIME2):
        name, base = {
            tables.DATETIME2: ("datetime", 5),
            tables.TIMESTAMP2: ("timestamp", 4),
            tables.TIME2: ("time", 3),
        }[type]
        size = base + (meta + 1) // 2
        return f"plain.{name}(b[p:p+{size}],{meta})", f"p+={size}", []
    return _lengthy(column, wire)


def _double(column: Column) -> str:
    if column.scale and "," in column.type and not column.zerofill:
        return f"plain.fixed(F8(b,p)[0],{column.scale})"
    return "plain.double(F8(b,p)[0])"


def _lengthy(column: Column, wire: Wire) -> tuple[str, str, list[str]]:
    """A length, then that many bytes."""
    if wire.type in (tables.VARCHAR, tables.VARCHAR_COMPRESSED, tables.VAR_STRING, tables.STRING):
        wide = 2 if wire.meta > 255 else 1
    else:
        wide = wire.meta
    before = [f"n={'b[p]' if wide == 1 else f'''big(b[p:p+{wide}],'little')'''}; p+={wide}"]
    # A slice past the end would be shorter without a word.
    before.append("if p+n>len(b): raise ValueError('a value is cut off')")
    data = "b[p:p+n]"
    if wire.type in tables.COMPRESSED:
        data = f"plain.uncompressed({data})"
    if wire.type == tables.JSON:
        data = f"json({data})"
    elif column.base == "binary":
        data = f"{data}.ljust({column.length},b'\\0')"  # zeros at the end are not in the log
    elif column.base == "uuid":
        data = f"plain.uuid({data}.ljust(16,b'\\0'))"
    elif column.base in ("inet4", "inet6"):
        data = f"inet({data}.ljust({4 if column.base == 'inet4' else 16},b'\\0'))"
    return data, "p+=n", before
