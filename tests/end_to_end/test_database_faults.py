"""The database goes away and comes back while answers are being made."""

import asyncio
from collections.abc import Callable

import psycopg
import pytest

from tests.conftest import Site
from tests.support.postgres import Postgres, cut_all_connections
from tests.support.sse import events, text_of
from tests.support.upstream import Finish, Gate, Say, Upstream

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("ending", [False, True])
async def test_an_answer_outlives_the_connections_to_its_database(
    serve: Callable[..., Site], upstream: Upstream, postgres: Postgres, *, ending: bool
) -> None:
    """In its middle, and when its end is what the database must take next."""
    url = postgres.new_database()
    site = serve(TAKO_DATABASE_URL=url)
    await site.start()
    gate = Gate()
    upstream.script = [Say("one "), gate, *([] if ending else [Say("two")]), Finish()]
    body = {"model": "scripted", "input": "hi", "stream": True, "background": True}
    watching = asyncio.create_task(site.client.post("/v1/responses", json=body))
    await gate.reached.wait()
    assert cut_all_connections(url) > 0
    gate.opened.set()
    seen = events((await watching).content)
    assert seen[-1].name == "response.completed"
    assert text_of(seen) == ("one " if ending else "one two")
    response_id = seen[0].data["response"]["id"]
    stored = await site.client.get(f"/v1/responses/{response_id}?stream=true")
    assert stored.content == (await watching).content.replace(b": hb\n", b"")  # a slow machine's silence
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (1,)
    assert (await site.client.get("/readyz")).status_code == 200
