"""The whole site in the test's process, on each kind of database."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.conftest import config
from tests.support.inside import Inside, inside
from tests.support.upstream import Upstream


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """A database of each kind with the schema and nothing in it."""
    return new_database()


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
