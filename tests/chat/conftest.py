"""The chat on each kind of database: with a scripted provider, or as part of a whole site in the test's process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import insert

from tako.chat import app
from tako.chat.generation import Generation
from tako.chat.responses import Ask, Chat, InputItem, Limits
from tako.chat.store import Response
from tako.core import ids
from tako.core.accounts.models import principals
from tako.core.accounts.principal import Principal, user_scopes
from tako.core.db import Database, now
from tako.core.feed import Feed
from tako.core.journal import Journal
from tako.core.site.settings import Choices, SiteSettings
from tests.conftest import config
from tests.support.inside import Inside, inside
from tests.support.provider import Scripted
from tests.support.upstream import Upstream


class Open(Protocol):
    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[Inside]: ...


@pytest.fixture
def open_site(database_url: str, tmp_path: Path, upstream: Upstream) -> Open:
    """`async with open_site(daily_tokens=1000) as site`; again on the same database to start it anew."""

    def opened(**settings: Any) -> AbstractAsyncContextManager[Inside]:
        return inside(database_url, tmp_path, config(upstream), **settings)

    return opened


@pytest.fixture
async def site(open_site: Open) -> AsyncIterator[Inside]:
    """A running site with the usual settings."""
    async with open_site() as made:
        yield made


Opened = Callable[[], AbstractAsyncContextManager[Chat]]


@pytest.fixture
def provider() -> Scripted:
    return Scripted()


async def somebody(db: Database) -> Principal:
    """A person with an account."""
    principal = Principal(ids.new("user"), "user", user_scopes(admin=False))
    async with db.write() as connection:
        await connection.execute(insert(principals).values(id=principal.id, kind="user", created_at=now()))
    return principal


@pytest.fixture
async def ann(db: Database) -> Principal:
    return await somebody(db)


@pytest.fixture
async def ben(db: Database) -> Principal:
    return await somebody(db)


def limits(db: Database, *, title_model: str | None = None, daily_tokens: int = 0, patience: float = 30.0) -> Limits:
    own = SiteSettings(db, Choices("Kitchen", "open", daily_tokens, title_model), {})
    return Limits(max_running=100, response_days=30, site=own, title_patience=patience)


@pytest.fixture
async def chat(db: Database, provider: Scripted) -> AsyncIterator[Chat]:
    settings = app.ChatSettings(limits(db), upstream_retries=0, unstored_grace=60)
    async with Journal(db) as journal, app.opened(db, journal, Feed(), [provider], settings) as opened:
        yield opened


def question(text: str = "Why?", model: str = "plain") -> Ask:
    """What the page asks."""
    return Ask(model, (InputItem("user", text),) if text else (), background=True, drop_oldest=True)


async def ended(chat: Chat, response: Response) -> None:
    """Until that answer has ended."""
    if (log := chat.journal.find(response.id)) is not None:
        await log.wait_end()


async def shown(chat: Chat, response: Response, entries: int) -> None:
    """Until that many entries of its log may be seen."""
    log = chat.journal.find(response.id)
    assert log is not None
    await log.wait(entries - 1)


def generation(chat: Chat, response: Response) -> Generation:
    found = chat.generations.find(response.id)
    assert found is not None
    return found
