"""A Tako to be measured: on SQLite or PostgreSQL, with Valkey or without, in one process or several.

All its own processes share core 0. PostgreSQL and Valkey are on core 1 with the load, as on another machine.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from tests.support import postgres, valkey

from bench.servers import SERVER_CORE, Process, Tree, free_port
from bench.target import SERVER, Target
from tako import migrations
from tako.core.accounts import store, tokens
from tako.core.db import Database

POSTGRES = "PostgreSQL"
VALKEY = "Valkey"
CONFIG = """
[local]
enabled = false
[[providers]]
name = "paced"
base_url = "http://127.0.0.1:{upstream}/v1"
first_token_timeout = 600.0
silence_timeout = 600.0
"""
MODEL = """
[[providers.models]]
id = "{model}"
context_tokens = {context}
max_output_tokens = {output}
"""
# As a site has them: the tests turn fsync off.
SETTINGS = {"fsync": "on", "max_connections": "200"}


@dataclass(frozen=True)
class Site:
    """A folder with the settings of a Tako, and a key for it. No server runs yet."""

    folder: Path
    database_url: str
    key: str

    @classmethod
    def made(cls, folder: Path, config: str, database_url: str | None = None) -> "Site":
        """With an account; on SQLite where no database is named."""
        (folder / "data").mkdir(parents=True)
        if database_url:
            config = f'database_url = "{database_url}"\n{config}'
        (folder / "tako.toml").write_text(config)
        url = database_url or f"sqlite:///{folder / 'data' / 'tako.db'}"
        with ThreadPoolExecutor(1) as beside:  # here a loop runs already
            return cls(folder, url, beside.submit(asyncio.run, _key(url)).result())

    @property
    def around(self) -> list[str]:
        return ["--data", str(self.folder / "data"), "--config", str(self.folder / "tako.toml")]

    @contextmanager
    def served(self, port: int) -> Iterator[Process]:
        process = Process(
            [sys.executable, "-m", "tako", "serve", "--port", str(port), *self.around], SERVER_CORE, self.folder
        )
        try:
            yield process
        finally:
            process.end()


async def _key(database_url: str) -> str:
    """Of a new account: what `tako user create` and `tako token create` do, without starting Python twice."""
    await migrations.upgrade(database_url)
    key = tokens.new_key()
    async with Database(database_url) as db, db.write() as connection:
        user = await store.add_user(connection, "bench@example.org", "no password", admin=True)
        await store.add_key(connection, user.id, key, "bench", ["chat"], None)
    return key


@dataclass(frozen=True)
class Stack:
    """A site that is served: one target for each of its processes, all counted together."""

    name: str
    site: Site
    targets: tuple[Target, ...]
    cache: valkey.Valkey | None = None

    @property
    def target(self) -> Target:
        """Its first process."""
        return self.targets[0]


@dataclass(frozen=True)
class Models:
    """What a site offers, and the port of the upstream that makes it."""

    upstream: int
    names: tuple[str, ...]
    context: int = 1_000_000
    output: int = 100_000

    def config(self) -> str:
        each = (MODEL.format(model=name, context=self.context, output=self.output) for name in self.names)
        return CONFIG.format(upstream=self.upstream) + "".join(each)


@contextmanager
def on_sqlite(folder: Path, models: Models) -> Iterator[Stack]:
    site = Site.made(folder / "sqlite", models.config())
    with _served("SQLite", site, 1, {}) as stack:
        yield stack


@contextmanager
def on_postgres(folder: Path, models: Models, *, processes: int = 1, with_valkey: bool = False) -> Iterator[Stack]:
    name = f"{POSTGRES} + {VALKEY}" if with_valkey else POSTGRES
    with ExitStack() as opened:
        server = opened.enter_context(postgres.running(SETTINGS))
        url = server.new_database()
        config = ""
        parts: dict[str, Tree] = {POSTGRES: Tree(server.pid)}
        cache = None
        if with_valkey:
            cache = opened.enter_context(valkey.running())
            parts[VALKEY] = Tree(cache.pid)
            config = f'valkey_url = "{cache.url}"\n'
        site = Site.made(folder / name.replace(" ", ""), config + models.config(), url)
        yield opened.enter_context(_served(name, site, processes, parts, cache))


@contextmanager
def _served(
    name: str,
    site: Site,
    processes: int,
    parts: Mapping[str, Tree],
    cache: valkey.Valkey | None = None,
) -> Iterator[Stack]:
    with ExitStack() as opened:
        ports = [free_port() for _ in range(processes)]
        each = [opened.enter_context(site.served(port)) for port in ports]
        own: Tree = each[0]
        for more in each[1:]:
            own += more
        around = {SERVER: own, **parts}
        for process, port in zip(each, ports, strict=True):
            process.listening(port)
        targets = tuple(Target(f"Tako, {name}", port, "/v1/responses", around, site.key) for port in ports)
        yield Stack(name, site, targets, cache)


@dataclass(frozen=True)
class Kept:
    """What a database on PostgreSQL has written (WAL, in bytes; commits) and takes (in bytes)."""

    wal: int
    commits: int
    size: int

    @classmethod
    def now(cls, url: str) -> "Kept":
        with psycopg.connect(url) as connection:
            connection.execute("SELECT pg_stat_clear_snapshot()")
            row = connection.execute(
                "SELECT pg_current_wal_lsn() - '0/0', xact_commit, pg_database_size(datname) FROM pg_stat_database"
                " WHERE datname = current_database()"
            ).fetchone()
        assert row is not None
        return cls(*(int(value) for value in row))


def compact(url: str) -> None:
    """Give back whatever rows of the past take, so that a size is that of what is kept."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM FULL")


def traffic(cache: valkey.Valkey) -> int:
    """Bytes that a Valkey has received and sent."""
    stats = cache("INFO", "stats")
    assert isinstance(stats, bytes)
    values = dict(line.split(":", 1) for line in stats.decode().split("\r\n") if ":" in line)
    return int(values["total_net_input_bytes"]) + int(values["total_net_output_bytes"])
