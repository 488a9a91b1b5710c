"""A question site leaves MySQL; afterwards an ORM on PostgreSQL works with its tables as with its own."""

import contextlib
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql

from tests.ferry.compare import Comparison, Invalid
from tests.ferry.edge import database
from tests.support.ferry import Ferry
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

SITE = Path(__file__).with_name("story.sql")
RULES = """
preset = "gorm"

[target]
schema = "nekobox"

[defaults]
zero_dates = "null"
"""
FLAGS = {
    ("users", "notify"),
    ("questions", "is_private"),
    ("questions", "content_censor_pass"),
    ("censor_logs", "pass"),
}


class Base(orm.DeclarativeBase):
    """The site's own models on PostgreSQL."""

    metadata = sa.MetaData(schema="nekobox")

    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    created_at: orm.Mapped[datetime | None] = orm.mapped_column(postgresql.TIMESTAMP(precision=3))
    updated_at: orm.Mapped[datetime | None] = orm.mapped_column(postgresql.TIMESTAMP(precision=3))
    deleted_at: orm.Mapped[datetime | None] = orm.mapped_column(postgresql.TIMESTAMP(precision=3))


class User(Base):
    __tablename__ = "users"

    name: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    password: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    email: orm.Mapped[str | None] = orm.mapped_column(sa.String(191), unique=True)
    avatar: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    domain: orm.Mapped[str | None] = orm.mapped_column(sa.String(191), unique=True)
    background: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    intro: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    notify: orm.Mapped[bool] = orm.mapped_column(sa.Boolean, server_default=sa.true())
    harassment_setting: orm.Mapped[str | None] = orm.mapped_column(sa.Text)


class Question(Base):
    __tablename__ = "questions"

    from_ip: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    user_id: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger, sa.ForeignKey("nekobox.users.id"), index=True)
    content: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    token: orm.Mapped[str | None] = orm.mapped_column(sa.String(191))
    answer: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    receive_reply_email: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    asker_user_id: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    is_private: orm.Mapped[bool] = orm.mapped_column(sa.Boolean, server_default=sa.false())
    content_censor_pass: orm.Mapped[bool | None] = orm.mapped_column(sa.Boolean)


class CensorLog(Base):
    __tablename__ = "censor_logs"

    source_name: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    input: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    input_hash: orm.Mapped[str | None] = orm.mapped_column(sa.String(191), index=True)
    passed: orm.Mapped[bool | None] = orm.mapped_column("pass", sa.Boolean)
    raw_response: orm.Mapped[Any] = orm.mapped_column(postgresql.JSONB)


@pytest.fixture
def site(source: Mysqld) -> str:
    """The name of its database."""
    name = source.new_database()
    with contextlib.closing(database.connect(source, name)) as connection:
        database.run(connection, SITE.read_text())
        for table, rows in _rows(random.Random(8)).items():
            database.insert(connection, table, rows)
    return name


@pytest.fixture
def moved(source: Mysqld, target: Postgres, site: str, tmp_path: Path) -> Ferry:
    """The site in PostgreSQL."""
    ferry = Ferry(tmp_path, source.url(site), target.new_database(), RULES)
    ferry.plan().well()
    ferry.copy().well()
    assert ferry.verify().well().json()["equal"]
    return ferry


def test_a_site_moves_and_its_orm_works_on_postgresql(source: Mysqld, site: str, moved: Ferry) -> None:
    everything_arrived(source, site, moved)
    engine = sa.create_engine(moved.target.replace("postgresql://", "postgresql+psycopg://"))
    try:
        assert what_auto_migrate_would_change(engine) == []
        the_application_writes(engine)
    finally:
        engine.dispose()


def test_a_plan_refuses_until_the_zero_dates_have_a_rule(
    source: Mysqld, target: Postgres, site: str, tmp_path: Path
) -> None:
    ferry = Ferry(tmp_path, source.url(site), target.new_database(), RULES.replace('zero_dates = "null"', ""))
    assert ferry.plan().code == 1
    asked = {(risk["table"], risk["column"]) for risk in ferry.planned()["risks"] if risk["level"] == "refuse"}
    assert asked == {("questions", "created_at")}
    assert ferry.copy().code == 1
    with psycopg.connect(ferry.target) as connection:
        assert connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'nekobox'").fetchone() == (0,)


def everything_arrived(source: Mysqld, site: str, moved: Ferry) -> None:
    with contextlib.closing(source.connect(site)) as mine, psycopg.connect(moved.target) as its:
        compared = Comparison(mine, its, every=lambda value: None if isinstance(value, Invalid) else value)
        for table in ("users", "questions", "censor_logs"):
            assert compared.differences(table, f"nekobox.{table}") == []
            types = {column.name: column.copy_type for column in compared.columns(table, f"nekobox.{table}")}
            assert types["id"] == "bigint"
            assert {name for name, type_ in types.items() if type_ == "boolean"} == {c for t, c in FLAGS if t == table}


def what_auto_migrate_would_change(engine: sa.Engine) -> list[str]:
    """As an ORM does when it starts: every declared column against what the database says it is."""
    found = []
    inspector = sa.inspect(engine)
    for table in Base.metadata.sorted_tables:
        columns = {column["name"]: column for column in inspector.get_columns(table.name, schema="nekobox")}
        for column in table.columns:
            there = columns.pop(column.name)
            declared, real = (type_.compile(engine.dialect) for type_ in (column.type, there["type"]))
            if declared != real:
                found.append(f"{table.name}.{column.name}: {real} is not {declared}")
            if column.primary_key and there["default"] != f"nextval('nekobox.{table.name}_id_seq'::regclass)":
                found.append(f"{table.name}.{column.name} has the default {there['default']}")
        found += [f"{table.name}.{name} is not known" for name in columns]
        indexed = {tuple(index["column_names"]) for index in inspector.get_indexes(table.name, schema="nekobox")}
        found += [
            f"{table.name} has no index of {c.name}" for c in table.columns if c.index and (c.name,) not in indexed
        ]
    return found


def the_application_writes(engine: sa.Engine) -> None:
    with orm.Session(engine) as session:
        user = User(name="新用户 🐙", email="new@example.org", domain="new", created_at=_now())
        session.add(user)
        session.flush()
        assert user.id == 500  # MySQL would have given it this one too: rows up to 499 were there once
        assert user.notify is True
        question = Question(user_id=user.id, content="问题?", created_at=_now(), is_private=True)
        session.add(question)
        session.add(CensorLog(input="问题?", passed=False, raw_response={"code": 0}))
        session.commit()
        assert question.id == 301
        private = sa.select(sa.func.count()).select_from(Question).where(Question.is_private)
        assert session.scalar(private) == 151
        with pytest.raises(sa.exc.IntegrityError):
            session.execute(sa.insert(User).values(email="u1@example.org"))
        session.rollback()
        with pytest.raises(sa.exc.IntegrityError):
            session.execute(sa.insert(Question).values(user_id=10_000, is_private=False))


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def _rows(chance: random.Random) -> dict[str, list[tuple[Any, ...]]]:
    def said(n: int) -> str:
        return f"第{n}个问题 {chance.choice(['😀', '🐱', '👨‍👩‍👧'])}\n" + "谢谢!" * chance.randint(0, 30)

    at = "2023-05-01 12:34:56.789"
    zero = "0000-00-00 00:00:00.000"
    return {
        "users": [
            (n, at, at, None, f"用户{n}", "x" * 60, f"u{n}@example.org", "", f"d{n}", None, said(n), n % 2, "none")
            for n in range(1, 101)
        ],
        "questions": [
            (
                n,
                zero if n % 50 == 0 else at,
                at,
                None,
                "10.0.0.1",
                n % 100 + 1,
                said(n),
                f"{n:016x}",
                None,
                "",
                None,
                *f,
            )
            for n, f in ((n, (n % 2, (None, 0, 1)[n % 3])) for n in range(1, 301))
        ],
        "censor_logs": [
            (n, at, at, None, "qiniu", said(n), f"{n:032x}", n % 2, '{"code": 0, "labels": ["ad", "😀"]}')
            for n in range(1, 151)
        ],
    }
