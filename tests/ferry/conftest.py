"""Real servers of every kind that `tako ferry` moves between, started once per worker, when a test asks."""

from collections.abc import Iterator

import pytest

from tests.support import mysql, postgres
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[Mysqld]:
    with mysql.running() as server:
        yield server


@pytest.fixture(params=["mariadb", "mysql"])
def source(request: pytest.FixtureRequest) -> Mysqld:
    """Each of the servers that `ferry` reads."""
    server: Mysqld = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture(scope="session")
def target() -> Iterator[Postgres]:
    """A PostgreSQL of the ferry tests' own: some of them kill it."""
    with postgres.running() as server:
        yield server
