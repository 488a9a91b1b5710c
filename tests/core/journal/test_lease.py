"""Who is dead, by the observer's own clock."""

from tako.core.journal.lease import Lapses
from tako.core.journal.store import Sign


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def sign(beat: int, name: str = "other") -> Sign:
    return Sign(name, beat, fenced=False)


def test_a_process_that_gives_no_sign_for_a_lease_is_dead() -> None:
    """And not before."""
    clock = Clock()
    lapses = Lapses(lease=6, every=2, clock=clock)
    for seconds in range(0, 6, 2):
        clock.at = 1000 + seconds
        assert lapses.seen([sign(7)]) == []
    clock.at = 1006
    assert lapses.seen([sign(7)]) == [sign(7)]


def test_a_sign_of_life_begins_a_new_lease() -> None:
    """However late it comes."""
    clock = Clock()
    lapses = Lapses(lease=6, every=2, clock=clock)
    for seconds, beat in [(0, 1), (2, 1), (4, 1), (6, 2), (8, 2), (10, 2)]:
        clock.at = 1000 + seconds
        assert lapses.seen([sign(beat)]) == []
    clock.at = 1012
    assert lapses.seen([sign(2)]) == [sign(2)]


def test_an_observer_that_was_paused_does_not_take_its_absence_for_that_of_others() -> None:
    """Half a minute in which it saw nothing counts as one heartbeat."""
    clock = Clock()
    lapses = Lapses(lease=6, every=2, clock=clock)
    assert lapses.seen([sign(1)]) == []
    clock.at += 30
    assert lapses.seen([sign(1)]) == []


def test_time_without_the_database_does_not_count() -> None:
    """Nobody could have given a sign of life there."""
    clock = Clock()
    lapses = Lapses(lease=6, every=2, clock=clock)
    for _ in range(10):
        assert lapses.seen([sign(1)]) == []
        lapses.missed()
        clock.at += 2
    assert lapses.seen([sign(1)]) == []


def test_what_is_fenced_is_dead_at_once() -> None:
    """It may write no more, so nothing has to be waited for."""
    gone = Sign("gone", 3, fenced=True)
    assert Lapses(lease=6, every=2, clock=Clock()).seen([gone, sign(1)]) == [gone]


def test_who_is_only_on_record_was_never_seen_to_move() -> None:
    """As the processes of the original are in a copy of its database; who is off the record is forgotten."""
    lapses = Lapses(lease=6, every=2, clock=Clock())
    lapses.seen([sign(7), sign(7, "on record")])
    assert not lapses.moved("other")
    lapses.seen([sign(8), sign(7, "on record")])
    assert lapses.moved("other")
    assert not lapses.moved("on record")
    lapses.seen([])
    lapses.seen([sign(9)])
    assert not lapses.moved("other")
