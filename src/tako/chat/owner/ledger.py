"""What the site's answers have cost: sums over the ledger, by day (UTC), model and user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Row, Select, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat.models import ledger, quotas
from tako.chat.quota import DAY
from tako.core.accounts.models import users

DAYS = 30
# Users in the report: those who have used most.
MOST_USERS = 100


@dataclass(frozen=True, slots=True)
class Sum:
    answers: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Line:
    """`of` is a model's or a user's id; `label` is the user's e-mail address, None for accounts that are gone."""

    of: str
    label: str | None
    today: Sum
    month: Sum


@dataclass(frozen=True, slots=True)
class Usage:
    """`days` has one sum for each of the last `DAYS` days, the last one today, by days since 1970."""

    days: tuple[tuple[int, Sum], ...]
    models: tuple[Line, ...]
    users: tuple[Line, ...]


NOTHING = Sum(0, 0, 0)


async def usage(connection: AsyncConnection, at: int) -> Usage:
    """Of the day of `at` (microseconds) and the `DAYS` days that end with it."""
    today = at // DAY
    return Usage(
        await _days(connection, today),
        await _models(connection, today),
        await _users(connection, today),
    )


async def tokens_on(connection: AsyncConnection, at: int, user_ids: Sequence[str]) -> Mapping[str, int]:
    """Tokens used on the day of `at` by those who used any."""
    query = select(quotas.c.principal_id, quotas.c.used).where(
        quotas.c.day == at // DAY, quotas.c.principal_id.in_(user_ids)
    )
    return {row.principal_id: row.used for row in await connection.execute(query)}


async def _days(connection: AsyncConnection, today: int) -> tuple[tuple[int, Sum], ...]:
    day = cast(ledger.c.created_at // DAY, BigInteger).label("day")
    query = _since(select(day, *_sums()), today).group_by(day)
    found = {int(row.day): _sum(row) for row in await connection.execute(query)}
    return tuple((day, found.get(day, NOTHING)) for day in range(today - DAYS + 1, today + 1))


async def _models(connection: AsyncConnection, today: int) -> tuple[Line, ...]:
    query = _since(select(ledger.c.model.label("of"), *_sums(), *_sums(today)), today).group_by(ledger.c.model)
    rows = await connection.execute(query.order_by(_tokens().desc(), ledger.c.model))
    return tuple(Line(row.of, None, _sum(row, "today_"), _sum(row)) for row in rows)


async def _users(connection: AsyncConnection, today: int) -> tuple[Line, ...]:
    who = ledger.c.principal_id
    query = select(who.label("of"), users.c.email, *_sums(), *_sums(today)).outerjoin(users, users.c.id == who)
    query = _since(query, today).group_by(who, users.c.email).order_by(_tokens().desc(), who).limit(MOST_USERS)
    rows = await connection.execute(query)
    return tuple(Line(row.of, row.email, _sum(row, "today_"), _sum(row)) for row in rows)


def _since(query: Select[Any], today: int) -> Select[Any]:
    return query.where(ledger.c.created_at >= (today - DAYS + 1) * DAY)


def _tokens() -> Any:
    return func.sum(ledger.c.input_tokens + ledger.c.output_tokens)


def _sums(today: int | None = None) -> list[Any]:
    """Of all rows, or of those since the beginning of `today`."""
    if today is None:
        return [
            func.count().label("answers"),
            func.sum(ledger.c.input_tokens).label("input_tokens"),
            func.sum(ledger.c.output_tokens).label("output_tokens"),
        ]
    counts = ledger.c.created_at >= today * DAY
    return [
        func.sum(case((counts, 1), else_=0)).label("today_answers"),
        func.sum(case((counts, ledger.c.input_tokens), else_=0)).label("today_input_tokens"),
        func.sum(case((counts, ledger.c.output_tokens), else_=0)).label("today_output_tokens"),
    ]


def _sum(row: Row[Any], prefix: str = "") -> Sum:
    values = row._mapping
    return Sum(*(int(values[f"{prefix}{name}"]) for name in ("answers", "input_tokens", "output_tokens")))
