"""Hints reach every reader of their principal, and nobody else; a slow reader is told to read again."""

from tako.core.feed import KEPT, READY, RELOAD, Feed, Hint


def test_a_reader_is_greeted_and_then_told_what_happens() -> None:
    """What is read after `ready` misses nothing that is published later."""
    feed = Feed()
    reader = feed.follow("ann")
    assert reader.take() == READY
    assert reader.take() == b""
    feed.publish("ann", Hint("created", "conv_1", 1), Hint("running", "conv_1", 1))
    feed.publish("ann", Hint("titled", "conv_1", 2))
    assert reader.take() == (
        b'event: created\ndata: {"id":"conv_1","version":1}\n\n'
        b'event: running\ndata: {"id":"conv_1","version":1}\n\n'
        b'event: titled\ndata: {"id":"conv_1","version":2}\n\n'
    )
    assert reader.take() == b""


def test_nobody_hears_of_somebody_elses_conversations() -> None:
    """What exists is none of another person's business."""
    feed = Feed()
    ann, ben = feed.follow("ann"), feed.follow("ben")
    assert (ann.take(), ben.take()) == (READY, READY)
    feed.publish("ann", Hint("created", "conv_1", 1))
    assert ben.take() == b""
    assert b"conv_1" in ann.take()


def test_all_browsers_of_a_person_hear_the_same_from_the_moment_they_came() -> None:
    """A second browser must not be told what it has just read."""
    feed = Feed()
    first = feed.follow("ann")
    feed.publish("ann", Hint("created", "conv_1", 1))
    second = feed.follow("ann")
    feed.publish("ann", Hint("ended", "conv_1", 2))
    first.take(), second.take()
    assert first.take().count(b"event: ") == 2
    assert second.take().count(b"event: ") == 1


def test_a_slow_reader_loses_hints_and_is_told_so() -> None:
    """It holds a place, not a queue: what it missed is not kept for it, and it reads everything again."""
    feed = Feed()
    slow, quick = feed.follow("ann"), feed.follow("ann")
    slow.take(), quick.take()
    for n in range(KEPT):
        feed.publish("ann", Hint("changed", "conv_1", n))
    assert quick.take().count(b"event: changed") == KEPT
    feed.publish("ann", Hint("changed", "conv_1", KEPT))
    assert quick.take().count(b"event: changed") == 1
    assert slow.take() == RELOAD
    assert slow.take() == b""


def test_a_waiting_reader_is_woken_once_and_one_that_left_is_not() -> None:
    """One registration wakes once; a reader that went must not be kept alive by the feed."""
    feed = Feed()
    reader = feed.follow("ann")
    woken: list[str] = []

    def stays() -> None:
        woken.append("stays")

    def leaves() -> None:
        woken.append("leaves")

    reader.on_change(stays)
    reader.on_change(leaves)
    reader.leave(leaves)
    feed.publish("ann", Hint("created", "conv_1", 1))
    feed.publish("ann", Hint("created", "conv_2", 1))
    assert woken == ["stays"]
