"""What happens in the source after the copy happens in the target: once, whole, and nothing else."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from tako.core.errors import TakoError
from tako.ferry import copy, deferred, follow
from tako.ferry.errors import Blocked, NeedsResync, Stopped
from tako.ferry.source import facts, position
from tako.ferry.source.binlog import stream
from tako.ferry.target import connect, following
from tako.ferry.throttle import Throttle
from tests.ferry import moving
from tests.ferry.compare import Comparison
from tests.ferry.moving import Move
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

Start = Callable[..., Move]
RULES = "[target]\nschema = 'moved'\n"
NOTES = """CREATE TABLE notes (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, body varchar(200), n int,
    UNIQUE KEY by_n (n))"""
FOREIGN_KEYS = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'moved'::regnamespace"
PARENTS = [
    "CREATE TABLE parents (id int NOT NULL PRIMARY KEY, code varchar(20) NOT NULL, UNIQUE KEY code (code))",
    """CREATE TABLE children (id int NOT NULL PRIMARY KEY, parent int NULL,
        CONSTRAINT child FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE CASCADE)""",
    """CREATE TABLE grandchildren (id int NOT NULL PRIMARY KEY, child int NULL,
        CONSTRAINT grandchild FOREIGN KEY (child) REFERENCES children (id) ON DELETE CASCADE)""",
    """CREATE TABLE fans (id int NOT NULL PRIMARY KEY, code varchar(20) NULL,
        CONSTRAINT fan FOREIGN KEY (code) REFERENCES parents (code) ON DELETE SET NULL ON UPDATE CASCADE)""",
]


@pytest.fixture
def start(source: Mysqld, target: Postgres) -> Start:
    def started(*statements: str, rules: str = RULES) -> Move:
        move = moving.new(source, target, *statements)
        move.plan(rules)
        assert move.risks() == {}
        copied(move)
        return move

    return started


def copied(move: Move) -> None:
    assert move.made is not None
    with move.target() as target:
        copy.run(move.made, move.source, target, Throttle(), move.events.append, rows_only=True)


@dataclass
class Told:
    """What a follower says, beside the test."""

    events: list[dict[str, object]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, event: dict[str, object]) -> None:
        with self.news:
            self.events.append(event)
            self.news.notify_all()

    def wait_for(self, name: str) -> None:
        with self.news:
            assert self.news.wait_for(lambda: any(event["event"] == name for event in self.events), 60), name

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Asked again whenever the follower says something, as it does each second."""
        for _ in range(60):
            if true():
                return
            with self.news:
                self.news.wait(1)
        raise AssertionError(self.events[-3:])


@contextlib.contextmanager
def followed(move: Move) -> Iterator[Told]:
    """Somebody follows while the block runs."""
    told, until = Told(), threading.Event()
    assert move.made is not None
    made = move.made

    def work() -> None:
        follow.run(made, move.source, lambda: connect(move.target_url), told, until=until)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield told
    finally:
        until.set()
        thread.join()


def caught_up(move: Move, past: str | None = None) -> None:
    """Follow until everything that is in the source now is in the target."""
    with move.source() as source:
        end = position.current(source)
    until = threading.Event()
    failure: list[TakoError] = []

    def work() -> None:
        assert move.made is not None
        try:
            follow.run(
                move.made, move.source, lambda: connect(move.target_url), move.events.append, past=past, until=until
            )
        except TakoError as error:
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        with move.target() as target:
            wait_for(move, target, end, thread)
    finally:
        until.set()
        thread.join()
    if failure:
        raise failure[0]


def wait_for(move: Move, target: Any, end: Any, thread: threading.Thread) -> None:
    assert move.made is not None
    target.execute("LISTEN ferry")
    while thread.is_alive():
        if following.exists(target):
            found = following.read(target, move.made.hash)
            if found and follow.is_behind(found, end, mariadb=move.server.name == "MariaDB") and found.consistent:
                return
        for _ in target.connection.notifies(timeout=0.2, stop_after=1):
            pass


def same(move: Move, *tables: str) -> None:
    """Row by row, by the independent comparison."""
    with contextlib.closing(move.server.connect(move.database)) as mine, psycopg.connect(move.target_url) as its:
        compared = Comparison(mine, its)
        assert {t: d for t in tables if (d := compared.differences(t, f"moved.{t}"))} == {}


def transaction(move: Move, *statements: str, before: Sequence[str] = ()) -> None:
    with contextlib.closing(move.server.connect(move.database)) as session, session.cursor() as cursor:
        for statement in before:
            cursor.execute(statement)
        cursor.execute("BEGIN")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("COMMIT")


def test_rows_come_change_and_go(start: Start) -> None:
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)")
    move.run("INSERT INTO notes VALUES (4, 'tab\\tline\\nback\\\\', 4)", "UPDATE notes SET body = NULL WHERE id = 1")
    move.run("DELETE FROM notes WHERE id = 2", "UPDATE notes SET id = 20 WHERE id = 3")
    caught_up(move)
    same(move, "notes")
    move.run("INSERT INTO notes (body) VALUES ('later')")
    caught_up(move)
    same(move, "notes")


def test_unique_values_and_keys_may_be_swapped(start: Start) -> None:
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1), (2, 'b', 2)")
    caught_up(move)
    transaction(
        move,
        "UPDATE notes SET n = 99 WHERE id = 1",
        "UPDATE notes SET n = 1 WHERE id = 2",
        "UPDATE notes SET n = 2 WHERE id = 1",
        "UPDATE notes SET id = 3 WHERE id = 1",
        "UPDATE notes SET id = 1 WHERE id = 2",
        "UPDATE notes SET id = 2 WHERE id = 3",
    )
    caught_up(move)
    same(move, "notes")
    assert move.found("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_n'") == [(1,)]


def test_what_was_rolled_back_is_not_there(start: Start) -> None:
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")
    transaction(
        move,
        "INSERT INTO notes VALUES (2, 'kept', 2)",
        "SAVEPOINT one",
        "INSERT INTO notes VALUES (3, 'gone', 3)",
        "ROLLBACK TO SAVEPOINT one",
        "INSERT INTO notes VALUES (4, 'kept', 4)",
    )
    transaction(move, "DELETE FROM notes", "ROLLBACK")
    caught_up(move)
    same(move, "notes")


def test_a_table_that_cannot_take_back_keeps_what_was_rolled_back(mariadb_server: Mysqld, target: Postgres) -> None:
    """MySQL with GTIDs refuses such transactions; MariaDB shows in its log what it has taken back, and what not."""
    move = moving.new(
        mariadb_server,
        target,
        NOTES,
        "CREATE TABLE loose (id int PRIMARY KEY) ENGINE=MyISAM",
        "INSERT INTO notes VALUES (1, 'a', 1)",
    )
    move.plan(RULES)
    copied(move)
    transaction(
        move,
        "INSERT INTO notes VALUES (2, 'kept', 2)",
        "SAVEPOINT one",
        "INSERT INTO notes VALUES (3, 'gone', 3)",
        "INSERT INTO loose VALUES (1)",
        "ROLLBACK TO SAVEPOINT one",
        "INSERT INTO notes VALUES (4, 'kept', 4)",
    )
    with contextlib.closing(move.server.connect(move.database)) as session, session.cursor() as cursor:
        for said in ("BEGIN", "INSERT INTO notes VALUES (5, 'gone', 5)", "INSERT INTO loose VALUES (2)", "ROLLBACK"):
            cursor.execute(said)
    caught_up(move)
    same(move, "notes", "loose")
    assert move.found("SELECT id FROM moved.loose ORDER BY 1") == [(1,), (2,)]


def test_xa_transactions_wait_for_their_end(start: Start) -> None:
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")
    for xid, id in (("kept", 2), ("gone", 3)):
        move.run(
            f"XA START '{xid}'",
            f"INSERT INTO notes VALUES ({id}, '{xid}', {id})",
            f"XA END '{xid}'",
            f"XA PREPARE '{xid}'",
        )
    move.run("UPDATE notes SET body = 'meanwhile' WHERE id = 1")
    caught_up(move)
    assert move.found("SELECT id, body FROM moved.notes") == [(1, "meanwhile")]
    move.run("XA COMMIT 'kept'", "XA ROLLBACK 'gone'")
    move.run("XA START 'x'", "INSERT INTO notes VALUES (7, 'at once', 7)", "XA END 'x'", "XA COMMIT 'x' ONE PHASE")
    caught_up(move)
    same(move, "notes")
    assert move.found("SELECT count(*) FROM ferry.prepared") == [(0,)]


@contextlib.contextmanager
def position_known(move: Move, statement: str) -> Iterator[None]:
    """The block runs while a copy knows from where on it will be followed, and waits for an XA transaction to read."""
    with contextlib.closing(move.server.connect(move.database)) as session, session.cursor() as cursor:
        for said in ("XA START 'x'", statement, "XA END 'x'", "XA PREPARE 'x'"):
            cursor.execute(said)
        waiting = threading.Thread(target=copied, args=(move,))
        waiting.start()
        while not any("SLEEP(0.1)" in str(row) for row in move.run("SHOW FULL PROCESSLIST")):
            assert waiting.is_alive()
        yield
        cursor.execute("XA COMMIT 'x'")
        waiting.join()


def test_an_xa_transaction_that_the_copy_waited_for_is_in_the_copy(source: Mysqld, target: Postgres) -> None:
    """Its rows stand in the log before the place where following begins, its commit behind it."""
    move = moving.new(source, target, NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")
    move.plan(RULES)
    with position_known(move, "INSERT INTO notes VALUES (2, 'b', 2)"):
        pass
    move.run("DELETE FROM notes WHERE id = 1")
    caught_up(move)
    same(move, "notes")
    assert move.found("SELECT id FROM moved.notes") == [(2,)]


def test_cascades_take_the_same_rows_along(start: Start) -> None:
    move = start(*PARENTS, "INSERT INTO parents VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    move.run(
        "INSERT INTO children VALUES (11, 1), (12, 1), (21, 2), (31, 3)",
        "INSERT INTO grandchildren VALUES (111, 11), (211, 21), (311, 31)",
        "INSERT INTO fans VALUES (1, 'one'), (2, 'two'), (3, 'three')",
    )
    caught_up(move)
    transaction(
        move,
        "DELETE FROM parents WHERE id = 1",
        "INSERT INTO parents VALUES (1, 'one')",
        "INSERT INTO children VALUES (13, 1)",
        "UPDATE parents SET id = 30, code = 'thirty' WHERE id = 3",
    )
    with contextlib.closing(move.server.connect(move.database)) as session, session.cursor() as cursor:
        for said in ("SET foreign_key_checks = 0", "DELETE FROM parents WHERE id = 2"):
            cursor.execute(said)
    caught_up(move)
    same(move, "parents", "children", "grandchildren", "fans")
    assert move.found("SELECT id FROM moved.children ORDER BY 1") == [(13,), (21,), (31,)]


@pytest.mark.parametrize("logged", [True, False])
def test_what_cascades_did_while_it_was_copied_is_made_right(
    source: Mysqld, target: Postgres, monkeypatch: pytest.MonkeyPatch, logged: bool
) -> None:
    """The copy has what a renaming did; the log says before that who had the name then."""
    if not logged:
        monkeypatch.setattr(facts, "logs_cascades", lambda source: False)
    move = moving.new(source, target, NOTES, *PARENTS, "INSERT INTO parents VALUES (1, 'one'), (2, 'two')")
    move.run("INSERT INTO children VALUES (11, 1)", "INSERT INTO grandchildren VALUES (111, 11)")
    move.run("INSERT INTO fans VALUES (1, 'one'), (2, 'two'), (3, 'one')")
    move.plan(RULES)
    with position_known(move, "INSERT INTO notes VALUES (1, 'a', 1)"):
        move.run("DELETE FROM parents WHERE id = 2", "UPDATE parents SET id = 2, code = 'two' WHERE id = 1")
    caught_up(move)
    same(move, "parents", "children", "grandchildren", "fans")
    settled = {event["table"] for event in move.events if event["event"] == "settled" and event["mended"]}
    assert ("grandchildren" in settled) == (source.name == "MariaDB" or not logged)
    move.run("UPDATE parents SET code = 'drei'")
    caught_up(move)
    same(move, "parents", "children", "grandchildren", "fans")


def test_a_table_without_a_key_that_cascades_changed_while_it_was_copied_needs_a_new_copy(
    source: Mysqld, target: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "logs_cascades", lambda source: False)
    loose = "CREATE TABLE loose (code varchar(20) NULL, CONSTRAINT lost FOREIGN KEY (code) REFERENCES parents (code)"
    move = moving.new(source, target, PARENTS[0], f"{loose} ON DELETE SET NULL ON UPDATE CASCADE)", NOTES)
    move.run("INSERT INTO parents VALUES (1, 'one'), (2, 'two')", "INSERT INTO loose VALUES ('one'), ('two')")
    move.plan(RULES + "[tables.loose]\nwithout_key = 'whole'\n")
    with position_known(move, "INSERT INTO notes VALUES (1, 'a', 1)"):
        move.run("DELETE FROM parents WHERE id = 2", "UPDATE parents SET code = 'two' WHERE id = 1")
    with pytest.raises(NeedsResync, match="loose"):
        caught_up(move)


def test_who_died_between_consistent_and_the_indexes_makes_them_in_the_next_life(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")

    def dies(*_: object) -> None:
        raise InterruptedError

    assert move.made is not None
    with monkeypatch.context() as patch:
        patch.setattr(deferred, "make", dies)
        with pytest.raises(InterruptedError):
            follow.run(move.made, move.source, lambda: connect(move.target_url), move.events.append)
    assert move.found("SELECT state FROM ferry.migrations") == [("copying",)]
    caught_up(move)
    assert move.found("SELECT state FROM ferry.migrations") == [("copied",)]
    assert move.found("SELECT count(*) FROM pg_indexes WHERE schemaname = 'moved' AND indexname LIKE '%by_n'") == [(1,)]


def test_a_copy_with_keys_and_triggers_is_followed_without_them(start: Start, source: Mysqld, target: Postgres) -> None:
    """Foreign keys would delete what was only written anew; they are taken back, and made again by the cutover."""
    move = moving.new(
        source, target, *PARENTS, "INSERT INTO parents VALUES (1, 'one')", "INSERT INTO children VALUES (1, 1)"
    )
    move.plan(RULES)
    move.copy()
    assert move.found(FOREIGN_KEYS) == [(3,)]
    move.run("UPDATE parents SET code = 'uno' WHERE id = 1")
    caught_up(move)
    same(move, "parents", "children")
    assert move.found(FOREIGN_KEYS) == [(0,)]


def test_the_log_is_read_on_while_the_target_is_away(start: Start, target: Postgres) -> None:
    """So that the source may throw it away."""
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")
    with followed(move) as told:
        told.wait_for("lag")
        target.kill()
        try:
            for n in range(2, 30):
                move.run(f"INSERT INTO notes VALUES ({n}, 'meanwhile', {n})")
            told.wait_for("trouble")
            time.sleep(3)  # so long that the log's thread, which tells nobody, has read it for sure
            throw_away(move)
        finally:
            target.start()
        move.run("INSERT INTO notes VALUES (99, 'after', 99)")
        told.wait_until(lambda: move.found("SELECT count(*) FROM moved.notes") == [(30,)])
    same(move, "notes")


def throw_away(move: Move) -> None:
    """All of the log but the file that begins now; MariaDB keeps the last one a little, for its own recovery."""
    move.run("FLUSH BINARY LOGS")
    for _ in range(100):
        *old, (last, *_) = move.run("SHOW BINARY LOGS")
        if not old:
            return
        move.run(f"PURGE BINARY LOGS TO '{last}'", "DO SLEEP(0.1)")
    raise AssertionError("the log stays")


def test_a_log_that_was_thrown_away_needs_a_new_copy(start: Start) -> None:
    move = start(NOTES)
    move.run("INSERT INTO notes VALUES (1, 'a', 1)")
    throw_away(move)
    move.run("INSERT INTO notes VALUES (2, 'b', 2)")
    with pytest.raises(NeedsResync, match="needs resync"):
        caught_up(move)


def test_a_source_that_is_started_anew_is_followed_on(start: Start, source: Mysqld) -> None:
    move = start(NOTES)
    with followed(move) as told:
        told.wait_for("lag")
        source.kill()
        source.start()
        move.run("INSERT INTO notes VALUES (1, 'after', 1)")
        told.wait_until(lambda: move.found("SELECT count(*) FROM moved.notes") == [(1,)])


def test_a_source_in_which_nothing_happens_is_not_taken_for_gone(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is heard all the same, for longer than silence is borne."""
    monkeypatch.setattr(stream, "SILENCE", 2.5)
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")
    with followed(move) as told:
        for _ in range(5):
            before = len(told.events)
            told.wait_until(lambda before=before: any(e["event"] == "lag" for e in told.events[before:]))  # type: ignore[misc]
        move.run("INSERT INTO notes VALUES (2, 'b', 2)")
        told.wait_until(lambda: len(move.found("SELECT id FROM moved.notes")) == 2)
    assert [event for event in told.events if event["event"] == "trouble"] == []


def test_an_operator_may_go_past_a_statement(start: Start) -> None:
    move = start(NOTES)
    move.run("CREATE TABLE notes_of_somebody (id int PRIMARY KEY)", "INSERT INTO notes_of_somebody VALUES (1)")
    move.run("INSERT INTO notes VALUES (1, 'behind', 1)")
    with pytest.raises(Stopped) as raised:
        caught_up(move)
    with pytest.raises(Blocked, match="did not stop at"):
        caught_up(move, past="elsewhere:1")
    caught_up(move, past=raised.value.place)
    same(move, "notes")


def test_truncate_empties_the_table(start: Start) -> None:
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")
    move.run("INSERT INTO notes VALUES (2, 'b', 2)", "TRUNCATE TABLE notes", "INSERT INTO notes VALUES (2, 'new', 9)")
    caught_up(move)
    same(move, "notes")


def test_a_table_without_a_key_keeps_as_many_rows_of_each_kind(start: Start) -> None:
    rules = RULES + "[tables.loose]\nwithout_key = 'whole'\n"
    move = start(
        "CREATE TABLE loose (a int, f float, j json, d datetime(3))",
        "INSERT INTO loose VALUES (1, 0.1, '{\"a\": 1}', '2026-01-01 00:00:00.5'), (NULL, NULL, NULL, NULL)",
        "INSERT INTO loose SELECT * FROM loose",
        rules=rules,
    )
    move.run("INSERT INTO loose SELECT * FROM loose", "DELETE FROM loose WHERE a = 1 LIMIT 3")
    move.run("UPDATE loose SET a = 7 WHERE a IS NULL LIMIT 1")
    caught_up(move)
    same(move, "loose")


def test_a_nullable_column_and_indexes_are_followed(start: Start) -> None:
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")
    caught_up(move)
    move.run(
        "ALTER TABLE notes ADD COLUMN flag tinyint(1) NULL AFTER id, ADD COLUMN word varchar(9) CHARACTER SET latin1",
        "INSERT INTO notes VALUES (2, 1, 'b', 2, 'é')",
        "CREATE INDEX by_word ON notes (word)",
        "ALTER TABLE notes DROP INDEX by_n, ADD UNIQUE KEY by_body (body)",
        "UPDATE notes SET flag = 0 WHERE id = 1",
    )
    caught_up(move)
    same(move, "notes")
    indexes = {name for (name,) in move.found("SELECT indexname FROM pg_indexes WHERE schemaname = 'moved'")}
    assert indexes == {"notes_pkey", "by_word", "by_body"}
    assert all(result.equal for result in move.verify().values())


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE notes DROP COLUMN n",
        "ALTER TABLE notes MODIFY body text",
        "ALTER TABLE notes ADD COLUMN x int NOT NULL",
        "RENAME TABLE notes TO others",
        "DROP TABLE notes",
        "CREATE TABLE more (id int PRIMARY KEY)",
    ],
)
def test_other_changes_of_tables_stop_with_the_statement_and_the_place(start: Start, statement: str) -> None:
    move = start(NOTES)
    move.run("INSERT INTO notes VALUES (1, 'before', 1)")
    move.run(statement)
    with pytest.raises(Stopped) as raised:
        caught_up(move)
    verb, *_ = statement.split(" notes")
    assert verb in raised.value.message
    assert f"--past {raised.value.place}" in raised.value.message
    assert move.found("SELECT body FROM moved.notes") == [("before",)]
    assert move.found("SELECT stopped_place FROM ferry.streams") == [(raised.value.place,)]


@pytest.mark.parametrize(
    ("session", "said"),
    [
        ("SET SESSION binlog_row_image = 'MINIMAL'", "binlog_row_image"),
        ("SET SESSION binlog_format = 'STATEMENT'", "UPDATE notes"),
    ],
)
def test_what_the_log_lacks_is_not_guessed(start: Start, session: str, said: str) -> None:
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")
    move.run(session, "UPDATE notes SET body = 'x' WHERE id = 1")
    with pytest.raises(Stopped, match=said):
        caught_up(move)
    assert move.found("SELECT body FROM moved.notes") == [("a",)]


def test_a_part_of_a_document_is_not_guessed(mysql_server: Mysqld, target: Postgres) -> None:
    move = moving.new(mysql_server, target, "CREATE TABLE docs (id int PRIMARY KEY, doc json)")
    move.run("""INSERT INTO docs VALUES (1, '{"a": 1, "b": "a long text that stays as it is"}')""")
    move.plan(RULES)
    copied(move)
    move.run("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'", "UPDATE docs SET doc = JSON_SET(doc, '$.a', 2)")
    with pytest.raises(Stopped, match="PARTIAL_JSON"):
        caught_up(move)
    assert move.found("SELECT doc->>'a' FROM moved.docs") == [("1",)]


def test_what_changes_no_table_is_passed(start: Start) -> None:
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")
    name = f"u{move.database[-8:]}"
    move.run(
        "FLUSH TABLES",
        "ANALYZE TABLE notes",
        f"CREATE USER {name}",
        f"GRANT SELECT ON {move.database}.* TO {name}",
        f"DROP USER {name}",
        "FLUSH PRIVILEGES",
        f"CREATE DATABASE {name}",
        f"CREATE TABLE {name}.notes (id int PRIMARY KEY)",
        f"INSERT INTO {name}.notes VALUES (1)",
        f"DROP DATABASE {name}",
        "FLUSH BINARY LOGS",
        "INSERT INTO notes VALUES (2, 'b', 2)",
    )
    caught_up(move)
    same(move, "notes")


def test_compressed_transactions_and_tagged_gtids_are_read(source: Mysqld, start: Start) -> None:
    move = start(NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")
    long = "INSERT INTO notes (body) SELECT REPEAT('y', 200) FROM notes n, notes m"
    if source.name == "MySQL":
        move.run("SET SESSION binlog_transaction_compression = ON", *[long] * 3, "DELETE FROM notes WHERE id = 1")
        move.run("SET gtid_next = 'AUTOMATIC:some_tag'", "INSERT INTO notes VALUES (5000, 'tagged', 5)")
    else:
        move.run("SET GLOBAL log_bin_compress = ON", "SET GLOBAL log_bin_compress_min_len = 10")
        try:
            move.run(*[long] * 3, "UPDATE notes SET body = 'changed' WHERE id = 1", long)
            move.run("INSERT INTO notes VALUES (7, REPEAT('z', 199), 7)")
        finally:
            move.run("SET GLOBAL log_bin_compress = OFF")
    caught_up(move)
    same(move, "notes")
