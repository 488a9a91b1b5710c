"""What `tako ferry status` makes of what is written down."""

from datetime import UTC, datetime, timedelta

from tako.ferry import cutover
from tako.ferry.target.following import CutoverStep

BEGUN = datetime(2026, 11, 26, 15, 30, tzinfo=UTC)


def step(attempt: int, name: str, at: float, seconds: float | None, error: str | None = None) -> CutoverStep:
    return CutoverStep(attempt, name, BEGUN + timedelta(seconds=at), seconds, error)


def test_nothing_is_written_from_the_last_fence_on_until_the_site_is_switched() -> None:
    """What an earlier attempt took was given back; foreign keys are checked while the site writes."""
    given_back = [step(1, "fence", 0, 0.1), step(1, "drain", 1, 60, "not applied"), step(1, "unfence", 61, 0.1)]
    switched = [step(2, "check", 90, 10), step(2, "fence", 100, 0.1), step(2, "switch", 100.5, 0.25)]
    assert cutover.unwritable([*given_back, *switched, step(2, "validate", 101, 9)]) == 0.75
    failed = step(2, "hook", 100.75, 1, "exit code 1")
    assert cutover.unwritable([*switched, failed, step(2, "validate", 102, 9)]) is None
    assert cutover.unwritable([*switched, failed, step(3, "hook", 160, 2)]) == 62


def test_nobody_knows_while_a_cutover_goes_on() -> None:
    assert cutover.unwritable([]) is None
    assert cutover.unwritable([step(1, "check", 0, 1), step(1, "fence", 1, 0.1)]) is None
    assert cutover.unwritable([step(1, "fence", 1, 0.1), step(1, "switch", 2, None)]) is None
