"""Counts what a copy lost: rows that are missing, and values that are not what the data set's files say.

It reads the files and PostgreSQL, nothing else: neither the source server's nor a tool's idea of a value takes part.
A value may come in another type, as long as it still says the same; a zero date may be NULL, and nothing else.
"""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import psycopg
from psycopg import sql

from bench.ferry.data import KINDS, NULL


@dataclass
class Losses:
    """Of one copy."""

    rows: int = 0  # of the data set
    arrived: int = 0
    missing: int = 0
    extra: int = 0
    values: int = 0  # wrong ones in rows that arrived
    where: dict[str, int] = field(default_factory=dict)

    def said(self) -> str:
        return ", ".join(f"{place} {count:,}" for place, count in self.where.items()) or "nothing"

    def _count(self, place: str) -> None:
        self.where[place] = self.where.get(place, 0) + 1


def count(target: str, schema: str, folder: Path, *, until: dict[str, int] | None = None) -> Losses:
    """Compare the tables of a schema with the files of the data set, or the first rows of each, as `until` says."""
    losses = Losses()
    with psycopg.connect(target) as connection:
        connection.execute("SET TIME ZONE 'UTC'; SET datestyle = ISO; SET intervalstyle = postgres")
        for table, kinds in KINDS.items():
            _count_table(connection, schema, table, kinds, folder, losses, (until or {}).get(table))
    return losses


def _count_table(
    connection: "psycopg.Connection[tuple[object, ...]]",
    schema: str,
    table: str,
    kinds: dict[str, str],
    folder: Path,
    losses: Losses,
    until: int | None,
) -> None:
    columns = _columns(connection, schema, table)
    names = list(columns)
    same = [SAME[kinds.get(name, "text")] for name in names]
    copied = _copied(connection, schema, table, columns, kinds) if columns else iter(())
    row = next(copied, None)
    for line in _lines(folder / f"{table}.tsv", until):
        losses.rows += 1
        key = int(line[: line.index("\t")])
        while row is not None and int(row[: row.index("\t")]) < key:
            losses.extra += 1
            row = next(copied, None)
        if row is None or int(row[: row.index("\t")]) != key:
            losses.missing += 1
            losses._count(f"{table} rows missing")
            continue
        losses.arrived += 1
        if row != line:
            pairs = zip(names, same, line.split("\t"), row.split("\t"), strict=True)
            for name, equal, truth, copy in pairs:
                if truth != copy and not equal(truth, copy):
                    losses.values += 1
                    losses._count(f"{table}.{name} values wrong")
        row = next(copied, None)
    losses.extra += sum(1 for _ in copied) + (row is not None)


def _lines(path: Path, until: int | None) -> Iterator[str]:
    with open(path, encoding="utf-8", newline="\n") as file:
        for n, line in enumerate(file):
            if n == until:
                return
            yield line[:-1]


def _columns(connection: "psycopg.Connection[tuple[object, ...]]", schema: str, table: str) -> dict[str, str]:
    found = connection.execute(
        "SELECT column_name, udt_name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        (schema, table),
    ).fetchall()
    return {str(name): str(type_) for name, type_ in found}


def _copied(
    connection: "psycopg.Connection[tuple[object, ...]]",
    schema: str,
    table: str,
    columns: dict[str, str],
    kinds: dict[str, str],
) -> Iterator[str]:
    """The copy's rows by id, in the files' format."""
    read = sql.SQL(", ").join(_rendered(name, type_, kinds.get(name, "text")) for name, type_ in columns.items())
    query = sql.SQL("COPY (SELECT {} FROM {} ORDER BY id) TO STDOUT").format(read, sql.Identifier(schema, table))
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for data in copy:
            yield bytes(data).decode()[:-1]


def _rendered(name: str, type_: str, kind: str) -> sql.Composable:
    column = sql.Identifier(name)
    if type_ == "bool":
        return sql.SQL("{}::int").format(column)
    if type_ == "bytea" and kind == "bits":
        return sql.SQL("('x' || lpad(encode({}, 'hex'), 8, '0'))::bit(32)::int").format(column)
    if type_ == "bytea":
        return sql.SQL("encode({}, 'escape')").format(column)
    if type_ == "bpchar":
        return sql.SQL("{}::text").format(column)  # whose padding says nothing
    if type_.startswith("_"):
        return sql.SQL("array_to_string({}, ',')").format(column)
    return column


def _exact(truth: str, copy: str) -> bool:
    return truth == copy


def _parsed(parse: Callable[[str], object]) -> Callable[[str, str], bool]:
    def same(truth: str, copy: str) -> bool:
        if NULL in (truth, copy):
            return False
        try:
            return parse(truth) == parse(copy)
        except ValueError:
            return False

    return same


def _moment(truth: str, copy: str) -> bool:
    if truth.startswith("0000-00-00"):
        return copy == NULL
    return _plain_moment(truth) == _plain_moment(copy)


def _plain_moment(text: str) -> str:
    """Without a zone that is UTC, and zeros at the end."""
    plain = text.removesuffix("+00")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _length(text: str) -> timedelta:
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    hours, minutes, seconds = rest.split(":")
    return sign * timedelta(hours=int(hours), minutes=int(minutes), microseconds=int(Decimal(seconds) * 1_000_000))


def _float32(text: str) -> bytes:
    return struct.pack("f", float(text))


def _bits(text: str) -> int:
    """The files have numbers, of four digits at most; a copy has digits of bits, or numbers too."""
    return int(text, 2) if set(text) <= {"0", "1"} and len(text) > 4 else int(text)


@lru_cache(20_000)
def _document(text: str) -> object:
    unescaped = text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")
    return json.loads(unescaped.replace("\0", "\\"), parse_float=Decimal)


SAME: dict[str, Callable[[str, str], bool]] = {
    "text": _exact,
    "bytes": _exact,
    "whole": _parsed(Decimal),
    "flag": _parsed(int),
    "float": _parsed(_float32),
    "double": _parsed(float),
    "decimal": _parsed(Decimal),
    "bits": _parsed(_bits),
    "moment": _moment,
    "length": _parsed(_length),
    "json": _parsed(_document),
}
