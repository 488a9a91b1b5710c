"""Sets of transactions, as the servers write them."""

import pytest

from tako.ferry.source.binlog.gtid import BadGtid, MariadbSet, MysqlSet

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"


@pytest.mark.parametrize(
    ("text", "added", "shown"),
    [
        ("", f"{A}:1", f"{A}:1"),
        (f"{A}:1-5", f"{A}:6", f"{A}:1-6"),
        (f"{A}:1-5", f"{A}:8", f"{A}:1-5:8"),
        (f"{A}:1-5:8", f"{A}:6-7", f"{A}:1-8"),
        (f"{A}:1-5", f"{A}:tag:1", f"{A}:1-5:tag:1"),
        (f"{A}:1-5:tag:1-2:other:7", f"{A}:tag:3", f"{A}:1-5:other:7:tag:1-3"),
        (f"{A}:1-5,\n{B}:1", f"{B}:2", f"{A}:1-5,{B}:1-2"),
        (f"{A}:1-5", f"{A.upper()}:3", f"{A}:1-5"),
    ],
)
def test_mysql_adds_a_transaction(text: str, added: str, shown: str) -> None:
    made = MysqlSet(text)
    made.add(added)
    assert str(made) == shown
    assert made.holds(text)
    assert made.holds(added)
    assert str(MysqlSet(str(made))) == shown


def test_mysql_holds_what_is_in_it() -> None:
    made = MysqlSet(f"{A}:1-5:9-12:tag:1-3")
    assert made.holds(f"{A}:2-5:10,{A}:tag:3")
    assert not made.holds(f"{A}:5-9")
    assert not made.holds(f"{A}:other:1")
    assert not made.holds(f"{B}:1")
    assert made.holds("")


def test_mysql_on_the_wire() -> None:
    """Bytes after sql/rpl_gtid_set.cc: the number of sources, each with its intervals, whose ends are exclusive."""
    plain = MysqlSet(f"{A}:1-5:9").encoded()
    numbers = [int.from_bytes(plain[at : at + 8], "little") for at in (0, 24, 32, 40, 48, 56)]
    assert numbers == [1, 2, 1, 6, 9, 10]
    assert plain[8:24].hex() == A.replace("-", "")
    tagged = MysqlSet(f"{A}:1-5:ab:7").encoded()
    assert tagged[:8] == bytes((1, 2, 0, 0, 0, 0, 0, 1))  # format 1 at both ends, two entries
    assert tagged[24] == 0
    assert tagged[25 + 8 + 16 + 16 :][:3] == b"\x04ab"


def test_mariadb_has_one_place_per_domain() -> None:
    made = MariadbSet("0-1-10,5-2-7")
    made.add("0-3-11")
    assert str(made) == "0-3-11,5-2-7"
    assert made.holds("0-1-11")
    assert not made.holds("0-1-12")
    assert not made.holds("6-1-1")


@pytest.mark.parametrize("text", ["x", f"{A}:a-b", "1-2", f"{A}:1-"])
def test_what_is_no_set(text: str) -> None:
    with pytest.raises(BadGtid):
        MariadbSet(text)
    if not text.endswith("1-"):
        with pytest.raises(BadGtid):
            MysqlSet(text)
