"""ferry.toml: which rule wins, and what a slip of the pen is told."""

import pytest

from tako.ferry import rules
from tako.ferry.errors import BadRules
from tako.ferry.rules import Rules
from tako.ferry.schema import Column


def column(name: str = "c", type: str = "bigint(20) unsigned") -> Column:
    return Column(
        name=name, base=type.split("(")[0].split(" ")[0], type=type, nullable=True, unsigned="unsigned" in type
    )


def test_the_particular_beats_the_general() -> None:
    read = rules.parse(
        """
        [defaults]
        zero_dates = "null"
        nul = "remove"
        [types]
        bigint = { type = "numeric(30)" }
        "bigint unsigned" = { type = "bigint" }
        "bigint(20) unsigned" = { nul = "replace" }
        [tables."log_*".columns.c]
        zero_dates = "1970-01-01"
        [tables.log_old.columns.c]
        not_null = false
        """
    )
    rule = read.column("log_old", column())
    assert (rule.type, rule.nul, rule.not_null) == ("bigint", "replace", False)
    assert rule.zero_dates == "null"  # the table's own rules for the column replace those of the pattern
    assert read.column("log_new", column()).zero_dates == "1970-01-01"
    assert read.column("users", column("c", "int")).type is None


def test_without_rules_everything_that_would_lose_data_is_refused() -> None:
    rule = Rules().column("t", column())
    assert (rule.zero_dates, rule.invalid_dates, rule.nul, rule.invalid_utf8) == ("refuse",) * 4


def test_a_cast_takes_back_a_type_that_came_from_below() -> None:
    read = rules.parse('[types]\nint = { type = "bigint" }\n[tables.t.columns.c]\ncast = "tinyint-to-boolean"')
    rule = read.column("t", column("c", "int"))
    assert (rule.type, rule.cast) == (None, "tinyint-to-boolean")


def test_presets() -> None:
    plain, gorm, django = Rules(), Rules(preset="gorm"), Rules(preset="django")
    assert [one.names for one in (plain, gorm, django)] == ["lower", "keep", "keep"]
    assert [one.serial for one in (plain, gorm, django)] == [False, True, False]
    assert [one.flags for one in (plain, gorm, django)] == [False, True, False]
    assert django.column("t", column("c", "datetime(6)")).cast == "datetime-to-timestamptz"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("preset = 'gorn'", "gorn"),
        ("[defaults]\nzero_date = 'null'", "'zero_dates'"),
        ("[defaults]\nzero_dates = 'yesterday'", "yesterday"),
        ("[target]\nschema = 5", "target.schema"),
        ("[copy]\nchunk_bytes = 10", "1024"),
        ("[tables.users.columns.name]\nnul = 'maybe'", "maybe"),
        ("nonsense", "no TOML"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, said: str) -> None:
    with pytest.raises(BadRules, match=r"ferry\.toml") as raised:
        rules.parse(text)
    assert said in raised.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tables.user]\nskip = true", "'users'"),
        ("[tables.users.columns.nmae]\nskip = true", "'name'"),
        ("[types]\n'TINYINT (1)' = { skip = true }", "TINYINT (1)"),
    ],
)
def test_a_rule_for_what_is_not_there_is_told(text: str, said: str) -> None:
    with pytest.raises(BadRules) as raised:
        rules.check_names(rules.parse(text), {"users": {"name": column("name")}})
    assert said in raised.value.message


def test_a_pattern_may_fit_nothing() -> None:
    rules.check_names(rules.parse("[tables.'tmp_*']\nskip = true"), {"users": {}})
