"""The table: Markdown, one line for each measure, and loud where an aim is missed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Aim:
    """What a figure should be, in words, and whether it is."""

    words: str
    met: bool


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    measure: str
    peer: str
    tako: str
    aim: Aim | None = None


@dataclass(frozen=True)
class Measured:
    """What a row has found: lines for people, figures for `bench/results.json`."""

    lines: tuple[Line, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)


def at_most(value: float, most: float, words: str) -> Aim:
    return Aim(words, value <= most)


def table(lines: Iterable[Line]) -> str:
    """Markdown, as in docs/performance.md."""
    rows = [f"| {line.measure} | {line.peer or '—'} | {line.tako} | {_aim(line.aim)} |" for line in lines]
    return "\n".join(["| measure | peer | Tako | aim |", "|---|---|---|---|", *rows])


def _aim(aim: Aim | None) -> str:
    if aim is None:
        return ""
    return aim.words if aim.met else f"**missed**: {aim.words}"


def micros(value: float) -> str:
    return f"{value:.0f} µs" if value >= 100 else f"{value:.1f} µs"


def millis(*values: float) -> str:
    """`1.2 / 3.4 ms`."""
    return " / ".join(f"{value:.0f}" if value >= 100 else f"{value:.1f}" for value in values) + " ms"
