"""A migration whose state is written down step by step, as `tako ferry` writes it, without a source or rows."""

from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tako.ferry import plan, schema
from tako.ferry.plan import Plan, PlannedTable, Risk, SourcePart, Statements, TargetPart
from tako.ferry.rules import ColumnRule, CopyRule, Rules, TableRule
from tako.ferry.target import connection, following, state
from tako.ferry.target.state import Chunk

LONG = "customer_relationship_management_activity_log_archive_of_2019_q4"
TABLES = (
    ("censor_logs", 18_240, 9_120_000),
    ("questions", 1_204_600, 481_840_000),
    ("users", 310_400, 52_768_000),
    (LONG, 2_750_000, 1_375_000_000),
    ("sessions", 96_000, 11_520_000),
    ("tags", 0, 0),
)
QUESTION = Risk(
    "refuse",
    "zero-dates",
    "6 rows hold a zero date (0000-00-00, or a month, day or year 0), which PostgreSQL refuses.",
    "questions",
    "created_at",
    6,
    '[tables.questions.columns.created_at]\nzero_dates = "null"  # or "1970-01-01"',
)
RISKS = (
    Risk(
        "change",
        "flag",
        "The column is tinyint(2) and holds only 0 and 1 (300 rows): it becomes boolean (preset gorm).",
        "questions",
        "is_private",
        300,
        '[tables.questions.columns.is_private]\ntype = "smallint"',
    ),
    Risk(
        "change",
        "case",
        "email is compared without case by the source (the unique index uni_users_email), and with case by PostgreSQL: "
        "'A' and 'a' can both be stored, and a search for 'A' does not find 'a'.",
        "users",
        "email",
        None,
        '[tables.users.columns.email]\ncollation = "citext"',
    ),
    Risk("note", "views", "1 views are not moved; write them anew where they are needed: open_questions."),
)
STOPPED = (
    "The source's log has a statement that cannot be followed, at binlog.000003:48151623: "
    f"ALTER TABLE {LONG} DROP COLUMN remark, ADD COLUMN remarks_of_moderators mediumtext NOT NULL. If it changes no "
    "row and no column of what is moved, or if you have done the same to the target, go on behind it: "
    "`tako ferry follow --past binlog.000003:48151623`. Else `tako ferry abort`, plan and copy anew."
)


class Migration:
    """Into an empty database at `url`; `folder` gets the plan.json."""

    def __init__(self, folder: Path, url: str) -> None:
        self.file = folder / "plan.json"
        self.url = url
        self.plan = self._planned(())

    def ask(self) -> None:
        """A plan with an open question."""
        plan.write(self._planned((QUESTION,)), self.file)

    def answer(self) -> None:
        """The plan that is carried out from now on."""
        plan.write(self.plan, self.file)

    def open(self) -> None:
        """Hold the target's lock to the end, as whoever copies and follows does."""
        self.target = connection.connect(self.url)
        state.prepare(self.target)
        following.prepare(self.target)
        state.lock(self.target, self.plan.target.schema)

    def __enter__(self) -> "Migration":
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.target.close()

    def deny(self) -> None:
        """The target lets nobody in, and sends everybody away."""
        self._admit(False)
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        with self._beside() as other:
            other.execute(ended, (self.target.connection.info.dbname,))

    def admit(self) -> None:
        self._admit(True)

    def come_back(self) -> None:
        """After the target was away."""
        self.target.close()
        self.open()

    def _admit(self, yes: bool) -> None:
        name = sql.Identifier(self.target.connection.info.dbname)
        with self._beside() as other:
            other.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(name, sql.Literal(yes)))

    def _beside(self) -> "psycopg.Connection[Any]":
        """A session on another database of the target's server."""
        return psycopg.connect(self.url, dbname="postgres", autocommit=True)

    def begin(self) -> None:
        names = {table.source: table.target for table in self.plan.tables}
        state.begin(self.target, self.plan.hash, "site", b"{}", names, made_schema=True)
        state.start_run(self.target, self.plan.hash, "0-1-117", "binlog.000001", 2_655_728, "1", exact=True)

    def copy(self, table: str, rows: int, *, n: int = 1, last: bool = False, rejected: int = 0) -> None:
        (size,) = (whole for name, _, whole in TABLES if name == table)
        size = size * rows // max(1, self.plan.table(table).rows)
        with self.target.transaction():
            for key in range(rejected):
                refused = f'invalid input syntax for type json: row {key} of "{table}"'
                state.reject(self.target, self.plan.hash, table, [str(70_000 + key)], "22P02", refused, b"")
            state.record(self.target, self.plan.hash, Chunk(table, n, 1, None, None, rows, size, rejected, last))

    def copy_the_rest(self) -> None:
        done = state.progress(self.target, self.plan.hash)
        for table in self.plan.tables:
            if not done[table.source].copied:
                self.copy(table.source, table.rows - done[table.source].rows, n=2, last=True)

    def follow(self, lag: float, rate: float, *, spooled: int = 0, consistent: bool = True) -> None:
        """Somebody follows, and is heard for an hour, however long the pictures take."""
        target, hash = self.target, self.plan.hash
        following.begin(target, hash, "0-1-117", "binlog.000001", 2_655_728, "1")
        stream = following.read(target, hash)
        assert stream is not None
        batch = stream.batch + 1
        with target.transaction():
            place = (f"0-1-{4_209 + batch}", "binlog.000003", 48_151_000)
            following.advance(target, hash, batch, *place, 4_093, 8_761, consistent=consistent)
        following.heard(target, hash, lag, rate, spooled, None)
        target.execute("UPDATE ferry.streams SET heard_at = now() + interval '1 hour'")
        state.finish(target, hash)

    def stop(self) -> None:
        following.stop(self.target, self.plan.hash, STOPPED, "binlog.000003:48151623", LONG)

    def fall_silent(self) -> None:
        self.target.execute("UPDATE ferry.streams SET heard_at = now() - interval '1 hour', stopped = NULL")
        self.target.tell(self.plan.hash)
        state.unlock(self.target, self.plan.target.schema)

    def accept(self) -> None:
        for table in self.plan.tables:
            state.accept(self.target, self.plan.hash, table.source)

    def verify(self) -> None:
        state.verified(self.target, self.plan.hash, [("users", 310_400, 16, 0, 0)], equal=True)

    def cut_over(self) -> None:
        target, hash = self.target, self.plan.hash
        took = (0.004, 0.41, 0.012, 0.003, 0.061, 0.388, 0.094, 0.212, 1.94)
        steps = ("check", "analyse", "fence", "writers", "drain", "compare", "switch", "hook", "validate")
        for n, (step, seconds) in enumerate(zip(steps, took, strict=True), 1):
            following.begin_step(target, hash, 1, n, step)
            following.end_step(target, hash, 1, n, seconds, None)
        target.execute(
            "UPDATE ferry.cutovers SET started_at = (SELECT min(started_at) FROM ferry.cutovers) "
            "+ (SELECT coalesce(sum(c.seconds), 0) FROM ferry.cutovers c WHERE c.n < ferry.cutovers.n) * interval '1 s'"
        )
        stream = following.read(target, hash)
        assert stream is not None
        assert following.finish(target, hash, stream.changes)

    def _planned(self, questions: tuple[Risk, ...]) -> Plan:
        rules = Rules(
            preset="gorm",
            defaults=ColumnRule(zero_dates="null"),
            tables={"log_*": TableRule(skip=True), "users": TableRule(columns={"token": ColumnRule(type="uuid")})},
        )
        made = Plan(
            version=plan.FORMAT,
            hash="",
            created_at="2026-11-26T15:30:18+00:00",
            source=SourcePart("mysql://ferry@db.example.org:3306/nekobox", "mariadb", "10.11.19", "nekobox"),
            target=TargetPart(self.url, 160_000, "site", make_schema=True),
            digest="sha256",
            schema=schema.Database("nekobox", ()),
            schema_hash="",
            tables=tuple(PlannedTable(name, name, (), rows=rows, bytes=size) for name, rows, size in TABLES),
            ddl=Statements((), ()),
            risks=(*questions, *RISKS),
            copy=CopyRule(),
            rules=rules,
        )
        return plan.sealed(made)
