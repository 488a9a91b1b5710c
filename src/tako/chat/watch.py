"""What the chat tells whoever counts or traces its answers from outside; by itself it tells nobody."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tako.core.journal.watch import JournalWatch

if TYPE_CHECKING:
    from tako.chat.entries import Used
    from tako.chat.generation import Generation, Outcome


class Watch(JournalWatch):
    """Nobody looks. Who does overrides methods, which return at once and never raise. None is called for each chunk or
    frame. Times are in seconds. `trace` gives each response what follows it from its question to its stored end."""

    def __init__(self, trace: "Callable[[Generation], Trace] | None" = None) -> None:
        self.trace = trace or _untraced

    def running(self, running: int, queued: int) -> None:
        """So many responses are made in this process now, and so many more wait here for their turn."""

    def first_token(self, generation: "Generation", seconds: float) -> None:
        """The first text of a response is there, so long after it was asked for."""

    def upstream_failed(self, provider: str, code: str) -> None:
        """One attempt has failed; `code` is that of `UpstreamError`."""

    def ended(self, generation: "Generation", outcome: "Outcome", bill: "Used") -> None:
        """The end of a response is stored."""

    def resumed(self, *, running: bool) -> Callable[[], None]:
        """A reader has come to an answer that was there before, and that still runs or has ended. What is returned is
        called when the reader was handed everything that it had missed."""
        return _nothing

    def stopped(self, seconds: float) -> None:
        """Somebody wanted an answer stopped, and waited so long until its end was stored, or for an error."""

    def adopted(self, seconds: float) -> None:
        """An answer goes on, or is closed, so long after the last sign of life of its dead owner."""


class Trace:
    """One response as a trace has it: this one is kept nowhere. No method is told what people or models wrote."""

    @contextmanager
    def asking(self, attempt: int) -> Iterator[Mapping[str, str]]:
        """One call of the upstream. Yields the headers that let it add to the trace (W3C Trace Context)."""
        yield {}

    def first_token(self) -> None:
        """The upstream has begun to answer."""

    @contextmanager
    def storing(self) -> Iterator[None]:
        """The transaction that ends the response."""
        yield

    def ended(self, outcome: "Outcome", bill: "Used") -> None:
        """Its end is stored."""

    def lost(self) -> None:
        """Another process has it now."""


_UNTRACED = Trace()


def _untraced(generation: "Generation") -> Trace:
    return _UNTRACED


def _nothing() -> None:
    """Nobody wants to know."""
