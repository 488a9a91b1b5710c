"""Rows for the edge tables that are easier made than written: texts, keys in every order, values of many megabytes."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

Row = tuple[Any, ...]

# What a tool that builds lines of text gets wrong.
TEXTS = (
    "",
    " ",
    "  both  ",
    "trailing ",
    "NULL",
    "null",
    "\\N",
    "\\\\N",
    "\\.",
    "\n\\.\n",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\\",
    "\\\\",
    "\\t\\n\\r\\b\\f\\v\\0\\x41\\101",
    "ends with a backslash\\",
    "a\tb\tc",
    "line one\nline two\r\nline three\n",
    "\"quoted\", 'quoted', `quoted`, \"\" ''",
    "%s %(name)s %% {} {0} $1 :name ?",
    "\\x00 \\u0000 \\U0001F600",
    "\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x1a\x1b\x7f",
    "\x80\x85\x9f\xa0",
    "\u2028\u2029\ufeff\ufffd\ufffe\uffff",
    "ýþÿ ŷ",  # their code points are the bytes that a batch may use as separators
    "\U0010ffff\U0010fffd",
    "é e\u0301 Å A\u030a",
    "日本語 한국어 中文 العربية עברית ไทย हिन्दी",
    "😀 👨‍👩‍👧 🏳️‍🌈 👍🏽 🇯🇵",
    "\u202eright to left\u202c",
    "x" * 300,
    "😀" * 20_000,
    "\\" * 10_000,
    "\n\t" * 10_000,
)

# 16,777,215 bytes is the largest packet of MySQL's protocol; longer rows come in several.
PACKET = 0xFFFFFF


def texts() -> Iterator[Row]:
    """(id, varchar(300), longtext)"""
    for n, text in enumerate(TEXTS):
        yield n, text[:300], text
    for code in (*range(1, 0x800), *range(0x800, 0xD800, 97), *range(0xE000, 0x10FFFF, 997)):
        yield 1_000 + code, f"{chr(code)}x{chr(code)}", f"{chr(code)}\\{chr(code)}"


def large_texts() -> Iterator[int]:
    """Sizes of a text beside a key of one digit (2 bytes, and 4 or 9 of length): the row just fits, fills or exceeds
    one packet, or fills two."""
    yield from (PACKET - 7, PACKET - 6, PACKET - 5, 2 * PACKET - 11)


def keyed(table: str, count: int = 500, seed: int = 5) -> Iterator[Row]:
    """Rows of a table of keys.sql, in a random order."""
    rows = list(_KEYED[table](random.Random(seed), count))
    random.Random(seed).shuffle(rows)
    return iter(rows)


def _numbers(low: int, high: int, *always: int) -> Any:
    def rows(rnd: random.Random, count: int) -> Iterator[Row]:
        for n, key in enumerate({low, high, *always, *(rnd.randint(low, high) for _ in range(count))}):
            yield key, n

    return rows


def _composite(rnd: random.Random, count: int) -> Iterator[Row]:
    for n in range(count):
        yield f"a{n % 7}", n // 7 % 5 - 2, f"2026-01-{n // 35 % 28 + 1:02}", n


def _reversed(rnd: random.Random, count: int) -> Iterator[Row]:
    for n in range(count):
        yield n, n % 50 - 25, n // 50 - 3


def _words(rnd: random.Random, count: int) -> Iterator[Row]:
    """Different for each collation: no two of them differ only by case, accent or trailing blanks."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    odd = ["", "'", '"', "\\", "%", "_", "-", "\t", "\n", "\\N", "'; DROP TABLE x; --", "日本", "😀", "~"]
    found = {*odd, *("".join(rnd.choices(letters, k=rnd.randint(1, 12))) for _ in range(count))}
    for n, word in enumerate(sorted(found)):
        yield (word.upper() if n % 3 == 0 else word), n


def _cased(rnd: random.Random, count: int) -> Iterator[Row]:
    """Keys that only a binary collation tells apart."""
    words = {f"{a}{b}{end}" for a in "aAäÄ" for b in "bBßs" for end in ("", "é", "e", "E", "x1", "X1")}
    for n, word in enumerate(sorted(words)):
        yield word, n


def _latin(rnd: random.Random, count: int) -> Iterator[Row]:
    for n in range(count):
        yield f"{'äöüßéñ'[n % 6]}{n:04}", n


def _fixed_bytes(rnd: random.Random, count: int) -> Iterator[Row]:
    for n, key in enumerate({b"\0" * 16, b"\xff" * 16, b"\\" * 16, *(rnd.randbytes(16) for _ in range(count))}):
        yield key, n


def _bytes(rnd: random.Random, count: int) -> Iterator[Row]:
    edges = {b"", b"\0", b"\0\0", b"a", b"a\0", b"a ", b"'", b"\\"}
    for n, key in enumerate(edges | {rnd.randbytes(rnd.randint(1, 20)) for _ in range(count)}):
        yield key, n


def _decimals(rnd: random.Random, count: int) -> Iterator[Row]:
    edge = 10**20 - 1
    keys = {-edge, edge, 0, 1, -1, *(rnd.randint(-edge, edge) for _ in range(count))}
    for n, key in enumerate(keys):
        yield Decimal(key).scaleb(-5), n


def _doubles(rnd: random.Random, count: int) -> Iterator[Row]:
    edges = {0.0, 5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 0.1, 0.30000000000000004, 0.3}
    for n, key in enumerate(edges | {rnd.uniform(-1, 1) * 10 ** rnd.randint(-300, 300) for _ in range(count)}):
        yield key, n


def _floats(rnd: random.Random, count: int) -> Iterator[Row]:
    for n in range(count):  # neighbours that six digits do not tell apart
        yield float(16_000_000 + n), n


def _moments(rnd: random.Random, count: int) -> Iterator[Row]:
    start = datetime(2026, 3, 29, 0, 0)
    for n in range(count):
        yield start + timedelta(minutes=7 * n, microseconds=n), n


def _times(rnd: random.Random, count: int) -> Iterator[Row]:
    for n in range(count):
        yield f"{'-' if n % 2 else ''}{n:03}:{n % 60:02}:00.{n % 1000:03}", n


def _enums(rnd: random.Random, count: int) -> Iterator[Row]:
    for n in range(count):
        yield ("z", "y", "x", "a")[n % 4], n // 4, n


def _sets(rnd: random.Random, count: int) -> Iterator[Row]:
    for n in range(count):
        yield ("", "z", "a", "z,a", "y,x")[n % 5], n // 5, n


def _loose(rnd: random.Random, count: int) -> Iterator[Row]:
    for n in range(count):
        yield (None if n % 9 == 0 else n % 50), f"t{n % 20}"


def _nullable(rnd: random.Random, count: int) -> Iterator[Row]:
    for n in range(count):
        yield (None if n % 3 == 0 else n), n


def _flags(rnd: random.Random, count: int) -> Iterator[Row]:
    for n in range(count):
        yield n % 2, n // 2


_KEYED: dict[str, Any] = {
    "key_signed": _numbers(-(2**31), 2**31 - 1, 0, -1, 1),
    "key_unsigned": _numbers(0, 2**64 - 1, 2**63 - 1, 2**63),
    "key_only": lambda rnd, count: ((n,) for n in range(-count, count, 3)),
    "key_composite": _composite,
    "key_reversed": _reversed,
    "key_text": _words,
    "key_text_binary": _cased,
    "key_latin": _latin,
    "key_bytes": _fixed_bytes,
    "key_bytes_varying": _bytes,
    "key_decimal": _decimals,
    "key_double": _doubles,
    "key_float": _floats,
    "key_when": _moments,
    "key_instant": _moments,
    "key_time": _times,
    "key_enum": _enums,
    "key_set": _sets,
    "key_bit": _numbers(0, 1023),
    "key_unique": lambda rnd, count: ((n, -n) for n in range(count)),
    "key_none": _loose,
    "key_nullable": _nullable,
    "key_flag": _flags,
}
KEYED: Sequence[str] = tuple(_KEYED)
