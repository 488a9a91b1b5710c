"""Hints about what changed, to every browser of the principal whom it concerns: one stream per browser. What all
admins may hear goes to them as one, `ADMINS`.

A hint says that there is something new to read, never what. Hints are not kept: who connects, or was too slow for the
few that are remembered, reads everything again. So a lost hint is lateness, not loss, and `publish` may one day hand
them to other processes too.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

import msgspec

# Hints that are remembered for a reader that is slower than they come.
KEPT = 256

# No principal has this id.
ADMINS = "admins"

READY = b"event: ready\ndata: {}\n\n"
RELOAD = b"event: reload\ndata: {}\n\n"


@dataclass(frozen=True, slots=True)
class Hint:
    """Something happened (`kind`) to the thing `id`, which now has this `version`."""

    kind: str
    id: str
    version: int


class Feed:
    """The hints of this process, apart for each principal and for `ADMINS`. Costs nothing for those who follow none."""

    def __init__(self) -> None:
        self._channels: WeakValueDictionary[str, _Channel] = WeakValueDictionary()

    def publish(self, principal_id: str, *hints: Hint) -> None:
        """Tell all that principal's readers. Call it after the commit: whoever hears of it reads at once."""
        if channel := self._channels.get(principal_id):
            channel.add(hints)

    def follow(self, principal_id: str) -> "Follower":
        """A reader's place: after all that was published so far."""
        channel = self._channels.get(principal_id)
        if channel is None:
            channel = self._channels[principal_id] = _Channel()
        return Follower(channel)


class Follower:
    """What one reader has still to be told; a source for `tako.core.sse.Reader`."""

    ended = False

    def __init__(self, channel: "_Channel") -> None:
        self._channel = channel
        self._place = channel.end
        self._greeted = False

    def take(self) -> bytes:
        """`ready` comes first: what is read after it misses nothing that is published later."""
        if not self._greeted:
            self._greeted = True
            return READY
        place, self._place = self._place, self._channel.end
        kept = len(self._channel.frames)
        missing = self._place - place
        if missing > kept:
            return RELOAD
        return b"".join([self._channel.frames[n] for n in range(kept - missing, kept)])

    def on_change(self, wake: Callable[[], None]) -> None:
        self._channel.waiters[wake] = None

    def leave(self, wake: Callable[[], None]) -> None:
        self._channel.waiters.pop(wake, None)


class _Channel:
    """One principal's latest hints, rendered once for all readers. `end` counts all that there ever were."""

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque(maxlen=KEPT)
        self.end = 0
        self.waiters: dict[Callable[[], None], None] = {}

    def add(self, hints: tuple[Hint, ...]) -> None:
        for hint in hints:
            data = msgspec.json.encode({"id": hint.id, "version": hint.version})
            self.frames.append(b"event: " + hint.kind.encode() + b"\ndata: " + data + b"\n\n")
            self.end += 1
        waiters, self.waiters = self.waiters, {}
        for wake in waiters:
            wake()
