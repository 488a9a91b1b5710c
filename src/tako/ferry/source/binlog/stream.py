"""The bytes of the log: asked for where we are, checked, one event at a time.

Protocol: COM_BINLOG_DUMP_GTID and COM_BINLOG_DUMP of MySQL's client/server protocol; MariaDB takes its GTID position in
`@slave_connect_state` and COM_BINLOG_DUMP. Event headers: mysql/binlog/event/binlog_event.h (19 bytes, version 4).
"""

import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pymysql
from msgspec import Struct
from pymysql.constants import COMMAND

from tako.ferry.errors import Damaged, NeedsResync, SourceGone
from tako.ferry.source.binlog import gtid
from tako.ferry.source.connection import Source, told

HEARTBEAT = 1.0  # seconds of quiet after which the source says that it is there
SILENCE = 60.0  # seconds without a byte after which it is not
COM_BINLOG_DUMP_GTID = 0x1E
THROUGH_GTID = 0x04
MARIADB_KNOWS_GTID = 4
ROTATE, FORMAT = 4, 15
HEADER = 19
CHECKSUM = 4
IN_USE = 0x01
_head = struct.Struct("<IBIIIH").unpack_from
_crc = struct.Struct("<I").unpack_from
FATAL = 1236  # ER_SOURCE_FATAL_ERROR_READING_BINLOG: the words say which
# Both servers' words, old and new, for "what you want is not here any more".
GONE = (
    "purged",
    "could not find first log file",
    "is not in the master's binlog",
    "not in the source's binlog",
    "diverged",
)


@dataclass(frozen=True, slots=True)
class From:
    """Where to begin: behind all of `gtid` if the source has GTIDs, else at `offset` of `file`."""

    gtid: str
    file: str
    offset: int


class Event(Struct, frozen=True, gc=False):
    """One event, without header and checksum. `end` is where the next one begins in `file`; 0 if it is in no file."""

    type: int
    timestamp: int
    server_id: int
    end: int
    flags: int
    file: str
    body: bytes

    @property
    def place(self) -> str:
        """Where it ends, as an operator writes it."""
        return f"{self.file}:{self.end}"


def read(source: Source, start: From) -> Iterator[Event]:
    """All events from there on, for ever. The session is of no other use afterwards.

    Raises `NeedsResync` if the source has that part of its log no more, `SourceGone`, `Damaged`.
    """
    with told(source.address):
        checksums = _announce(source, start)
        _ask(source, start)
        yield from _events(source, checksums, start.file)


def _announce(source: Source, start: From) -> bool:
    """Say what we understand. Returns whether events come with checksums before a file says so itself."""
    algorithm = str(source.value("SELECT @@global.binlog_checksum"))
    period = int(HEARTBEAT * 1_000_000_000)
    for name in ("master", "source"):
        source.execute(f"SET @{name}_binlog_checksum = '{algorithm}', @{name}_heartbeat_period = {period}")
    if source.is_mariadb:
        source.execute(f"SET @mariadb_slave_capability = {MARIADB_KNOWS_GTID}")
        if start.gtid:
            source.execute(f"SET @slave_connect_state = '{gtid.MariadbSet(start.gtid)}', @slave_gtid_strict_mode = 0")
    return algorithm != "NONE"


def _ask(source: Source, start: From) -> None:
    connection: Any = source.connection
    connection._read_timeout = SILENCE
    connection._sock.settimeout(SILENCE)
    # Far from the numbers that people give to replicas; one that is taken would throw its owner out.
    me = random.randrange(1 << 31, 1 << 32)  # noqa: S311 (no secret)
    file = b"" if start.gtid else start.file.encode()
    offset = 4 if start.gtid else start.offset
    if start.gtid and not source.is_mariadb:
        done = gtid.MysqlSet(start.gtid).encoded()
        request = struct.pack("<HII", THROUGH_GTID, me, len(file)) + file + struct.pack("<QI", offset, len(done)) + done
        connection._execute_command(COM_BINLOG_DUMP_GTID, request)
        return
    if offset >= 1 << 32:
        raise SourceGone(f"The position {start.file}:{offset} is beyond what the protocol can ask for without GTIDs.")
    connection._execute_command(COMMAND.COM_BINLOG_DUMP, struct.pack("<IHI", offset, 0, me) + file)


def _events(source: Source, checksums: bool, file: str) -> Iterator[Event]:
    connection: Any = source.connection
    while True:
        try:
            packet = connection._read_packet().get_all_data()
        except pymysql.err.MySQLError as error:
            raise _told(error, source) from error
        if packet[:1] == b"\xfe" and len(packet) < 9:
            raise SourceGone(f"The source {source.address.shown} has ended its log: it is being stopped.")
        event = parsed(packet[1:], file, checksums=checksums)
        if event.type == ROTATE:
            file = event.body[8:].decode()
            event = Event(ROTATE, event.timestamp, event.server_id, _offset(event), event.flags, file, event.body)
        elif event.type == FORMAT:
            checksums = event.body[-1] == 1
            event = Event(FORMAT, event.timestamp, event.server_id, event.end, event.flags, file, event.body[:-1])
        yield event


def parsed(data: bytes, file: str, *, checksums: bool) -> Event:
    """One event out of its bytes. Raises `Damaged` if they are not all there, or not what the source wrote."""
    where = f"in {file or 'the log'}"
    if len(data) < HEADER:
        raise Damaged(f"An event {where} is cut off in its header. Run the same command again.")
    timestamp, type, server, size, end, flags = _head(data)
    where = f"that ends at {file}:{end}"
    if size != len(data):
        raise Damaged(f"An event {where} has {len(data)} bytes and says {size}. Run the same command again.")
    stop = size
    # A description of a format always carries its own checksum, behind one byte that says which kind it is.
    if type == FORMAT:
        if size < HEADER + 2 + 50 + 4 + 1 + 1 + CHECKSUM or data[-5] not in (0, 1):
            raise Damaged(f"The log's format {where} is not one that ferry knows. Run the same command again.")
        checksums = data[-5] == 1
        stop = size - CHECKSUM
    elif checksums:
        stop = size - CHECKSUM
    if checksums:
        if stop < HEADER:
            raise Damaged(f"An event {where} is cut off. Run the same command again.")
        if not _sound(data, type, stop):
            raise Damaged(
                f"An event {where} does not fit its checksum: it was changed on the way, or in the source's file. "
                "Run the same command again; if it stops at the same place, the file is damaged: copy anew."
            )
    if type == ROTATE and stop < HEADER + 9:
        raise Damaged(f"A change of files {where} is cut off. Run the same command again.")
    return Event(type, timestamp, server, end, flags, file, data[HEADER:stop])


def _sound(data: bytes, type: int, stop: int) -> bool:
    if type == FORMAT:
        # A file that is open says so in a flag, which the checksum does not know.
        data = data[:17] + bytes((data[17] & ~IN_USE,)) + data[18:]
    with memoryview(data) as view:
        return zlib.crc32(view[:stop]) == int(_crc(data, stop)[0])


def _offset(rotate: Event) -> int:
    return int.from_bytes(rotate.body[:8], "little")


def _told(error: pymysql.err.MySQLError, source: Source) -> Exception:
    code, said = error.args[0], str(error.args[-1])
    if code == FATAL and any(word in said.lower() for word in GONE):
        return NeedsResync(
            f"The source {source.address.shown} needs resync: it no longer has the part of its log that comes next "
            f"({said}). Keep the log longer, then `tako ferry abort` and copy anew."
        )
    return error
