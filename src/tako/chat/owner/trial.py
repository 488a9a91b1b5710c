"""Trying an upstream out before users do: one short answer, or its list of models."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from tako.chat.owner import store
from tako.chat.owner.offers import no_model
from tako.chat.owner.presets import Kind, preset
from tako.chat.owner.providers import normal_key, normal_url, settings_of
from tako.chat.owner.store import ProviderRow
from tako.chat.providers.base import Finish, Prompt, Provider, Reasoning, Text, Turn, UpstreamError
from tako.chat.providers.openai import Offered, OpenAIProvider
from tako.chat.providers.settings import ModelSettings
from tako.chat.responses import Chat
from tako.core import names
from tako.core.errors import Invalid

QUESTION = "Reply with the single word: hello"
# Tokens: a model that reasons first needs some before its first word.
LONGEST_ANSWER = 64
# Seconds: a local model may have to be loaded from disk.
PATIENCE = 60.0
LIST_PATIENCE = 15.0
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Draft:
    """A provider that is stored, or an address that is not yet: one of `provider_id` and `base_url` is set."""

    provider_id: str | None
    kind: Kind
    base_url: str | None
    api_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trial:
    """`latency_ms` is the time to the first word, or thought; `text` is how the answer begins."""

    latency_ms: int
    text: str


async def run(chat: Chat, draft: Draft, model_id: str | None, upstream_model: str | None) -> Trial:
    """Ask a model that is offered, or what `draft` calls `upstream_model`.

    Raises `UpstreamError`, `Invalid`, `NotFound`.
    """
    if model_id is not None:
        found = chat.catalog.get(model_id)
        if found is None:
            raise no_model(model_id)
        return await ask(found[1], model_id)
    name = names.normal(upstream_model or "", "upstream_model", most=200)
    async with _upstream(chat, draft, ModelSettings(name)) as provider:
        return await ask(provider, name)


async def ask(provider: Provider, model_id: str, *, patience: float = PATIENCE) -> Trial:
    """One short answer. Raises `UpstreamError` that says in plain words what is the matter."""
    started = time.monotonic()
    first: float | None = None
    texts: list[str] = []
    prompt = Prompt(model_id, [Turn("user", QUESTION)], LONGEST_ANSWER)
    stream = provider.stream(prompt)
    try:
        async with asyncio.timeout(patience):
            async for pieces in stream:
                for piece in pieces:
                    if isinstance(piece, Text | Reasoning | Finish) and first is None:
                        first = time.monotonic()
                    if isinstance(piece, Text):
                        texts.append(piece.text)
                if sum(map(len, texts)) > _SHOWN:
                    break  # it does not keep to our limit, and need not go on
    except TimeoutError:
        if first is None:
            raise UpstreamError(
                f"The provider {provider.name!r} sent no token within {patience:g} seconds.", code="upstream_timeout"
            ) from None
    finally:
        await stream.aclose()  # type: ignore[attr-defined]  # every provider is an async generator
    return Trial(round(((first or time.monotonic()) - started) * 1000), "".join(texts).strip()[:_SHOWN])


async def offered(chat: Chat, draft: Draft) -> list[Offered]:
    """What the upstream says that it offers. Raises `UpstreamError`, `Invalid`, `NotFound`."""
    async with _upstream(chat, draft) as provider:
        try:
            async with asyncio.timeout(LIST_PATIENCE):
                return await provider.offered()
        except TimeoutError:
            raise UpstreamError(
                f"The provider {provider.name!r} sent no list of models within {LIST_PATIENCE:g} seconds.",
                code="upstream_timeout",
            ) from None


@asynccontextmanager
async def _upstream(chat: Chat, draft: Draft, *models: ModelSettings) -> AsyncIterator[OpenAIProvider]:
    """Connections of its own, for a moment. A stored key goes to its stored address only, never to a drafted one."""
    if (draft.provider_id is None) == (draft.base_url is None):
        raise Invalid("Name either provider_id or base_url.", code="invalid_value", param="base_url")
    if draft.provider_id is not None:
        async with chat.db.read() as connection:
            row = await store.provider(connection, draft.provider_id)
    else:
        url, key = normal_url(draft.base_url or ""), normal_key(draft.api_key)
        row = ProviderRow("", preset(draft.kind).name, draft.kind, url, key)
    provider = OpenAIProvider(replace(settings_of(row, ()), models=models))
    try:
        yield provider
    finally:
        await provider.close()
