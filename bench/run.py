"""One run of the bench: how large, where, without whom, and what is done when others disturb it."""

import random
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

# More than this many cores used by others, and a measure says nothing about us.
QUIET = 0.2
_TRIES = 5


@dataclass(frozen=True)
class Scale:
    """How much is measured. Rates are in chunks a second, times in seconds."""

    times: int = 3
    """How often each server is measured; the median counts."""
    seconds: float = 10.0
    """How long answers take."""
    streams: int = 300
    readers: int = 1000
    idle: int = 10_000
    rest: float = 30.0
    stops: int = 120
    resumes: int = 50
    messages: tuple[int, ...] = (10, 1000, 10_000)
    questions: int = 40
    growth: tuple[int, ...] = (10, 100, 1000)


# To try the bench itself: every row, believable figures, no more.
SHORT = Scale(
    times=1,
    seconds=3.0,
    streams=60,
    readers=200,
    idle=1000,
    rest=8.0,
    stops=30,
    resumes=15,
    messages=(10, 1000),
    questions=15,
    growth=(10, 100),
)


class Disturbed(Protocol):
    @property
    def foreign(self) -> float:
        """Cores that others used meanwhile."""


_Result = TypeVar("_Result", bound=Disturbed)
_Thing = TypeVar("_Thing")


class TooBusy(Exception):
    """Others used the machine each time."""


@dataclass(frozen=True)
class Run:
    """`folder` is for whatever the servers keep; `noisy` counts what others disturbed; `missing` are peers that cannot
    be measured, with the reason."""

    folder: Path
    scale: Scale
    noisy: bool = False
    missing: Mapping[str, str] = field(default_factory=dict)

    async def quiet(self, name: str, measure: Callable[[], Awaitable[_Result]]) -> _Result:
        """What `measure` finds while nobody else works here. Raises `TooBusy`."""
        for _ in range(_TRIES):
            done = await measure()
            if done.foreign <= QUIET or self.noisy:
                return done
            say(f"  {name}: others used {done.foreign:.2f} cores; once more")
        raise TooBusy("this machine is too busy to measure on. End other programs, or see --noisy.")

    def shuffled(self, things: Sequence[_Thing]) -> list[_Thing]:
        """Each of them as often as is measured, in an order in which none always comes first."""
        chance = random.Random(1)
        return [thing for _ in range(self.scale.times) for thing in chance.sample(things, len(things))]


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
