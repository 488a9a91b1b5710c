"""Packets become lines of COPY text, whatever is in them and however they arrive."""

import io
from collections.abc import Sequence
from typing import Any

import pymysql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tako.ferry.source import rows
from tako.ferry.source.rows import Block, Form
from tako.ferry.translate import values

EOF = b"\x05\x00\x00\x09\xfe\x00\x00\x22\x00"
Row = Sequence[bytes | None]


def number(n: int) -> bytes:
    """A length as the protocol writes it."""
    if n < 251:
        return bytes((n,))
    if n < 1 << 16:
        return b"\xfc" + n.to_bytes(2, "little")
    return b"\xfd" + n.to_bytes(3, "little") if n < 1 << 24 else b"\xfe" + n.to_bytes(8, "little")


def packets(*found: Row) -> bytes:
    """Row packets; one that is longer than a packet may be goes on in the next."""
    sent = b""
    for row in found:
        data = b"".join(b"\xfb" if value is None else number(len(value)) + value for value in row)
        while len(data) >= 0xFFFFFF:
            sent += b"\xff\xff\xff\x00" + data[:0xFFFFFF]
            data = data[0xFFFFFF:]
        sent += len(data).to_bytes(3, "little") + b"\x00" + data
    return sent + EOF


class Dribble(io.BytesIO):
    """A connection that gives a few bytes at a time."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(min(size, self._most) if size and size > 0 else self._most)


def blocks(stream: Any, *forms: Form) -> list[Block]:
    return list(rows._blocks(stream, forms))


def expected(row: Row, forms: Sequence[Form]) -> list[bytes | None]:
    """What the target will read: hexadecimal digits of what is binary, the rest as it is."""
    put = {"text": lambda value: value, "hex": lambda value: b"\\x" + value}
    put["bytes"] = lambda value: b"\\x" + value.hex().encode()
    return [None if value is None else put[form](value) for value, form in zip(row, forms, strict=True)]


some_bytes = st.one_of(
    st.binary(max_size=40), st.binary(min_size=245, max_size=260), st.text(max_size=30).map(str.encode)
)
some_form: st.SearchStrategy[Form] = st.sampled_from(["text", "text", "bytes"])


@settings(max_examples=60)
@given(data=st.data())
def test_every_row_comes_out_as_it_went_in(data: st.DataObject) -> None:
    """Any bytes, NULLs, lengths of every width, in pieces of any size."""
    forms = data.draw(st.lists(some_form, min_size=1, max_size=6))
    value = st.one_of(st.none(), some_bytes)
    sent = data.draw(st.lists(st.lists(value, min_size=len(forms), max_size=len(forms)), max_size=8))
    piece = data.draw(st.integers(1, 600))
    came = blocks(Dribble(packets(*sent), piece), *forms)
    lines = [line for block in came for line in block.text.split(b"\n")[:-1]]
    assert [values.fields(line) for line in lines] == [expected(row, forms) for row in sent]
    assert sum(block.rows for block in came) == len(sent)


def test_the_usual_way_and_the_careful_way_write_the_same() -> None:
    row: Row = [b"7", None, b"a\tb\\c\nd\r", b"", b"00ff", b"x" * 300, b"\x00\xff\xfa\n"]
    forms: list[Form] = ["text", "text", "text", "text", "hex", "text", "bytes"]
    (block,) = blocks(io.BytesIO(packets(row, row)), *forms)
    line = b"7\t\\N\ta\\tb\\\\c\\nd\\r\t\t\\\\x00ff\t" + b"x" * 300 + b"\t\\\\x00fffa0a\n"
    assert block.text == line * 2
    assert block.text == rows._lines(packets(row, row)[: -len(EOF)], forms)


def test_a_null_or_a_binary_in_the_first_column() -> None:
    (block,) = blocks(io.BytesIO(packets([None, b"a"], [b"ff", b"b"])), "hex", "text")
    assert block.text == b"\\N\ta\n\\\\xff\tb\n"


def test_bytes_that_are_no_utf8_stay_for_postgresql_to_refuse() -> None:
    row: Row = [b"1", b"\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff", b"good"]
    (block,) = blocks(io.BytesIO(packets(row)), "text", "text", "text")
    assert block.text == b"1\t\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff\tgood\n"


def test_a_row_of_several_packets() -> None:
    large = b"x" * (0xFFFFFF + 70_000)
    came = blocks(io.BytesIO(packets([b"1", large], [b"2", b"small"])), "text", "text")
    assert b"".join(block.text for block in came) == b"1\t" + large + b"\n2\tsmall\n"


def test_a_table_is_read_in_blocks_of_about_a_megabyte() -> None:
    sent = [[b"%d" % n, b"y" * 1000] for n in range(4000)]
    came = blocks(io.BytesIO(packets(*sent)), "text", "text")
    assert len(came) >= 3
    assert all(len(block.text) < 2 * rows.BLOCK for block in came)
    assert [block.last()[0] for block in came][-1] == b"3999"


def test_a_connection_that_is_lost_is_an_error_not_the_end() -> None:
    cut = packets([b"1"], [b"2"])[: -len(EOF) - 1]
    with pytest.raises(pymysql.err.OperationalError, match="middle of a table"):
        blocks(io.BytesIO(cut), "text")


def test_an_error_of_the_server_in_the_middle_is_raised() -> None:
    said = b"\xff\x2c\x0a#HY000killed"
    sent = packets([b"1"])[: -len(EOF)] + len(said).to_bytes(3, "little") + b"\x05" + said
    with pytest.raises(pymysql.err.MySQLError, match="killed"):
        blocks(io.BytesIO(sent), "text")
