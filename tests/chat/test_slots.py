"""Whose turn is next."""

from collections import Counter

import pytest

from tako.chat.slots import MANNERS, Line, Slots


def line(*waiting: str, running: str = "") -> Line:
    """`ann:small` is an answer that Ann waits for; in the order of their coming, a microsecond apart."""
    runs = [said.partition(":") for said in running.split()]
    made = Line([], Counter(user for user, _, _ in runs), Counter(model or "small" for _, _, model in runs))
    for n, said in enumerate(waiting):
        user, _, model = said.partition(":")
        made.come(f"{n}", user, model or "small", n)
    return made


@pytest.mark.parametrize(
    ("now", "slots", "begin"),
    [
        (line("ann", "bob"), Slots(models={"small": 1}), ["0"]),
        (line("ann", "bob", running="cid"), Slots(models={"small": 1}), []),
        (line("ann", "bob", running="cid"), Slots(models={"small": 2}), ["0"]),
        # Who has fewer comes before who has waited longer.
        (line("ann", "bob", running="ann"), Slots(models={"small": 2}), ["1"]),
        (line("ann", "ann", "ann", "bob"), Slots(models={"small": 2}), ["0", "3"]),
        # A model that is full keeps nobody from another.
        (line("ann:large", "ann:small", running="bob:large"), Slots(models={"large": 1, "small": 1}), ["1"]),
        (line("ann", "ann", "bob"), Slots(user=1), ["0", "2"]),
        (line("ann", "bob", running="ann"), Slots(user=1), ["1"]),
        (line("ann", "bob"), Slots(), ["0", "1"]),
    ],
)
def test_who_may_begin(now: Line, slots: Slots, begin: list[str]) -> None:
    assert sorted(now.next(slots)) == begin


def test_places_are_those_of_the_model() -> None:
    assert line("ann", "ann", "bob", "cid:large").places() == {"0": 1, "2": 2, "1": 3, "3": 1}


def test_slots_come_free_by_the_places_that_were_shown() -> None:
    now = line("ann", "ann", "bob", "ann", "cid", "bob")
    shown = sorted(now.places(), key=now.places().__getitem__)
    began = []
    while now.waiting:
        now.by_user.clear()  # what ran has ended
        now.by_model.clear()
        [first] = now.next(Slots(models={"small": 1}))
        now.begin([first])
        began.append(first)
    assert began == shown == ["0", "2", "4", "1", "5", "3"]


def test_who_asks_much_is_not_kept_waiting_for_ever() -> None:
    now = line("ann", running="ann")
    for n in range(1, 5):
        now.come(f"late {n}", f"user {n}", "small", n * MANNERS // 3)
    assert [one.response_id for one in now.waiting] == ["late 1", "late 2", "0", "late 3", "late 4"]
