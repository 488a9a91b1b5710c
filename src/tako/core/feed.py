"""Hints about what changed, to every browser of the principal whom it concerns: one stream per browser. What all
admins may hear goes to them as one, `ADMINS`.

A hint says that there is something new to read, never what. Hints are not kept: who connects, or was too slow for the
few that are remembered, reads everything again. So a lost hint is lateness, not loss. The bus carries them to the other
processes of the site.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

import msgspec

from tako.core.bus import FEED, Alone, Bus

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


class _Told(msgspec.Struct):
    """What one process tells the others."""

    principal_id: str
    hints: list[Hint]


class Feed:
    """The hints of the site, apart for each principal and for `ADMINS`. Costs nothing for those who follow none."""

    def __init__(self, bus: Bus | None = None) -> None:
        self._channels: WeakValueDictionary[str, _Channel] = WeakValueDictionary()
        self._bus = bus or Alone()
        self._bus.listen(FEED, self._heard)
        self._bus.on_gap(self._reload)

    def publish(self, principal_id: str, *hints: Hint) -> None:
        """Tell all that principal's readers. Call it after the commit: whoever hears of it reads at once."""
        if channel := self._channels.get(principal_id):
            channel.add([frame(hint) for hint in hints])
        self._bus.tell(FEED, msgspec.json.encode(_Told(principal_id, list(hints))).decode())

    def follow(self, principal_id: str) -> "Follower":
        """A reader's place: after all that was published so far."""
        channel = self._channels.get(principal_id)
        if channel is None:
            channel = self._channels[principal_id] = _Channel()
        return Follower(channel)

    def _heard(self, body: str) -> None:
        told = msgspec.json.decode(body, type=_Told)
        if channel := self._channels.get(told.principal_id):
            channel.add([frame(hint) for hint in told.hints])

    def _reload(self) -> None:
        """Hints of other processes may have been lost."""
        for channel in list(self._channels.values()):
            channel.add([RELOAD])


def frame(hint: Hint) -> bytes:
    data = msgspec.json.encode({"id": hint.id, "version": hint.version})
    return b"event: " + hint.kind.encode() + b"\ndata: " + data + b"\n\n"


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

    def add(self, frames: Sequence[bytes]) -> None:
        self.frames.extend(frames)
        self.end += len(frames)
        waiters, self.waiters = self.waiters, {}
        for wake in waiters:
            wake()
