"""The plan's file: what it keeps, and what it does not forgive."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tako.ferry import plan, report
from tako.ferry.errors import BadRules
from tako.ferry.plan import Plan, PlannedColumn, PlannedTable, Risk, SourcePart, Statements, TargetPart
from tako.ferry.rules import CopyRule, Rules
from tako.ferry.schema import Column, Database, Table, differences, digest


def made(*risks: Risk) -> Plan:
    column = PlannedColumn("id", "id", "int(11)", "integer", "integer", "`id`", "number", not_null=True)
    database = Database("shop", (Table("users", (Column("id", "int", "int(11)", False),)),))
    return plan.sealed(
        Plan(
            version=plan.FORMAT,
            hash="",
            created_at="2026-11-26T00:00:00+00:00",
            source=SourcePart("mysql://root@localhost/shop", "mariadb", "10.11.19", "shop"),
            target=TargetPart("postgresql:///shop", 150000, "shop", True),
            digest="md5",
            schema=database,
            schema_hash=digest(database),
            tables=(PlannedTable("users", "users", (column,), key=("id",), rows=7, bytes=1000),),
            ddl=Statements(("CREATE TABLE …",), ()),
            risks=risks,
            copy=CopyRule(),
            rules=Rules(),
        )
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    plan.write(made(), tmp_path / "plan.json")
    assert plan.read(tmp_path / "plan.json") == made()


def test_the_hash_is_of_what_will_be_done() -> None:
    one = made()
    faster = replace(one, copy=CopyRule(max_mb_per_s=5), created_at="later")
    more_rows = replace(one, tables=(replace(one.tables[0], rows=8),))
    other_type = replace(one, ddl=Statements(("CREATE TABLE other",), ()))
    assert plan.sealed(faster).hash == plan.sealed(more_rows).hash == one.hash
    assert plan.sealed(other_type).hash != one.hash


@pytest.mark.parametrize(("before", "after"), [('"integer"', '"bigint"'), ('"version": 2', '"version": 3'), ("{", "[")])
def test_a_plan_that_was_changed_by_hand_is_refused(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "plan.json"
    plan.write(made(), file)
    file.write_text(file.read_text().replace(before, after, 1))
    with pytest.raises(BadRules, match="again"):
        plan.read(file)


def test_an_answered_question_cannot_be_struck_out_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    plan.write(made(Risk("refuse", "zero_date", "7 rows …", "users", "at")), file)
    file.write_text(file.read_text().replace('"refuse"', '"change"'))
    with pytest.raises(BadRules, match="by hand"):
        plan.read(file)


def test_a_missing_plan_is_told_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(BadRules, match="tako ferry plan SOURCE_URL TARGET_URL"):
        plan.read(tmp_path / "plan.json")


def test_a_person_reads_every_column_risk_and_what_to_write() -> None:
    text = "\n".join(
        report.lines(made(Risk("refuse", "zero_date", "7 rows …", "users", "at", 7, 'zero_dates = "null"')))
    )
    assert "users -> users: about 7 rows" in text
    assert "id: int(11) -> integer not null (integer; read as `id`)" in text
    assert "users.at: 7 rows …" in text
    assert 'zero_dates = "null"' in text
    assert "1 open questions" in text


def test_a_changed_schema_is_told_by_name() -> None:
    before = made().schema
    table = before.tables[0]
    wider = replace(table, columns=(Column("id", "bigint", "bigint", False), Column("new", "int", "int", True)))
    after = replace(before, tables=(wider, replace(table, name="other")))
    assert differences(before, after) == [
        "column users.id is not as it was",
        "column users.new is new",
        "table other is new",
    ]
