"""What only PostgreSQL's notifications need; the rest is in `test_bus.py`."""

import asyncio

import pytest

from tako.core import postgres_bus
from tako.core.db import parse_url
from tako.core.errors import Misconfigured
from tako.core.postgres_bus import PostgresBus, opened
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


async def test_a_pooler_that_shares_connections_is_found_out_at_start(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LISTEN on a connection that is somebody else's a moment later hears nothing, for ever and without a word."""
    monkeypatch.setattr(postgres_bus, "_PATIENCE", 0.3)

    async def unlistened(self: PostgresBus) -> None:
        self._hearing.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(PostgresBus, "hear", unlistened)
    with pytest.raises(Misconfigured, match="pooler"):
        async with opened(parse_url(url)):
            pass
