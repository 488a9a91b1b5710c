"""Fixtures of all tests. Databases, servers and clients are real; upstream models are scripted."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, settings

from tako import migrations
from tako.core.accounts import accounts, owner, passwords
from tako.core.db import Database
from tests.support import mariadb
from tests.support import valkey as valkey_servers
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres, running
from tests.support.process import Server
from tests.support.upstream import Upstream

# The first example pays for tables that are built once; on a busy machine that looks slow.
settings.register_profile("tako", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tako")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-rounds", type=int, default=4, help="How often the fault tests kill the server.")
    parser.addoption("--pictures", type=Path, default=None, help="Keep pictures of the page in this folder.")


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real hash takes a tenth of a second of all cores, which only `test_passwords` needs."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[valkey_servers.Valkey]:
    with valkey_servers.running() as server:
        yield server


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[valkey_servers.Cluster]:
    with valkey_servers.cluster_running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Mysqld]:
    with mariadb.running() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema, to be copied: migrations take longer than most tests."""
    file = tmp_path_factory.mktemp("template") / "tako.db"
    asyncio.run(migrations.upgrade(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """The address of a database with the schema, to be copied."""
    address = postgres.new_database()
    asyncio.run(migrations.upgrade(address))
    return address


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes databases of each kind with the schema and nothing in them."""
    if request.param == "sqlite":
        file: Path = request.getfixturevalue("sqlite_template")
        return lambda: f"sqlite:///{shutil.copy(file, tmp_path / f'{uuid.uuid4().hex}.db')}"
    server: Postgres = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("postgres_template")
    return lambda: server.new_database(template=template)


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """A database of each kind with the schema and nothing in it."""
    return new_database()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as database:
        yield database


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as scripted:
        yield scripted


def config(upstream: Upstream, extra: str = "") -> str:
    """A tako.toml with the scripted upstream as the only provider, once patient and once not."""
    return f"""
{extra}
[local]
enabled = false
[[providers]]
name = "scripted"
base_url = "{upstream.url}"
api_key = "upstream-key"
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
[[providers]]
name = "scripted-impatient"
base_url = "{upstream.url}"
api_key = "upstream-key"
first_token_timeout = 0.5
silence_timeout = 0.5
[[providers.models]]
id = "impatient"
"""


Serve = Callable[..., "Site"]


class Site:
    """A running server, with a client that has an API key."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.key = ""
        self.client = httpx.AsyncClient(verify=False)

    async def start(self) -> None:
        """Start the server (again)."""
        await self.server.start()
        if not self.key:
            self.key = await owner_with_a_key(self.server.database_url)
        await self.client.aclose()
        self.client = self.new_client(self.key)

    def new_client(self, key: str = "") -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.AsyncClient(
            base_url=self.server.url, headers=headers, timeout=60, trust_env=False, limits=limits, verify=False
        )


async def owner_with_a_key(
    database_url: str, email: str = "owner@example.org", scopes: Sequence[str] = ("chat",)
) -> str:
    """What `tako user create` and `tako token create` do, without two processes more. Returns the key."""
    async with Database(database_url) as db:
        user = await owner.create_user(db, email, "correct horse", admin=True)
        _, key = await accounts.create_key(db, user.id, "test", scopes, allowed=frozenset(scopes))
    return key


@asynccontextmanager
async def sites(folder: Path, upstream: Upstream, template: Path) -> AsyncIterator[Callable[..., Site]]:
    """Makes sites, and ends them."""
    made: list[Site] = []

    def make(extra: str = "", **environment: str) -> Site:
        own = folder / f"site-{len(made)}"
        own.mkdir()
        server = Server(own, config(upstream, extra), environment)
        server.data.mkdir(parents=True, mode=0o700)
        shutil.copy(template, server.data / "tako.db")
        made.append(Site(server))
        return made[-1]

    yield make
    for site in made:
        await site.client.aclose()
        await site.server.kill()


@pytest.fixture
async def serve(tmp_path: Path, upstream: Upstream, sqlite_template: Path) -> AsyncIterator[Callable[..., Site]]:
    """Makes sites: `await serve(extra_config).start()`; ends them after the test."""
    async with sites(tmp_path, upstream, sqlite_template) as make:
        yield make


@pytest.fixture
async def site(serve: Callable[..., Site]) -> Site:
    """A running site on SQLite."""
    made = serve()
    await made.start()
    return made
