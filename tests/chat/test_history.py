"""What a model is told of what was said before."""

from collections.abc import AsyncIterator

import pytest

from tako.chat.history import ContextTooLong, collect
from tako.chat.providers.base import Turn


class Spoken:
    """Turns from the newest back, each of ten tokens; `asked` counts how many were read."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked = 0

    async def turns(self) -> AsyncIterator[tuple[Turn, int]]:
        for n in reversed(range(self.count)):
            self.asked += 1
            yield Turn("user", f"turn {n}"), 10


async def test_turns_come_in_the_order_in_which_they_were_spoken() -> None:
    """All of them, where they fit exactly."""
    turns, used, dropped = await collect(Spoken(3).turns(), 30, drop_oldest=False)
    assert [turn.text for turn in turns] == ["turn 0", "turn 1", "turn 2"]
    assert (used, dropped) == (30, False)


async def test_the_oldest_are_left_out_and_it_is_said() -> None:
    """Never the newest, and never one in the middle."""
    turns, used, dropped = await collect(Spoken(10).turns(), 39, drop_oldest=True)
    assert [turn.text for turn in turns] == ["turn 7", "turn 8", "turn 9"]
    assert (used, dropped) == (30, True)


async def test_who_does_not_want_that_is_refused() -> None:
    """With the code that OpenAI's clients know."""
    with pytest.raises(ContextTooLong) as refused:
        await collect(Spoken(4).turns(), 39, drop_oldest=False)
    assert refused.value.code == "context_length_exceeded"


async def test_ancestors_are_read_only_until_the_budget_is_full() -> None:
    """A conversation of ten thousand messages costs what fits into the model."""
    spoken = Spoken(10_000)
    await collect(spoken.turns(), 100, drop_oldest=True)
    assert spoken.asked == 11
