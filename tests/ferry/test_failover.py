"""The source's place is taken by its replica, or by a server that has nothing to do with it."""

import contextlib
from collections.abc import Iterator

import pytest

from tako.ferry import follow
from tako.ferry.errors import NeedsResync, Stopped
from tako.ferry.target import connect
from tests.ferry import moving
from tests.ferry.moving import Move
from tests.ferry.test_follow import NOTES, RULES, caught_up, copied, followed, same
from tests.support import mariadb, mysql
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

RUNNING = {"mariadb": mariadb.running, "mysql": mysql.running}
WITHOUT_GTIDS = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]
REPLICATE = {
    "MariaDB": [
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='root', MASTER_USE_GTID=slave_pos",
        "START SLAVE",
    ],
    "MySQL": [
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='root', "
        "SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1",
        "START REPLICA",
    ],
}
PROMOTE = {"MariaDB": "STOP SLAVE", "MySQL": "STOP REPLICA"}
REACHED = {"MariaDB": "SELECT @@gtid_binlog_pos", "MySQL": "SELECT @@gtid_executed"}
WAIT = {"MariaDB": "SELECT MASTER_GTID_WAIT('{}', 30)", "MySQL": "SELECT WAIT_FOR_EXECUTED_GTID_SET('{}', 30)"}


@pytest.fixture(params=RUNNING)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pair(kind: str) -> Iterator[tuple[Mysqld, Mysqld]]:
    """A server and its replica."""
    with RUNNING[kind]() as primary, RUNNING[kind](["--server-id=2", "--log-slave-updates"]) as replica:
        run(replica, *(statement.format(port=primary.port) for statement in REPLICATE[primary.name]))
        yield primary, replica


def run(server: Mysqld, *statements: str) -> str:
    """The first value of the last one."""
    with contextlib.closing(server.connect()) as session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        found = cursor.fetchone()
        return str(found[0]) if found else ""


def await_replica(primary: Mysqld, replica: Mysqld) -> None:
    assert run(replica, WAIT[replica.name].format(run(primary, REACHED[primary.name]))) == "0"


def begun(server: Mysqld, target: Postgres) -> Move:
    move = moving.new(server, target, NOTES, "INSERT INTO notes VALUES (1, 'a', 1)")
    move.plan(RULES)
    copied(move)
    move.run("INSERT INTO notes VALUES (2, 'b', 2)")
    caught_up(move)
    return move


def test_a_replica_that_takes_the_sources_place_is_followed_on(pair: tuple[Mysqld, Mysqld], target: Postgres) -> None:
    primary, replica = pair
    move = begun(primary, target)
    move.run("UPDATE notes SET body = 'behind what was applied' WHERE id = 1")
    with followed(move) as told:
        told.wait_for("following")
        await_replica(primary, replica)
        primary.kill()
        move.server = replica  # as behind a name that is pointed elsewhere
        run(replica, PROMOTE[replica.name])
        move.run("INSERT INTO notes VALUES (3, 'on the replica', 3)", "DELETE FROM notes WHERE id = 2")
    caught_up(move)
    same(move, "notes")
    assert move.found("SELECT id FROM moved.notes ORDER BY id") == [(1,), (3,)]


def test_a_replica_that_was_behind_needs_a_new_copy(pair: tuple[Mysqld, Mysqld], target: Postgres) -> None:
    """The target has what nobody else has any more: nothing is applied on top of that."""
    primary, replica = pair
    move = begun(primary, target)
    await_replica(primary, replica)
    run(replica, PROMOTE[replica.name])
    move.run("INSERT INTO notes VALUES (3, 'lost', 3)")
    caught_up(move)
    primary.kill()
    move.server = replica
    move.run("INSERT INTO notes VALUES (4, 'x', 4)", "INSERT INTO notes VALUES (5, 'y', 5)")
    with pytest.raises(NeedsResync, match="needs resync"):
        caught_up(move)
    assert move.found("SELECT id FROM moved.notes ORDER BY id") == [(1,), (2,), (3,)]
    assert "needs resync" in str(move.found("SELECT stopped FROM ferry.streams"))


def test_without_gtids_the_same_server_is_followed_and_no_other(target: Postgres) -> None:
    with mysql.running(WITHOUT_GTIDS) as server, mysql.running(WITHOUT_GTIDS) as other:
        move = begun(server, target)
        move.run("INSERT INTO notes VALUES (3, 'c', 3)", "FLUSH BINARY LOGS", "UPDATE notes SET n = NULL WHERE id = 1")
        caught_up(move)
        server.kill()
        server.start()
        move.run("DELETE FROM notes WHERE id = 2")
        caught_up(move)
        same(move, "notes")
        move.server = other
        run(other, f"CREATE DATABASE {move.database}")
        move.run(NOTES)
        assert move.made is not None
        with pytest.raises(Stopped, match="another server"):
            follow.run(move.made, move.source, lambda: connect(move.target_url), move.events.append)
