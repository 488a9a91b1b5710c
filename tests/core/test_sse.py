"""Readers who wait: what keeps their connections open costs no task switch, and never hides that they take nothing."""

import asyncio

import pytest

from tako.core.accounts.principal import Principal
from tako.core.http import Message
from tako.core.sse import HEARTBEAT, Reader


class Silent:
    """A log that says nothing; `looks` counts how often it was asked."""

    ended = False

    def __init__(self) -> None:
        self.looks = 0

    def take(self) -> bytes:
        self.looks += 1
        return b""

    def on_change(self, wake: Reader) -> None: ...

    def leave(self, wake: Reader) -> None: ...


class Wire:
    """A client's connection. `stuck`: it has not taken what came before."""

    lost = False
    unsent = 0

    def __init__(self, *, stuck: bool) -> None:
        self._stuck = stuck
        self.written: list[bytes] = []

    def write_event(self, event: bytes) -> bool:
        if not self._stuck:
            self.written.append(event)
        return not self._stuck


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("stuck", [False, True])
async def test_a_heartbeat_wakes_only_a_reader_whose_client_takes_nothing(stuck: bool) -> None:
    """Ten thousand who wait would cost a task switch each every 15 seconds; but one that is stuck has to be seen as
    blocked, or it would never be dropped."""
    source, wire, sent = Silent(), Wire(stuck=stuck), []

    async def send(message: Message) -> None:
        sent.append(message.get("body"))

    reader = Reader(source, Principal("user_1", "user", frozenset()), {"extensions": {"tako.connection": wire}}, send)
    running = asyncio.create_task(reader.run())
    await _turns()
    looked = source.looks
    reader.tick(60.0)
    await _turns()
    assert wire.written == ([] if stuck else [HEARTBEAT])
    assert sent == ([None, HEARTBEAT] if stuck else [None])
    assert (source.looks > looked) == stuck
    reader.stop()
    await running
