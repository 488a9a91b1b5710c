"""A chat in this process, on each kind of database, whose provider is the scripted upstream over HTTP."""

from collections.abc import AsyncIterator

import pytest

from tako.chat import app, responses
from tako.chat.app import ChatSettings
from tako.chat.owner import offers, providers
from tako.chat.owner.store import ModelRow, ProviderRow
from tako.chat.providers.openai import OpenAIProvider
from tako.chat.providers.settings import ModelSettings, ProviderSettings
from tako.chat.responses import Ask, Chat, InputItem, Limits
from tako.chat.store import Response
from tako.core.accounts import owner
from tako.core.accounts.principal import Principal, user_scopes
from tako.core.bus import Alone
from tako.core.db import Database
from tako.core.feed import Feed
from tako.core.journal import Journal
from tako.core.site.settings import Choices, SiteSettings
from tests.support.upstream import Upstream

KEY = "sk-upstream-0123456789abcdef"


@pytest.fixture
async def chat(db: Database, upstream: Upstream) -> AsyncIterator[Chat]:
    configured = OpenAIProvider(ProviderSettings("file", upstream.url, (ModelSettings("fixed"),)))
    site = SiteSettings(db, Choices("Tako", "invite", 0, None), {})
    settings = ChatSettings(Limits(100, 30, site), 0, 60.0)
    async with (
        Journal(db, interval=0.002) as journal,
        app.opened(db, Alone(), journal, Feed(), [configured], settings) as opened,
    ):
        yield opened


@pytest.fixture
async def admin(db: Database) -> Principal:
    return await person(db, "owner@example.org", admin=True)


async def person(db: Database, email: str, *, admin: bool = False) -> Principal:
    user = await owner.create_user(db, email, "correct horse", admin=admin)
    return Principal(user.id, "user", user_scopes(admin=admin), admin=admin)


async def added(chat: Chat, by: Principal, upstream: Upstream, *models: str, name: str = "page") -> ProviderRow:
    """A provider that leads to the scripted upstream, with these models."""
    row = await providers.add(chat, by, kind="custom", name=name, base_url=upstream.url, api_key=KEY)
    for model in models:
        await offers.add(chat, by, ModelRow(model, row.id, f"up/{model}", model.title(), 1000, 500))
    return row


async def ask(chat: Chat, principal: Principal, model: str) -> Response:
    return await responses.create(chat, principal, Ask(model, (InputItem("user", "hi"),), background=True))


async def ended(chat: Chat, principal: Principal, response: Response) -> Response:
    """The response, once it has ended."""
    if (log := chat.journal.find(response.id)) is not None:
        await log.wait_end()
    return await responses.find(chat, principal, response.id)
