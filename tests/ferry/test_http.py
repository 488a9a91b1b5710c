"""A migration as the server shows it to the owner: real servers, `tako ferry` and `tako serve` in a row."""

import asyncio
import contextlib
import functools
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tako.core.accounts import store
from tests.conftest import Serve, Site, owner_with_a_key
from tests.ferry.edge import database
from tests.support.ferry import Ferry
from tests.support.inside import Inside, inside
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

MOVER, SECRET = "mover", "octopus-ink-7"
ROWS = 6000
SITE = f"""
CREATE TABLE users (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(50) NOT NULL);
CREATE TABLE posts (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, body varchar(200) NOT NULL);
INSERT INTO users (name) VALUES ('ann'), ('bob');
INSERT INTO posts (body) SELECT CONCAT('post ', seq, REPEAT('.', 150)) FROM seq_1_to_{ROWS};
ANALYZE TABLE posts;
"""
# Pieces that are small, and a pause after each: the copy takes two seconds, and is seen on its way.
RULES = "[target]\nschema = 'site'\n[copy]\nchunk_bytes = 65536\nmax_mb_per_s = 0.5\n"


@pytest.fixture
def source(mariadb_server: Mysqld) -> Iterator[str]:
    """The address of a site's database, with a password in it."""
    name = mariadb_server.new_database()
    with contextlib.closing(database.connect(mariadb_server, name)) as connection:
        database.run(connection, SITE)
        for host in ("127.0.0.1", "localhost"):
            database.run(connection, f"CREATE USER IF NOT EXISTS '{MOVER}'@'{host}' IDENTIFIED BY '{SECRET}'")
            database.run(connection, f"GRANT ALL ON *.* TO '{MOVER}'@'{host}'")
    yield f"mysql://{MOVER}:{SECRET}@127.0.0.1:{mariadb_server.port}/{name}"
    with contextlib.closing(mariadb_server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL read_only = OFF")


@pytest.fixture
def ferry(tmp_path: Path, source: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Ferry:
    """From an address with a password to one with a password."""
    monkeypatch.setenv("TAKO_FERRY_SOURCE_PASSWORD", SECRET)
    return Ferry(tmp_path, source, postgres.new_database().replace("postgres@", f"postgres:{SECRET}@"), RULES)


@pytest.fixture
async def watched(serve: Serve, tmp_path: Path) -> Site:
    """A site that shows the migration of plan.json in `tmp_path`, and its owner's key."""
    site = serve(f'ferry_plan = "{tmp_path / "plan.json"}"', TAKO_FERRY_TARGET_PASSWORD=SECRET)
    site.key = await owner_with_a_key(site.server.database_url, scopes=("admin",))
    await site.start()
    return site


async def seen(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/owner/ferry")
    assert answer.status_code == 200, answer.text
    assert SECRET not in answer.text
    found: dict[str, Any] = answer.json()
    return found


Until = Callable[[Callable[[dict[str, Any]], Any]], Awaitable[dict[str, Any]]]


@contextlib.asynccontextmanager
async def watching(client: httpx.AsyncClient) -> AsyncIterator[Until]:
    """Reads when a hint comes and at no other time, until what was read is so."""
    async with client.stream("GET", "/api/owner/ferry/feed") as stream:
        assert stream.status_code == 200
        lines = stream.aiter_lines()

        async def until(so: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
            async with asyncio.timeout(60):
                async for line in lines:
                    if line.startswith("event:") and so(found := await seen(client)):
                        return found
            raise AssertionError("the feed ended")

        yield until


def stage(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda found: bool(found["status"] and found["status"]["stage"] == name)


def lasting(found: dict[str, Any]) -> dict[str, Any]:
    """What does not change while nothing happens."""
    status = json.loads(json.dumps(found["status"]))
    for passing in ("lag", "rows_per_s"):
        status["stream"].pop(passing)
    status.pop("copied_per_s")
    return {"plan": found["plan"], "status": status}


async def test_a_migration_is_watched_from_its_plan_to_its_end(watched: Site, ferry: Ferry) -> None:
    """Hints alone tell when to read: progress, lag, what is in the way and the end are there without asking again, and
    after a restart of the server."""
    assert (await seen(watched.client))["problem"]["code"] == "plan_unreadable"
    (await asyncio.to_thread(ferry.plan)).well()
    planned = await seen(watched.client)
    assert (planned["problem"], planned["status"]["stage"], planned["status"]["tables"]) == (None, "planned", [])
    assert (planned["plan"]["source_server"], planned["plan"]["target_schema"]) == ("mariadb", "site")

    with ferry.start("run", ferry.source, ferry.target, "--json") as process:
        try:
            async with watching(watched.client) as until:

                def is_on_its_way(found: dict[str, Any]) -> bool:
                    tables = {table["table"]: table for table in found["status"]["tables"]}
                    return bool(tables) and 0 < tables["posts"]["rows"] < ROWS and found["status"]["working"]

                on_its_way = await until(is_on_its_way)
                assert on_its_way["status"]["stage"] == "copying"
                assert on_its_way["status"]["copied_per_s"] > 0
                followed = await until(
                    lambda found: stage("following")(found) and found["status"]["stream"]["lag"] is not None
                )
                assert all(table["copied"] for table in followed["status"]["tables"])
                assert sum(table["rows"] for table in followed["status"]["tables"]) == ROWS + 2
                (only,) = (await until(lambda found: [b["check"] for b in in_the_way(found)] == ["verified"]))[
                    "status"
                ]["stream"]["blockers"]
                assert only["command"] == f"tako ferry verify --live {ferry.folder / 'plan.json'}"
                before = lasting(await seen(watched.client))
                await watched.server.kill()
            await watched.start()
            assert lasting(await seen(watched.client)) == before

            async with watching(watched.client) as until:
                (await asyncio.to_thread(ferry.verify, "--live")).well()
                await until(stage("ready"))
                (await asyncio.to_thread(ferry.run, "cutover")).well()
                done = await until(stage("done"))
            assert await asyncio.to_thread(process.wait, 30) == 0
        finally:
            process.send_signal(signal.SIGKILL)
    assert done["status"]["stream"]["blockers"] == []
    assert {"fence", "drain", "switch"} <= {step["step"] for step in done["status"]["stream"]["cutover"]}
    assert 0 < done["status"]["stream"]["unwritable"] < 30
    assert SECRET not in watched.server.log()
    assert SECRET not in await watched.server.tako("config")


def in_the_way(found: dict[str, Any]) -> list[dict[str, Any]]:
    return found["status"]["stream"]["blockers"] if found["status"] and found["status"]["stream"] else []


@pytest.fixture
def open_site(tmp_path: Path, sqlite_template: Path) -> Callable[..., AbstractAsyncContextManager[Inside]]:
    """Opens sites in this process, with settings."""
    file = shutil.copy(sqlite_template, tmp_path / "tako.db")
    return functools.partial(inside, f"sqlite:///{file}", tmp_path, "providers = []\n[local]\nenabled = false")


async def an_admin(site: Inside) -> httpx.AsyncClient:
    user_id, _ = await site.new_person()
    async with site.db.write() as connection:
        await store.update_user(connection, user_id, admin=True)
    return await site.new_session(user_id)


PATHS = ("/api/owner/ferry", "/api/owner/ferry/feed")


async def test_it_is_for_admins_alone(open_site: Callable[..., AbstractAsyncContextManager[Inside]]) -> None:
    """As all of the owner's page; visitors are asked to sign in."""
    async with open_site(ferry_plan=Path("plan.json")) as site:
        _, reader = await site.new_person()
        admin = await an_admin(site)
        for path in PATHS:
            assert (await reader.get(path)).status_code == 403
            assert (await site.new_client().get(path)).status_code == 401
        assert (await admin.get("/api/owner/ferry")).status_code == 200
        assert (await admin.get("/api/owner/site")).json()["places"] == ["ferry"]


async def test_without_the_setting_there_is_no_such_place(
    open_site: Callable[..., AbstractAsyncContextManager[Inside]],
) -> None:
    """Nor does a site that shows no migration wait for its drivers."""
    async with open_site() as site:
        admin = await an_admin(site)
        for path in PATHS:
            assert (await admin.get(path)).status_code == 404
        assert (await admin.get("/api/owner/site")).json()["places"] == []
        assert not set(PATHS) & (await admin.get("/openapi.json")).json()["paths"].keys()
    loaded = "import sys, tako.server; print([name for name in sys.modules if name.startswith('tako.ferry')])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", loaded, stdout=asyncio.subprocess.PIPE)
    assert (await process.communicate())[0] == b"[]\n"
