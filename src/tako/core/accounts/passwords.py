"""Passwords: argon2id (RFC 9106), hashed beside the event loop, and few at once, since each takes 64 MiB."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tako.core.errors import Invalid

_hasher = PasswordHasher()
# Threads of our own, not a semaphore over asyncio's: whoever stops waiting frees a semaphore while the thread still
# holds its 64 MiB. Making the pool starts no thread.
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
# What an unknown account's password is compared with, so that it takes as long as a known one's.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$0wEnGfAHl4cEz1MEiCZ2YnlNaCz5bXQsS2S6k6M8kVQ"

SHORTEST = 8
LONGEST = 1024


def check(password: str) -> None:
    """Raises `Invalid` for a password that nobody should have."""
    if len(password) < SHORTEST:
        raise Invalid(f"A password needs at least {SHORTEST} characters.", code="weak_password", param="password")
    if len(_bytes(password)) > LONGEST:
        raise Invalid(f"A password has at most {LONGEST} bytes.", code="long_password", param="password")


async def hash(password: str) -> str:
    """A PHC string to store."""
    return await asyncio.get_running_loop().run_in_executor(_pool, _hasher.hash, _bytes(password))


async def verify(stored: str | None, password: str) -> bool:
    """Whether it is the password; takes the same time when there is nothing to compare with."""
    same = await asyncio.get_running_loop().run_in_executor(_pool, _verify, stored or _NOBODY, _bytes(password))
    return same and stored is not None


def is_outdated(stored: str) -> bool:
    """Whether it was hashed with other parameters than those that new passwords get."""
    return _hasher.check_needs_rehash(stored)


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _verify(stored: str, password: bytes) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
