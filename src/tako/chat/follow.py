"""Readers of a response, in any dialect: what is missing from memory or the fold, then live, then the end.

While a log runs, its latest frames are rendered once per dialect and shared by all its readers; whoever is further
behind renders from the log's entries until it has caught up.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol
from weakref import WeakValueDictionary

from tako.chat.entries import AnyEntry, decode
from tako.core.journal import Log
from tako.core.sse import PIECE, Reader, Source

# How much of a running log stays rendered for the readers that are nearly up to date, in bytes.
TAIL = 256 * 1024
# The first piece of a replay is small, in bytes: who comes back sees something before all of it is rendered.
FIRST_PIECE = 4 * 1024


class Renderer(Protocol):
    """A dialect at work: turns entries into frames, and counts its events in `next`."""

    next: int

    def feed(self, entry: AnyEntry) -> bytes: ...


def replay(renderer: Renderer, entries: Iterable[AnyEntry]) -> Iterator[bytes]:
    """Frames of all entries, in pieces of whole events of about `PIECE` bytes, a smaller one first."""
    frames: list[bytes] = []
    size, most = 0, FIRST_PIECE
    for entry in entries:
        if frame := renderer.feed(entry):
            frames.append(frame)
            size += len(frame)
            if size >= most:
                yield b"".join(frames)
                frames, size, most = [], 0, PIECE
    if frames:
        yield b"".join(frames)


class Tail:
    """The rendered end of one running log in one dialect, begun where the first reader has caught up."""

    def __init__(self, log: Log, renderer: Callable[[int], Renderer]) -> None:
        self.log = log
        self._new_renderer = renderer
        self._renderer: Renderer | None = None
        self._entries = 0
        self._batches: deque[tuple[int, bytes]] = deque()  # (entries up to here, frames)
        self._first = 0  # entries before the first batch kept
        self._size = 0

    @property
    def begun(self) -> bool:
        return self._renderer is not None

    def begin(self, renderer: Renderer, entries: int) -> None:
        """Go on with a renderer that was fed so many entries of this log."""
        self._renderer = renderer
        self._entries = self._first = entries

    @property
    def rendered(self) -> int:
        """How many events every reader may have seen."""
        if self._renderer is None:
            self.begin(self._new_renderer(-1), 0)
        self.advance()
        assert self._renderer is not None  # noqa: S101 (begun above)
        return self._renderer.next

    def advance(self) -> int:
        """Render what was committed since it was begun. Returns the number of entries that are rendered."""
        committed = self.log.committed
        if committed > self._entries:
            assert self._renderer is not None  # noqa: S101 (whoever asks has caught up)
            entries = self.log.entries
            feed = self._renderer.feed
            frames = b"".join([feed(decode(entries[n])) for n in range(self._entries, committed)])
            self._entries = committed
            self._batches.append((committed, frames))
            self._size += len(frames)
            while self._size > TAIL and len(self._batches) > 1:
                self._first, dropped = self._batches.popleft()
                self._size -= len(dropped)
        return self._entries

    def after(self, place: int) -> tuple[int, bytes] | None:
        """What follows the entry count `place` (a batch's edge), and the new place; None when it is kept no longer."""
        if place < self._first:
            return None
        newest = self._batches[-1]
        if len(self._batches) == 1 or self._batches[-2][0] <= place:
            return newest
        frames: list[bytes] = []
        size = 0
        for upto, batch in self._batches:
            if upto > place:
                frames.append(batch)
                place = upto
                size += len(batch)
                if size >= PIECE:
                    break
        return place, b"".join(frames)


class Tails:
    """The tails of the logs that run and are read, one for each dialect, each made by its first reader."""

    def __init__(self) -> None:
        self._tails: WeakValueDictionary[tuple[str, Callable[[int], Renderer]], Tail] = WeakValueDictionary()

    def of(self, log: Log, renderer: Callable[[int], Renderer]) -> Tail:
        tail = self._tails.get((log.id, renderer))
        if tail is None:
            tail = self._tails[log.id, renderer] = Tail(log, renderer)
        return tail


class Live:
    """A reader's place in a running log. `caught_up` is called once, when it was handed what was there before."""

    def __init__(
        self,
        tail: Tail,
        renderer: Callable[[int], Renderer],
        after: int,
        caught_up: Callable[[], None] | None = None,
    ) -> None:
        self._tail = tail
        self._log = tail.log
        self._new_renderer = renderer
        self._after = after
        self._place = 0
        self._catching_up: Iterator[bytes] | None = None
        self._caught_up = caught_up
        self._ended = False
        self._catch_up()

    @property
    def ended(self) -> bool:
        return self._log.ended and self._catching_up is None and self._place >= self._log.committed

    def take(self) -> bytes:
        if self._catching_up is not None:
            if piece := next(self._catching_up, b""):
                return piece
            self._catching_up = None
            if self._caught_up is not None:
                self._caught_up()
                self._caught_up = None
        if self._tail.advance() <= self._place:
            return b""
        following = self._tail.after(self._place)
        if following is None:
            self._catch_up()
            return self.take()
        self._place, frames = following
        return frames

    def on_change(self, wake: Callable[[], None]) -> None:
        self._log.on_change(wake)

    def leave(self, wake: Callable[[], None]) -> None:
        self._log.forget(wake)

    def _catch_up(self) -> None:
        self._catching_up = self._missing()

    def _missing(self) -> Iterator[bytes]:
        """All that this reader lacks, rendered for it alone, up to an edge of the tail's; where there is no tail yet,
        it begins there."""
        renderer = self._new_renderer(self._after)
        entries = self._log.entries
        for n in range(self._place):
            renderer.feed(decode(entries[n]))
        while self._place < (upto := self._tail.advance() if self._tail.begun else self._log.committed):
            start, self._place = self._place, upto
            yield from replay(renderer, (decode(entries[n]) for n in range(start, upto)))
        if not self._tail.begun:
            self._tail.begin(renderer, self._place)


class Ended:
    """A reader's place in a log that has ended, rebuilt from its fold. `caught_up` is called when it has all of it."""

    def __init__(self, pieces: Iterator[bytes], caught_up: Callable[[], None] | None = None) -> None:
        self._pieces = pieces
        self._caught_up = caught_up
        self.ended = False

    def take(self) -> bytes:
        piece = next(self._pieces, b"")
        self.ended = not piece
        if self.ended and self._caught_up is not None:
            self._caught_up()
            self._caught_up = None
        return piece

    def on_change(self, wake: Callable[[], None]) -> None:
        """Nothing changes any more."""

    def leave(self, wake: Callable[[], None]) -> None:
        """Nothing to leave."""


class Preceded:
    """A source with something in front that no log holds."""

    def __init__(self, first: bytes, source: Source) -> None:
        self._first = first
        self._source = source

    @property
    def ended(self) -> bool:
        return not self._first and self._source.ended

    def take(self) -> bytes:
        first, self._first = self._first, b""
        return first or self._source.take()

    def on_change(self, wake: Reader) -> None:
        self._source.on_change(wake)

    def leave(self, wake: Reader) -> None:
        self._source.leave(wake)
