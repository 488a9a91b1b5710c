"""The chat on each kind of database: with a scripted provider, or as part of a whole site in the test's process."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest

from tako.chat.responses import Chat
from tako.core.accounts.principal import Principal
from tako.core.db import Database
from tests.conftest import config
from tests.support.chat import limits, opened, somebody
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


@pytest.fixture
def provider() -> Scripted:
    return Scripted()


@pytest.fixture
async def ann(db: Database) -> Principal:
    return await somebody(db)


@pytest.fixture
async def ben(db: Database) -> Principal:
    return await somebody(db)


@pytest.fixture
async def chat(db: Database, provider: Scripted) -> AsyncIterator[Chat]:
    """The chat's rules without the server around them."""
    async with opened(db, provider, limits(db)) as made:
        yield made
