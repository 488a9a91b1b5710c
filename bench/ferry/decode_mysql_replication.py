"""Reads a log with python-mysql-replication: prints rows, and seconds from the first to the last of them."""

import sys
import time

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent


def main(port: int, file: str, start: int, expected: int) -> None:
    stream = BinLogStreamReader(
        connection_settings={"host": "127.0.0.1", "port": port, "user": "root", "passwd": ""},
        server_id=4711,
        log_file=file,
        log_pos=start,
        resume_stream=True,
        blocking=True,
        is_mariadb=True,
        only_events=[DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent],
        only_schemas=["site"],
    )
    rows, began = 0, 0.0
    for event in stream:
        began = began or time.monotonic()
        rows += len(event.rows)
        if rows >= expected:
            break
    print(rows, time.monotonic() - began)


main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
