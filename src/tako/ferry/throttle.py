"""Keeps a copy from taking a small server for itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

MEGABYTE = 1_000_000


@dataclass(slots=True)
class Throttle:
    """Between two chunks: wait for the rate, then as long as the ratio says, then until the source is less busy.

    `load` says how many threads the source runs; asked only if there is a `max_load`.
    """

    max_mb_per_s: float = 0
    sleep_ratio: float = 0
    max_load: int = 0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _due: float = field(default=0, init=False)

    def wait(self, size: int, took: float, load: Callable[[], int]) -> None:
        """After a chunk of `size` bytes that took `took` seconds."""
        if self.max_mb_per_s:
            now = self.clock()
            # What was not used is not saved up: a pause earns no burst.
            self._due = max(self._due, now - took) + size / (self.max_mb_per_s * MEGABYTE)
            self._rest(self._due - now)
        if self.sleep_ratio:
            self._rest(took * self.sleep_ratio)
        if self.max_load:
            pause = 0.1
            while load() > self.max_load:
                self._rest(pause)
                pause = min(pause * 2, 5)

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            self.sleep(seconds)
