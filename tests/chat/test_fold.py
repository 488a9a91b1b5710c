"""The fold gives back every entry, and so every event, exactly."""

from hypothesis import given
from hypothesis import strategies as st

from tako.chat import fold
from tako.chat.dialects.responses import Responses
from tako.chat.entries import (
    AnyEntry,
    Appended,
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
from tako.chat.follow import replay

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).map(clean)


@st.composite
def logs(draw: st.DrawFn) -> list[AnyEntry]:
    """Logs as a generation could write them, interleaved parts and missing ends included."""
    entries: list[AnyEntry] = [
        Created("resp_1", 1_700_000_000_000_000, draw(st.booleans()), b'{"id":"resp_1"}'),
        Started(),
    ]
    open_parts: list[int] = []
    for part in range(draw(st.integers(0, 3))):
        entries.append(PartOpened(part, draw(st.sampled_from(["text", "reasoning"])), f"msg_{part}"))
        open_parts.append(part)
        for _ in range(draw(st.integers(0, 6))):
            entries.append(Appended(draw(st.sampled_from(open_parts)), draw(texts)))
        if draw(st.booleans()):
            entries.append(PartClosed(open_parts.pop(draw(st.integers(0, len(open_parts) - 1))), draw(st.booleans())))
        if not open_parts:
            continue
    if draw(st.booleans()):
        entries.append(Used(3, 5))
        status = draw(st.sampled_from(["completed", "failed", "cancelled", "incomplete"]))
        entries.append(Ended(status, 1_700_000_001_000_000, "why", "code", "message"))  # type: ignore[arg-type]
    return entries


@given(logs())
def test_the_fold_gives_back_every_entry(entries: list[AnyEntry]) -> None:
    """The fold must give back every entry, byte for byte."""
    written = [encode(entry) for entry in entries]
    stored = fold.load(fold.dump(fold.fold(written)))
    assert [encode(entry) for entry in stored.entries()] == written


@given(logs())
def test_events_from_the_fold_are_those_that_were_streamed_from_every_cursor(entries: list[AnyEntry]) -> None:
    """Whoever comes later must get the same bytes as whoever watched."""
    live = Responses()
    frames = [live.feed(entry) for entry in entries]
    streamed = b"".join(frames)
    stored = fold.load(fold.dump(fold.fold([encode(entry) for entry in entries])))
    assert b"".join(replay(Responses(), stored.entries())) == streamed
    whole = streamed.split(b"\n\n")[:-1]
    assert len(whole) == live.next
    for after in range(-1, live.next):
        rest = b"".join(replay(Responses(after), stored.entries()))
        assert rest == b"".join(block + b"\n\n" for block in whole[after + 1 :])


@given(st.lists(st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF, categories=None), max_size=6)))
def test_cleaned_text_can_be_stored_and_keeps_every_pair(chunks: list[str]) -> None:
    """A surrogate pair split over two chunks becomes its character; halves that stay alone become U+FFFD."""
    from tako.chat.entries import Cleaner

    cleaner = Cleaner()
    cleaned = "".join([*map(cleaner.clean, chunks), cleaner.rest()])
    cleaned.encode()
    assert "\0" not in cleaned
    assert cleaned == clean("".join(chunks))


def test_an_entry_of_another_version_is_refused() -> None:
    """A log that a newer release wrote must not be half understood."""
    import msgspec
    import pytest

    with pytest.raises(msgspec.ValidationError):
        decode(msgspec.msgpack.encode(["a9", 0, "text"]))
