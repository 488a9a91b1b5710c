"""Passwords are hashed slowly, two at a time, and say nothing about who has an account."""

import asyncio
import threading

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from tako.core.accounts import passwords
from tako.core.errors import Invalid


@pytest.fixture(autouse=True)
def cheap_passwords() -> None:
    """Here they are as dear as on a site."""


async def test_only_the_password_itself_is_the_password() -> None:
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$")
    assert await passwords.verify(stored, "correct horse")
    assert not await passwords.verify(stored, "correct horse ")


async def test_an_unknown_account_costs_a_whole_verification() -> None:
    """The hash that stands in for a missing account is a real one, with the parameters of today."""
    assert not passwords.is_outdated(passwords._NOBODY)
    assert not await passwords.verify(None, "correct horse")
    with pytest.raises(VerifyMismatchError):
        passwords._hasher.verify(passwords._NOBODY, b"correct horse")


async def test_a_hash_with_other_parameters_is_outdated() -> None:
    assert passwords.is_outdated(PasswordHasher(time_cost=1, memory_cost=8192).hash("correct horse"))
    assert not passwords.is_outdated(await passwords.hash("correct horse"))


async def test_no_more_than_two_are_hashed_at_once_even_when_callers_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 64 MiB; a caller who goes away must not make room for a third."""
    running, most, lock, go = 0, 0, threading.Lock(), threading.Event()

    def slow(stored: str, password: bytes) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(10)
        with lock:
            running -= 1
        return True

    monkeypatch.setattr(passwords, "_verify", slow)
    impatient = [asyncio.create_task(passwords.verify("x", "y")) for _ in range(6)]
    await asyncio.sleep(0)
    for task in impatient:
        task.cancel()
    await asyncio.gather(*impatient, return_exceptions=True)
    later = [asyncio.create_task(passwords.verify("x", "y")) for _ in range(6)]
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*later) == [True] * 6
    assert most <= 2


@pytest.mark.parametrize("password", ["seven77", "x" * 1025, "蛸" * 342])
def test_too_short_and_too_long_passwords_are_refused(password: str) -> None:
    with pytest.raises(Invalid):
        passwords.check(password)


@pytest.mark.parametrize("password", ["eight888", "x" * 1024, "蛸" * 341])
def test_the_shortest_and_the_longest_passwords_are_taken(password: str) -> None:
    passwords.check(password)
