"""A strict reader of server-sent events (WHATWG HTML §9.2) for tests."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Event:
    id: int
    name: str
    data: dict[str, Any]
    raw: bytes


def events(wire: bytes) -> list[Event]:
    """The whole events in `wire`; what follows the last blank line is discarded, as the standard says."""
    found: list[Event] = []
    for block in wire.replace(b": hb\n", b"").split(b"\n\n")[:-1]:
        fields = dict(line.partition(b": ")[::2] for line in block.split(b"\n"))
        found.append(Event(int(fields[b"id"]), fields[b"event"].decode(), json.loads(fields[b"data"]), block))
    return found


def blocks(wire: bytes) -> list[bytes]:
    """The same as bytes, in any dialect: whole events that have a number, each with the empty line behind it."""
    whole = wire.replace(b": hb\n", b"").split(b"\n\n")[:-1]
    return [block + b"\n\n" for block in whole if block.startswith(b"id: ")]


def numbers(wire: bytes) -> list[int]:
    return [int(block[4 : block.index(b"\n")]) for block in blocks(wire)]


async def follow(response: httpx.Response) -> AsyncIterator[Event]:
    """Events as they arrive."""
    buffer = b""
    async for piece in response.aiter_raw():
        buffer += piece
        whole, separator, buffer = buffer.rpartition(b"\n\n")
        for event in events(whole + separator):
            yield event


def text_of(seen: list[Event]) -> str:
    return "".join(event.data["delta"] for event in seen if event.name == "response.output_text.delta")
