"""One running log in memory: every entry, how many of them are committed, and who waits for more."""

import asyncio
from collections.abc import Callable


class Closed(Exception):
    """The log takes no more entries: it is ending, has ended, or belongs to somebody else now."""


class Log:
    """Written by one generation, read by any number of readers.

    `entries[:committed]` may be shown; what lies beyond is handed over but not yet durable. A reader holds only
    a number, so a slow one costs nothing here.
    """

    __slots__ = (
        "__weakref__",
        "_dirty",
        "_waiters",
        "closed",
        "committed",
        "ended",
        "entries",
        "epoch",
        "fenced",
        "id",
        "submitted",
    )

    def __init__(
        self, log_id: str, epoch: int, entries: list[bytes], dirty: Callable[["Log", int, bool], None]
    ) -> None:
        self.id = log_id
        self.epoch = epoch
        self.entries = entries
        self.committed = len(entries)
        self.submitted = len(entries)
        self.closed = False
        self.ended = False
        self.fenced = False
        self._dirty = dirty
        self._waiters: dict[Callable[[], None], None] = {}

    def append(self, entry: bytes, *, at_once: bool = False) -> None:
        """Hand one entry over. It is shown when the next group commit has it, which with `at_once` does not wait for
        others. Raises `Closed`."""
        if self.closed:
            raise Closed(self.id)
        self.entries.append(entry)
        self._dirty(self, len(entry), at_once)

    def adopt(self, epoch: int, entries: list[bytes], dirty: Callable[["Log", int, bool], None]) -> None:
        """What was written elsewhere, and read here, is written here from now on; all of `entries` is durable."""
        self.epoch = epoch
        self.entries.extend(entries[len(self.entries) :])
        self._dirty = dirty
        self.closed = False
        self.submitted = len(self.entries)
        self.commit(self.submitted)

    def on_change(self, wake: Callable[[], None]) -> None:
        """Call `wake` once, at the next commit of this log or its end. Each reader has one registration at most."""
        self._waiters[wake] = None

    def forget(self, wake: Callable[[], None]) -> None:
        """Take a registration back (a reader that leaves)."""
        self._waiters.pop(wake, None)

    async def wait(self, n: int) -> None:
        """Until more than `n` entries are committed, or the log has ended."""
        while self.committed <= n and not self.ended:
            changed = asyncio.get_running_loop().create_future()
            wake = _setter(changed)
            self.on_change(wake)
            try:
                await changed
            finally:
                self.forget(wake)

    async def wait_end(self) -> None:
        """Until the log has ended, here or with somebody else."""
        while not self.ended:
            await self.wait(self.committed)

    def commit(self, count: int) -> None:
        """The first `count` entries are durable: whoever waits may look."""
        self.committed = count
        self.wake()

    def finish(self, tail: list[bytes]) -> None:
        """The log has ended, with `tail` as its last entries, in one transaction with everything else."""
        self.entries.extend(tail)
        self.submitted = self.committed = len(self.entries)
        self.closed = self.ended = True
        self.wake()

    def fence(self) -> None:
        """Somebody else owns the log now: what was handed over but not committed was never shown, and is dropped."""
        del self.entries[self.committed :]
        self.submitted = self.committed
        self.closed = self.ended = self.fenced = True
        self.wake()

    def wake(self) -> None:
        waiters, self._waiters = self._waiters, {}
        for wake in waiters:
            wake()


def _setter(future: "asyncio.Future[None]") -> Callable[[], None]:
    def wake() -> None:
        if not future.done():
            future.set_result(None)

    return wake
