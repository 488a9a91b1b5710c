"""What waits comes out in the order in which it went in, from memory or from the disk; and not without end."""

import threading

import pytest

from tako.ferry.changes import Rows
from tako.ferry.source.binlog.transactions import Quiet, Transaction
from tako.ferry.spool import Spool


def transaction(n: int, size: int = 1000) -> Transaction:
    made = Transaction(gtid=f"0-1-{n}", timestamp=n)
    made.add(Rows("t", [], [], [b"%d" % n], [b"x" * size]))
    return made


def test_the_order_is_kept_when_memory_is_full() -> None:
    spool = Spool(memory=3000)
    for n in range(10):
        spool.put(transaction(n))
    found = [spool.take(0) for _ in range(10)]
    assert [one.timestamp for one in found if isinstance(one, Transaction)] == list(range(10))
    assert [one.spilled for one in found if isinstance(one, Transaction)] == [False] * 2 + [True] * 8
    for n, one in enumerate(found):
        assert isinstance(one, Transaction)
        (rows,) = one.changes()
        assert (rows,) == tuple(one.changes()), "as often as needed"
        assert isinstance(rows, Rows)
        assert rows.keys == [b"%d" % n]
        one.close()
    assert spool.size == 0


def test_who_puts_waits_when_there_is_too_much() -> None:
    spool = Spool(most=2000)
    for n in range(2):
        spool.put(transaction(n))
    putter = threading.Thread(target=spool.put, args=(transaction(2),))
    putter.start()
    putter.join(0.2)
    assert putter.is_alive()
    assert isinstance(spool.take(0), Transaction)
    putter.join(5)
    assert not putter.is_alive()


def test_a_failure_comes_out_behind_what_was_read_before_it() -> None:
    spool = Spool()
    spool.put(transaction(1))
    spool.end(ValueError("damaged"))
    assert isinstance(spool.take(0), Transaction)
    with pytest.raises(ValueError, match="damaged"):
        spool.take(0)


def test_silence_is_told_once_and_only_when_nothing_waits() -> None:
    spool = Spool()
    spool.put(Quiet("f", 4))
    spool.put(transaction(1))
    assert isinstance(spool.take(0), Transaction)
    assert spool.take(0) is None
    spool.put(Quiet("f", 8))
    assert spool.take(0) == Quiet("f", 8)
    assert spool.take(0) is None


def test_a_huge_transaction_lies_on_the_disk_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tako.ferry.source.binlog.transactions.IN_MEMORY", 10_000)
    made = Transaction()
    rows = [Rows("t", [], [], [b"%d" % n], [b"y" * 3000]) for n in range(20)]
    for row in rows:
        made.add(row)
    assert made.spilled
    assert list(made.changes()) == rows
    made.keep(rows[3:5])
    assert list(made.changes()) == rows[3:5]
    assert made.count == 2
