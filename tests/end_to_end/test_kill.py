"""kill -9 of a real server at random points of its answers, on both databases."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import Site
from tests.support.sse import Event, events, follow
from tests.support.story import problems_of_a_reader, problems_of_the_stored
from tests.support.upstream import Finish, Pause, Say, Step, Upstream, words

pytestmark = [pytest.mark.slow, pytest.mark.faults]


async def watch(site: Site, seen: list[Event], response_id: str | None, model: str) -> None:
    """Keep everything that arrives until the connection breaks. Without an id it asks."""
    body = {"model": model, "input": "hi", "stream": True, "background": True}
    request = (
        site.client.stream("POST", "/v1/responses", json=body)
        if response_id is None
        else site.client.stream("GET", f"/v1/responses/{response_id}?stream=true")
    )
    try:
        async with request as response:
            async for event in follow(response):
                seen.append(event)
    except httpx.TransportError:
        return


async def rest_of(site: Site, response_id: str, seen: list[Event]) -> bytes:
    """What the reader has, and what it gets from its cursor on."""
    query = f"&starting_after={seen[-1].id}" if seen else ""
    response = await site.client.get(f"/v1/responses/{response_id}?stream=true{query}")
    return b"".join(event.raw + b"\n\n" for event in seen) + response.content


@pytest.mark.parametrize("model", ["scripted", "prefixing"])
async def test_a_killed_server_loses_nothing_that_was_shown_and_goes_on_where_it_can(
    request: pytest.FixtureRequest,
    new_database: Callable[[], str],
    serve: Callable[..., Site],
    upstream: Upstream,
    model: str,
) -> None:
    """One that can continue a prefix ends with the whole text, byte for byte; any other is closed with what it had."""
    source = random.Random(f"{model} 20261126")
    site = serve("upstream_retries = 0\nlease = 1.5", TAKO_DATABASE_URL=new_database())
    await site.start()
    for seed in range(max(1, request.config.getoption("--fault-rounds") // 2)):
        said = "".join(words(seed, 150))

        def script(body: dict[str, Any], said: str = said) -> list[Step]:
            last = body["messages"][-1]
            begun = len(last["content"]) if last["role"] == "assistant" else 0
            pieces = [said[n : n + 5] for n in range(begun, len(said), 5)]
            return [*(step for piece in pieces for step in (Say(piece), Pause(0.002))), Finish()]

        upstream.script = script
        first: list[Event] = []
        asking = asyncio.create_task(watch(site, first, None, model))
        while not first:
            await asyncio.sleep(0.01)
        response_id = first[0].data["response"]["id"]
        await asyncio.sleep(source.uniform(0, 0.4))
        second: list[Event] = []
        joining = asyncio.create_task(watch(site, second, response_id, model))
        await asyncio.sleep(source.uniform(0, 0.2))
        await site.server.kill()
        await asyncio.gather(asking, joining)
        await site.start()
        whole = [await rest_of(site, response_id, seen) for seen in (first, second)]
        stored = (await site.client.get(f"/v1/responses/{response_id}?stream=true")).content
        assert problems_of_the_stored(stored, said) == []
        for reader in whole:
            assert problems_of_a_reader(reader, stored) == []
        final = events(stored)[-1].data["response"]
        assert final["status"] in (("completed",) if model == "prefixing" else ("completed", "incomplete"))
