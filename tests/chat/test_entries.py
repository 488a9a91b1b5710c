"""Text that every reader and both databases have alike, however an upstream cuts it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tako.chat.entries import (
    Appended,
    Cleaner,
    Created,
    Ended,
    PartClosed,
    PartOpened,
    Started,
    Used,
    clean,
    decode,
    encode,
)

# Any code points at all: an upstream's JSON may hold halves of surrogate pairs and NUL.
ANYTHING = st.text(st.characters(categories=None), max_size=40)


def cleaned(pieces: list[str]) -> str:
    cleaner = Cleaner()
    return "".join(map(cleaner.clean, pieces)) + cleaner.rest()


@given(ANYTHING, st.lists(st.integers(0, 40), max_size=5))
def test_where_an_upstream_cuts_changes_nothing(text: str, cuts: list[int]) -> None:
    """Also in the middle of a pair of surrogates, or several times."""
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(places)]
    assert cleaned(pieces) == clean(text)


@given(ANYTHING)
def test_what_is_cleaned_can_be_stored_and_stays_as_it_is(text: str) -> None:
    """UTF-8 takes it, PostgreSQL's text takes it, and cleaning again finds nothing to do."""
    once = clean(text)
    once.encode()
    assert "\0" not in once
    assert clean(once) == once


def test_two_halves_that_come_apart_are_one_character() -> None:
    """And one that stays alone is U+FFFD, in its place."""
    assert cleaned(["a\ud83d", "\udc19b"]) == "a🐙b"
    assert cleaned(["a\ud83d", "b"]) == "a\ufffdb"
    assert cleaned(["a\ud83d"]) == "a\ufffd"
    assert cleaned(["\udc19"]) == "\ufffd"


def test_every_entry_is_read_as_it_was_written() -> None:
    """What a log holds today must be readable for ever: each kind names its version."""
    entries = [
        Created("resp_1", 1_790_000_000_000_000, True, b"{}"),
        Started(),
        PartOpened(0, "reasoning", "rs_1"),
        Appended(0, "🐙\u2028"),
        PartClosed(0, True),
        Used(1, 2, 3, 4, True),
        Ended("failed", 1, None, "upstream_cut", "cut"),
    ]
    assert [decode(encode(entry)) for entry in entries] == entries
    assert encode(Appended(0, "x")) == b"\x93\xa2a1\x00\xa1x"
