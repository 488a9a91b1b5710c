"""Fixtures of all tests. Databases, servers and clients are real; upstream models are scripted."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tako import migrations
from tako.core.db import Database
from tests.support.postgres import Postgres, running
from tests.support.process import Server
from tests.support.upstream import Upstream

# The first example pays for tables that are built once; on a busy machine that looks slow.
settings.register_profile("tako", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tako")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-rounds", type=int, default=4, help="How often the fault tests kill the server.")
    parser.addoption("--pictures", type=Path, default=None, help="Keep pictures of the page in this folder.")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tako.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A database with the schema."""
    await migrations.upgrade(database_url)
    async with Database(database_url) as database:
        yield database


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as scripted:
        yield scripted


def config(upstream: Upstream, extra: str = "", patience: float = 1.0) -> str:
    """A tako.toml with the scripted upstream as the only provider, of which `patience` seconds of silence are borne."""
    return f"""
{extra}
[local]
enabled = false
[[providers]]
name = "scripted"
base_url = "{upstream.url}"
api_key = "upstream-key"
first_token_timeout = 2.0
silence_timeout = {patience}
[[providers.models]]
id = "scripted"
context_tokens = 100000
max_output_tokens = 50000
[[providers.models]]
id = "prefixing"
prefix = "assistant"
context_tokens = 100000
[[providers.models]]
id = "small"
context_tokens = 200
max_output_tokens = 50
"""


Serve = Callable[..., "Site"]


class Site:
    """A running server, with a client that has an API key."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.key = ""
        self.client = httpx.AsyncClient()

    async def start(self) -> None:
        """Start the server (again)."""
        await self.server.start()
        if not self.key:
            await self.server.tako("user", "create", "owner@example.org", "--admin", stdin="correct horse\n")
            self.key = await self.server.tako("token", "create", "owner@example.org")
        await self.client.aclose()
        self.client = self.new_client(self.key)

    def new_client(self, key: str = "") -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.AsyncClient(base_url=self.server.url, headers=headers, timeout=60, trust_env=False, limits=limits)


@pytest.fixture
async def serve(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Callable[..., Site]]:
    """Makes sites: `await serve(extra_config).start()`; ends them after the test."""
    made: list[Site] = []

    def make(extra: str = "", patience: float = 1.0, **environment: str) -> Site:
        folder = tmp_path / f"site-{len(made)}"
        folder.mkdir()
        made.append(Site(Server(folder, config(upstream, extra, patience), environment)))
        return made[-1]

    yield make
    for site in made:
        await site.client.aclose()
        await site.server.kill()


@pytest.fixture
async def site(serve: Callable[..., Site]) -> Site:
    """A running site on SQLite."""
    made = serve()
    await made.start()
    return made
