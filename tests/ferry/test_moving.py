"""What ferry promises of a move, on every server that it reads."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tako.ferry import abort
from tako.ferry.errors import Blocked, Refused, SourceChanged
from tako.ferry.target import state
from tako.ferry.throttle import Throttle
from tests.ferry import moving
from tests.ferry.moving import Move
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

Start = Callable[..., Move]
USERS = """CREATE TABLE users (
    id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, email varchar(191) NOT NULL,
    is_admin tinyint(2) NOT NULL DEFAULT 0, created_at datetime(3) NOT NULL,
    updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    UNIQUE KEY idx_email (email), KEY idx_created (created_at)) COMMENT 'who asks'"""
QUESTIONS = """CREATE TABLE questions (
    id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, user_id bigint unsigned NOT NULL, content longtext NOT NULL,
    KEY idx_created (user_id), CONSTRAINT owner FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)"""
SMALL_CHUNKS = "[copy]\nchunk_bytes = 1024\n"


@pytest.fixture
def start(source: Mysqld, target: Postgres) -> Start:
    def started(*statements: str) -> Move:
        return moving.new(source, target, *statements)

    return started


def users(count: int) -> str:
    rows = ", ".join(f"('u{n}@example.org', {n % 2}, '2026-01-01 00:00:00.{n % 1000:03}')" for n in range(1, count + 1))
    return f"INSERT INTO users (email, is_admin, created_at) VALUES {rows}"


def numbers(count: int) -> list[str]:
    rows = ", ".join(f"({n}, '{n}{'x' * 50}')" for n in range(1, count + 1))
    return [
        "CREATE TABLE numbers (id int NOT NULL PRIMARY KEY, body varchar(100) NOT NULL)",
        f"INSERT INTO numbers VALUES {rows}",
    ]


@dataclass
class Cut(Exception):
    """Somebody pulls the plug."""


def cut_after(chunks: int) -> Throttle:
    """A throttle that pulls the plug behind so many chunks: its clock is asked once per chunk when there is a rate."""
    left = iter(range(chunks))

    def clock() -> float:
        if next(left, None) is None:
            raise Cut
        return 0.0

    return Throttle(max_mb_per_s=10**9, clock=clock, sleep=lambda seconds: None)


def test_a_site_of_an_orm_arrives_ready_to_be_used(start: Start) -> None:
    """The preset gorm: boolean flags, bigint ids that count on, the names that AutoMigrate looks for."""
    move = start(USERS, QUESTIONS, users(30), "INSERT INTO questions (user_id, content) VALUES (7, 'why?')")
    move.run("DELETE FROM users WHERE id = 30")  # the next id is 31 all the same
    results = move.all_of_it("preset = 'gorm'\n[target]\nschema = 'nekobox'")
    assert all(result.equal for result in results.values())
    ((id, admin),) = move.found(
        "INSERT INTO nekobox.users (email, created_at) VALUES ('new@example.org', now()) RETURNING id, is_admin"
    )
    assert (id, admin) == (31, False)
    types = dict(move.found("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'users'"))
    assert types["id"] == "bigint"
    assert types["is_admin"] == "boolean"
    assert types["updated_at"] == "timestamp with time zone"
    indexes = {name for (name,) in move.found("SELECT indexname FROM pg_indexes WHERE schemaname = 'nekobox'")}
    assert {"users_pkey", "idx_email", "users_idx_created", "questions_idx_created"} <= indexes
    assert move.found("SELECT pg_get_serial_sequence('nekobox.users', 'id')") == [("nekobox.users_id_seq",)]
    assert move.found("SELECT obj_description('nekobox.users'::regclass)") == [("who asks",)]


def test_foreign_keys_and_touched_columns_work_afterwards(start: Start) -> None:
    move = start(USERS, QUESTIONS, users(3), "INSERT INTO questions (user_id, content) VALUES (2, 'why?')")
    move.run("UPDATE users SET updated_at = '2020-01-01'")
    move.all_of_it("[target]\nschema = 'moved'")
    move.found("UPDATE moved.users SET email = 'changed@example.org' WHERE id = 1")
    move.found("UPDATE moved.users SET email = 'said', updated_at = '2021-01-01' WHERE id = 3")
    move.found("UPDATE moved.users SET email = email WHERE id = 2")
    touched = move.found("SELECT id, extract(year FROM updated_at)::int FROM moved.users ORDER BY id")
    assert touched[1:] == [(2, 2020), (3, 2021)]
    assert touched[0][1] > 2025
    move.found("DELETE FROM moved.users WHERE id = 2")
    assert move.found("SELECT count(*) FROM moved.questions") == [(0,)]


@pytest.mark.parametrize("chunks", [1, 3, 8])
def test_a_copy_that_was_cut_off_goes_on_where_it_was(start: Start, chunks: int) -> None:
    move = start(*numbers(200))
    move.plan(SMALL_CHUNKS)
    with pytest.raises(Cut):
        move.copy(cut_after(chunks))
    before = move.found("SELECT n, row_count, low, high FROM ferry.chunks ORDER BY n")
    move.copy()
    after = move.found("SELECT n, row_count, low, high FROM ferry.chunks ORDER BY n")
    assert after[: len(before)] == before
    assert len(after) > len(before)
    assert sum(rows for _, rows, _, _ in after) == 200
    assert [low for _, _, low, _ in after[1:]] == [high for _, _, _, high in after[:-1]]
    assert move.verify()["numbers"].equal
    assert move.found("SELECT n FROM ferry.runs ORDER BY n") == [(1,), (2,)]


def test_a_finished_copy_is_not_begun_again(start: Start) -> None:
    move = start(*numbers(10))
    move.plan()
    move.copy()
    move.copy()
    assert move.found("SELECT count(*) FROM ferry.chunks") == [(1,)]
    assert move.found("SELECT state FROM ferry.migrations") == [("copied",)]


def test_what_is_written_during_a_copy_is_not_in_its_snapshot(start: Start) -> None:
    move = start(*numbers(200))
    move.plan(SMALL_CHUNKS)
    waited: list[float] = []

    def write(seconds: float) -> None:
        if not waited:
            move.run("INSERT INTO numbers VALUES (1000, 'late')", "UPDATE numbers SET body = 'late' WHERE id = 200")
        waited.append(seconds)

    move.copy(Throttle(sleep_ratio=1, sleep=write))
    assert len(waited) > 3
    assert move.found(
        "SELECT count(*), count(*) FILTER (WHERE body = 'late') FROM numbers".replace(
            "numbers", f'"{move.made.target.schema}".numbers' if move.made else ""
        )
    ) == [(200, 0)]
    differing = move.verify()["numbers"]
    assert {(d.key, d.what) for d in differing.shown} == {(("1000",), "missing"), (("200",), "different")}


def test_a_table_that_is_emptied_during_the_copy_is_read_under_a_new_snapshot(start: Start) -> None:
    move = start(*numbers(200), "CREATE TABLE words (word int PRIMARY KEY)", "INSERT INTO words VALUES (1), (2)")
    move.plan(SMALL_CHUNKS)
    waited: list[float] = []

    def empty(seconds: float) -> None:
        if not waited:
            move.run("TRUNCATE TABLE words", "INSERT INTO words VALUES (3)")
        waited.append(seconds)

    move.copy(Throttle(sleep_ratio=1, sleep=empty))
    assert [event for event in move.events if event["event"] == "trouble"]
    assert move.found("SELECT n FROM ferry.runs ORDER BY n") == [(1,), (2,)]
    assert {name: result.equal for name, result in move.verify().items()} == {"numbers": True, "words": True}


def test_a_table_that_is_altered_during_the_copy_ends_it(start: Start) -> None:
    move = start(*numbers(200), "CREATE TABLE words (word int PRIMARY KEY)", "INSERT INTO words VALUES (1), (2)")
    move.plan(SMALL_CHUNKS)
    waited: list[float] = []

    def alter(seconds: float) -> None:
        if not waited:
            move.run("ALTER TABLE words ADD COLUMN n int NOT NULL FIRST, ALGORITHM = COPY")
        waited.append(seconds)

    with pytest.raises(SourceChanged, match="words"):
        move.copy(Throttle(sleep_ratio=1, sleep=alter))


def test_verify_finds_and_mends_every_kind_of_difference(start: Start) -> None:
    move = start(USERS, QUESTIONS, users(50), "INSERT INTO questions (user_id, content) VALUES (2, 'why?')")
    move.all_of_it("[target]\nschema = 'moved'")
    move.found("DELETE FROM moved.users WHERE id = 40")
    move.found("UPDATE moved.users SET email = 'wrong' WHERE id = 2")
    move.found("INSERT INTO moved.users (id, email, is_admin, created_at) VALUES (999, 'extra', 0, now())")
    found = move.verify()["users"]
    assert {(d.key[0], d.what) for d in found.shown} == {("40", "missing"), ("2", "different"), ("999", "extra")}
    assert move.found("SELECT state FROM ferry.migrations") == [("copied",)]
    mended = move.verify(repair=True)["users"]
    assert (mended.different, mended.repaired) == (3, 3)
    assert move.verify()["users"].different == 0
    assert move.found("SELECT state FROM ferry.migrations") == [("verified",)]
    # The row's own time of change is the source's, not that of the repair.
    assert move.found("SELECT count(*) FROM moved.questions") == [(1,)]


@pytest.mark.parametrize("change", ["body = body || ' '", "body = upper(body)", "body = ''", "id = -id"])
def test_verify_sees_one_changed_row_among_many(start: Start, change: str) -> None:
    move = start(*numbers(300))
    move.all_of_it("[target]\nschema = 'moved'")
    move.found(f"UPDATE moved.numbers SET {change} WHERE id = 123")
    assert move.verify()["numbers"].different == (2 if change == "id = -id" else 1)


def test_rows_that_postgresql_refuses_block_until_they_are_repaired_or_given_up(start: Start) -> None:
    move = start(*numbers(100))
    move.plan(SMALL_CHUNKS + "[target]\nschema = 'moved'")
    move.run("UPDATE numbers SET body = CONCAT('a', CHAR(0), 'b') WHERE id IN (3, 50, 100)")
    with pytest.raises(Blocked, match="3 rows of numbers"):
        move.copy()
    assert move.found("SELECT count(*) FROM moved.numbers") == [(97,)]
    assert move.found("SELECT key->>0, sqlstate FROM ferry.rejects ORDER BY id") == [
        ("3", "22021"),
        ("50", "22021"),
        ("100", "22021"),
    ]
    move.run("UPDATE numbers SET body = 'repaired' WHERE id = 50")
    with pytest.raises(Blocked, match="2 rows of numbers"):
        move.copy()
    assert move.made is not None
    with move.target() as opened:
        assert state.accept(opened, move.made.hash, "numbers") == 2
    move.copy()
    result = move.verify()["numbers"]
    assert (result.different, result.accepted) == (0, 2)


def test_a_rule_repairs_only_the_rows_that_are_refused(start: Start) -> None:
    move = start(*numbers(100), "UPDATE numbers SET body = CONCAT('a', CHAR(0), 'b') WHERE id IN (3, 50, 100)")
    move.plan()
    assert move.risks()["nul"].count == 3
    results = move.all_of_it("[target]\nschema = 'moved'\n[defaults]\nnul = 'remove'")
    assert results["numbers"].equal
    assert move.found("SELECT count(*) FROM moved.numbers WHERE body = 'ab'") == [(3,)]


def test_too_many_refused_rows_stop_the_copy(start: Start) -> None:
    move = start(*numbers(50))
    move.plan("[copy]\nmax_rejects = 10")
    move.run("UPDATE numbers SET body = CHAR(0)")
    with pytest.raises(Blocked, match="more than 10 rows of numbers"):
        move.copy()


def test_open_questions_keep_the_copy_from_starting(start: Start) -> None:
    move = start(
        "CREATE TABLE t (id int PRIMARY KEY, at datetime NOT NULL)", "INSERT INTO t VALUES (1, 0), (2, '2026-02-30')"
    )
    move.plan()
    assert {code: risk.count for code, risk in move.risks().items()} == {"zero_date": 1, "invalid_date": 1}
    with pytest.raises(Refused, match="zero date"):
        move.copy()
    move.plan("[defaults]\nzero_dates = 'null'\ninvalid_dates = '1970-01-01'\n[target]\nschema = 'moved'")
    assert "not_null_dropped" in move.risks("change")
    move.copy()
    assert move.verify()["t"].equal
    assert move.found("SELECT id, at::text FROM moved.t ORDER BY id") == [(1, None), (2, "1970-01-01 00:00:00")]


def test_orphans_keep_a_foreign_key_from_being_valid_and_nothing_else(start: Start) -> None:
    move = start(USERS, QUESTIONS, users(3))
    move.run("SET foreign_key_checks = 0", "INSERT INTO questions (user_id, content) VALUES (77, 'whose?')")
    move.plan("[target]\nschema = 'moved'")
    with pytest.raises(Blocked, match=r"VALIDATE CONSTRAINT .* \(user_id\)=\(77\)"):
        move.copy()
    assert move.made is not None
    with move.target() as opened:
        ((n, _, _),) = state.failed_steps(opened, move.made.hash)
        assert state.accept_step(opened, move.made.hash, n) == 1
    move.copy()
    assert move.verify()["questions"].equal
    assert move.found("SELECT convalidated FROM pg_constraint WHERE conname = 'owner'") == [(False,)]


def test_a_source_that_changed_since_the_plan_is_refused(start: Start) -> None:
    move = start(*numbers(5))
    move.plan()
    move.run("ALTER TABLE numbers ADD COLUMN more int")
    with pytest.raises(SourceChanged, match=r"column numbers\.more is new"):
        move.copy()


def test_two_plans_cannot_fill_one_schema(start: Start) -> None:
    move = start(*numbers(5))
    first = move.plan("[target]\nschema = 'moved'")
    second = move.plan("[target]\nschema = 'moved'\n[tables.numbers]\nname = 'other'")
    move.made = first
    move.copy()
    move.made = second
    with pytest.raises(Blocked, match="another plan"):
        move.copy()
    with move.target() as opened:
        kept = abort.active("moved", opened)
        assert kept == first
        assert kept is not None
        abort.run(kept, opened)
    assert move.found("SELECT count(*) FROM pg_namespace WHERE nspname = 'moved'") == [(0,)]
    move.copy()
    assert move.verify()["numbers"].equal


def test_two_copies_at_once_are_one(start: Start) -> None:
    move = start(*numbers(100))
    move.plan(SMALL_CHUNKS)
    seen: list[str] = []

    def meanwhile(seconds: float) -> None:
        if not seen:
            with move.target() as other:
                free = other.rows(
                    "SELECT pg_try_advisory_lock(%s, hashtext(%s))",
                    (state.LOCK, move.made.target.schema if move.made else ""),
                )
            seen.append(str(free[0][0]))

    move.copy(Throttle(sleep_ratio=1, sleep=meanwhile))
    assert seen == ["False"]


def test_tables_that_are_there_already_are_not_touched(start: Start) -> None:
    move = start(*numbers(5))
    move.found("CREATE SCHEMA moved")
    move.found("CREATE TABLE moved.numbers (mine int)")
    move.plan("[target]\nschema = 'moved'")
    assert "exists" in move.risks()


def test_double_encoded_text_is_decoded_by_rule(start: Start) -> None:
    move = start(
        "CREATE TABLE t (id int PRIMARY KEY, stored_twice varchar(50) CHARACTER SET latin1, "
        "mangled varchar(90) CHARACTER SET utf8mb4)",
        "INSERT INTO t VALUES (1, '', CONVERT(CONVERT(X'C3A9E282AC' USING latin1) USING utf8mb4))",
        "INSERT INTO t VALUES (2, 'plain', 'é already right 😀')",
    )
    move.run("UPDATE t SET stored_twice = CAST(X'C3A9F09F9880' AS BINARY) WHERE id = 1")
    move.plan()
    assert move.risks("change")["looks_utf8"].count == 1
    results = move.all_of_it(
        "[target]\nschema = 'moved'\n[tables.t.columns.stored_twice]\nencoding = 'utf8'\n"
        "[tables.t.columns.mangled]\nencoding = 'double-utf8'"
    )
    assert results["t"].equal
    assert move.found("SELECT stored_twice, mangled FROM moved.t ORDER BY id") == [
        ("é😀", "é€"),
        ("plain", "é already right 😀"),
    ]


def test_casts_that_change_the_shape(start: Start) -> None:
    move = start(
        "CREATE TABLE t (id binary(16) PRIMARY KEY, e enum('a','it''s') NOT NULL, s set('x','y z','q\"') NOT NULL, "
        "n tinyint(2))",
        "INSERT INTO t VALUES (X'00112233445566778899AABBCCDDEEFF', 'it''s', 'x,q\"', 5)",
        "INSERT INTO t VALUES (X'FF112233445566778899AABBCCDDEEFF', 'a', '', 0)",
    )
    results = move.all_of_it(
        """
        [target]
        schema = "moved"
        [types]
        "binary(16)" = { cast = "binary-to-uuid" }
        enum = { cast = "enum-to-type" }
        set = { cast = "set-to-array" }
        [tables.t.columns.n]
        cast = "nonzero-to-boolean"
        """
    )
    assert results["t"].equal
    assert move.found("SELECT id::text, e::text, s, n FROM moved.t WHERE id::text LIKE '00%'") == [
        ("00112233-4455-6677-8899-aabbccddeeff", "it's", ["x", 'q"'], True)
    ]
    assert move.found("SELECT s FROM moved.t WHERE id::text LIKE 'ff%'") == [([],)]


def test_what_is_not_moved_is_named(start: Start) -> None:
    move = start(
        *numbers(1),
        "CREATE VIEW seen AS SELECT 1 AS one",
        "CREATE TRIGGER before_numbers BEFORE INSERT ON numbers FOR EACH ROW SET NEW.body = 'x'",
        "CREATE FUNCTION one() RETURNS int DETERMINISTIC NO SQL RETURN 1",
        "CREATE TABLE odd (id int PRIMARY KEY, a varchar(300), t text, g int AS (id / 2) STORED, "
        "KEY beginning (t(20)), FULLTEXT KEY words (a), CHECK (a LIKE 'x%'))",
    )
    move.plan()
    changes = move.risks("change")
    assert {"views", "triggers", "routines", "prefix_index", "fulltext_left_out", "check_left_out"} <= changes.keys()
    assert "before_numbers" in changes["triggers"].says
    assert set(move.risks()) == {"generated"}


def test_a_table_without_a_key_is_copied_whole_or_not_at_all(start: Start) -> None:
    move = start("CREATE TABLE t (a int, b text)", "INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, NULL)")
    move.plan()
    assert set(move.risks()) == {"no_key"}
    assert move.all_of_it("[tables.t]\nwithout_key = 'whole'\n[target]\nschema = 'moved'")["t"].equal
    move.found("DELETE FROM moved.t WHERE ctid = (SELECT min(ctid) FROM moved.t)")
    assert not move.verify()["t"].equal


def test_a_key_by_rule_must_be_one(start: Start) -> None:
    """Without case, as the source compares: chunks that end between 'a' and 'A' would pass over one of them."""
    move = start(
        "CREATE TABLE t (k varchar(10), b int)", "INSERT INTO t VALUES ('a', 1), ('A', 2), ('b', 3), (NULL, 4)"
    )
    move.plan("[tables.t]\nkey = ['k']")
    assert move.risks()["no_key"].count == 3
    move.run("UPDATE t SET k = b")
    assert move.all_of_it("[tables.t]\nkey = ['k']\n[tables.t.columns.k]\nnot_null = true")["t"].equal


def test_a_boolean_by_width_that_holds_more_is_refused(start: Start) -> None:
    move = start(
        "CREATE TABLE t (id int PRIMARY KEY, flag tinyint(1))", "INSERT INTO t VALUES (1, 2), (2, 1), (3, NULL)"
    )
    move.plan()
    assert move.risks()["not_boolean"].count == 1
    assert move.all_of_it("[tables.t.columns.flag]\ntype = 'smallint'\n[target]\nschema = 'moved'")["t"].equal
    assert move.found("SELECT flag FROM moved.t ORDER BY id") == [(2,), (1,), (None,)]
