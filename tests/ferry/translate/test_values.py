"""A value, as the source prints it, is the same value after PostgreSQL has read it and printed it again."""

import json
import uuid
from collections.abc import Iterator
from datetime import date, datetime

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tako.ferry.plan import PlannedColumn
from tako.ferry.target import Target, connect
from tako.ferry.translate import values
from tako.ferry.translate.digests import target_text
from tests.support.postgres import Postgres

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.decimals(-(10**9), 10**9, places=6).map(float)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def _single(number: float) -> str:
    """As the source prints a FLOAT that is made a DOUBLE."""
    return repr(number).replace("e+", "e")


KINDS: list[tuple[str, str, SearchStrategy[str]]] = [
    ("bigint", "number", st.integers(-(2**63), 2**63 - 1).map(str)),
    ("numeric(65,30)", "number", st.decimals(-(10**30), 10**30, places=30, allow_nan=False).map(lambda d: f"{d:f}")),
    ("real", "float", st.floats(width=32, allow_nan=False, allow_infinity=False).map(_single)),
    ("double precision", "float", st.floats(allow_nan=False, allow_infinity=False).map(_single)),
    ("boolean", "boolean", st.sampled_from("01")),
    ("bit(12)", "text", st.text("01", min_size=12, max_size=12)),
    ("text", "text", texts),
    ("jsonb", "json", json_values.map(json.dumps)),
    ("json", "json", json_values.map(lambda value: json.dumps(value, ensure_ascii=False, indent=1))),
    ("bytea", "bytes", st.binary(max_size=60).map(lambda data: f"\\x{data.hex().upper()}")),
    ("uuid", "uuid", st.uuids().map(lambda value: value.hex)),
    ("date", "text", st.dates(date(1, 1, 1), date(9999, 12, 31)).map(str)),
    ("timestamp(6)", "instant", st.datetimes(datetime(1, 1, 1)).map(lambda at: at.isoformat(" ", "microseconds"))),
    ("timestamptz(3)", "instant", st.datetimes(datetime(1970, 1, 2)).map(lambda at: at.isoformat(" ", "milliseconds"))),
    (
        "interval(3)",
        "interval",
        st.tuples(st.sampled_from(["", "-"]), st.integers(0, 838), st.integers(0, 59), st.integers(0, 59_999)).map(
            lambda t: f"{t[0]}{t[1]:02}:{t[2]:02}:{t[3] // 1000:02}.{t[3] % 1000:03}"
        ),
    ),
    ("inet", "inet", st.ip_addresses().map(str)),
    (
        "text[]",
        "set",
        st.lists(texts.filter(lambda t: t and "," not in t), max_size=4, unique=True).map(
            lambda found: "{" + ",".join('"' + t.replace("\\", "\\\\").replace('"', '\\"') + '"' for t in found) + "}"
        ),
    ),
]


@pytest.fixture(scope="module")
def session(target: Postgres) -> Iterator[Target]:
    with connect(target.new_database()) as opened:
        yield opened


def round_trip(session: Target, type: str, sent: bytes | None) -> bytes | None:
    """Through COPY, in a table of that type, and back."""
    column = PlannedColumn("c", "c", "", type, "", "c", "text")
    with session.connection.transaction(force_rollback=True):
        session.execute(f"CREATE TEMP TABLE t (c {type})")
        with session.connection.cursor().copy(b"COPY t FROM STDIN") as copy:
            copy.write(values.field(sent) + b"\n")
        (line,) = session.lines(f"SELECT {target_text(column)} FROM t")
    return values.fields(line)[0]


@pytest.mark.parametrize(("type", "compare", "strategy"), KINDS, ids=[kind[0] for kind in KINDS])
def test_what_goes_in_comes_out(session: Target, type: str, compare: str, strategy: SearchStrategy[str]) -> None:
    @settings(max_examples=40)
    @given(strategy)
    def check(said: str) -> None:
        came = round_trip(session, type, said.encode())
        assert values.equal(said.encode(), came, compare)
        assert values.fingerprint(said.encode(), compare) == values.fingerprint(came, compare)

    check()


@pytest.mark.parametrize("type", ["text", "boolean", "jsonb", "bytea"])
def test_null_and_the_words_for_it_are_different(session: Target, type: str) -> None:
    assert round_trip(session, type, None) is None
    for word in (b"\\N", b"NULL", b"", b"\\."):
        assert round_trip(session, "text", word) == word


@pytest.mark.parametrize(
    ("source", "target", "compare"),
    [
        (b"1", b"2", "number"),
        (b"0.1", b"0.10000000000000002", "float"),
        (b"1", b"f", "boolean"),
        (b"a", b"A", "text"),
        (b"a ", b"a", "text"),
        (b"\\x00", b"\\x0000", "bytes"),
        (b"2026-01-01 00:00:00.100", b"2026-01-01 00:00:00.01", "instant"),
        (b"-00:00:01", b"00:00:01", "interval"),
        (b'{"a": 1}', b'{"a": true}', "json"),
        (b'{"a": 12345678901234567890}', b'{"a": 12345678901234567891}', "json"),
        (b"[1, 2]", b"[2, 1]", "json"),
        (b'""', b"null", "json"),
        (b"null", None, "json"),
        (None, b"", "text"),
    ],
)
def test_different_values_are_different(source: bytes | None, target: bytes | None, compare: str) -> None:
    assert not values.equal(source, target, compare)
    assert values.fingerprint(source, compare) != values.fingerprint(target, compare)


def test_repairs_change_only_what_postgresql_refuses() -> None:
    column = PlannedColumn("c", "c", "", "text", "", "c", "text", nul="replace", invalid_utf8="replace")
    assert values.repaired("a\0é😀".encode(), column) == "a\ufffdé😀".encode()
    assert values.repaired(b"a\xffb", column) == "a\ufffdb".encode()
    plain = PlannedColumn("c", "c", "", "text", "", "c", "text")
    assert values.repaired(b"a\0\xff", plain) == b"a\0\xff"


def test_the_escape_of_nul_in_json_is_not_taken_for_an_escaped_backslash() -> None:
    column = PlannedColumn("c", "c", "", "jsonb", "", "c", "json", nul="remove")
    assert values.repaired(rb'"a\u0000b\\u0000\\\u0000"', column) == rb'"ab\\u0000\\"'


@pytest.mark.parametrize(
    ("value", "how", "literal"),
    [
        (b"42", "number", "42"),
        (b"-1.5e-7", "number", "-1.5e-7"),
        (b"true", "number", "1"),
        (b"\\x00ff", "hex", "X'00ff'"),
        (b"0123-4567", "hex", "X'01234567'"),
        ("é' OR 1".encode(), "text", "_utf8mb4 X'c3a927204f522031'"),
        (b"2026-01-01 00:00:00.5+00", "quoted", "'2026-01-01 00:00:00.5'"),
    ],
)
def test_keys_as_literals(value: bytes, how: str, literal: str) -> None:
    assert values.source_literal(value, how) == literal


@pytest.mark.parametrize("value", [b"1 OR 1=1", b"'", b"1;--", b""])
def test_a_key_that_is_no_number_is_never_sent(value: bytes) -> None:
    with pytest.raises(values.BadKey):
        values.source_literal(value, "number")


def test_uuids_in_any_writing_are_equal() -> None:
    one = uuid.uuid4()
    assert values.equal(one.hex.upper().encode(), str(one).encode(), "uuid")


def test_psycopg_is_the_one_that_reads_utf8(session: Target) -> None:
    with pytest.raises(psycopg.errors.CharacterNotInRepertoire):
        round_trip(session, "text", b"\xff")
