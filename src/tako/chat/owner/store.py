"""Queries about providers, models and offers that an owner has made on the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat.catalog import Terms
from tako.chat.models import offers, provider_models, providers, responses
from tako.core import ids
from tako.core.accounts.models import users
from tako.core.db import UPSERTS, now
from tako.core.errors import Conflict, NotFound
from tako.core.journal.models import logs


@dataclass(frozen=True, slots=True)
class ProviderRow:
    id: str
    name: str
    kind: str
    base_url: str
    api_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """`id` is what clients send, `upstream_model` what the upstream calls it; `slots`: answers at once, 0: any."""

    id: str
    provider_id: str
    upstream_model: str
    name: str
    context_tokens: int
    max_output_tokens: int
    slots: int = 0


@dataclass(frozen=True, slots=True)
class RunningRow:
    """An answer that is being made; `email` is None for askers that are no users."""

    id: str
    user_id: str
    email: str | None
    model: str
    purpose: str
    created_at: int


class NameTaken(Conflict):
    """Another provider has that name."""


class ModelIdTaken(Conflict):
    """Another model has that id."""


def no_provider() -> NotFound:
    return NotFound("There is no such provider among those that were added here.", code="provider_not_found")


async def list_providers(connection: AsyncConnection) -> list[ProviderRow]:
    """In the order in which they were added."""
    columns = [providers.c[name] for name in ProviderRow.__dataclass_fields__]
    rows = await connection.execute(select(*columns).order_by(providers.c.created_at, providers.c.id))
    return [ProviderRow(**row._mapping) for row in rows]


async def provider(connection: AsyncConnection, provider_id: str, *, lock: bool = False) -> ProviderRow:
    """Raises `NotFound`. With `lock` it stays as it is until the transaction ends."""
    columns = [providers.c[name] for name in ProviderRow.__dataclass_fields__]
    query = select(*columns).where(providers.c.id == provider_id)
    row = None
    if ids.is_id(provider_id, "prov"):
        row = (await connection.execute(query.with_for_update() if lock else query)).first()
    if row is None:
        raise no_provider()
    return ProviderRow(**row._mapping)


async def add_provider(connection: AsyncConnection, row: ProviderRow) -> None:
    """Raises `NameTaken`."""
    values = {name: getattr(row, name) for name in ProviderRow.__dataclass_fields__}
    try:
        await connection.execute(insert(providers).values(**values, created_at=now()))
    except IntegrityError:
        raise name_taken() from None


async def update_provider(connection: AsyncConnection, provider_id: str, **values: Any) -> None:
    """Raises `NameTaken`."""
    try:
        await connection.execute(update(providers).where(providers.c.id == provider_id).values(**values))
    except IntegrityError:
        raise name_taken() from None


async def remove_provider(connection: AsyncConnection, provider_id: str) -> None:
    """With its models and how they were offered. Raises `NotFound`."""
    of_it = select(provider_models.c.id).where(provider_models.c.provider_id == provider_id)
    await connection.execute(delete(offers).where(offers.c.model_id.in_(of_it)))
    gone = await connection.execute(delete(providers).where(providers.c.id == provider_id))
    if gone.rowcount != 1:
        raise no_provider()


async def list_models(connection: AsyncConnection) -> list[ModelRow]:
    """In the order in which they were added."""
    columns = [provider_models.c[name] for name in ModelRow.__dataclass_fields__]
    rows = await connection.execute(select(*columns).order_by(provider_models.c.created_at, provider_models.c.id))
    return [ModelRow(**row._mapping) for row in rows]


async def add_model(connection: AsyncConnection, row: ModelRow) -> None:
    """Raises `ModelIdTaken`."""
    values = {name: getattr(row, name) for name in ModelRow.__dataclass_fields__}
    try:
        await connection.execute(insert(provider_models).values(**values, created_at=now()))
    except IntegrityError:
        raise id_taken(row.id) from None


async def update_model(connection: AsyncConnection, model_id: str, **values: Any) -> None:
    if values:
        await connection.execute(update(provider_models).where(provider_models.c.id == model_id).values(**values))


async def remove_model(connection: AsyncConnection, model_id: str) -> bool:
    """Whether it was there."""
    await connection.execute(delete(offers).where(offers.c.model_id == model_id))
    gone = await connection.execute(delete(provider_models).where(provider_models.c.id == model_id))
    return gone.rowcount == 1


async def terms(connection: AsyncConnection) -> dict[str, Terms]:
    """How models are offered, by their ids."""
    rows = await connection.execute(select(offers))
    return {row.model_id: Terms(row.position, row.enabled, row.admins_only) for row in rows}


async def offer(connection: AsyncConnection, model_id: str, **values: Any) -> None:
    """Set some of `position`, `enabled`, `admins_only`."""
    before = {"position": None, "enabled": True, "admins_only": False}
    row = UPSERTS[connection.dialect.name](offers).values(model_id=model_id, **{**before, **values})
    await connection.execute(row.on_conflict_do_update(index_elements=["model_id"], set_=values))


async def order(connection: AsyncConnection, model_ids: Sequence[str]) -> None:
    for position, model_id in enumerate(model_ids):
        await offer(connection, model_id, position=position)


async def running(connection: AsyncConnection) -> list[RunningRow]:
    """By whatever process, oldest first. By way of the logs, whose index knows the running ones."""
    rows = responses.c
    query = (
        select(rows.id, rows.principal_id.label("user_id"), users.c.email, rows.model, rows.purpose, rows.created_at)
        .join(logs, logs.c.id == rows.id)
        .outerjoin(users, users.c.id == rows.principal_id)
        .where(logs.c.ended_at.is_(None), logs.c.process_id.is_not(None), rows.completed_at.is_(None))
        .order_by(rows.id)
    )
    return [RunningRow(**row._mapping) for row in await connection.execute(query)]


def id_taken(model_id: str) -> ModelIdTaken:
    return ModelIdTaken(
        f"There is a model {model_id!r} already: choose another id; what the upstream calls it can stay.",
        code="model_id_taken",
        param="id",
    )


def name_taken() -> NameTaken:
    return NameTaken("Another provider has this name already.", code="providername_taken", param="name")


def models_by_provider(rows: Sequence[ModelRow]) -> Mapping[str, list[ModelRow]]:
    """Grouped by the id of their provider."""
    found: dict[str, list[ModelRow]] = {}
    for row in rows:
        found.setdefault(row.provider_id, []).append(row)
    return found
