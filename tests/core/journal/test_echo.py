"""Following through Valkey costs PostgreSQL nothing, and whatever becomes of Valkey, readers have the stored bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from tako.core.bus import FOLLOWED
from tako.core.chores import running
from tako.core.journal import Journal, Log, echo
from tako.core.journal.following import Following
from tako.core.journal.store import Row
from tako.core.valkey import Command, Valkey
from tako.core.valkey_bus import ValkeyBus
from tests.support import valkey as valkey_servers
from tests.support.party import Party, met
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

BEAT = 0.2


@pytest.fixture
def server() -> Iterator[valkey_servers.Valkey]:
    """One for each test, which may do anything to it."""
    with valkey_servers.running() as made:
        yield made


@pytest.fixture
async def party(server: valkey_servers.Valkey, postgres: Postgres, postgres_template: str) -> AsyncIterator[Party]:
    async with Party(postgres.new_database(template=postgres_template), server.url) as made:
        yield made


@pytest.fixture(params=["valkey", "valkey cluster"])
async def either(request: pytest.FixtureRequest, postgres: Postgres, postgres_template: str) -> AsyncIterator[Party]:
    name = request.param.replace(" ", "_")
    valkey_url = request.getfixturevalue(name).url
    async with Party(postgres.new_database(template=postgres_template), valkey_url) as made:
        yield made


@asynccontextmanager
async def beating(*journals: Journal) -> AsyncIterator[None]:
    """Heartbeats, as a real process has them."""

    async def beat(journal: Journal) -> None:
        while True:
            await journal.beat()
            await asyncio.sleep(BEAT)

    async with running(**{f"beat {journal.process_id}": beat(journal) for journal in journals}):
        yield


async def write(log: Log, count: int) -> None:
    """As a model does: piece by piece."""
    for _ in range(count):
        log.append(b"entry %d" % len(log.entries))
        await log.wait(len(log.entries) - 1)


async def reach(followed: Log, log: Log) -> None:
    """Until the follower has all that its owner has."""
    async with asyncio.timeout(20):
        await followed.wait(log.committed - 1)
    assert followed.entries == log.entries[: log.committed]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many logs each look into PostgreSQL asked."""
    found: list[int] = []
    rows: Callable[..., Any] = Following._rows

    async def counted(self: Following, places: tuple[list[str], list[int]]) -> list[tuple[Any, ...]]:
        found.append(len(places[0]))
        answer: list[tuple[Any, ...]] = await rows(self, places)
        return answer

    monkeypatch.setattr(Following, "_rows", counted)
    return found


def bus(journal: Journal) -> ValkeyBus:
    assert isinstance(journal._bus, ValkeyBus)
    return journal._bus


async def heard_again(*journals: Journal) -> None:
    async with asyncio.timeout(20):
        while not all(bus(journal).heard for journal in journals):
            await asyncio.sleep(0.01)


async def test_following_costs_postgresql_nothing(either: Party, looks: list[int]) -> None:
    """One look when a reader comes and one when the answer has ended, however long it is."""
    ann, ben = await met(either)
    log = await either.begin(ann)
    await write(log, 3)
    followed = await either.follow(ben)
    assert followed is not None
    await write(log, 300)
    await reach(followed, log)
    assert looks == [1]
    await either.end(ann, log)
    async with asyncio.timeout(10):
        await followed.wait_end()
    assert followed.entries == log.entries
    assert looks == [1, 1]


async def test_only_what_is_followed_is_repeated(party: Party, server: valkey_servers.Valkey) -> None:
    """A log without a reader elsewhere costs Valkey nothing, nor the process that writes it."""
    ann, ben = await met(party)
    log, other = await party.begin(ann), await party.begin(ann, "log_2")
    followed = await party.follow(ben)
    assert followed is not None
    await asyncio.gather(write(log, 20), write(other, 20))
    await reach(followed, log)
    assert server("KEYS", "*") == [f"tako:{ann.process_id}:log_1".encode()]


async def test_nobody_follows_any_more_after_some_heartbeats(party: Party, server: valkey_servers.Valkey) -> None:
    """Then nothing is repeated, and what was expires."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    followed = await party.follow(ben)
    assert followed is not None
    await write(log, 5)
    await reach(followed, log)
    for _ in range(3):
        await ann.beat()
    await write(log, 5)
    assert server("XLEN", f"tako:{ann.process_id}:log_1") == 5
    remaining = server("PTTL", f"tako:{ann.process_id}:log_1")
    assert isinstance(remaining, int)
    assert 0 < remaining <= echo.EXPIRES
    await ben.beat()
    await reach(followed, log)


@pytest.mark.parametrize(("kept", "most"), [(100, 2**20), (1000, 5000)])
async def test_an_echo_is_bounded(
    party: Party, server: valkey_servers.Valkey, monkeypatch: pytest.MonkeyPatch, kept: int, most: int
) -> None:
    """In length, and in what one write takes; who misses something reads PostgreSQL."""
    monkeypatch.setattr(echo, "KEPT", kept)
    monkeypatch.setattr(echo, "MOST", most)
    ann, ben = await met(party)
    log = await party.begin(ann)
    followed = await party.follow(ben)
    assert followed is not None
    written: list[list[bytes]] = []
    run = Valkey.run

    async def seen(self: Valkey, commands: Sequence[Command]) -> list[Any]:
        written.append([command[-1] for command in commands if command[0] == "XADD" and isinstance(command[-1], bytes)])
        return await run(self, commands)

    monkeypatch.setattr(Valkey, "run", seen)
    for _ in range(5):
        for _ in range(500):
            log.append(b"x" * 100)
        await ann.flush()
        await reach(followed, log)
    await write(log, 200)
    await reach(followed, log)
    assert max(len(entries) for entries in written) <= kept
    assert max(sum(len(entry) for entry in entries) for entries in written) <= most
    length = server("XLEN", f"tako:{ann.process_id}:log_1")
    assert isinstance(length, int)
    assert length <= kept + 100  # whole blocks are trimmed


async def test_readers_change_to_the_echo_of_who_takes_over(either: Party, looks: list[int]) -> None:
    """Told by who took the log, they look once into PostgreSQL."""
    ann, ben = await met(either)
    carl = await either.join()
    for _ in range(2):
        for journal in (carl, ann, ben):
            await journal.beat()
    log = await either.begin(ann)
    followed = await either.follow(ben)
    assert followed is not None
    await write(log, 10)
    await reach(followed, log)
    asked = asyncio.Event()
    carl._bus.listen(FOLLOWED, lambda body: asked.set())
    left = await carl.seize("log_1")
    assert left is not None
    await asked.wait()  # before there is anything that could be followed
    mine = carl.open("log_1", left.epoch, [b"first", *left.entries.values()])
    await write(mine, 1)
    await reach(followed, mine)
    before = len(looks)
    await write(mine, 50)
    await reach(followed, mine)
    assert len(looks) == before
    await either.end(carl, mine)
    async with asyncio.timeout(10):
        await followed.wait_end()
    assert followed.entries == mine.entries


@pytest.mark.parametrize("meanwhile", ["more", "the end"])
async def test_what_happens_before_the_owner_knows_of_a_follower_is_told(
    either: Party, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """Else a reader who has just looked into PostgreSQL would see it a heartbeat later."""
    ann, ben = await met(either)
    log = await either.begin(ann)
    take: Callable[..., Any] = Following._take

    async def slow(self: Following, *found: object) -> None:
        monkeypatch.setattr(Following, "_take", take)
        await write(log, 5)
        if meanwhile == "the end":
            await either.end(ann, log)
        await take(self, *found)

    monkeypatch.setattr(Following, "_take", slow)
    followed = await either.follow(ben)
    assert followed is not None
    assert followed.entries == [b"first"]
    await reach(followed, log)
    if meanwhile == "the end":
        async with asyncio.timeout(10):
            await followed.wait_end()


async def test_who_takes_a_log_over_while_its_echo_arrives_takes_no_entry_twice(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was on its way is in the database, and came with the log."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    followed = await party.follow(ben)
    assert followed is not None
    await write(log, 5)
    await reach(followed, log)
    arrived, released = asyncio.Event(), asyncio.Event()
    run = Valkey.run

    async def held(self: Valkey, commands: Sequence[Command]) -> list[Any]:
        replies = await run(self, commands)
        if commands[0][0] == "XRANGE":
            arrived.set()
            await released.wait()
        return replies

    monkeypatch.setattr(Valkey, "run", held)
    await write(log, 5)
    await arrived.wait()
    left = await ben.seize("log_1")
    assert left is not None
    mine = ben.open("log_1", left.epoch, [b"first", *left.entries.values()])
    assert mine is followed
    released.set()
    await write(mine, 5)
    following = ben._following
    assert following is not None
    async with following._reading:  # whatever was read has been taken, or not
        assert mine.entries == [b"first", *(b"entry %d" % n for n in range(1, 16))]


async def test_a_writer_never_waits_for_valkey(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits and readers here go on while a write to Valkey hangs; nothing is queued for it meanwhile."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    followed = await party.follow(ben)
    assert followed is not None
    await write(log, 1)
    await reach(followed, log)
    released, asked = asyncio.Event(), 0
    run = Valkey.run

    async def hangs(self: Valkey, commands: Sequence[Command]) -> list[Any]:
        nonlocal asked
        if commands[0][0] == "XADD":
            asked += 1
            await released.wait()
        return await run(self, commands)

    monkeypatch.setattr(Valkey, "run", hangs)
    await write(log, 200)
    assert asked == 1
    released.set()
    await reach(followed, log)


async def flush(server: valkey_servers.Valkey, ann: Journal) -> None:
    server("FLUSHALL")


async def kill_and_restart(server: valkey_servers.Valkey, ann: Journal) -> None:
    server.kill()
    await asyncio.sleep(2 * BEAT)
    server.start()


async def fill(server: valkey_servers.Valkey, ann: Journal) -> None:
    server("CONFIG", "SET", "maxmemory", 1)


async def trim(server: valkey_servers.Valkey, ann: Journal) -> None:
    server("XTRIM", f"tako:{ann.process_id}:log_1", "MAXLEN", 0)


async def change_the_password(server: valkey_servers.Valkey, ann: Journal) -> None:
    server("CONFIG", "SET", "requirepass", "another")
    server.password = "another"
    await cut_off(server, ann)


async def cut_off(server: valkey_servers.Valkey, ann: Journal) -> None:
    for kind in ("normal", "pubsub"):
        server("CLIENT", "KILL", "TYPE", kind)


FAULTS = [flush, kill_and_restart, fill, trim, change_the_password, cut_off]


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_becomes_of_valkey_readers_have_the_stored_bytes(
    party: Party, server: valkey_servers.Valkey, fault: Callable[[valkey_servers.Valkey, Journal], Any]
) -> None:
    """It strikes again and again while an answer is written and followed."""
    ann, ben = await met(party)
    async with beating(ann, ben):
        log = await party.begin(ann)
        followed = await party.follow(ben)
        assert followed is not None
        writing = asyncio.create_task(write(log, 300))
        for n in (50, 120, 200):
            await log.wait(n)
            await fault(server, ann)
        await writing
        await reach(followed, log)
        await party.end(ann, log)
        async with asyncio.timeout(20):
            await followed.wait_end()
    assert followed.entries == log.entries == party.whole["log_1"]


async def test_a_valkey_that_hangs_is_left_alone_and_used_again_later(
    party: Party, server: valkey_servers.Valkey, looks: list[int]
) -> None:
    """Paused for longer than a heartbeat: readers go on by PostgreSQL, and return to the echo."""
    ann, ben = await met(party)
    async with beating(ann, ben):
        log = await party.begin(ann)
        followed = await party.follow(ben)
        assert followed is not None
        await write(log, 20)
        await reach(followed, log)
        server.pause()
        while bus(ann).heard or bus(ben).heard:
            await write(log, 5)
            await asyncio.sleep(0.01)
        for _ in range(5):
            await write(log, 10)
            await reach(followed, log)
        server.resume()
        await heard_again(ann, ben)
        await write(log, 20)
        await reach(followed, log)
    before = len(looks)
    await write(log, 20)
    await reach(followed, log)
    assert len(looks) == before
    await party.end(ann, log)
    async with asyncio.timeout(20):
        await followed.wait_end()
    assert followed.entries == log.entries


async def test_a_full_valkey_is_told_once_and_used_again_later(
    party: Party, server: valkey_servers.Valkey, looks: list[int]
) -> None:
    """It still carries hints; followers read PostgreSQL until it takes entries again."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    followed = await party.follow(ben)
    assert followed is not None
    await write(log, 5)
    await reach(followed, log)
    before = len(looks)
    with capture_logs() as said:
        server("CONFIG", "SET", "maxmemory", 1)
        for _ in range(3):
            await write(log, 10)
            await reach(followed, log)
    assert [(one["event"], str(one["reason"])[:3]) for one in said] == [("valkey_refuses", "OOM")]
    assert bus(ann).heard
    assert len(looks) > before
    server("CONFIG", "SET", "maxmemory", 0)
    await write(log, 5)
    await reach(followed, log)
    before = len(looks)
    await write(log, 20)
    await reach(followed, log)
    assert len(looks) == before


async def test_a_server_of_the_cluster_that_dies_takes_nobody_along(postgres: Postgres, postgres_template: str) -> None:
    """Whichever it is; and the cluster serves again when it is back."""
    with valkey_servers.cluster_running() as cluster:
        async with Party(postgres.new_database(template=postgres_template), cluster.url) as party:
            ann, ben = await met(party)
            async with beating(ann, ben):
                log = await party.begin(ann)
                followed = await party.follow(ben)
                assert followed is not None
                for node in cluster.nodes:
                    await write(log, 20)
                    node.kill()
                    await write(log, 20)
                    await reach(followed, log)
                    node.start()
                await party.end(ann, log)
                async with asyncio.timeout(20):
                    await followed.wait_end()
            assert followed.entries == log.entries


async def test_a_wrong_password_is_told_and_harms_nobody(party: Party, server: valkey_servers.Valkey) -> None:
    """Processes that cannot use Valkey at all start, and are told everything by PostgreSQL, without a heartbeat."""
    wrong = f"valkey://:wrong@127.0.0.1:{server.port}"
    ann, ben = await party.join(wrong), await party.join(wrong)
    assert not bus(ann).heard
    log = await party.begin(ann)
    followed = await party.follow(ben)
    assert followed is not None
    for _ in range(5):
        await write(log, 10)
        await reach(followed, log)


@pytest.mark.parametrize("deaf", ["owner", "follower"])
async def test_who_alone_is_cut_off_from_valkey_is_told_by_postgresql(
    party: Party, server: valkey_servers.Valkey, deaf: str
) -> None:
    """Also by those who have Valkey: nobody waits for a heartbeat."""
    away = "valkey://127.0.0.1:1"
    ann = await party.join(away if deaf == "owner" else None)
    ben = await party.join(away if deaf == "follower" else None)
    async with asyncio.timeout(20):
        while not bus(ben if deaf == "owner" else ann)._aloud_until:
            await asyncio.sleep(0.01)
    log = await party.begin(ann)
    followed = await party.follow(ben)
    assert followed is not None
    for _ in range(5):
        await write(log, 10)
        await reach(followed, log)


async def test_a_copy_of_the_database_does_not_take_the_original_s_echo_for_its_own(
    party: Party, postgres: Postgres, postgres_template: str
) -> None:
    """It says that ann writes the log; but ann does so elsewhere, and never gives a sign of life in the copy."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    followed = await party.follow(ben)
    await write(log, 5)
    async with Party(postgres.new_database(template=postgres_template), party.valkey_url) as copied:
        with psycopg.connect(copied.url) as db:
            db.execute("INSERT INTO processes (id, name, started_at, beat) VALUES (%s, 'ann', 1, 1)", (ann.process_id,))
            db.execute("INSERT INTO logs (id, process_id, epoch) VALUES ('log_1', %s, 1)", (ann.process_id,))
            db.execute("INSERT INTO journal_entries (log_id, n, entry) VALUES ('log_1', 1, 'entry 1')")
        carl = await copied.join()
        for _ in range(3):
            await carl.beat()
        there = await copied.follow(carl)
        assert there is not None
        assert there.entries == [b"first", b"entry 1"]
        following = carl._following
        assert following is not None
        following.grew("log_1 6")  # where even the names of the channels are alike
        await following._catch_up()
        assert there.entries == [b"first", b"entry 1"]
    assert followed is not None
    await reach(followed, log)


async def shown_and_not_kept(party: Party, server: valkey_servers.Valkey) -> list[bytes]:
    """What Valkey and a follower have while PostgreSQL has not taken it yet."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    followed = await party.follow(ben)
    assert followed is not None
    await write(log, 5)
    await reach(followed, log)
    with psycopg.connect(party.url) as blocker:
        blocker.execute("SELECT FROM processes WHERE id = %s FOR UPDATE", (ann.process_id,))
        log.append(b"not kept yet")
        for _ in range(100):  # everybody's turn, also those whose turn nobody should give them
            await asyncio.sleep(0)
        assert log.submitted == len(log.entries)
        await bus(ann)._valkey.run([("XLEN", f"tako:{ann.process_id}:log_1")])  # behind whatever was repeated
        entries = server("XRANGE", f"tako:{ann.process_id}:log_1", 6, "+")
        seen = followed.entries[6:]
    await ann.flush()
    await reach(followed, log)
    assert isinstance(entries, list)
    return [*(entry for _, (_, entry) in entries), *seen]


async def test_nothing_is_repeated_before_it_is_kept(party: Party, server: valkey_servers.Valkey) -> None:
    """Shown means kept, also where Valkey is faster than PostgreSQL."""
    assert await shown_and_not_kept(party, server) == []


async def test_repeating_before_the_commit_is_seen(
    party: Party, server: valkey_servers.Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The naive way, which is faster by one commit, shows what a crash takes back."""
    append: Callable[[Journal, list[Row]], Any] = Journal._append

    async def early(self: Journal, rows: list[Row]) -> set[str]:
        logs = [self._running[log_id] for log_id in {row.log_id for row in rows}]
        for log in logs:
            log.commit(log.submitted)
        self._tell(logs)
        lost: set[str] = await append(self, rows)
        return lost

    monkeypatch.setattr(Journal, "_append", early)
    assert b"not kept yet" in await shown_and_not_kept(party, server)


async def with_holes(party: Party, server: valkey_servers.Valkey, missing: Sequence[int]) -> tuple[Log, Log]:
    """A log, and what a follower made of its echo without those entries."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    followed = await party.follow(ben)
    assert followed is not None
    await write(log, 5)
    await reach(followed, log)
    following = ben._following
    assert following is not None
    key = f"tako:{ann.process_id}:log_1"
    async with following._reading:
        await write(log, 10)
        while server("XLEN", key) != 15:
            await asyncio.sleep(0.01)
        server("XDEL", key, *(f"{n}-1" for n in missing))
    async with asyncio.timeout(10):
        await followed.wait(log.committed - 1)
    return log, followed


HOLES = [[6, 7, 8], [10], [15], list(range(1, 16))]


@pytest.mark.parametrize("missing", HOLES)
async def test_what_an_echo_does_not_have_is_read_from_postgresql(
    party: Party, server: valkey_servers.Valkey, missing: Sequence[int]
) -> None:
    """At its beginning, in the middle, at its end, everywhere."""
    log, followed = await with_holes(party, server, missing)
    assert followed.entries == log.entries


async def test_a_follower_that_takes_what_it_gets_is_seen(
    party: Party, server: valkey_servers.Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The naive way: what comes next in the stream is taken for what comes next in the log."""
    monkeypatch.setattr(echo, "unbroken", lambda n, reply: [entry for _, (_, entry) in reply])
    log, followed = await with_holes(party, server, [10])
    assert followed.entries != log.entries
