"""What the bodies of events say.

Layouts: MySQL's libs/mysql/binlog/event (control_events.h, rows_event.h, statement_events.h), MariaDB's
sql/log_event.h; seen on MariaDB 10.11 and MySQL 9.7. Whatever does not add up raises `Damaged`.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import zstandard
from msgspec import Struct

from tako.ferry.errors import Damaged
from tako.ferry.source.binlog.stream import HEADER, Event

QUERY: Final = 2
STOP: Final = 3
XID: Final = 16
TABLE_MAP: Final = 19
INCIDENT: Final = 26
HEARTBEATS: Final = frozenset({27, 41})
GTID: Final = 33
ANONYMOUS: Final = 34
XA_PREPARE: Final = 38
PARTIAL_JSON: Final = 39
PAYLOAD: Final = 40
TAGGED_GTID: Final = 42
MARIADB_GTID: Final = 162
QUERY_COMPRESSED: Final = 165
ROWS: Final = {
    # type: (what, whether the head has an extra part (version 2), whether the rows are compressed)
    23: ("insert", False, False),
    24: ("update", False, False),
    25: ("delete", False, False),
    30: ("insert", True, False),
    31: ("update", True, False),
    32: ("delete", True, False),
    166: ("insert", False, True),
    167: ("update", False, True),
    168: ("delete", False, True),
    169: ("insert", True, True),
    170: ("update", True, True),
    171: ("delete", True, True),
}
# No change of rows: rotation, format, queries in words beside the rows (MySQL 29, MariaDB 160), sets of GTIDs,
# checkpoints (161), MariaDB's encryption of files (164; the server decrypts), and what group replication says.
SILENT: Final = frozenset({0, STOP, 4, 15, 28, 29, 35, 36, 37, 160, 161, 163, 164})
IGNORABLE: Final = 0x80  # a flag: who does not know the event may pass over it
UNCHECKED: Final = 0x02  # a flag of rows: written with foreign_key_checks = 0
STANDALONE: Final = 0x01  # a flag of MariaDB's GTID: one statement, no commit follows
LARGEST: Final = 1 << 32  # bytes that a compressed part may become

_query = struct.Struct("<IIBHH").unpack_from
_u16 = struct.Struct("<H").unpack_from
_u64 = struct.Struct("<Q").unpack_from


class Query(Struct, frozen=True, gc=False):
    database: str
    sql: str


class RowsHead(Struct, frozen=True, gc=False):
    """`present` and `after` are bitmaps of the columns that images hold; `at` is where images begin in `data`."""

    table_id: int
    unchecked: bool
    columns: int
    present: int
    after: int
    data: bytes
    at: int


@contextmanager
def checked(event: Event) -> Iterator[None]:
    """What goes wrong while bytes are taken apart means that they are not what they should be."""
    try:
        yield
    except (IndexError, struct.error, ValueError, OverflowError, zlib.error, zstandard.ZstdError) as error:
        raise Damaged(
            f"The event of type {event.type} that ends at {event.place} cannot be read ({error}). Run the same command "
            "again; if it stops here again, the source's file is damaged, or of a kind that ferry does not know."
        ) from error


def number(data: bytes, at: int) -> tuple[int, int]:
    """A length-encoded integer, and where the next thing begins."""
    first = data[at]
    if first < 251:
        return first, at + 1
    wide = {252: 2, 253: 3, 254: 8}[first] if first != 251 and first != 255 else 0
    if not wide or at + 1 + wide > len(data):
        raise ValueError("a length is cut off")
    return int.from_bytes(data[at + 1 : at + 1 + wide], "little"), at + 1 + wide


def query(event: Event) -> Query:
    """A statement. Bytes that are no UTF-8 become lone surrogates: no name that ferry knows has them."""
    body = event.body
    _, _, length, _, status = _query(body)
    at = 13 + status
    if at + length + 1 > len(body) or body[at + length] != 0:
        raise ValueError("a statement is cut off")
    sql = body[at + length + 1 :]
    if event.type == QUERY_COMPRESSED:
        sql = inflated(sql)
    return Query(body[at : at + length].decode(errors="surrogateescape"), sql.decode(errors="surrogateescape"))


def mysql_gtid(event: Event) -> str:
    """`uuid:number`; empty for a transaction without one."""
    if event.type == ANONYMOUS:
        return ""
    if event.type == TAGGED_GTID:
        return _tagged(event.body)
    if len(event.body) < 25:
        raise ValueError("a GTID is cut off")
    return f"{UUID(bytes=event.body[1:17])}:{_u64(event.body, 17)[0]}"


def _tagged(body: bytes) -> str:
    """A message of mysql::serialization: numbered fields in order (flags 0, uuid 1, number 2, tag 3, …)."""
    version, at = _varint(body, 0)
    size, at = _varint(body, at)
    _, at = _varint(body, at)
    if version != 1 or size > len(body):
        raise ValueError("a tagged GTID is of another version, or cut off")
    uuid, n, tag = b"", 0, ""
    while at < size:
        field, at = _varint(body, at)
        if field == 0:
            _, at = _varint(body, at)
        elif field == 1:
            values = []
            for _ in range(16):
                value, at = _varint(body, at)
                values.append(value)
            uuid = bytes(values)
        elif field == 2:
            n, at = _varint(body, at)
            n = n >> 1 ^ -(n & 1)  # signed numbers change between positive and negative
        elif field == 3:
            length, at = _varint(body, at)
            tag, at = body[at : at + length].decode(), at + length
        else:
            break  # times and lengths
    if len(uuid) != 16 or n < 1:
        raise ValueError("a tagged GTID has no number")
    return f"{UUID(bytes=uuid)}:{tag}:{n}" if tag else f"{UUID(bytes=uuid)}:{n}"


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """As many ones at the low end of the first byte as bytes follow it."""
    first = data[at]
    wide = 1
    while wide < 9 and first & 1 << wide - 1:
        wide += 1
    if at + wide > len(data):
        raise ValueError("a number is cut off")
    if wide == 9:
        return int.from_bytes(data[at + 1 : at + 9], "little"), at + 9
    return int.from_bytes(data[at : at + wide], "little") >> wide, at + wide


def mariadb_gtid(event: Event) -> tuple[str, bool]:
    """`domain-server-number`, and whether the group is one statement without a commit."""
    if len(event.body) < 13:
        raise ValueError("a GTID is cut off")
    domain = int.from_bytes(event.body[8:12], "little")
    return f"{domain}-{event.server_id}-{_u64(event.body, 0)[0]}", bool(event.body[12] & STANDALONE)


def prepared(event: Event) -> tuple[str, bool]:
    """The XA transaction's name as XA COMMIT writes it, and whether it is committed with that (ONE PHASE)."""
    body = event.body
    kind, first, second = (int.from_bytes(body[at : at + 4], "little") for at in (1, 5, 9))
    if len(body) != 13 + first + second:
        raise ValueError("an XA transaction's name is cut off")
    return xid(body[13 : 13 + first], body[13 + first :], kind), body[0] == 1


def xid(first: bytes, second: bytes, kind: int) -> str:
    return f"X'{first.hex()}',X'{second.hex()}',{kind}"


def rows_head(event: Event) -> RowsHead:
    what, version2, compressed = ROWS[event.type]
    body = event.body
    table_id = int.from_bytes(body[:6], "little")
    (flags,) = _u16(body, 6)
    at = 8
    if version2:
        (extra,) = _u16(body, 8)
        if extra < 2:
            raise ValueError("the head of rows is cut off")
        at += extra
    columns, at = number(body, at)
    wide = (columns + 7) // 8
    present = after = int.from_bytes(body[at : at + wide], "little")
    at += wide
    if what == "update":
        after = int.from_bytes(body[at : at + wide], "little")
        at += wide
    if at > len(body):
        raise ValueError("the head of rows is cut off")
    if compressed:
        return RowsHead(table_id, bool(flags & UNCHECKED), columns, present, after, inflated(body[at:]), 0)
    return RowsHead(table_id, bool(flags & UNCHECKED), columns, present, after, body, at)


def inflated(data: bytes) -> bytes:
    """MariaDB's compressed part: 0x80, the width of a length, the length from its high byte on, zlib's bytes."""
    if not data or data[0] & 0xF0 != 0x80 or not 1 <= data[0] & 7 <= 4:
        raise ValueError("it is compressed in a way that is not known")
    wide = data[0] & 7
    size = int.from_bytes(data[1 : 1 + wide], "big")
    made = zlib.decompressobj()
    found = made.decompress(data[1 + wide :], size + 1)
    if len(found) != size or not made.eof:
        raise ValueError("what was compressed is not as long as it was")
    return found


def unpacked(event: Event) -> Iterator[Event]:
    """The events in a compressed transaction of MySQL's. They have no checksums; the whole has."""
    kind = size = plain = None
    at = 0
    while (field := number(event.body, at))[0] != 0:
        length, at = number(event.body, field[1])
        value, _ = number(event.body, at)
        if field[0] == 1:
            size = value
        elif field[0] == 2:
            kind = value
        elif field[0] == 3:
            plain = value
        at += length
    data = event.body[field[1] :]
    if size != len(data) or kind not in (0, 255):
        raise ValueError("it is compressed in a way that is not known, or cut off")
    yield from _whole_events(_pieces(data, kind, plain or 0), event)


def _pieces(data: bytes, kind: int, size: int) -> Iterator[bytes]:
    """A piece at a time: a transaction may become a hundred times as large as it is."""
    if kind == 255:
        yield data
        return
    if size > LARGEST:
        raise ValueError(f"it says that it becomes {size} bytes")
    made = 0
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        while piece := reader.read(1 << 20):
            made += len(piece)
            yield piece
    if size and made != size:
        raise ValueError("what was compressed is not as long as it was")


def _whole_events(pieces: Iterator[bytes], outer: Event) -> Iterator[Event]:
    rest = b""
    for piece in pieces:
        rest += piece
        at = 0
        while len(rest) - at >= HEADER:
            size = int.from_bytes(rest[at + 9 : at + 13], "little")
            if size < HEADER:
                raise ValueError("an event in it says that it is shorter than its header")
            if at + size > len(rest):
                break
            timestamp, type, server = int.from_bytes(rest[at : at + 4], "little"), rest[at + 4], outer.server_id
            flags = int.from_bytes(rest[at + 17 : at + 19], "little")
            yield Event(type, timestamp, server, outer.end, flags, outer.file, rest[at + HEADER : at + size])
            at += size
        rest = rest[at:]
    if rest:
        raise ValueError("the last event in it is cut off")
