"""What has been read of the source's log and not yet been applied: in memory, then on the disk, and then no more.

The log is read on while the target is away or slow, because the source throws old parts of it away. What lies here is
lost with the process, which is no loss: the position in the target says where to read again.
"""

import threading
from collections import deque
from dataclasses import dataclass, field

from tako.ferry.source.binlog.transactions import Quiet, Transaction

MEMORY = 64 << 20  # bytes of transactions that wait in memory; those that come then wait on the disk
MOST = 4 << 30  # bytes that wait at all; then the reader waits too


@dataclass(slots=True)
class Spool:
    """One puts, one takes. What ends the reader comes out at the end, behind everything that it had read."""

    most: int = MOST
    memory: int = MEMORY
    _waiting: deque[Transaction] = field(default_factory=deque)
    _size: int = 0
    _in_memory: int = 0
    _quiet: Quiet | None = None
    _error: BaseException | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def put(self, item: Transaction | Quiet) -> None:
        """Waits while there is too much; a transaction that is larger than all of that comes in alone."""
        with self._changed:
            if isinstance(item, Quiet):
                self._quiet = item
            else:
                self._changed.wait_for(lambda: self._closed or self._size < self.most)
                self._keep(item)
            self._changed.notify_all()

    def _keep(self, made: Transaction) -> None:
        self._quiet = None
        if self._in_memory + made.size > self.memory and made.count:
            made.spill()
        if not made.spilled:
            self._in_memory += made.size
        self._size += made.size
        self._waiting.append(made)

    def end(self, error: BaseException) -> None:
        """Nothing more comes, and this is why."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def take(self, timeout: float) -> Transaction | Quiet | None:
        """The next one; `Quiet` when the source is silent and nothing waits; None after `timeout` seconds.

        Raises what has ended the reader, when nothing is left before it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._quiet or self._error, timeout)
            if self._waiting:
                made = self._waiting.popleft()
                self._size -= made.size
                self._in_memory -= 0 if made.spilled else made.size
                self._changed.notify_all()
                return made
            if self._error is not None:
                raise self._error
            quiet, self._quiet = self._quiet, None
            return quiet

    @property
    def size(self) -> int:
        return self._size

    @property
    def empty(self) -> bool:
        return not self._waiting

    def close(self) -> None:
        """Let the reader go, and the files."""
        with self._changed:
            self._closed = True
            for made in self._waiting:
                made.close()
            self._waiting.clear()
            self._changed.notify_all()
