"""The whole site inside the test's own process: what a test wants to slow, break or look at, it can reach."""

import contextlib
import socket
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from tako.core import ids
from tako.core.accounts import store, tokens
from tako.core.connection import Connection
from tako.server import Site, _opened
from tako.settings import Loaded, Settings


class Inside:
    """A running site. `client` has the key of `owner`; `new_person` makes clients of others."""

    def __init__(self, site: Site, url: str) -> None:
        self.site = site
        self.chat = site.chat
        self.db = site.db
        self.url = url
        self.address = ("127.0.0.1", int(url.rpartition(":")[2]))
        self.owner = ""
        self.client = httpx.AsyncClient(verify=False)
        self._clients: list[httpx.AsyncClient] = []

    async def new_person(
        self, *, scopes: str = "chat", daily_tokens: int | None = None
    ) -> tuple[str, httpx.AsyncClient]:
        """A user's id, and a client with a key of theirs."""
        key = tokens.new_key()
        async with self.db.write() as connection:
            user = await store.add_user(connection, f"{ids.new('u')}@example.org", "no password", admin=False)
            await store.add_key(connection, user.id, key, "test", scopes.split(), None)
        return user.id, self.new_client(authorization=f"Bearer {key}")

    async def new_session(self, user_id: str) -> httpx.AsyncClient:
        """A browser of theirs, signed in."""
        token = tokens.new_token()
        async with self.db.write() as connection:
            await store.add_session(connection, user_id, token, 1)
        return self.new_client(cookie=f"tako_session={token}", origin=self.url)

    def new_client(self, **headers: str) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        made = httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=60, trust_env=False, limits=limits, verify=False
        )
        self._clients.append(made)
        return made

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


@asynccontextmanager
async def inside(database_url: str, folder: Path, config: str, **settings: Any) -> AsyncIterator[Inside]:
    """Serve on a free port. `config` is a tako.toml."""
    table = tomllib.loads(config)
    given = {
        "data": folder,
        "database_url": database_url,
        **{**table, "providers": tuple(table["providers"]), "local": table["local"]},
        **settings,
    }
    sources = {known.name: "test" if known.name in given else "default" for known in fields(Settings)}
    async with _opened(Loaded(Settings(**given), sources)) as site:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            async with _listening(site, listener):
                running = Inside(site, f"http://127.0.0.1:{listener.getsockname()[1]}")
                running.owner, running.client = await running.new_person()
                try:
                    yield running
                finally:
                    await running.close()


@asynccontextmanager
async def _listening(site: Site, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        site,
        http=Connection,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield
    finally:
        site.wheel.stop()
        with contextlib.suppress(TimeoutError):
            await server.shutdown(sockets=[listener])
