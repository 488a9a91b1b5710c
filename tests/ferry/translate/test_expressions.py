"""Expressions are translated when every token is known, and left alone otherwise."""

import pytest

from tako.ferry.schema import Default
from tako.ferry.translate.expressions import default, translated

NAMES = {"a": '"a"', "first name": '"First"', "b": '"b"'}


@pytest.mark.parametrize(
    ("expression", "sql"),
    [
        ("(`a` < 10)", '( "a" < 10 )'),
        ("`a` * 2 + 1", '"a" * 2 + 1'),
        ("`a` is not null and `b` <> 3", '"a" IS NOT NULL AND "b" <> 3'),
        ("`a` in (_utf8mb4'x','it''s')", "\"a\" IN ( 'x' , 'it''s' )"),
        ("concat(`a`,' ',`first name`)", '( "a" || \' \' || "First" )'),
        ("coalesce(concat(`a`,`b`),lower(`a`))", 'coalesce ( ( "a" || "b" ) , lower ( "a" ) )'),
        ("ifnull(`a`,0)", 'coalesce ( "a" , 0 )'),
        ("length(`a`)", 'octet_length ( "a" )'),
        ("`a` between 1 and 5", '"a" BETWEEN 1 AND 5'),
        ("case when `a` > 0 then 1 else 0 end", 'CASE WHEN "a" > 0 THEN 1 ELSE 0 END'),
    ],
)
def test_known_expressions(expression: str, sql: str) -> None:
    assert translated(expression, NAMES) == sql


@pytest.mark.parametrize(
    "expression",
    [
        "`a` / 2",  # a fraction in MySQL, a whole number in PostgreSQL
        "`a` like 'x%'",  # without case in MySQL
        "if(`a`,1,2)",
        "date_format(`a`,'%Y')",
        "json_unquote(json_extract(`a`,'$.x'))",
        "`a` || `b`",
        "`gone` + 1",
        "(`a`",
        "`a`)",
        "`a`; drop table x",
        "cast(`a` as signed)",
        "`a` -- comment",
        "`a` && `b`",
        "`a` <=> `b`",
        "sleep(1)",
    ],
)
def test_what_is_not_known_is_not_guessed(expression: str) -> None:
    assert translated(expression, NAMES) is None


@pytest.mark.parametrize(
    ("kind", "text", "type", "sql"),
    [
        ("literal", "0", "boolean", "false"),
        ("literal", "1", "boolean", "true"),
        ("literal", "b'1'", "boolean", "true"),
        ("literal", "b'101'", "bit(5)", "B'00101'"),
        ("literal", "5", "integer", "5"),
        ("literal", "-1.50", "numeric(5,2)", "-1.50"),
        ("literal", "it's \\ x", "text", "E'it''s \\\\ x'"),
        ("literal", "NULL", "varchar(9)", "'NULL'"),
        ("literal", "", "varchar(9)", "''"),
        ("literal", "a\x00", "bytea", "'\\x6100'::bytea"),
        ("literal", "a,b", "text[]", '\'{"a","b"}\''),
        ("literal", "2020-01-01", "date", "'2020-01-01'"),
        ("expression", "current_timestamp(3)", "timestamp(3)", "LOCALTIMESTAMP(3)"),
        ("expression", "CURRENT_TIMESTAMP", "timestamptz(0)", "CURRENT_TIMESTAMP(0)"),
        ("expression", "uuid()", "varchar(36)", "gen_random_uuid()::text"),
        ("expression", "curdate()", "date", "CURRENT_DATE"),
        ("expression", "(1 + 2)", "integer", "(( 1 + 2 ))"),
    ],
)
def test_defaults(kind: str, text: str, type: str, sql: str) -> None:
    made = default(Default(kind, text), type, {})  # type: ignore[arg-type]
    assert (made.sql, made.problem) == (sql, "")


@pytest.mark.parametrize(
    ("default_", "type"),
    [
        (Default("literal", "0000-00-00 00:00:00"), "timestamp(0)"),
        (Default("expression", "rand()"), "double precision"),
    ],
)
def test_defaults_that_cannot_be_are_told(default_: Default, type: str) -> None:
    made = default(default_, type, {})
    assert made.sql is None
    assert default_.text in made.problem
