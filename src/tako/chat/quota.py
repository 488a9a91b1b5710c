"""Tokens per user and day: reserved when a response is asked for, settled at its end, whatever the end was."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat.models import quotas
from tako.core.accounts.principal import Principal
from tako.core.errors import TooMany

DAY = 86_400_000_000


class QuotaExceeded(TooMany):
    """Today's tokens do not suffice for this request."""


async def reserve(connection: AsyncConnection, principal_id: str, at: int, tokens: int, limit: int) -> None:
    """Set `tokens` of the day of `at` (microseconds) aside. Raises `QuotaExceeded` when `limit` would be passed."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    row = insert(quotas).values(principal_id=principal_id, day=at // DAY, used=0, reserved=tokens)
    done = await connection.execute(
        row.on_conflict_do_update(
            index_elements=["principal_id", "day"],
            set_={"reserved": quotas.c.reserved + tokens},
            where=quotas.c.used + quotas.c.reserved + tokens <= limit,
        )
    )
    if done.rowcount != 1 or tokens > limit:
        used = sum(await today(connection, principal_id, at))
        raise QuotaExceeded(
            f"Today's limit of {limit} tokens does not suffice: {used} are used or set aside by running answers, "
            f"and this request may need {tokens}. It starts anew at 00:00 UTC.",
            code="daily_tokens_exceeded",
            retry_after=(DAY - at % DAY) / 1e6,
        )


async def settle(connection: AsyncConnection, principal_id: str, at: int, reserved: int, used: int) -> None:
    """Give back what was reserved on the day of `at`, and count what was used."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    row = insert(quotas).values(principal_id=principal_id, day=at // DAY, used=used, reserved=0)
    await connection.execute(
        row.on_conflict_do_update(
            index_elements=["principal_id", "day"],
            set_={"used": quotas.c.used + used, "reserved": quotas.c.reserved - reserved},
        )
    )


async def today(connection: AsyncConnection, principal_id: str, at: int) -> tuple[int, int]:
    """Tokens used, and tokens set aside, on the day of `at`."""
    found = await connection.execute(
        select(quotas.c.used, quotas.c.reserved).where(quotas.c.principal_id == principal_id, quotas.c.day == at // DAY)
    )
    row = found.first()
    return (int(row.used), int(row.reserved)) if row else (0, 0)


def limit(principal: Principal, default: int) -> int | None:
    """Tokens that the principal may use in a day; None for no limit."""
    return (principal.daily_tokens if principal.daily_tokens is not None else default) or None
