"""The test servers themselves: what they promise to the tests of `tako ferry`."""

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def test_a_killed_source_keeps_what_it_committed(source: Mysqld) -> None:
    database = source.new_database()
    with contextlib.closing(source.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (id int PRIMARY KEY)")
        cursor.execute("INSERT INTO kept VALUES (1)")
    source.kill()
    source.start()
    with contextlib.closing(source.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM kept")
        assert cursor.fetchall() == ((1,),)


def test_a_killed_target_keeps_what_it_committed(target: Postgres) -> None:
    database = target.new_database()
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
    target.kill()
    target.start()
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(1,)]


def test_a_source_writes_row_images_with_gtids(source: Mysqld) -> None:
    with contextlib.closing(source.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@log_bin, @@binlog_format, @@binlog_row_image")
        assert cursor.fetchone() == (1, "ROW", "FULL")
        cursor.execute("SELECT @@gtid_strict_mode" if source.name == "MariaDB" else "SELECT @@gtid_mode = 'ON'")
        assert cursor.fetchone() == (1,)


START = """
import sys
from tests.support import {kind}
with {kind}.running() as server:
    print(server.pid, server.folder, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["mariadb", "mysql", "postgres"])
def test_a_server_dies_with_the_tests_that_started_it(kind: str) -> None:
    command = [sys.executable, "-c", START.format(kind=kind)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        pid, folder = tests.stdout.readline().split()
        server = psutil.Process(int(pid))
        tests.kill()
    server.wait(30)
    assert not server.is_running()
    shutil.rmtree(folder)
