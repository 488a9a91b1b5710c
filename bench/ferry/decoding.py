"""`python -m bench.ferry.decoding`: how fast a source's log becomes rows, beside python-mysql-replication.

Both read the same log over the wire from MariaDB, in processes of their own; ours makes the lines that PostgreSQL
reads, the other Python objects. What counts is CPU seconds of the reader: the machine may have other work.
"""

import argparse
import contextlib
import subprocess
import sys

from tests.ferry.moving import Move
from tests.support import mariadb, postgres
from tests.support.mysqld import Mysqld

from bench.ferry import peers
from tako.ferry import plan as plans

TABLE = """CREATE TABLE questions (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    created_at datetime(3) NOT NULL, updated_at timestamp NULL, user_id bigint unsigned NOT NULL,
    content longtext NOT NULL,
    answer longtext, is_private tinyint(1) NOT NULL, score decimal(10,2), weight double, token varchar(191))"""
INSERT = """INSERT INTO questions (created_at, updated_at, user_id, content, answer, is_private, score, weight, token)
    SELECT NOW(3), NOW(), seq % 1000, REPEAT('why ', 40), IF(seq % 3, REPEAT('so\\t', 30), NULL), seq % 2, seq / 7,
    seq / 13, MD5(seq) FROM seq_{first}_to_{last}"""
OURS = """
import sys, time
sys.path.insert(0, ".")
from tests.ferry.source.binlog.test_images import changes_of
from tako.ferry import plan as plans
from tako.ferry.source import connection
from tako.ferry.source.binlog.stream import From
import pathlib
class Log:
    made = plans.read(pathlib.Path(sys.argv[1]))
    def source(self):
        return connection.connect(connection.parse(self.made.source.url))
begun = time.process_time()
rows = sum(change.count for change in changes_of(Log(), From("", sys.argv[2], int(sys.argv[3]))))
print(rows, time.process_time() - begun)
"""
THEIRS = """
import sys, time
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent
port, file, offset = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
stream = BinLogStreamReader(
    connection_settings={"host": "127.0.0.1", "port": port, "user": "root"}, server_id=7_000_001, log_file=file,
    log_pos=offset, resume_stream=True, is_mariadb=True, only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent])
begun = time.process_time()
print(sum(len(event.rows) for event in stream), time.process_time() - begun)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=120_000, help="Inserted; half of them are updated, a sixth deleted."
    )
    rows = parser.parse_args().rows
    peers.install()
    with mariadb.running() as source, postgres.running() as target:
        move = Move(source, source.new_database(), target.new_database())
        move.run(TABLE)
        move.plan()
        file, offset = _position(source)
        _write(move, rows)
        plan = source.folder / "plan.json"
        assert move.made is not None
        plans.write(move.made, plan)
        ours = _timed([sys.executable, "-c", OURS, str(plan), file, str(offset)])
        python = str(peers.CACHE / "chameleon/bin/python")
        theirs = _timed([python, "-c", THEIRS, str(source.port), file, str(offset)])
    print("| reader | rows | CPU s | rows per CPU second |")
    print("|---|---|---|---|")
    for name, (count, seconds) in (("tako ferry", ours), ("python-mysql-replication 1.0.17", theirs)):
        print(f"| {name} | {count:,} | {seconds:.2f} | {count / seconds:,.0f} |")


def _position(source: Mysqld) -> tuple[str, int]:
    with contextlib.closing(source.connect()) as session, session.cursor() as cursor:
        cursor.execute("SHOW MASTER STATUS")
        file, offset, *_ = cursor.fetchall()[0]
        return str(file), int(offset)


def _write(move: Move, rows: int) -> None:
    move.run("SET GLOBAL binlog_row_metadata = 'FULL'")  # which the other one needs to know names
    for first in range(1, rows, 10_000):
        move.run(INSERT.format(first=first, last=min(first + 9_999, rows)))
    move.run(f"UPDATE questions SET answer = 'said' WHERE id <= {rows // 2}")
    move.run(f"DELETE FROM questions WHERE id <= {rows // 6}")


def _timed(command: list[str]) -> tuple[int, float]:
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=peers.ROOT).stdout.split()
    return int(said[0]), float(said[1])


if __name__ == "__main__":
    main()
