"""Nothing that was committed before a copy's position is missing from what it reads: with four writers at work."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from tako.ferry.source import connection, position
from tako.ferry.source.connection import Source
from tako.ferry.source.position import Position
from tests.support.mysqld import Mysqld

pytestmark = pytest.mark.slow

WRITERS = 4
SNAPSHOTS = 60
UUID = "00000000-0000-0000-0000-00000000000{}"
Written = frozenset[tuple[int, int]]


def test_what_is_before_the_position_is_in_the_snapshot(source: Mysqld) -> None:
    seen = taken(source, position.snapshot)
    assert [sorted(before - visible) for at, before, visible in seen if not before <= visible] == []
    assert [at for at, before, visible in seen if at.exact and before != visible] == []
    assert len({at.gtid for at, _, _ in seen}) > SNAPSHOTS // 4, "the writers did not write"


def test_a_position_that_is_read_after_the_snapshot_is_seen_to_lose_rows(source: Mysqld) -> None:
    """The test above is worth something: this is the mistake that it is there for."""

    def late(session: Source) -> Position:
        position.snapshot(session)
        return position.current(session)

    assert any(not before <= visible for _, before, visible in taken(source, late))


def taken(server: Mysqld, snapshot: Callable[[Source], Position]) -> list[tuple[Position, Written, Written]]:
    """Snapshots under load: the position, the rows that were committed before it, the rows that the snapshot has."""
    database = server.new_database()
    with contextlib.closing(server.connect(database)) as admin, admin.cursor() as cursor:
        cursor.execute("CREATE TABLE written (writer int, n int, PRIMARY KEY (writer, n))")
    first = _first(server)
    with writing(server, database, first), connection.connect(connection.parse(server.url(database))) as session:
        found: list[tuple[Position, Written, Written]] = []
        # On a busy machine the writers come to their turn rarely: go on until they have written between snapshots.
        while len(found) < SNAPSHOTS or len({at.gtid for at, _, _ in found}) <= SNAPSHOTS // 4:
            at = snapshot(session)
            visible = frozenset((int(w), int(n)) for w, n in session.rows("SELECT writer, n FROM written"))
            session.execute("ROLLBACK")
            found.append((at, _before(at.gtid, first), visible))
        return found


@contextlib.contextmanager
def writing(server: Mysqld, database: str, first: int) -> Iterator[None]:
    """Each row is a transaction, whose number in the log is the row's number too."""
    over = threading.Event()
    threads = [threading.Thread(target=_write, args=(server, database, w, first, over)) for w in range(1, WRITERS + 1)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _write(server: Mysqld, database: str, writer: int, first: int, over: threading.Event) -> None:
    n = first
    with contextlib.closing(server.connect(database)) as session, session.cursor() as cursor:
        if server.name == "MariaDB":
            cursor.execute(f"SET SESSION gtid_domain_id = {writer}")
        while not over.is_set():
            number = f"gtid_seq_no = {n}" if server.name == "MariaDB" else f"gtid_next = '{UUID.format(writer)}:{n}'"
            cursor.execute(f"SET SESSION {number}")
            cursor.execute(f"INSERT INTO written VALUES ({writer}, {n})")
            n += 1


def _first(server: Mysqld) -> int:
    """Numbers that no earlier test has used."""
    with contextlib.closing(server.connect()) as session, session.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.gtid_binlog_pos" if server.name == "MariaDB" else "SELECT @@gtid_executed")
        ((gtid,),) = cursor.fetchall()
        return 1 + max((high for _, high in _intervals(str(gtid)).values()), default=0)


def _before(gtid: str, first: int) -> Written:
    """The rows that a position is behind."""
    ends = {writer: high for writer, (_, high) in _intervals(gtid).items() if 1 <= writer <= WRITERS}
    return frozenset((writer, n) for writer, high in ends.items() for n in range(first, high + 1))


def _intervals(gtid: str) -> dict[int, tuple[int, int]]:
    """By writer: the first and the last number. MariaDB says 2-1-17 (domain, server, number), MySQL uuid:1-17."""
    found = {}
    for part in gtid.replace("\n", "").split(","):
        if ":" in part:
            uuid, _, numbers = part.strip().partition(":")
            low, _, high = numbers.rpartition(":")[2].partition("-")
            if uuid.startswith("00000000-0000"):
                found[int(uuid[-1])] = (int(low), int(high or low))
        elif part:
            domain, _, number = part.split("-")
            found[int(domain)] = (1, int(number))
    return found
