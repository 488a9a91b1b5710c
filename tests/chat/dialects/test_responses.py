"""The Responses dialect against recorded logs: the bytes of every event, for ever.

`golden/NAME.sse` was recorded once from the log of that name below, and looked at; `NAME.log` holds its entries in hex.
A change that makes one of these fail changes what old answers look like to clients that hold a cursor: it needs a new
wire version, not a new recording.
"""

from pathlib import Path

import msgspec
import pytest

from tako.chat import fold
from tako.chat.dialects.responses import Responses, json
from tako.chat.entries import (
    AnyEntry,
    Appended,
    Created,
    Ended,
    PartClosed,
    PartOpened,
    Started,
    Used,
    decode,
    encode,
)
from tako.chat.follow import replay
from tests.support.sse import events, text_of

GOLDEN = Path(__file__).parent / "golden/responses"
AT = 1_790_000_000_000_000


ECHO = {"id": "resp_1", "object": "response", "created_at": AT // 1_000_000, "completed_at": None, "status": "queued"}


def asked(*, background: bool = True, **echo: object) -> Created:
    """With what was echoed when it was recorded; what is echoed today is no matter of old logs."""
    value = {**ECHO, "background": background, "error": None, "model": "scripted", "output": [], **echo, "usage": None}
    return Created("resp_1", AT, background, msgspec.json.encode(value))


BILL = Used(7, 11, 3, 2)
LOGS: dict[str, list[AnyEntry]] = {
    "text": [
        asked(instructions="Be brief.\u2028Really.", metadata={"topic": "章魚"}, temperature=0.5, max_output_tokens=99),
        *(Started(), PartOpened(0, "text", "msg_1"), Appended(0, "Hello"), Appended(0, " world"), PartClosed(0, True)),
        *(BILL, Ended("completed", AT + 2_500_000)),
    ],
    "foreground": [
        asked(background=False, conversation={"id": "conv_1"}),
        *(Started(), PartOpened(0, "text", "msg_1"), Appended(0, "Hi"), PartClosed(0, True)),
        *(BILL, Ended("completed", AT)),
    ],
    "reasoning": [
        *(asked(), Started(), PartOpened(0, "reasoning", "rs_1"), Appended(0, "Let me "), Appended(0, "see.")),
        *(PartClosed(0, True), PartOpened(1, "text", "msg_1"), Appended(1, "42"), PartClosed(1, True)),
        *(BILL, Ended("completed", AT)),
    ],
    "stop": [
        *(asked(), Started(), PartOpened(0, "text", "msg_1"), Appended(0, "One, two, thr"), PartClosed(0, False)),
        *(Used(7, 4, estimated=True), Ended("cancelled", AT, "cancelled")),
    ],
    "stop-before-the-first-token": [
        asked(),
        Started(),
        Used(7, 0, estimated=True),
        Ended("cancelled", AT, "cancelled"),
    ],
    "failure": [
        *(asked(), Started(), PartOpened(0, "text", "msg_1"), Appended(0, "Half of it"), PartClosed(0, False), BILL),
        Ended("failed", AT, None, "upstream_cut", "The provider 'scripted' cut the answer off: no more."),
    ],
    "length": [
        *(asked(max_output_tokens=1), Started(), PartOpened(0, "text", "msg_1"), Appended(0, "Hel")),
        *(PartClosed(0, False), BILL, Ended("incomplete", AT, "max_output_tokens")),
    ],
    "crash": [
        *(asked(), Started(), PartOpened(0, "text", "msg_1"), Appended(0, "It was "), Appended(0, "a dark and")),
        *(PartClosed(0, False), Used(7, 6, estimated=True), Ended("incomplete", AT, "interrupted")),
    ],
    "empty": [
        *(asked(), Started(), PartOpened(0, "text", "msg_1"), PartClosed(0, True), Used(7, 0), Ended("completed", AT)),
    ],
    "scripts": [
        *(
            asked(),
            Started(),
            PartOpened(0, "text", "msg_1"),
            Appended(0, "章"),
            Appended(0, "魚🐙"),
            Appended(0, "👩"),
        ),
        *(Appended(0, "\u200d🚀e"), Appended(0, "\u0301 مرحبا"), Appended(0, "\u2028\u2029\u0085\n\r\n")),
        *(Appended(0, 'data: {"a"}\n\nid: 9\n\n'), Appended(0, '"\\</script>\t\ufffd\x7f\x1b\ufeff')),
        *(PartClosed(0, True), BILL, Ended("completed", AT)),
    ],
    "interleaved": [
        *(asked(), Started(), PartOpened(0, "reasoning", "rs_1"), PartOpened(1, "text", "msg_1"), Appended(0, "hm")),
        *(Appended(1, "A"), Appended(0, "…"), Appended(1, "🐙"), PartClosed(1, True), Appended(0, " so")),
        *(PartOpened(2, "text", "msg_2"), Appended(2, "B"), PartClosed(0, True), PartClosed(2, True)),
        *(BILL, Ended("completed", AT)),
    ],
}


def streamed(log: list[AnyEntry]) -> bytes:
    live = Responses()
    return b"".join(live.feed(entry) for entry in log)


@pytest.mark.parametrize("name", LOGS)
def test_a_recorded_log_has_the_bytes_that_it_had(name: str) -> None:
    """Numbers and bytes stay the same in every release."""
    assert streamed(LOGS[name]) == (GOLDEN / f"{name}.sse").read_bytes()


def test_every_recording_has_its_log() -> None:
    assert {path.stem for path in GOLDEN.glob("*.sse")} == set(LOGS)


@pytest.mark.parametrize("name", LOGS)
def test_a_recorded_log_has_its_bytes_from_its_fold_and_from_every_cursor(name: str) -> None:
    """A year later, and from wherever somebody left off."""
    stored = fold.load(fold.dump(fold.fold(map(encode, LOGS[name]))))
    golden = (GOLDEN / f"{name}.sse").read_bytes()
    blocks = [block + b"\n\n" for block in golden.split(b"\n\n")[:-1]]
    for after in range(-1, len(blocks) + 1):
        assert b"".join(replay(Responses(after), stored.entries())) == b"".join(blocks[after + 1 :])


@pytest.mark.parametrize("name", LOGS)
def test_entries_are_what_they_were_when_they_were_written(name: str) -> None:
    """`golden/NAME.log` holds the entries as bytes: a later release must still read them."""
    written = [bytes.fromhex(line) for line in (GOLDEN / f"{name}.log").read_text(encoding="ascii").splitlines()]
    assert [decode(entry) for entry in written] == LOGS[name]
    assert written == [encode(entry) for entry in LOGS[name]]


@pytest.mark.parametrize("name", LOGS)
def test_every_event_is_numbered_and_the_last_one_holds_all_of_it(name: str) -> None:
    told = events(streamed(LOGS[name]))
    assert [event.id for event in told] == [event.data["sequence_number"] for event in told] == list(range(len(told)))
    assert all(event.data["type"] == event.name for event in told)
    final = told[-1].data["response"]
    texts = [part["text"] for item in final["output"] if item["type"] == "message" for part in item["content"]]
    if name != "interleaved":
        assert "".join(texts) == text_of(told)
    for item in final["output"]:
        deltas = [
            event.data["delta"]
            for event in told
            if event.name.endswith(".delta") and event.data["item_id"] == item["id"]
        ]
        assert "".join(part["text"] for part in item["content"]) == "".join(deltas)
    assert "error" not in told[-1].data  # the stock clients throw at an event with this key


def test_no_event_breaks_a_line_for_any_client() -> None:
    """Some split at U+0085, U+2028 and U+2029, as Python's splitlines does."""
    for log in LOGS.values():
        wire = streamed(log).decode()
        assert wire.splitlines() == wire.split("\n")[:-1]


@pytest.mark.parametrize("text", ["\u2028", "\u2029", "\u0085", "é", "\xc2", "a\u2028b\u0085", "🐙\u2029"])
def test_escaped_separators_are_the_same_text(text: str) -> None:
    assert msgspec.json.decode(json(text)) == text
    assert len(json(text).decode().splitlines()) == 1


def test_a_snapshot_and_the_rest_belong_together_at_every_event() -> None:
    """The response object as of an entry has the text of all events up to its number."""
    for log in LOGS.values():
        state = Responses(after=1 << 60)
        seen = b""
        live = Responses()
        for entry in log:
            state.feed(entry)
            seen += live.feed(entry)
            assert state.next == live.next
            assert state.text() == "".join(
                part["text"]
                for item in state.response()["output"]
                if item["type"] == "message"
                for part in item["content"]
            )
