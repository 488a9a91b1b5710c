"""Bytes of a real log that are cut or changed are an error with the place, whatever they are of."""

import contextlib
import random
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import pytest

from tako.ferry.errors import Damaged, Stopped
from tako.ferry.source import position
from tako.ferry.source.binlog import asking, decoding, events, stream
from tako.ferry.source.binlog.decoding import Decoders
from tako.ferry.source.binlog.transactions import Assembler
from tests.ferry import moving
from tests.ferry.moving import Move
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

SEED = 11
ROUNDS = 40  # per event
BEGINNINGS = (events.GTID, events.ANONYMOUS, events.TAGGED_GTID, events.MARIADB_GTID)
TABLE = """CREATE TABLE t (id int PRIMARY KEY, a varchar(300), b longtext, c decimal(20,6), d datetime(3),
    e enum('x','y'), f json, g timestamp(6) NULL, h double, i bit(9), j set('p','q'), k time(2), l geometry,
    m binary(8), n bigint unsigned)"""
ROW = """INSERT INTO t VALUES (1, 'text', REPEAT('long', 500), -123456.789, NOW(3), 'y',
    '{"a": [1, 2.5, "x", null, {"b": true}], "c": "2026"}', NOW(6), 1e100, 300, 'p,q', '-01:02:03.45',
    POINT(1, 2), 'bin', 7)"""


@dataclass
class Recorded:
    """Events of a log as they came over the wire, each with the file it is in."""

    move: Move
    events: list[tuple[bytes, str]]

    def decoders(self, asker: asking.Asker) -> Decoders:
        made = self.move.made
        assert made is not None
        schemas = {table.name: table for table in made.schema.tables}
        planned = {table.source: table for table in made.tables}
        return Decoders(
            made.source.database,
            decoding.followed(schemas, planned, frozenset({"t"})),
            made.rules,
            asker.charsets(),
            asker.read,
            asker.labels,
        )


@pytest.fixture
def recorded(source: Mysqld, target: Postgres, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    move = moving.new(source, target, TABLE)
    move.plan()
    with move.source() as opened:
        at = position.current(opened)
    move.run(ROW, "UPDATE t SET a = 'changed', f = '[]'", "SAVEPOINT x", "DELETE FROM t", ROW)
    move.run("XA START 'x'", "UPDATE t SET n = 8", "XA END 'x'", "XA PREPARE 'x'", "XA ROLLBACK 'x'")
    if source.name == "MySQL":
        move.run("SET SESSION binlog_transaction_compression = ON", "UPDATE t SET a = REPEAT('z', 300)")
        move.run("SET gtid_next = 'AUTOMATIC:tag'", "UPDATE t SET n = 9")
    else:
        move.run("SET GLOBAL log_bin_compress = ON")
        move.run("UPDATE t SET a = REPEAT('z', 300)", f"ANALYZE TABLE t /* {'long ' * 100} */")
        move.run("SET GLOBAL log_bin_compress = OFF")
    found: list[tuple[bytes, str]] = []
    original = stream.parsed

    def parsed(data: bytes, file: str, *, checksums: bool) -> stream.Event:
        event = original(data, file, checksums=checksums)
        if event.end and event.type not in events.HEARTBEATS:
            assert checksums
            found.append((data, file))
        return event

    with move.source() as opened:
        end = position.current(opened)
    with monkeypatch.context() as patched, move.source() as opened:
        patched.setattr(stream, "parsed", parsed)
        for event in stream.read(opened, stream.From(at.gtid, at.file, at.offset)):
            if (event.file, event.end) >= (end.file, end.offset):
                break
    return Recorded(move, found)


def test_every_cut_and_every_changed_byte_is_an_error_with_the_place(recorded: Recorded) -> None:
    chance = random.Random(SEED)
    types = {data[4] for data, _ in recorded.events}
    assert {events.QUERY, events.TABLE_MAP, events.XID, events.XA_PREPARE} <= types
    assert types & set(events.ROWS)
    for data, file in recorded.events:
        for _ in range(ROUNDS):
            for bad in (_cut(data, chance), _changed(data, chance)):
                with pytest.raises(Damaged, match=r"event|format|files"):
                    stream.parsed(bad, file, checksums=True)


def test_what_fits_its_checksum_and_means_nothing_is_an_error_too(recorded: Recorded) -> None:
    """Never an exception of another kind, and never more rows than there were."""
    chance = random.Random(SEED)
    asker = asking.Asker(recorded.move.source)
    outcomes = {"damaged": 0, "stopped": 0, "read": 0}
    with contextlib.closing(asker):
        for n, (data, _) in enumerate(recorded.events):
            for _ in range(ROUNDS):
                for bad in (_sealed(_cut(data, chance)), _sealed(_changed(data, chance, since=stream.HEADER))):
                    outcomes[_fed(recorded, asker, n, bad)] += 1
    assert outcomes["damaged"] > 100
    assert outcomes["damaged"] > outcomes["stopped"]


def _fed(recorded: Recorded, asker: asking.Asker, n: int, bad: bytes) -> str:
    """All events of the transaction up to this one, and a bad one in its place."""
    first = max((k for k in range(n + 1) if recorded.events[k][0][4] in BEGINNINGS), default=0)
    made = Assembler(recorded.decoders(asker), _not_amended, mariadb=recorded.move.server.name == "MariaDB")
    rows = 0
    try:
        for data, file in [*recorded.events[first:n], (bad, recorded.events[n][1])]:
            for item in made.feed(stream.parsed(data, file, checksums=True)):
                rows += getattr(item, "count", 0)
    except Damaged:
        return "damaged"
    except Stopped:
        return "stopped"
    assert rows <= 20
    return "read"


def _not_amended(*_: Any) -> Any:
    raise AssertionError("no table is changed here")


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randint(0, len(data) - 1)]


def _changed(data: bytes, chance: random.Random, since: int = 0) -> bytes:
    at = chance.randint(since, len(data) - 1)
    return data[:at] + bytes((data[at] ^ chance.randint(1, 255),)) + data[at + 1 :]


def _sealed(data: bytes) -> bytes:
    """With the size and the checksum of what it is now."""
    if len(data) < stream.HEADER + 4:
        return data
    body = data[:9] + struct.pack("<I", len(data)) + data[13:-4]
    return body + struct.pack("<I", zlib.crc32(body))
