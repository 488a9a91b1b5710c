"""Reads a log with asyncmy: prints rows, and seconds from the first to the last of them."""

import asyncio
import sys
import time

from asyncmy import connect
from asyncmy.replication import BinLogStream
from asyncmy.replication.row_events import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent


async def main(port: int, file: str, start: int, expected: int) -> None:
    rows, began = 0, 0.0
    stream = BinLogStream(
        await connect(host="127.0.0.1", port=port, user="root"),
        await connect(host="127.0.0.1", port=port, user="root"),
        server_id=4712,
        master_log_file=file,
        master_log_position=start,
        resume_stream=True,
        blocking=True,
        only_events=[DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent],
        only_schemas=["site"],
    )
    async for event in stream:
        began = began or time.monotonic()
        rows += len(event.rows)
        if rows >= expected:
            break
    print(rows, time.monotonic() - began)


asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
