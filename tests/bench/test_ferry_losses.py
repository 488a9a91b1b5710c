"""The bench's count of what a tool lost: nothing where nothing is, and every kind of loss."""

from pathlib import Path

import psycopg
import pytest
from bench.ferry import data, losses

from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

SIZE = data.Size(400)
TARGET = """
CREATE SCHEMA site;
CREATE TABLE site.users (
  id bigint, created_at timestamp(3), updated_at timestamp(3), deleted_at timestamp(3), name text, password text,
  email text, avatar text, domain text, intro text, notify boolean, harassment_setting text, is_admin boolean
);
CREATE TABLE site.questions (
  id bigint, created_at timestamp, updated_at timestamp, deleted_at timestamp, from_ip text, user_id bigint,
  content text, token text, answer text, receive_reply_email text, asker_user_id bigint, is_private boolean,
  content_ok boolean
);
CREATE TABLE site.censor_logs (
  id bigint, created_at timestamp(3), source_name text, input text, input_hash text, pass boolean, raw_response jsonb
);
CREATE TABLE site.wide (
  id int, ti smallint, tiu smallint, flag boolean, si smallint, mi int, miu int, i int, iu bigint, bi bigint,
  biu numeric(20), f real, d double precision, dc numeric(20,6), b1 boolean, b12 text, c text, vc text, vl text,
  tx text, bn bytea, vb bytea, bl bytea, e text, s text, dt date, dtm timestamp, dt6 timestamp, ts timestamptz,
  ts3 timestamptz, tm interval, tm3 interval, y smallint, js jsonb
);
"""


@pytest.fixture
def copied(postgres: Postgres, tmp_path: Path) -> str:
    """A target into which the files themselves were loaded, zero dates as NULL."""
    data.write(tmp_path, SIZE, seed=7)
    url = postgres.new_database()
    with psycopg.connect(url) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute(TARGET)
        for table in data.TABLES:
            with connection.cursor().copy(f"COPY site.{table} FROM STDIN") as copy:
                text = (tmp_path / f"{table}.tsv").read_text(encoding="utf-8")
                for zero in ("0000-00-00 00:00:00.000", "0000-00-00 00:00:00"):
                    text = text.replace(zero, "\\N")
                copy.write(text)
    return url


def test_a_right_copy_lost_nothing(copied: str, tmp_path: Path) -> None:
    counted = losses.count(copied, "site", tmp_path)
    assert (counted.rows, counted.arrived) == (SIZE.total, SIZE.total)
    assert (counted.missing, counted.extra, counted.values, counted.where) == (0, 0, 0, {})


def test_every_kind_of_loss_is_counted(copied: str, tmp_path: Path) -> None:
    with psycopg.connect(copied) as connection:
        connection.execute("DELETE FROM site.questions WHERE id IN (1, 200, 400)")
        connection.execute("INSERT INTO site.users SELECT * FROM site.users WHERE id = 5")
        connection.execute(
            "UPDATE site.questions SET content = replace(content, substr(content, 1, 1), '?') WHERE id = 7"
        )
        connection.execute(
            "UPDATE site.wide SET f = f * 1.0001, b1 = NOT b1, dt6 = dt6 + interval '1 microsecond' WHERE id = 9"
        )
        connection.execute(
            "UPDATE site.wide SET vb = vb || '\\x00', js = js || '{\"code\": 1}', tm = -tm WHERE id = 10"
        )
        connection.execute("UPDATE site.wide SET ts = ts + interval '8 hours', tx = NULL, biu = biu - 1 WHERE id = 11")
    counted = losses.count(copied, "site", tmp_path)
    assert (counted.arrived, counted.missing, counted.extra) == (SIZE.total - 3, 3, 1)
    wrong = {f"wide.{name} values wrong" for name in ("f", "b1", "dt6", "vb", "js", "tm", "ts", "tx", "biu")}
    assert set(counted.where) == {*wrong, "questions.content values wrong", "questions rows missing"}
    assert counted.values == 10


def test_a_table_that_never_came_is_lost_as_a_whole(copied: str, tmp_path: Path) -> None:
    with psycopg.connect(copied) as connection:
        connection.execute("DROP TABLE site.wide")
    assert losses.count(copied, "site", tmp_path).missing == SIZE.of("wide")
