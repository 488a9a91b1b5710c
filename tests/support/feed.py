"""Listening to a feed inside the process."""

import asyncio
import json

from tako.core.feed import Follower, Hint


class Listener:
    """Hears every hint once, in order."""

    def __init__(self, feed: Follower) -> None:
        self._feed = feed
        self._heard: list[Hint] = []

    async def until(self, kind: str) -> Hint:
        """The next hint of that kind; those before it are dropped."""
        while True:
            while self._heard:
                hint = self._heard.pop(0)
                if hint.kind == kind:
                    return hint
            wire = self._feed.take()
            self._heard = hints(wire)
            if not wire:
                await self._changed()

    async def _changed(self) -> None:
        changed = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not changed.done():
                changed.set_result(None)

        self._feed.on_change(wake)
        await asyncio.wait_for(changed, 30)


def hints(wire: bytes) -> list[Hint]:
    found: list[Hint] = []
    for block in wire.decode().split("\n\n")[:-1]:
        name, data = (line.partition(": ")[2] for line in block.split("\n"))
        if name not in ("ready", "reload"):
            found.append(Hint(name, **json.loads(data)))
    return found
