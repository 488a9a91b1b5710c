"""Tokens per user and day, on both databases."""

import asyncio

import pytest
from sqlalchemy import insert, select

from tako.chat import quota
from tako.chat.models import quotas
from tako.chat.quota import QuotaExceeded
from tako.core.accounts.models import principals
from tako.core.db import Database

NOON = 20_000 * quota.DAY + quota.DAY // 2


@pytest.fixture
async def ann(db: Database) -> str:
    async with db.write() as connection:
        await connection.execute(insert(principals).values(id="user_ann", kind="user", created_at=0))
    return "user_ann"


async def reserve(db: Database, who: str, tokens: int, limit: int = 100, at: int = NOON) -> None:
    async with db.write() as connection:
        await quota.reserve(connection, who, at, tokens, limit)


async def settle(db: Database, who: str, reserved: int, used: int, at: int = NOON) -> None:
    async with db.write() as connection:
        await quota.settle(connection, who, at, reserved, used)


async def rows(db: Database) -> list[tuple[int, int, int]]:
    async with db.read() as connection:
        found = await connection.execute(select(quotas.c.day, quotas.c.used, quotas.c.reserved).order_by(quotas.c.day))
        return [(row.day, row.used, row.reserved) for row in found]


async def test_what_is_reserved_counts_until_it_is_settled(db: Database, ann: str) -> None:
    """Up to the last token, and not one more."""
    await reserve(db, ann, 60)
    await reserve(db, ann, 40)
    with pytest.raises(QuotaExceeded) as refused:
        await reserve(db, ann, 1)
    assert "100 are used or set aside" in refused.value.message
    assert refused.value.retry_after == 43_200
    await settle(db, ann, reserved=60, used=10)
    assert await rows(db) == [(20_000, 10, 40)]
    await reserve(db, ann, 50)


async def test_what_could_never_fit_is_refused_and_not_set_aside(db: Database, ann: str) -> None:
    """Also as the first of the day."""
    with pytest.raises(QuotaExceeded) as refused:
        await reserve(db, ann, 101)
    assert "0 are used or set aside" in refused.value.message
    assert await rows(db) == []
    await reserve(db, ann, 100)


async def test_each_day_has_its_own(db: Database, ann: str) -> None:
    """An answer over midnight is settled on the day on which it was asked for."""
    await reserve(db, ann, 100)
    await reserve(db, ann, 100, at=NOON + quota.DAY)
    await settle(db, ann, reserved=100, used=30)
    assert await rows(db) == [(20_000, 30, 0), (20_001, 0, 100)]


async def test_a_hundred_at_once_never_take_more_than_there_is(db: Database, ann: str) -> None:
    """Ten of ten tokens fit into a hundred."""
    results = await asyncio.gather(*(reserve(db, ann, 10) for _ in range(100)), return_exceptions=True)
    assert sum(result is None for result in results) == 10
    assert await rows(db) == [(20_000, 0, 100)]
