"""`tako db copy`: the whole site is in the new database, or nothing is."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, text

from tako import copy, migrations, server  # noqa: F401 (which knows the tables of all apps)
from tako.core.db import Database, metadata
from tako.core.errors import Conflict, Misconfigured
from tests.conftest import Site
from tests.support.postgres import Postgres
from tests.support.upstream import Finish, Gate, Say, Upstream, answer

pytestmark = pytest.mark.slow


async def everything(url: str) -> dict[str, list[tuple[Any, ...]]]:
    async with Database(url) as db, db.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in await connection.execute(table.select())), key=repr)
            for table in metadata.sorted_tables
        }


async def test_a_site_goes_on_in_the_new_database(
    serve: Callable[..., Site], upstream: Upstream, postgres: Postgres, tmp_path: Path
) -> None:
    """Accounts, keys, conversations, and an answer in whose middle the old server was killed; and back again."""
    site = serve("lease = 0.5\n")
    await site.start()
    upstream.script = answer("the first")
    done = (await site.client.post("/v1/responses", json={"model": "scripted", "input": "hi"})).json()
    gate = Gate()
    upstream.script = [Say("half "), gate, Finish()]
    asked = {"model": "prefixing", "input": "go", "background": True}
    running = (await site.client.post("/v1/responses", json=asked)).json()
    await gate.reached.wait()
    while "half " not in (await site.client.get(f"/v1/responses/{running['id']}")).text:
        await asyncio.sleep(0.01)  # until it is shown, and thereby kept
    await site.server.kill()
    old, new = site.server.database_url, postgres.new_database()
    told: dict[str, int] = {}
    await copy.run(old, new, told.__setitem__)
    assert await everything(old) == await everything(new)
    assert told["responses"] == 2
    assert told["journal_entries"] > 0
    back = f"sqlite:///{tmp_path / 'back.db'}"
    await copy.run(new, back, told.__setitem__)
    assert await everything(back) == await everything(old)
    upstream.script = [Say("whole"), Finish()]
    grown = serve("lease = 0.5\n", TAKO_DATABASE_URL=new)
    grown.key = site.key
    await grown.start()
    assert (await grown.client.get(f"/v1/responses/{done['id']}")).json()["output"] == done["output"]
    ended = (await grown.client.get(f"/v1/responses/{running['id']}?stream=true")).text
    assert "half " in ended
    assert '"status":"completed"' in ended


@pytest.fixture
async def pair(tmp_path: Path, postgres: Postgres) -> tuple[str, str]:
    """A database with a message whose parent has a later id, and an empty one."""
    old = f"sqlite:///{tmp_path / 'old.db'}"
    await migrations.upgrade(old)
    tables = metadata.tables
    person = {"id": "user_1", "kind": "user", "created_at": 1}
    conversation = {"id": "conv_1", "principal_id": "user_1", "title": "题 🐙", "title_wanted": False, "version": 1}
    conversation |= {"metadata": {"b": [1.5, None], "a": "é"}, "created_at": 1, "updated_at": 2}
    message = {"conversation_id": "conv_1", "role": "user", "status": "completed", "created_at": 3}
    async with Database(old) as db, db.write() as connection:
        await connection.execute(insert(tables["principals"]).values(person))
        await connection.execute(insert(tables["conversations"]).values(conversation))
        for id, parent in (("msg_9", None), ("msg_1", "msg_9")):
            await connection.execute(insert(tables["messages"]).values(message | {"id": id, "parent_id": parent}))
    return old, postgres.new_database()


def nobody(table: str, rows: int) -> None:
    """Hears of each table."""


async def test_a_child_may_come_before_its_parent(pair: tuple[str, str]) -> None:
    await copy.run(*pair, nobody)
    assert await everything(pair[0]) == await everything(pair[1])


async def test_more_rows_than_fit_at_once(pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    old, _ = pair
    monkeypatch.setattr(copy, "BATCH", 3)
    async with Database(old) as db, db.write() as connection:
        for n in range(20):
            entry = {"log_id": f"log_{n % 2}", "n": n, "entry": bytes([n, 0])}
            await connection.execute(insert(metadata.tables["journal_entries"]).values(entry))
    await copy.run(*pair, nobody)
    assert await everything(pair[0]) == await everything(pair[1])


async def test_a_row_that_is_not_the_same_is_seen_and_nothing_is_kept(
    pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = copy._refer
    monkeypatch.setattr(copy, "_refer", lambda *_: original(_[0], [], *_[2:]))
    with pytest.raises(Conflict, match="messages is not the same in the target"):
        await copy.run(*pair, nobody)
    assert not any((await everything(pair[1])).values())


async def test_what_is_in_use_or_not_empty_is_refused(pair: tuple[str, str], tmp_path: Path) -> None:
    old, new = pair
    await migrations.upgrade(new)
    with psycopg.connect(new), pytest.raises(Conflict, match="1 other sessions"):
        await copy.run(old, new, nobody)
    await copy.run(old, new, nobody)
    with pytest.raises(Conflict, match="not empty"):
        await copy.run(old, new, nobody)
    with pytest.raises(Misconfigured, match="no database"):
        await copy.run(f"sqlite:///{tmp_path / 'none.db'}", new, nobody)
    with pytest.raises(Misconfigured, match="the same database"):
        await copy.run(new, new, nobody)


async def test_a_table_that_nobody_knows_is_not_left_behind(pair: tuple[str, str]) -> None:
    async with Database(pair[0]) as db, db.write() as connection:
        await connection.execute(text("CREATE TABLE notes (id int)"))
    with pytest.raises(Conflict, match="notes"):
        await copy.run(*pair, nobody)
