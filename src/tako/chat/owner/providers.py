"""Upstreams that are added, changed and removed while the site runs.

An admin may name any address, also one on loopback or in a private network: that is where Ollama and other own
servers listen. So an admin can make this server connect to what only this server can reach; nobody else can.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import structlog

from tako.chat.catalog import Catalog
from tako.chat.owner import store
from tako.chat.owner.presets import preset
from tako.chat.owner.store import ModelRow, ProviderRow
from tako.chat.providers.base import Provider
from tako.chat.providers.openai import OpenAIProvider
from tako.chat.providers.settings import ModelSettings, ProviderSettings
from tako.chat.responses import Chat
from tako.core import ids, names
from tako.core.accounts import store as accounts
from tako.core.accounts.principal import Principal, authorize
from tako.core.bus import MODELS
from tako.core.db import Database
from tako.core.errors import Invalid

_log = structlog.get_logger("tako.providers")

_KEY = re.compile(r"[\x21-\x7e]{1,500}\Z")
_UNFIT_FOR_A_URL = re.compile(r"[^\x21-\x7e]")


async def load(db: Database, catalog: Catalog) -> None:
    """Offer what is stored. A provider that did not change is kept with its connections; one that changed or went
    closes itself after its last answer."""
    async with catalog.changing:
        async with db.read() as connection:
            rows = await store.list_providers(connection)
            models = store.models_by_provider(await store.list_models(connection))
            terms = await store.terms(connection)
        kept = {provider.settings: provider for provider in catalog.added if isinstance(provider, OpenAIProvider)}
        wanted = [settings_of(row, models.get(row.id, ())) for row in rows]
        added = [kept.pop(settings) if settings in kept else OpenAIProvider(settings) for settings in wanted]
        catalog.offer(added, terms)
        for provider in kept.values():
            await provider.retire()


async def changed(chat: Chat) -> None:
    """Offer what is stored now, here and in the other processes."""
    await load(chat.db, chat.catalog)
    chat.usher.look()
    chat.bus.tell(MODELS, "changed")


def fixed(provider: Provider) -> str:
    """Where a configured provider is set."""
    return "tako.toml" if isinstance(provider, OpenAIProvider) else "built in"


def settings_of(row: ProviderRow, models: Sequence[ModelRow]) -> ProviderSettings:
    """The same as a `[[providers]]` table would give."""
    return ProviderSettings(
        name=row.name,
        base_url=row.base_url,
        api_key=row.api_key,
        limit_field=preset(row.kind).limit_field,
        models=tuple(
            ModelSettings(
                id=model.id,
                name=model.name,
                upstream_model=model.upstream_model,
                context_tokens=model.context_tokens,
                max_output_tokens=model.max_output_tokens,
                slots=model.slots,
            )
            for model in models
        ),
    )


async def add(
    chat: Chat, by: Principal, *, kind: str, name: str, base_url: str, api_key: str | None = None
) -> ProviderRow:
    """A provider, without models as yet. Raises `Denied`, `Invalid`, `NameTaken`."""
    authorize(by, "admin")
    row = ProviderRow(ids.new("prov"), _free(chat, name), kind, normal_url(base_url), normal_key(api_key))
    async with chat.db.write() as connection:
        await accounts.hold_admin(connection, by.id)
        await store.add_provider(connection, row)
    _log.info("provider_added", provider=row.id, by=by.id)
    await changed(chat)
    return row


async def change(chat: Chat, by: Principal, provider_id: str, changes: Mapping[str, str | None]) -> ProviderRow:
    """Set `name`, `base_url`, `api_key` (None: no key). Raises `Denied`, `Invalid`, `NameTaken`, `NotFound`.

    A key goes only where it was meant to go: with another host the key has to be given again. Otherwise whoever got
    hold of an admin's session could have it sent to themselves, though it is never shown.
    """
    authorize(by, "admin")
    async with chat.db.write() as connection:
        await accounts.hold_admin(connection, by.id)
        row = await store.provider(connection, provider_id, lock=True)
        values: dict[str, str | None] = {}
        if (name := changes.get("name")) is not None and name != row.name:
            values["name"] = _free(chat, name)
        if (base_url := changes.get("base_url")) is not None:
            values["base_url"] = normal_url(base_url)
        if "api_key" in changes:
            values["api_key"] = normal_key(changes["api_key"])
        moved = "base_url" in values and _host(str(values["base_url"])) != _host(row.base_url)
        if moved and row.api_key is not None and "api_key" not in values:
            raise Invalid(
                "This is another host: enter its API key too (or none); the stored one is not sent there.",
                code="key_needed",
                param="api_key",
            )
        if values:
            await store.update_provider(connection, row.id, **values)
        row = await store.provider(connection, row.id)
    _log.info("provider_changed", provider=row.id, by=by.id)
    await changed(chat)
    return row


async def remove(chat: Chat, by: Principal, provider_id: str) -> None:
    """With its models; what they answer now goes on to its end. Raises `Denied`, `NotFound`."""
    authorize(by, "admin")
    async with chat.db.write() as connection:
        await accounts.hold_admin(connection, by.id)
        await store.provider(connection, provider_id, lock=True)
        await store.remove_provider(connection, provider_id)
    _log.info("provider_removed", provider=provider_id, by=by.id)
    await changed(chat)


def normal_url(text: str) -> str:
    """The address without a slash at its end. Raises `Invalid` for all that is no plain http(s) address."""
    text = text.strip()
    why = _what_is_wrong(text)
    if why is not None:
        raise Invalid(
            f"The address {why}. It must look like https://api.example.com/v1.", code="invalid_url", param="base_url"
        )
    return text.rstrip("/")


def _what_is_wrong(url: str) -> str | None:
    if not 1 <= len(url) <= 500:
        return "needs 1 to 500 characters"
    if _UNFIT_FOR_A_URL.search(url) or "\\" in url:
        return "holds a character that addresses have not"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "cannot be read"
    if parts.scheme not in ("http", "https"):
        return "must begin with http:// or https://"
    if not parts.hostname or port == 0:
        return "names no host"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password (the key has a field of its own)"
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return "must not go on after a ? or #"
    return None


def normal_key(key: str | None) -> str | None:
    """Trimmed; nothing is None. Raises `Invalid` for what cannot stand in a header."""
    key = (key or "").strip()
    if not key:
        return None
    if not _KEY.match(key):
        raise Invalid(
            "An API key has at most 500 characters, on one line, without spaces.", code="invalid_key", param="api_key"
        )
    return key


def hint(key: str | None) -> str | None:
    """Enough of a key to tell it from others."""
    if key is None:
        return None
    return f"…{key[-4:]}" if len(key) >= 12 else "…"


def _host(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _free(chat: Chat, name: str) -> str:
    """A name that no provider of tako.toml has; of the others the table keeps it unique."""
    name = names.normal(name, "name", most=100)
    if any(provider.name == name for provider in chat.catalog.configured):
        raise store.name_taken()
    return name
