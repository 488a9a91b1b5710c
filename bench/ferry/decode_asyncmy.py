"""Reads a log with asyncmy from a place on, and prints how many rows it has seen."""

import asyncio
import sys

from asyncmy import connect
from asyncmy.replication import BinLogStream
from asyncmy.replication.row_events import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent


async def main(port: int, file: str, start: int) -> None:
    rows = 0
    stream = BinLogStream(
        await connect(host="127.0.0.1", port=port, user="root"),
        await connect(host="127.0.0.1", port=port, user="root"),
        server_id=4712,
        master_log_file=file,
        master_log_position=start,
        resume_stream=True,
        blocking=False,
        only_events=[DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent],
        only_schemas=["site"],
    )
    async for event in stream:
        rows += len(event.rows)
    print(rows)


asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
