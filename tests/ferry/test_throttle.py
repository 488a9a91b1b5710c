"""A copy leaves the source as much as was asked for."""

from dataclasses import dataclass, field

from tako.ferry.throttle import Throttle


@dataclass
class Time:
    """A clock that only sleeping moves."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


def test_without_limits_nothing_waits() -> None:
    time = Time()
    Throttle(clock=time.clock, sleep=time.sleep).wait(10**9, 5, lambda: 1000)
    assert time.slept == []


def test_no_faster_than_the_rate_over_any_number_of_chunks() -> None:
    time = Time()
    throttle = Throttle(max_mb_per_s=10, clock=time.clock, sleep=time.sleep)
    began = time.now
    for _ in range(20):
        time.now += 0.1
        throttle.wait(5_000_000, 0.1, lambda: 0)
    assert 9.9 <= time.now - began <= 10.2


def test_a_pause_is_not_made_good_by_a_burst() -> None:
    time = Time()
    throttle = Throttle(max_mb_per_s=10, clock=time.clock, sleep=time.sleep)
    throttle.wait(1_000_000, 0, lambda: 0)
    time.now += 3600
    throttle.wait(10_000_000, 0, lambda: 0)
    assert time.slept[-1] > 0.9


def test_rests_in_proportion_to_the_work() -> None:
    time = Time()
    Throttle(sleep_ratio=0.5, clock=time.clock, sleep=time.sleep).wait(1, 4, lambda: 0)
    assert time.slept == [2.0]


def test_waits_until_the_source_is_less_busy() -> None:
    time = Time()
    loads = [9, 9, 5, 3]
    Throttle(max_load=4, clock=time.clock, sleep=time.sleep).wait(1, 1, lambda: loads.pop(0))
    assert loads == []
    assert len(time.slept) == 3
