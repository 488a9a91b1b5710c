"""Tokens per user and day: reserved when a response is asked for, settled at its end, whatever the end was."""

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat.models import quotas
from tako.core.accounts.principal import Principal
from tako.core.db import UPSERTS, Micros
from tako.core.errors import TooMany

DAY = 86_400_000_000


_DAY_OF_PRINCIPAL = ["principal_id", "day"]
# Built once: every answer runs them.
_RESERVE = {
    dialect: insert(quotas)
    .on_conflict_do_update(
        index_elements=_DAY_OF_PRINCIPAL,
        set_={"reserved": quotas.c.reserved + bindparam("asked", type_=Micros)},
        where=quotas.c.used + quotas.c.reserved + bindparam("asked", type_=Micros) <= bindparam("most", type_=Micros),
    )
    .returning(quotas.c.day)  # the row count of an INSERT is kept on SQLite only
    for dialect, insert in UPSERTS.items()
}
_SETTLE = {
    dialect: insert(quotas).on_conflict_do_update(
        index_elements=_DAY_OF_PRINCIPAL,
        set_={
            "used": quotas.c.used + bindparam("spent", type_=Micros),
            "reserved": quotas.c.reserved - bindparam("freed", type_=Micros),
        },
    )
    for dialect, insert in UPSERTS.items()
}


class QuotaExceeded(TooMany):
    """Today's tokens do not suffice for this request."""


async def reserve(connection: AsyncConnection, principal_id: str, at: int, tokens: int, limit: int) -> None:
    """Set `tokens` of the day of `at` (microseconds) aside. Raises `QuotaExceeded` when `limit` would be passed."""
    row = {"principal_id": principal_id, "day": at // DAY, "used": 0, "reserved": tokens}
    values = {**row, "asked": tokens, "most": limit}
    if tokens > limit or (await connection.execute(_RESERVE[connection.dialect.name], values)).first() is None:
        used = sum(await today(connection, principal_id, at))
        raise QuotaExceeded(
            f"Today's limit of {limit} tokens does not suffice: {used} are used or set aside by running answers, "
            f"and this request may need {tokens}. It starts anew at 00:00 UTC.",
            code="daily_tokens_exceeded",
            retry_after=(DAY - at % DAY) / 1e6,
        )


async def settle(connection: AsyncConnection, principal_id: str, at: int, reserved: int, used: int) -> None:
    """Give back what was reserved on the day of `at`, and count what was used."""
    row = {"principal_id": principal_id, "day": at // DAY, "used": used, "reserved": 0}
    await connection.execute(_SETTLE[connection.dialect.name], {**row, "spent": used, "freed": reserved})


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
