"""docs/ferry.md names every rule, every cast and every refusal."""

import re
from pathlib import Path

import msgspec
import pytest

from tako.ferry import rules
from tako.ferry.translate.types import CASTS

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src/tako/ferry").rglob("*.py"))
TABLES = (rules.Rules, rules.TargetRule, rules.CopyRule, rules.TableRule, rules.ColumnRule)


@pytest.fixture
def text() -> str:
    return (ROOT / "docs/ferry.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", TABLES)
def test_every_rule_is_documented(text: str, table: type[msgspec.Struct]) -> None:
    missing = [name for name in table.__struct_fields__ if not re.search(rf"[`\[]{name}\b", text)]
    assert missing == []


def test_every_cast_is_documented(text: str) -> None:
    assert [cast for cast in CASTS if f"`{cast}`" not in text] == []


def test_every_refusal_and_every_question_is_documented(text: str) -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    codes = set(re.findall(r"\(\s*\"refuse\",\s*\"(\w+)\"", source))
    codes |= set(re.findall(r"(?:Question|yield _date)\(\s*\"(\w+)\"", source))
    assert {"zero_date", "nul", "no_key", "ddl", "empty_enum"} <= codes
    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []
