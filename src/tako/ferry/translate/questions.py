"""What has to be asked about a column's values before they move: which of them PostgreSQL refuses, or rules change."""

from collections.abc import Iterator
from dataclasses import dataclass

from tako.ferry.rules import ColumnRule
from tako.ferry.schema import Column
from tako.ferry.translate.types import Rendering


@dataclass(frozen=True, slots=True)
class Question:
    """About the rows counted under `code` (`translate.checks`). Without `write` it is answered."""

    code: str
    says: str
    write: str = ""


def about(column: Column, rule: ColumnRule, cast: str, rendering: Rendering) -> Iterator[Question]:
    """Every question that could arise; only those whose rows there are have to be asked."""
    yield from _numbers(column, cast, rendering.type)
    if rendering.type.startswith(("date", "timestamp")):
        yield _date("zero_date", "a zero date (0000-00-00, or a month, day or year 0)", "zero_dates", rule.zero_dates)
        yield _date("invalid_date", "a day that no calendar has (2026-02-30)", "invalid_dates", rule.invalid_dates)
    if rendering.type.startswith("time("):
        yield Question("beyond_day", "are no time of a day", 'cast = "time-to-interval"')
    yield from _texts(rule)
    if cast in ("enum-to-check", "enum-to-type"):
        yield _empty_enum(rule, cast)


def _numbers(column: Column, cast: str, type: str) -> Iterator[Question]:
    if cast == "tinyint-to-boolean":
        write = 'cast = "nonzero-to-boolean"  # or type = "smallint"'
        yield Question("not_boolean", "hold neither 0 nor 1, which no boolean can hold", write)
    if cast == "nonzero-to-boolean":
        yield Question("not_boolean", "hold neither 0 nor 1 and become true")
    if type == "bigint":
        write = 'cast = "bit-to-bit"' if column.base == "bit" else 'cast = "unsigned-to-numeric"'
        yield Question("beyond_bigint", "are 2^63 or more, which no bigint can hold", write)
    if cast == "unsigned-to-numeric":
        yield Question("beyond_bigint", "are 2^63 or more: the column becomes numeric(20,0)")
    if column.unsigned and (column.base, type) in (("int", "integer"), ("smallint", "smallint")):
        yield Question("beyond_signed", f"are too large for {type}", 'cast = "integer"')


def _date(code: str, what: str, name: str, answer: str | None) -> Question:
    says = f"hold {what}, which PostgreSQL refuses"
    if answer == "refuse":
        return Question(code, says, f'{name} = "null"  # or "1970-01-01"')
    return Question(code, f"{says}: they become {'NULL' if answer == 'null' else answer}")


def _texts(rule: ColumnRule) -> Iterator[Question]:
    if rule.nul == "refuse":
        yield Question("nul", "hold the character U+0000, which PostgreSQL refuses", 'nul = "remove"  # or "replace"')
    else:
        done = "is removed" if rule.nul == "remove" else "becomes U+FFFD"
        yield Question("nul", f"hold the character U+0000, which {done}")
    if rule.invalid_utf8 == "refuse":
        yield Question("invalid_utf8", "hold bytes that are no UTF-8", 'invalid_utf8 = "replace"')
    else:
        yield Question("invalid_utf8", "hold bytes that are no UTF-8; they become U+FFFD")
    says = "hold bytes that are no text of the column's character set"
    yield Question("invalid_charset", says, "skip = true  # or repair them in the source")
    if rule.encoding is None:
        says = 'of a latin1 column look like UTF-8; if they are, write encoding = "utf8"'
        yield Question("looks_utf8", says)


def _empty_enum(rule: ColumnRule, cast: str) -> Question:
    says = "hold '' in an enum, MySQL's mark of an invalid value"
    if rule.empty_enum == "null":
        return Question("empty_enum", f"{says}: they become NULL")
    if rule.empty_enum == "keep" and cast == "enum-to-check":
        return Question("empty_enum", f"{says}: it stays ''")
    return Question("empty_enum", says, 'empty_enum = "null"')
