"""Models that are added, described, ordered, restricted and removed while the site runs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat.catalog import Offer
from tako.chat.owner import store
from tako.chat.owner.providers import changed, fixed
from tako.chat.owner.store import ModelRow
from tako.chat.responses import Chat
from tako.core import names
from tako.core.accounts import store as accounts
from tako.core.accounts.principal import Principal, authorize
from tako.core.errors import Conflict, Invalid, NotFound

_log = structlog.get_logger("tako.models")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,99}\Z")
LEAST_CONTEXT = 256
MOST_CONTEXT = 100_000_000
MOST_SLOTS = 10_000
_TERMS = ("enabled", "admins_only")


class FixedModel(Conflict):
    """It is described in tako.toml, or built in."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A model as an owner sees it; `row` is None for what is `fixed` elsewhere."""

    offer: Offer
    row: ModelRow | None
    fixed: str | None


async def list_all(chat: Chat) -> list[Seen]:
    """All models in the owner's order, whoever may use them."""
    async with chat.db.read() as connection:
        rows = {row.id: row for row in await store.list_models(connection)}
    return [
        Seen(offer, None, fixed(offer.provider))
        if offer.provider in chat.catalog.configured
        else Seen(offer, rows.get(offer.model.id), None)
        for offer in chat.catalog.offers()
    ]


async def find(chat: Chat, model_id: str) -> Seen:
    """Raises `NotFound`."""
    for seen in await list_all(chat):
        if seen.offer.model.id == model_id:
            return seen
    raise no_model(model_id)


async def add(chat: Chat, by: Principal, row: ModelRow) -> None:
    """Offer one more model of a provider, to everybody. Raises `Denied`, `Invalid`, `NotFound`, `ModelIdTaken`."""
    authorize(by, "admin")
    row = checked(row)
    async with chat.db.write() as connection:
        await accounts.hold_admin(connection, by.id)
        await store.provider(connection, row.provider_id, lock=True)
        if _is_fixed(chat, row.id):
            raise store.id_taken(row.id)
        await store.add_model(connection, row)
    _log.info("model_added", model=row.id, by=by.id)
    await changed(chat)


async def change(chat: Chat, by: Principal, model_id: str, changes: Mapping[str, Any]) -> None:
    """Set `enabled` or `admins_only` of any model, and what describes it of one that was added here.

    Raises `Denied`, `Invalid`, `FixedModel`, `NotFound`.
    """
    authorize(by, "admin")
    terms = {key: value for key, value in changes.items() if key in _TERMS}
    described = {key: value for key, value in changes.items() if key not in _TERMS}
    async with chat.db.write() as connection:
        await accounts.hold_admin(connection, by.id)
        if described or not _is_fixed(chat, model_id):
            row = await _added(connection, chat, model_id)
            new = checked(ModelRow(**{**asdict(row), **described}))
            await store.update_model(connection, model_id, **{key: getattr(new, key) for key in described})
        if terms:
            await store.offer(connection, model_id, **terms)
    _log.info("model_changed", model=model_id, by=by.id, changes=sorted(changes))
    await changed(chat)


async def remove(chat: Chat, by: Principal, model_id: str) -> None:
    """What it answers now goes on to its end. Raises `Denied`, `FixedModel`, `NotFound`."""
    authorize(by, "admin")
    async with chat.db.write() as connection:
        await accounts.hold_admin(connection, by.id)
        await _added(connection, chat, model_id)
        await store.remove_model(connection, model_id)
    _log.info("model_removed", model=model_id, by=by.id)
    await changed(chat)


async def order(chat: Chat, by: Principal, model_ids: Sequence[str]) -> None:
    """These come first, in this order; those that are not named follow in the order that they had.

    So a model that somebody else has just added is not lost. Raises `Denied`, `Invalid`, `NotFound`.
    """
    authorize(by, "admin")
    if len(set(model_ids)) != len(model_ids):
        raise Invalid("A model stands in the order twice.", code="invalid_value", param="ids")
    async with chat.db.write() as connection:
        await accounts.hold_admin(connection, by.id)
        known = [offer.model.id for offer in chat.catalog.offers()]
        for model_id in model_ids:
            if model_id not in known:
                raise no_model(model_id)
        await store.order(connection, [*model_ids, *(model_id for model_id in known if model_id not in model_ids)])
    await changed(chat)


def checked(row: ModelRow) -> ModelRow:
    """Raises `Invalid` for what no model can be."""
    if not _ID.match(row.id):
        raise Invalid(
            "A model's id has 1 to 100 letters, digits and . _ : / @ + -, and begins with a letter or digit.",
            code="invalid_value",
            param="id",
        )
    if not LEAST_CONTEXT <= row.context_tokens <= MOST_CONTEXT:
        raise Invalid(
            f"context_tokens must be from {LEAST_CONTEXT} to {MOST_CONTEXT}.",
            code="invalid_value",
            param="context_tokens",
        )
    if not 1 <= row.max_output_tokens <= row.context_tokens:
        raise Invalid(
            "max_output_tokens must be from 1 to context_tokens.", code="invalid_value", param="max_output_tokens"
        )
    if not 0 <= row.slots <= MOST_SLOTS:
        raise Invalid(f"slots must be from 0 to {MOST_SLOTS}.", code="invalid_value", param="slots")
    return ModelRow(
        id=row.id,
        provider_id=row.provider_id,
        upstream_model=names.normal(row.upstream_model, "upstream_model", most=200),
        name=names.normal(row.name, "name", most=100),
        context_tokens=row.context_tokens,
        max_output_tokens=row.max_output_tokens,
        slots=row.slots,
    )


def no_model(model_id: str) -> NotFound:
    return NotFound(f"There is no model {model_id[:100]!r} here.", code="model_not_found", param="model")


def _is_fixed(chat: Chat, model_id: str) -> bool:
    return any(model.id == model_id for provider in chat.catalog.configured for model in provider.models())


async def _added(connection: AsyncConnection, chat: Chat, model_id: str) -> ModelRow:
    """Raises `FixedModel`, `NotFound`."""
    if _is_fixed(chat, model_id):
        raise FixedModel(
            f"The model {model_id!r} is set in tako.toml or built in: change it there and restart. Here it can be "
            "restricted, switched off and moved.",
            code="fixed_model",
        )
    for row in await store.list_models(connection):
        if row.id == model_id:
            return row
    raise no_model(model_id)
