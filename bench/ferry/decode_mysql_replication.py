"""Reads a log with python-mysql-replication from a place on, and prints how many rows it has seen."""

import sys

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent


def main(port: int, file: str, start: int) -> None:
    stream = BinLogStreamReader(
        connection_settings={"host": "127.0.0.1", "port": port, "user": "root", "passwd": ""},
        server_id=4711,
        log_file=file,
        log_pos=start,
        resume_stream=True,
        blocking=False,
        is_mariadb=True,
        only_events=[DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent],
        only_schemas=["site"],
    )
    print(sum(len(event.rows) for event in stream))


main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
