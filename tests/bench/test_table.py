"""The bench's table: an aim that is missed cannot be overlooked, and a measure that failed leaves a line."""

from bench.table import Line, at_most, millis, table


def test_a_missed_aim_is_said_in_the_table() -> None:
    """A figure that nobody compares with its aim is as good as none."""
    met = Line("memory", "", "18 KiB", at_most(18, 32, "under 32 KiB"))
    missed = Line("memory", "nginx 1 KiB", "33 KiB", at_most(33, 32, "under 32 KiB"))
    assert table([met, missed, Line("more", "", "7")]).splitlines()[2:] == [
        "| memory | — | 18 KiB | under 32 KiB |",
        "| memory | nginx 1 KiB | 33 KiB | **missed**: under 32 KiB |",
        "| more | — | 7 |  |",
    ]


def test_times_are_as_exact_as_they_are_measured() -> None:
    assert millis(0.04, 99.96, 123.4) == "0.0 / 100.0 / 123 ms"
