"""Several real processes on one PostgreSQL: whichever one is asked, and whichever one dies, it is one site."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable

import httpx
import psycopg
import pytest

from tests.conftest import Site
from tests.support.postgres import Postgres
from tests.support.sse import Event, events, follow, text_of
from tests.support.story import problems_of_a_reader, problems_of_the_stored
from tests.support.upstream import Finish, Gate, Pause, Say, Step, Upstream, answer, words
from tests.support.valkey import running as valkey_running

pytestmark = pytest.mark.slow

LEASE = 1.5


class Sites:
    """The processes of one site, which share an owner's key."""

    def __init__(self, serve: Callable[..., Site], url: str) -> None:
        self.url = url
        self.environment = {"TAKO_DATABASE_URL": url}
        self._serve = serve
        self._made: list[Site] = []

    async def __call__(self, count: int = 2, extra: str = "") -> list[Site]:
        settings = f"lease = {LEASE}\nupstream_retries = 0\n{extra}"
        for _ in range(count):
            site = self._serve(settings, **self.environment)
            site.key = self._made[0].key if self._made else ""
            await site.start()
            self._made.append(site)
        return self._made

    def resume(self) -> None:
        """Nobody stays paused, so that all can be ended."""
        for site in self._made:
            if site.server._process is not None:
                site.server.signal(signal.SIGCONT)

    def books(self) -> tuple[int, int, int]:
        """Rows of the ledger, responses that have not ended, and tokens that are still set aside."""
        with psycopg.connect(self.url) as db:
            queries = (
                "SELECT count(*) FROM ledger",
                "SELECT count(*) FROM responses WHERE completed_at IS NULL",
                "SELECT coalesce(sum(reserved), 0) FROM quotas",
            )
            bills, running, reserved = (int((db.execute(query).fetchone() or (0,))[0]) for query in queries)
        return bills, running, reserved


@pytest.fixture
async def sites(serve: Callable[..., Site], postgres: Postgres, postgres_template: str) -> AsyncIterator[Sites]:
    made = Sites(serve, postgres.new_database(template=postgres_template))
    yield made
    made.resume()


async def ask(site: Site, model: str = "scripted", **more: object) -> str:
    """A background answer. Returns its id."""
    body = {"model": model, "input": "hi", "background": True, **more}
    answered = await site.client.post("/v1/responses", json=body)
    answered.raise_for_status()
    return str(answered.json()["id"])


class Reader:
    """Reads one answer through whatever process, as often as its connection breaks."""

    def __init__(self, response_id: str) -> None:
        self.response_id = response_id
        self.seen: list[Event] = []

    @property
    def wire(self) -> bytes:
        return b"".join(event.raw + b"\n\n" for event in self.seen)

    @property
    def ended(self) -> bool:
        return bool(self.seen) and self.seen[-1].name in (
            "response.completed",
            "response.incomplete",
            "response.failed",
        )

    async def read(self, site: Site) -> None:
        """Until the answer or the connection ends."""
        query = f"&starting_after={self.seen[-1].id}" if self.seen else ""
        try:
            async with site.client.stream("GET", f"/v1/responses/{self.response_id}?stream=true{query}") as response:
                if response.status_code != 200:
                    return
                async for event in follow(response):
                    self.seen.append(event)
        except httpx.TransportError:
            return

    async def read_on(self, sites: list[Site]) -> None:
        """Until the answer has ended, at one process after the other."""
        turn = 0
        while not self.ended:
            before = len(self.seen)
            await self.read(sites[turn % len(sites)])
            turn += 1
            if len(self.seen) == before:
                await asyncio.sleep(0.05)  # as a client that connects again


async def stored(site: Site, response_id: str) -> bytes:
    return (await site.client.get(f"/v1/responses/{response_id}?stream=true")).content


async def test_an_answer_is_read_alike_from_every_process(sites: Sites, upstream: Upstream) -> None:
    """While it is made, and afterwards; asked for with its text so far as well."""
    ann, ben = await sites()
    gate = Gate()
    upstream.script = [Say("one "), gate, Say("two 🐙"), Finish()]
    response_id = await ask(ann)
    here, there = Reader(response_id), Reader(response_id)
    reading = [asyncio.create_task(here.read(ann)), asyncio.create_task(there.read(ben))]
    await gate.reached.wait()
    while text_of(there.seen) != "one ":
        await asyncio.sleep(0.01)
    so_far = await ben.client.get(f"/v1/responses/{response_id}")
    assert so_far.json()["output"][0]["content"][0]["text"] == "one "
    assert int(so_far.headers["x-last-sequence-number"]) == there.seen[-1].id
    gate.opened.set()
    await asyncio.gather(*reading)
    assert here.wire == there.wire == await stored(ben, response_id)
    assert text_of(there.seen) == "one two 🐙"


@pytest.mark.parametrize("state", ["alive", "paused", "dead"])
async def test_stop_stops_whatever_its_owner_does(sites: Sites, upstream: Upstream, state: str) -> None:
    """Whoever is asked does it, at once, with all that was shown; a living owner lets its upstream go."""
    ann, ben = await sites()
    gate = Gate()
    upstream.script = [Say("shown"), gate, Say("never"), Finish()]
    response_id = await ask(ann)
    reader = Reader(response_id)
    reading = asyncio.create_task(reader.read_on([ben]))
    await gate.reached.wait()
    while text_of(reader.seen) != "shown":
        await asyncio.sleep(0.01)
    if state == "paused":
        ann.server.signal(signal.SIGSTOP)
    if state == "dead":
        await ann.server.kill()
    for _ in range(2):
        told = await ben.client.post(f"/v1/responses/{response_id}/cancel")
        assert (told.status_code, told.json()["status"]) == (200, "cancelled")
    await reading
    assert text_of(reader.seen) == "shown"
    if state != "dead":
        ann.server.signal(signal.SIGCONT)
        async with asyncio.timeout(10):
            await upstream.idle()
    assert reader.wire == await stored(ben, response_id)
    assert sites.books() == (1, 0, 0)


@pytest.mark.parametrize("ending", ["killed", "stopped"])
async def test_who_waits_for_a_turn_gets_it_though_its_process_ends(
    sites: Sites, upstream: Upstream, ending: str
) -> None:
    """One user, one slot, two processes: the place is told by both, and the second answer outlives who took it."""
    ann, ben = await sites(2, "user_slots = 1")
    gate = Gate()
    upstream.script = [Say("one "), gate, Say("two"), Finish()]
    first = await ask(ann)
    await gate.reached.wait()
    upstream.script = answer("three")
    second, third = await ask(ben), await ask(ann)
    places = {second: {"place": 1}, third: {"place": 2}}
    for site in (ann, ben):
        told = {id: (await site.client.get(f"/v1/responses/{id}")).json() for id in (first, second, third)}
        assert {id: body["queue"] for id, body in told.items() if "queue" in body} == places
        assert [told[id]["status"] for id in (second, third)] == ["queued", "queued"]
    readers = [Reader(id) for id in (first, second, third)]
    reading = [asyncio.create_task(reader.read_on([ann])) for reader in readers]
    if ending == "killed":
        await ben.server.kill()
    else:
        assert await ben.server.stop() == 0
    gate.opened.set()
    async with asyncio.timeout(30):
        await asyncio.gather(*reading)
    assert [text_of(reader.seen) for reader in readers] == ["one two", "three", "three"]
    assert [reader.wire for reader in readers] == [await stored(ann, id) for id in (first, second, third)]
    assert sites.books() == (3, 0, 0)


@pytest.mark.parametrize("model", ["scripted", "prefixing"])
async def test_another_process_goes_on_where_one_was_killed(sites: Sites, upstream: Upstream, model: str) -> None:
    """Within the lease, under the eyes of its readers: the whole text where the model can go on, else an honest end."""
    ann, ben = await sites()
    said = "".join(words(7, 60))
    half = Gate()

    def script(body: dict[str, object]) -> list[Step]:
        messages = body["messages"]
        assert isinstance(messages, list)
        begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
        if begun:
            return [Say(said[len(begun) :]), Finish()]
        return [Say(said[:40]), Say(said[40:90]), half, Finish()]

    upstream.script = script
    response_id = await ask(ann, model)
    reader = Reader(response_id)
    reading = asyncio.create_task(reader.read(ben))
    await half.reached.wait()
    while len(text_of(reader.seen)) < 90:
        await asyncio.sleep(0.01)
    await ann.server.kill()
    async with asyncio.timeout(30):
        await reading
    kept = await stored(ben, response_id)
    assert reader.wire == kept
    assert problems_of_the_stored(kept, said) == []
    final = events(kept)[-1].data["response"]
    assert final["status"] == ("completed" if model == "prefixing" else "incomplete")
    assert len(text_of(reader.seen)) == (len(said) if model == "prefixing" else 90)
    assert sites.books() == (1, 0, 0)


async def test_what_wakes_from_a_pause_adds_and_repeats_nothing(sites: Sites, upstream: Upstream) -> None:
    """Paused for three leases in the middle of an answer; its readers go on elsewhere, and it serves on itself."""
    ann, ben = await sites()
    said = "".join(words(3, 200))

    def script(body: dict[str, object]) -> list[Step]:
        messages = body["messages"]
        assert isinstance(messages, list)
        begun = len(messages[-1]["content"]) if messages[-1]["role"] == "assistant" else 0
        pieces = [said[n : n + 5] for n in range(begun, len(said), 5)]
        return [*(step for piece in pieces for step in (Say(piece), Pause(0.02))), Finish()]

    upstream.script = script
    response_id = await ask(ann, "prefixing")
    readers = [Reader(response_id) for _ in range(4)]
    first = [asyncio.create_task(reader.read(ann)) for reader in readers]
    while not all(text_of(reader.seen) for reader in readers):
        await asyncio.sleep(0.01)
    ann.server.signal(signal.SIGSTOP)
    await asyncio.sleep(3 * LEASE)
    ann.server.signal(signal.SIGCONT)
    async with asyncio.timeout(60):
        await asyncio.gather(*first)
        await asyncio.gather(*(reader.read_on([ben, ann]) for reader in readers))
    kept = await stored(ben, response_id)
    for reader in readers:
        assert problems_of_a_reader(reader.wire, kept) == []
    assert problems_of_the_stored(kept, said) == []
    assert "lease_lost" in ann.server.log()
    upstream.script = answer("awake")
    again = Reader(await ask(ann))
    await again.read_on([ben])
    assert text_of(again.seen) == "awake"
    assert sites.books() == (2, 0, 0)


async def test_readers_elsewhere_miss_nothing_when_valkey_dies_and_comes_back(sites: Sites, upstream: Upstream) -> None:
    """In mid-answer: the processes stay ready, say what has happened, and never show the password."""
    said = "".join(words(11, 300))
    down, up = Gate(), Gate()
    spoken = [step for n in range(0, len(said), 5) for step in (Say(said[n : n + 5]), Pause(0.005))]
    third = len(spoken) // 3
    upstream.script = [*spoken[:third], down, *spoken[third : 2 * third], up, *spoken[2 * third :], Finish()]
    with valkey_running() as valkey:
        sites.environment["TAKO_VALKEY_URL"] = valkey.url
        ann, ben = await sites()
        readers = [Reader(await ask(ann)) for _ in range(3)]
        reading = [asyncio.create_task(reader.read(ben)) for reader in readers]
        await down.reached.wait()
        valkey.kill()
        down.opened.set()
        await up.reached.wait()
        for site in (ann, ben):
            assert (await site.client.get("/readyz")).status_code == 200
        valkey.start()
        up.opened.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*reading)
        for reader in readers:
            assert reader.wire == await stored(ben, reader.response_id)
            assert text_of(reader.seen) == said
        for site in (ann, ben):
            assert "valkey_not_heard" in site.server.log()
            assert valkey.password not in site.server.log()
    assert sites.books() == (3, 0, 0)


async def test_one_key_at_two_processes_is_one_answer(sites: Sites, upstream: Upstream) -> None:
    """Asked at the same moment, one of them answers for both."""
    both = await sites()
    upstream.script = answer("once")
    for n in range(5):
        headers = {"idempotency-key": f"key-{n}"}
        body = {"model": "scripted", "input": "hi", "background": True}
        told = await asyncio.gather(*(site.client.post("/v1/responses", json=body, headers=headers) for site in both))
        assert [answered.status_code for answered in told] == [200, 200]
        assert len({answered.json()["id"] for answered in told}) == 1
        await Reader(told[0].json()["id"]).read_on(both)
    assert sites.books() == (5, 0, 0)


async def test_a_foreground_answer_that_somebody_joined_elsewhere_goes_on(sites: Sites, upstream: Upstream) -> None:
    """Who made it does not know the reader, and must not end it when its own has gone."""
    ann, ben = await sites(extra="foreground_grace = 0.2")
    gate = Gate()
    upstream.script = [Say("one "), gate, Say("two"), Finish()]
    body = {"model": "scripted", "input": "hi", "stream": True}
    async with ann.client.stream("POST", "/v1/responses", json=body) as response:
        reader = Reader(response.headers["x-response-id"])
        await gate.reached.wait()
        reading = asyncio.create_task(reader.read_on([ben]))
        while text_of(reader.seen) != "one ":
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    gate.opened.set()
    await reading
    assert text_of(reader.seen) == "one two"


async def test_every_browser_hears_of_what_happens_in_another_process(sites: Sites, upstream: Upstream) -> None:
    """Hints cross; a list that is open elsewhere shows the new conversation."""
    ann, ben = await sites()
    upstream.script = answer("yes")
    async with ben.client.stream("GET", "/api/feed") as feed:
        arriving = feed.aiter_raw()
        heard = await anext(arriving)
        assert heard.startswith(b"event: ready")
        body = {"text": "Why?", "model": "scripted"}
        await ann.client.post("/api/conversations/messages", json=body)
        async with asyncio.timeout(10):
            while not {b"created", b"running", b"ended"} <= {line[7:] for line in heard.split(b"\n")}:
                heard += await anext(arriving)


async def test_a_rolling_restart_loses_nobody_s_answer(sites: Sites, upstream: Upstream) -> None:
    """Each process in turn finishes what it makes within its grace and starts again; readers come back elsewhere."""
    both = await sites(extra="shutdown_grace = 20")
    said = "".join(words(5, 120))
    upstream.script = [
        *(step for n in range(0, len(said), 5) for step in (Say(said[n : n + 5]), Pause(0.01))),
        Finish(),
    ]
    asked = [await ask(both[n % 2]) for n in range(8)]
    readers = [Reader(response_id) for response_id in asked]
    reading = [asyncio.create_task(reader.read_on([both[n % 2], both[1 - n % 2]])) for n, reader in enumerate(readers)]
    for site in both:
        assert await site.server.stop() == 0
        await site.start()
    async with asyncio.timeout(60):
        await asyncio.gather(*reading)
    for reader in readers:
        assert reader.wire == await stored(both[0], reader.response_id)
        assert text_of(reader.seen) == said
    assert sites.books() == (8, 0, 0)
