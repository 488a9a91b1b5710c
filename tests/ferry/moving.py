"""A migration in this process, step by step, for tests that look between the steps."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tako.ferry import copy, planning, rules, verify
from tako.ferry.plan import Plan, Risk
from tako.ferry.source import Source, connection
from tako.ferry.source.position import Position
from tako.ferry.target import Target, connect
from tako.ferry.throttle import Throttle
from tako.ferry.verify import Result
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres


@dataclass
class Move:
    """One source database, one target database, and the rules between them."""

    server: Mysqld
    database: str
    target_url: str
    rules: str = ""
    events: list[dict[str, object]] = field(default_factory=list)
    made: Plan | None = None

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """On the source; the rows of the last statement."""
        with contextlib.closing(self.server.connect(self.database)) as session, session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def found(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Rows of the target."""
        with psycopg.connect(self.target_url, autocommit=True) as session:
            cursor = session.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def source(self) -> Source:
        return connection.connect(connection.parse(self.server.url(self.database)))

    @contextlib.contextmanager
    def target(self) -> Iterator[Target]:
        with connect(self.target_url) as opened:
            yield opened

    def plan(self, text: str | None = None) -> Plan:
        self.rules = self.rules if text is None else text
        with self.source() as source, self.target() as target:
            self.made = planning.make(source, target, rules.parse(self.rules), "2026-11-26T00:00:00+00:00")
        return self.made

    def risks(self, level: str = "refuse") -> dict[str, Risk]:
        """By code; of several of one code the last."""
        assert self.made is not None
        return {risk.code: risk for risk in self.made.risks if risk.level == level}

    def copy(self, pace: Throttle | None = None) -> None:
        assert self.made is not None
        with self.target() as target:
            copy.run(self.made, self.source, target, pace or Throttle(), self.events.append)

    def verify(self, *, repair: bool = False, passed: Callable[[Position], None] | None = None) -> dict[str, Result]:
        """With `passed` as if somebody followed the source."""
        assert self.made is not None
        with self.target() as target:
            results = verify.run(self.made, self.source, target, self.events.append, repair=repair, passed=passed)
        return {result.table: result for result in results}

    def all_of_it(self, text: str | None = None) -> dict[str, Result]:
        self.plan(text)
        self.copy()
        return self.verify()


def new(server: Mysqld, target: Postgres, *statements: str) -> Move:
    """Fresh databases on both sides; the source's is filled by the statements."""
    move = Move(server, server.new_database(), target.new_database())
    move.run("SET sql_mode = 'ALLOW_INVALID_DATES'", *statements)
    return move
