"""Which processes are dead: those whose heartbeat has not moved for the lease's time on our own clock.

Clocks of different machines are not compared. Only time in which our own heartbeat succeeds counts: a process that was
paused, or that could not reach the database, has seen nothing, and must not take its own absence for that of others.
"""

from collections.abc import Callable, Iterable

from tako.core.journal.store import Sign

# Between two of our own heartbeats this much of the planned time counts at most: what is longer was a pause of ours.
_LONGEST_STEP = 1.5


class Lapses:
    """`lease` and `every`, the planned time between two heartbeats, in seconds; `clock` is monotonic."""

    def __init__(self, lease: float, every: float, clock: Callable[[], float]) -> None:
        self._lease = lease
        self._step = every * _LONGEST_STEP
        self._clock = clock
        self._last: float | None = None
        self._still: dict[str, tuple[int, float]] = {}  # the beat, and for how long it has been that one
        self._moved: set[str] = set()

    def seen(self, signs: Iterable[Sign]) -> list[Sign]:
        """What our heartbeat saw of others. Returns the dead."""
        at = self._clock()
        step = min(at - self._last, self._step) if self._last is not None else 0.0
        self._last = at
        still: dict[str, tuple[int, float]] = {}
        dead: list[Sign] = []
        for sign in signs:
            beat, seconds = self._still.get(sign.process_id, (None, 0.0))
            seconds = seconds + step if beat == sign.beat else 0.0
            if beat is not None and beat != sign.beat:
                self._moved.add(sign.process_id)
            still[sign.process_id] = (sign.beat, seconds)
            if sign.fenced or seconds >= self._lease:
                dead.append(sign)
        self._still = still
        self._moved &= still.keys()
        return dead

    def moved(self, process_id: str) -> bool:
        """We have seen its heartbeat move: it lives, and in this database. (In a copy of one, others only seem to.)"""
        return process_id in self._moved

    def silence(self, process_id: str) -> float:
        """For how long we have seen no sign of life of a process that was `seen`, in seconds."""
        _, seconds = self._still.get(process_id, (0, 0.0))
        return seconds

    def missed(self) -> None:
        """Our own heartbeat has failed: nothing was seen since the last one."""
        self._last = None
