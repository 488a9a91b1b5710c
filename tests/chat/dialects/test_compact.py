"""The page's dialect: its bytes are kept, and the same for whoever watched and whoever comes later."""

import json
from pathlib import Path

import pytest
from hypothesis import given

from tako.chat import fold
from tako.chat.dialects.compact import Compact, metadata
from tako.chat.entries import AnyEntry, Appended, Created, Ended, PartClosed, PartOpened, Started, Used, encode
from tako.chat.follow import replay
from tests.chat.test_fold import logs

GOLDEN = Path(__file__).parent / "golden/compact"
AT = 1_764_000_000_000_000
BEGIN = (Created("resp_1", AT, True, b'{"id":"resp_1"}'), Started())

LOGS: dict[str, list[AnyEntry]] = {
    "completed": [
        *BEGIN,
        PartOpened(0, "reasoning", "rs_1"),
        Appended(0, "Hm"),
        Appended(0, ", so"),
        PartClosed(0, True),
        PartOpened(1, "text", "msg_1"),
        Appended(1, "Hello"),
        Appended(1, " 章魚🐙"),
        PartClosed(1, True),
        Used(7, 11, 3, 2),
        Ended("completed", AT + 1),
    ],
    "odd-characters": [
        *BEGIN,
        PartOpened(0, "text", "msg_1"),
        Appended(0, '"\\\n\r\t'),
        Appended(0, "\x85\u2028\u2029\ufeff\x00\x7f"),
        Appended(0, "id: 9\n\ndata: {}\n\n</script>"),
        PartClosed(0, True),
        Used(1, 2),
        Ended("completed", AT + 1),
    ],
    "failed": [
        *BEGIN,
        PartOpened(0, "text", "msg_1"),
        Appended(0, "Hel"),
        PartClosed(0, False),
        Used(7, 1, estimated=True),
        Ended("failed", AT + 1, None, "upstream_cut", "The provider cut the answer off."),
    ],
    "cancelled-before-the-first-token": [*BEGIN, Used(7, 0, estimated=True), Ended("cancelled", AT + 1, "cancelled")],
    "running": [*BEGIN, PartOpened(0, "text", "msg_1"), Appended(0, "Hel")],
}


def rendered(entries: list[AnyEntry], after: int = 0) -> bytes:
    return b"".join(replay(Compact(after), entries))


@pytest.mark.parametrize("name", LOGS)
def test_the_bytes_of_an_answer_never_change(name: str) -> None:
    """Readers of old answers come back with old cursors: another byte or number is another dialect version."""
    assert rendered(LOGS[name]) == (GOLDEN / f"{name}.sse").read_bytes()


@given(logs())
def test_the_fold_renders_what_was_streamed_from_every_cursor(entries: list[AnyEntry]) -> None:
    """Nothing twice, nothing missing, a year later."""
    streamed = rendered(entries)
    stored = fold.load(fold.dump(fold.fold([encode(entry) for entry in entries])))
    assert b"".join(replay(Compact(), stored.entries())) == streamed
    whole = streamed.split(b"\n\n")[:-1]
    for after in range(len(whole) + 1):
        assert rendered(list(stored.entries()), after) == b"".join(block + b"\n\n" for block in whole[after:])


@given(logs())
def test_events_are_numbered_from_one_without_gaps_and_add_up_to_the_text(entries: list[AnyEntry]) -> None:
    """Number 0 is nobody's: a reader with nothing asks for what comes after 0."""
    blocks = rendered(entries).split(b"\n\n")[:-1]
    assert [int(block.split(b"\n")[0].removeprefix(b"id: ")) for block in blocks] == list(range(1, len(blocks) + 1))
    events = [json.loads(block.split(b"\n")[1].removeprefix(b"data: ")) for block in blocks if b"event: " not in block]
    kinds = {entry.part: entry.kind for entry in entries if isinstance(entry, PartOpened)}
    for key, kind in (("v", "text"), ("r", "reasoning")):
        written = [entry.text for entry in entries if isinstance(entry, Appended) and kinds[entry.part] == kind]
        assert [event[key] for event in events if key in event] == written


def test_a_token_costs_about_twenty_bytes() -> None:
    """The server may be an ocean away."""
    frame = rendered([*BEGIN, PartOpened(0, "text", "msg_1"), Appended(0, "token")])
    assert frame == b'id: 1\ndata: {"v":"token"}\n\n'
    assert len(frame) - len("token") <= 22


def test_metadata_has_no_number() -> None:
    """It opens every stream, so a browser that comes back by Last-Event-ID must not count it."""
    assert metadata({"cursor": 3, "model": "a\u2028b"}) == (
        b'event: metadata\ndata: {"cursor":3,"model":"a\\u2028b"}\n\n'
    )
