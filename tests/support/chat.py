"""The chat's rules inside the process, without the server around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import insert

from tako.chat import app
from tako.chat.responses import Ask, Chat, InputItem, Limits
from tako.chat.store import Response
from tako.chat.watch import Watch
from tako.core import ids
from tako.core.accounts.models import principals
from tako.core.accounts.principal import Principal, user_scopes
from tako.core.bus import Alone
from tako.core.db import Database, now
from tako.core.feed import Feed
from tako.core.journal import Journal
from tako.core.site.settings import Choices, SiteSettings
from tests.support.provider import Scripted

# How long a process of PostgreSQL counts as alive without a sign of it, in seconds.
LEASE = 0.5


async def somebody(db: Database) -> Principal:
    """A person with an account."""
    principal = Principal(ids.new("user"), "user", user_scopes(admin=False))
    async with db.write() as connection:
        await connection.execute(insert(principals).values(id=principal.id, kind="user", created_at=now()))
    return principal


def limits(db: Database, *, title_model: str | None = None, daily_tokens: int = 0, patience: float = 30.0) -> Limits:
    own = SiteSettings(db, Choices("Kitchen", "open", daily_tokens, title_model), {})
    return Limits(max_running=100, response_days=30, site=own, title_patience=patience)


@asynccontextmanager
async def opened(db: Database, provider: Scripted, of: Limits, watch: Watch | None = None) -> AsyncIterator[Chat]:
    """A chat that asks that provider; opened again on the same database it is a new start."""
    settings = app.ChatSettings(of, upstream_retries=0, unstored_grace=60)
    async with (
        Journal(db, lease=LEASE, every=LEASE / 5, watch=watch) as journal,
        app.opened(db, Alone(), journal, Feed(), [provider], settings, watch) as chat,
    ):
        yield chat


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
