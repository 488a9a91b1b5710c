"""Guessing is slow, whatever is guessed at, and remembering guesses takes bounded room."""

import pytest

from tako.core.accounts import limits
from tako.core.accounts.limits import PER_ACCOUNT, PER_ADDRESS, WINDOW, SignInLimit
from tako.core.errors import TooMany


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> SignInLimit:
    return SignInLimit(clock)


def test_an_account_is_locked_after_ten_failures_from_anywhere(limit: SignInLimit) -> None:
    for number in range(PER_ACCOUNT):
        limit.attempt(f"203.0.113.{number}", "ann@example.org")
    with pytest.raises(TooMany) as refused:
        limit.attempt("203.0.113.99", "ann@example.org")
    assert refused.value.retry_after == WINDOW
    limit.attempt("203.0.113.99", "ben@example.org")


def test_an_address_is_locked_after_thirty_failures_at_any_accounts(limit: SignInLimit) -> None:
    for number in range(PER_ADDRESS):
        limit.attempt("203.0.113.1", f"user{number}@example.org")
    with pytest.raises(TooMany):
        limit.attempt("203.0.113.1", "another@example.org")
    limit.attempt("203.0.113.2", "another@example.org")


def test_all_addresses_of_an_ipv6_customer_count_as_one(limit: SignInLimit) -> None:
    for number in range(PER_ADDRESS):
        limit.attempt(f"2001:db8:1:2::{number:x}", f"user{number}@example.org")
    with pytest.raises(TooMany):
        limit.attempt("2001:db8:1:2:ffff::1", "another@example.org")
    limit.attempt("2001:db8:1:3::1", "another@example.org")


def test_the_lock_opens_when_the_failures_are_old(limit: SignInLimit, clock: Clock) -> None:
    for _ in range(PER_ACCOUNT):
        limit.attempt("203.0.113.1", "ann@example.org")
    clock.now += WINDOW - 1
    with pytest.raises(TooMany) as refused:
        limit.attempt("203.0.113.1", "ann@example.org")
    assert refused.value.retry_after == 1
    clock.now += 1
    limit.attempt("203.0.113.1", "ann@example.org")


def test_refused_attempts_do_not_prolong_the_lock(limit: SignInLimit, clock: Clock) -> None:
    for _ in range(PER_ACCOUNT):
        limit.attempt("203.0.113.1", "ann@example.org")
    for _ in range(100):
        clock.now += 1
        with pytest.raises(TooMany):
            limit.attempt("203.0.113.1", "ann@example.org")
    clock.now += WINDOW - 100
    limit.attempt("203.0.113.1", "ann@example.org")


def test_the_right_password_forgives_the_account_but_not_the_address(limit: SignInLimit) -> None:
    """Else a guesser would wash an address clean by signing in to an account of their own."""
    for number in range(PER_ADDRESS - 1):
        limit.attempt("203.0.113.1", f"user{number}@example.org")
    limit.attempt("203.0.113.1", "own@example.org")
    limit.succeeded("203.0.113.1", "own@example.org")
    limit.attempt("203.0.113.1", "user@example.org")
    with pytest.raises(TooMany):
        limit.attempt("203.0.113.1", "user@example.org")


def test_who_always_knows_the_password_is_never_locked_out(limit: SignInLimit) -> None:
    for _ in range(5 * PER_ADDRESS):
        limit.attempt("203.0.113.1", "ann@example.org")
        limit.succeeded("203.0.113.1", "ann@example.org")
    assert len(limit) == 0


def test_a_flood_of_addresses_takes_bounded_memory(limit: SignInLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED", 50)
    for number in range(1000):
        limit.attempt(f"203.0.{number // 250}.{number % 250}", f"user{number}@example.org")
    assert len(limit) == 50
