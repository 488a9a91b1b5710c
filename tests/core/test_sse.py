"""Readers past their tasks: what comes, and what keeps a connection open, costs no task switch, and never hides that a
client takes nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tako.core.accounts.principal import Principal
from tako.core.http import Message
from tako.core.sse import HEARTBEAT, Reader


class Told:
    """A log that says what it is told to; `looks` counts how often it was asked."""

    def __init__(self) -> None:
        self.looks = 0
        self.pieces: list[bytes | Exception] = []
        self.ended = False
        self.waiting: list[Reader] = []

    def say(self, *pieces: bytes | Exception, ended: bool = False) -> None:
        self.pieces += pieces
        self.ended = ended
        waiting, self.waiting = self.waiting, []
        for wake in waiting:
            wake()

    def take(self) -> bytes:
        self.looks += 1
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def on_change(self, wake: Reader) -> None:
        self.waiting = [wake]

    def leave(self, wake: Reader) -> None:
        self.waiting = []


class Wire:
    """A client's connection. It is not `ready` as long as the client has not taken what came before, or once it has
    been given `room` events."""

    lost = False
    unsent = 0

    def __init__(self) -> None:
        self.room = 100
        self.past: list[bytes] = []
        self.by_task: list[bytes] = []

    @property
    def ready(self) -> bool:
        return self.room > 0

    def write_events(self, events: bytes) -> None:
        assert self.ready
        self.room -= 1
        self.past.append(events)

    async def send(self, message: Message) -> None:
        self.by_task += [message["body"]] if message.get("body") else []


@asynccontextmanager
async def reading(source: Told, wire: Wire) -> AsyncIterator[Reader]:
    """A reader that has had nothing yet, and waits."""
    principal = Principal("user_1", "user", frozenset())
    reader = Reader(source, principal, {"extensions": {"tako.connection": wire}}, wire.send)
    running = asyncio.create_task(reader.run())
    await turns()
    yield reader
    reader.stop()
    await running


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("stuck", [False, True])
async def test_a_heartbeat_wakes_only_a_reader_whose_client_takes_nothing(*, stuck: bool) -> None:
    """Ten thousand who wait would cost a task switch each every 15 seconds; but one that is stuck has to be seen as
    blocked, or it would never be dropped."""
    source, wire = Told(), Wire()
    async with reading(source, wire) as reader:
        wire.room = 0 if stuck else 1
        looked = source.looks
        reader.tick(60.0)
        await turns()
        assert (wire.past, wire.by_task) == (([], [HEARTBEAT]) if stuck else ([HEARTBEAT], []))
        assert (source.looks > looked) == stuck


async def test_what_comes_goes_out_past_the_task_once_and_in_order() -> None:
    """Whoever has said it goes on first: a thousand readers do not run within its call."""
    source, wire = Told(), Wire()
    async with reading(source, wire):
        source.say(b"one", b"two")
        assert wire.past == []
        await turns()
        source.say(b"three")
        await turns()
        assert (wire.past, wire.by_task) == ([b"one", b"two", b"three"], [])


async def test_what_a_client_has_no_room_for_waits_with_the_task() -> None:
    source, wire = Told(), Wire()
    async with reading(source, wire):
        wire.room = 1
        source.say(b"one", b"two", b"three")
        await turns()
        assert (wire.past, wire.by_task) == ([b"one"], [b"two", b"three"])
        wire.room = 1
        source.say(b"four")
        await turns()
        assert (wire.past, wire.by_task) == ([b"one", b"four"], [b"two", b"three"])


async def test_the_end_is_the_tasks() -> None:
    source, wire = Told(), Wire()
    async with reading(source, wire) as reader:
        source.say(b"last", ended=True)
        await turns()
        assert wire.past == [b"last"]
        assert reader._waiting is None


async def test_an_error_is_the_tasks_too() -> None:
    """Not that of whoever has woken the reader, which has others to wake."""
    source, wire = Told(), Wire()
    broken = reading(source, wire)
    await broken.__aenter__()
    source.say(ZeroDivisionError())
    await turns()
    with pytest.raises(ZeroDivisionError):
        await broken.__aexit__(None, None, None)


async def test_a_reader_that_was_stopped_is_given_nothing_more() -> None:
    source, wire = Told(), Wire()
    async with reading(source, wire) as reader:
        source.say(b"too late")
        reader.stop()
        await turns()
        assert (wire.past, wire.by_task) == ([], [])
