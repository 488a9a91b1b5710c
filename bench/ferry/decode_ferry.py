"""Reads a log as `tako ferry follow` does: prints rows, and seconds from the first to the last of them."""

import sys
import time
from pathlib import Path

from tako.ferry import plan
from tako.ferry.reading import Reader
from tako.ferry.source import connection, position
from tako.ferry.source.binlog.stream import From
from tako.ferry.source.binlog.transactions import Quiet, Transaction
from tako.ferry.spool import Spool


def main(file: str, start: int, end: int) -> None:
    made = plan.read(Path("plan.json"))
    address = connection.parse(made.source.url)
    with connection.connect(address) as source:
        server = position.identity(source)
    spool = Spool()
    rows, began = 0, 0.0
    begin = From("", file, start)
    with Reader(made, lambda: connection.connect(address), begin, server, spool, frozenset()):
        while True:
            item = spool.take(60)
            if isinstance(item, Transaction):
                began = began or time.monotonic()
                rows += item.count
                item.close()
            if isinstance(item, Transaction | Quiet) and (item.file, item.offset) >= (file, end):
                print(rows, time.monotonic() - began)
                break


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
