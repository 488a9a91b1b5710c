"""The type matrix: what each type becomes and how it is read, with and without rules."""

from typing import Any

import pytest

from tako.ferry.errors import BadRules
from tako.ferry.rules import LAST, ColumnRule, merged
from tako.ferry.schema import Column
from tako.ferry.translate.types import CASTS, Hash, default_cast, render

MATRIX: list[tuple[str, dict[str, Any], str, str]] = [
    # type of the source, the column's other facts, PostgreSQL's type, how it is read
    ("tinyint(1)", {}, "boolean", "`c`"),
    ("tinyint(1) unsigned", {"unsigned": True}, "smallint", "`c`"),
    ("tinyint(4)", {}, "smallint", "`c`"),
    ("tinyint unsigned", {"unsigned": True}, "smallint", "`c`"),
    ("smallint", {}, "smallint", "`c`"),
    ("smallint unsigned", {"unsigned": True}, "integer", "`c`"),
    ("mediumint", {}, "integer", "`c`"),
    ("mediumint unsigned", {"unsigned": True}, "integer", "`c`"),
    ("int(11)", {}, "integer", "`c`"),
    ("int unsigned", {"unsigned": True}, "bigint", "`c`"),
    ("int(8) unsigned zerofill", {"unsigned": True, "zerofill": True}, "bigint", "`c`+0"),
    ("bigint", {}, "bigint", "`c`"),
    ("bigint unsigned", {"unsigned": True}, "bigint", "`c`"),
    ("decimal(65,30)", {"precision": 65, "scale": 30}, "numeric(65,30)", "`c`"),
    ("float", {}, "real", "`c`+0e0"),
    ("double", {}, "double precision", "`c`"),
    ("bit(1)", {"precision": 1}, "boolean", "`c`+0"),
    ("bit(12)", {"precision": 12}, "bit(12)", "LPAD(BIN(`c`+0),12,'0')"),
    ("char(10)", {"length": 10, "charset": "utf8mb4"}, "varchar(10)", "`c`"),
    ("varchar(9)", {"length": 9, "charset": "utf8mb3"}, "varchar(9)", "`c`"),
    ("varchar(9)", {"length": 9, "charset": "latin1"}, "varchar(9)", "CONVERT(`c` USING utf8mb4)"),
    ("longtext", {"charset": "utf8mb4"}, "text", "`c`"),
    ("json", {"json": True}, "jsonb", "`c`"),
    ("longtext", {"json": True, "charset": "utf8mb4"}, "jsonb", "`c`"),
    ("enum('a')", {"labels": ("a",), "charset": "utf8mb4"}, "text", "`c`"),
    ("set('a')", {"labels": ("a",), "charset": "utf8mb4"}, "text", "`c`"),
    ("date", {}, "date", "`c`"),
    ("datetime(3)", {"fraction": 3}, "timestamp(3)", "`c`"),
    ("timestamp", {}, "timestamptz(0)", "`c`"),
    ("time", {}, "interval", "`c`"),
    ("time(6)", {"fraction": 6}, "interval(6)", "`c`"),
    ("year(4)", {}, "smallint", "`c`+0"),
    ("binary(8)", {"length": 8}, "bytea", "HEX(`c`)"),
    ("varbinary(65000)", {"length": 65000}, "bytea", "HEX(`c`)"),
    ("longblob", {"length": 2**31}, "bytea", "`c`"),
    ("geometry", {}, "bytea", "`c`"),
    ("vector(3)", {}, "bytea", "`c`"),
    ("inet6", {}, "inet", "`c`"),
    ("uuid", {}, "uuid", "`c`"),
]


def column(type: str, **facts: Any) -> Column:
    base = type.split("(")[0].split(" ")[0]
    return Column(name="c", base=base, type=type, nullable=True, **facts)


def rule(**answers: Any) -> ColumnRule:
    return merged(LAST, ColumnRule(**answers))


@pytest.mark.parametrize(("type", "facts", "target", "read"), MATRIX)
def test_what_a_type_becomes_if_no_rule_says_anything(type: str, facts: dict[str, Any], target: str, read: str) -> None:
    one = column(type, **facts)
    made = render(one, default_cast(one), rule(), Hash("md5"), mariadb=True)
    assert (made.type, made.read) == (target, read)


@pytest.mark.parametrize(
    ("type", "facts", "cast", "target", "read"),
    [
        ("tinyint(2)", {}, "tinyint-to-boolean", "boolean", "`c`"),
        ("int", {}, "nonzero-to-boolean", "boolean", "`c`<>0"),
        ("bigint unsigned", {"unsigned": True}, "unsigned-to-numeric", "numeric(20,0)", "`c`"),
        ("bit(40)", {"precision": 40}, "bit-to-bigint", "bigint", "`c`+0"),
        ("binary(16)", {"length": 16}, "binary-to-uuid", "uuid", "LOWER(HEX(`c`))"),
        ("char(36)", {"length": 36, "charset": "ascii"}, "text-to-uuid", "uuid", "`c`"),
        ("json", {"json": True}, "json-to-json", "json", "`c`"),
        ("longtext", {"json": True, "charset": "utf8mb4"}, "json-to-text", "text", "`c`"),
        ("time(3)", {"fraction": 3}, "time-to-time", "time(3)", "`c`"),
        ("datetime(6)", {"fraction": 6}, "datetime-to-timestamptz", "timestamptz(6)", "`c`"),
        ("point", {}, "geometry-to-wkb", "bytea", "ST_AsBinary(`c`)"),
        ("enum('a')", {"labels": ("a",), "charset": "utf8mb4"}, "enum-to-text", "text", "`c`"),
    ],
)
def test_what_a_cast_makes_of_it(type: str, facts: dict[str, Any], cast: str, target: str, read: str) -> None:
    made = render(column(type, **facts), cast, rule(), Hash("md5"), mariadb=False)
    assert (made.type, made.read) == (target, read)


def test_every_cast_is_reached_or_named_above() -> None:
    """A cast that nothing tests is one that nobody knows."""
    tested = {default_cast(column(type, **facts)) for type, facts, _, _ in MATRIX}
    tested |= {"tinyint-to-boolean", "nonzero-to-boolean", "unsigned-to-numeric", "bit-to-bigint", "binary-to-uuid"}
    tested |= {"text-to-uuid", "json-to-json", "json-to-text", "time-to-time", "datetime-to-timestamptz"}
    tested |= {"geometry-to-wkb", "enum-to-text", "enum-to-type", "set-to-array", "timestamp-to-timestamp", "to-text"}
    assert tested == CASTS.keys()


def test_only_what_is_short_is_made_hexadecimal_by_the_source() -> None:
    """HEX() of more than half of max_allowed_packet is NULL, with nothing but a warning."""
    for type in ("tinyblob", "blob", "mediumblob", "longblob", "geometry"):
        one = column(type, length=2**31)
        made = render(one, default_cast(one), rule(), Hash("md5"), mariadb=True)
        assert "HEX" not in made.read
        assert made.form == "bytes"


def test_zero_dates_become_what_the_rule_says() -> None:
    one = column("datetime(3)", fraction=3)
    read = render(one, "datetime-to-timestamp", rule(zero_dates="1970-01-01"), Hash("md5"), mariadb=True).read
    assert read == "IF((YEAR(`c`)=0 OR MONTH(`c`)=0 OR DAYOFMONTH(`c`)=0),'1970-01-01 00:00:00.000',`c`)"


def test_an_enum_s_target_takes_its_labels_only() -> None:
    one = column("enum('a','b')", labels=("a", "b"), charset="utf8mb4")
    assert render(one, "enum-to-check", rule(empty_enum="refuse"), Hash("md5"), mariadb=True).allowed == ("a", "b")
    assert render(one, "enum-to-check", rule(empty_enum="keep"), Hash("md5"), mariadb=True).allowed == ("a", "b", "")


def test_another_type_by_rule_is_compared_by_value() -> None:
    """What PostgreSQL prints of a type that ferry does not know cannot be foreseen."""
    made = render(column("int"), "integer", rule(type="money"), Hash("md5"), mariadb=True)
    assert made.type == "money"
    assert made.source_digest is None


def test_a_server_without_md5_gets_sha256() -> None:
    one = column("longtext", charset="utf8mb4")
    made = render(one, "text", rule(), Hash("sha256"), mariadb=False)
    assert made.source_digest == "SHA2(`c`,256)"
    assert made.target_digest == "encode(sha256(convert_to({c}::text,'UTF8')),'hex')"


@pytest.mark.parametrize(
    ("type", "cast"), [("int", "no-such-cast"), ("int", "json-to-jsonb"), ("date", "binary-to-uuid")]
)
def test_a_cast_that_does_not_fit_is_told(type: str, cast: str) -> None:
    with pytest.raises(BadRules, match=cast):
        render(column(type), cast, rule(), Hash("md5"), mariadb=True)
