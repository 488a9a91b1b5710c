"""Several processes on one PostgreSQL: reading what another one writes, and taking its logs."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest
from sqlalchemy import select

from tako.core.journal import Fenced, Left, Log
from tako.core.journal.log import Closed
from tako.core.journal.models import logs
from tako.core.journal.postgres import PostgresStore
from tests.support.party import Party, met
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow


@pytest.fixture(params=["postgresql", "valkey", "valkey cluster"])
async def party(request: pytest.FixtureRequest, postgres: Postgres, postgres_template: str) -> AsyncIterator[Party]:
    """By PostgreSQL alone, and with each kind of Valkey beside it: what readers see is the same."""
    valkey_url = None
    if request.param == "valkey":
        valkey_url = request.getfixturevalue("valkey").url
    elif request.param == "valkey cluster":
        valkey_url = request.getfixturevalue("valkey_cluster").url
    async with Party(postgres.new_database(template=postgres_template), valkey_url) as made:
        yield made


async def test_a_reader_elsewhere_sees_every_entry_and_the_end(party: Party) -> None:
    """In order, each once, soon after it is committed."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    log.append(b"second")
    await log.wait(1)
    followed = await party.follow(ben)
    assert followed is not None
    assert followed.entries == [b"first", b"second"]
    for n in range(100):
        log.append(b"%d" % n)
        if n % 9 == 0:
            await followed.wait(n + 2)
    await party.end(ann, log)
    await followed.wait_end()
    assert followed.entries == log.entries
    assert not followed.fenced
    assert await party.follow(ben) is None


async def test_a_log_is_followed_once_however_many_read_it(party: Party) -> None:
    """And forgotten with its last reader."""
    ann, ben = await met(party)
    await party.begin(ann)
    following = ben._following
    assert following is not None

    async def two_read() -> None:
        first, second = await asyncio.gather(party.follow(ben), party.follow(ben))
        assert first is second
        assert len(following._logs) == 1

    await two_read()
    await asyncio.sleep(0)  # until then the loop itself holds what has woken us
    gc.collect()  # and what gather has gathered is a circle
    assert len(following._logs) == 0


async def test_a_hint_that_is_lost_costs_time_only(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next heartbeat reads what nobody told."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    followed = await party.follow(ben)
    assert followed is not None
    monkeypatch.setattr(ann._bus, "tell", lambda topic, body: None)
    log.append(b"second")
    await log.wait(1)
    await party.end(ann, log)
    assert not followed.ended
    await ben.beat()
    await followed.wait_end()
    assert followed.entries == [b"first", b"second", b"last"]


async def test_who_follows_goes_on_when_the_connection_was_cut(party: Party) -> None:
    """What was told meanwhile is read when there is a connection again."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    followed = await party.follow(ben)
    assert followed is not None
    with psycopg.connect(party.url, autocommit=True) as killer:
        killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    log.append(b"second")
    async with asyncio.timeout(30):
        await followed.wait(1)
    assert followed.entries == [b"first", b"second"]


async def test_what_a_dead_process_left_goes_to_one_other(party: Party) -> None:
    """Two that notice at once do not both go on with an answer."""
    ann, ben = await met(party)
    carl = await party.join()
    log = await party.begin(carl)
    log.append(b"second")
    await log.wait(1)
    await party.lapse(carl)
    lefts = [left for found in await asyncio.gather(ann.beat(), ben.beat()) for left in found]
    assert lefts == [Left("log_1", 2, {1: b"second"})]


async def test_readers_go_on_when_their_own_process_takes_the_log_over(party: Party) -> None:
    """They need not even connect again."""
    ann, ben = await met(party)
    await party.begin(ann)
    followed = await party.follow(ben)
    await party.lapse(ann)
    (left,) = await ben.beat()
    log = ben.open(left.log_id, left.epoch, [b"first", *left.entries.values()])
    assert log is followed
    log.append(b"second")
    await log.wait(1)
    await party.end(ben, log)
    assert log.entries == [b"first", b"second", b"last"]


async def test_a_process_that_was_taken_for_dead_cannot_write_and_begins_anew(party: Party) -> None:
    """What wakes from a pause adds nothing to what it had; it serves on as another."""
    ann, ben = await met(party)
    lost: list[str] = []
    ann.on_lost = lost.append
    log = await party.begin(ann)
    await party.lapse(ann)
    (left,) = await ben.beat()
    before = ann.process_id
    with contextlib.suppress(Closed):  # it may have been told already
        log.append(b"late")
    await log.wait_end()
    assert log.fenced
    assert log.entries == [b"first"]
    assert await ann.beat() == []
    assert ann.process_id != before
    assert lost == ["log_1"]
    other = await party.begin(ann, "log_2")
    other.append(b"second")
    await other.wait(1)
    assert left.entries == {}


async def test_who_is_alive_keeps_its_logs(party: Party) -> None:
    """A heartbeat that moves is all it takes."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    for _ in range(5):
        await ann.beat()
        assert await ben.beat() == []
    log.append(b"second")
    await log.wait(1)
    assert not log.fenced


async def test_a_log_can_be_seized_from_a_living_owner(party: Party) -> None:
    """Its other logs stay with it; the one that is gone it lets go at once."""
    ann, ben = await met(party)
    lost = asyncio.Event()
    ann.on_lost = lambda log_id: lost.set()
    log, other = await party.begin(ann), await party.begin(ann, "log_2")
    log.append(b"second")
    await log.wait(1)
    assert await ben.seize("log_1") == Left("log_1", 2, {1: b"second"})
    async with asyncio.timeout(10):
        await lost.wait()
    assert log.fenced
    with pytest.raises(Fenced):
        await party.end(ann, log)
    other.append(b"second")
    await other.wait(1)
    assert not other.fenced
    assert await ben.seize("log_1") is None
    assert await ben.seize("log_3") is None


async def test_two_that_seize_one_log_get_it_once_each_in_turn(party: Party) -> None:
    """Each time with a higher epoch, so that only the last one may write."""
    ann, ben = await met(party)
    carl = await party.join()
    await party.begin(carl)
    lefts = await asyncio.gather(ann.seize("log_1"), ben.seize("log_1"))
    assert sorted(left.epoch for left in lefts if left is not None) == [2, 3]
    async with party.db.read() as connection:
        owner, epoch = (await connection.execute(select(logs.c.process_id, logs.c.epoch))).one()
    winner = lefts.index(next(left for left in lefts if left is not None and left.epoch == epoch))
    assert owner == (ann, ben)[winner].process_id


async def seizures(party: Party, rounds: int, prefix: str = "log") -> int:
    """How many entries were acknowledged by an owner, and missed by who seized the log from it."""
    ann, ben = await met(party)
    missed = 0
    for n in range(rounds):
        name = f"{prefix}_{n}"
        log = await party.begin(ann, name)
        stop = asyncio.Event()

        async def write(log: Log = log, stop: asyncio.Event = stop) -> None:
            while not stop.is_set() and not log.closed:
                log.append(b"x")
                await log.wait(len(log.entries) - 5)

        writing = asyncio.create_task(write())
        await log.wait(3)
        left = await ben.seize(name)
        assert left is not None
        await log.wait_end()
        stop.set()
        await writing
        # It may find more than was acknowledged: the loss was heard of before the answer to the last append.
        missed += max(0, len(log.entries) - 1 - len(left.entries))
    return missed


def held(statement: str) -> str:
    """The statement, kept for a moment between its look at the logs and its end."""
    return statement.replace("FROM batch b", "FROM (SELECT pg_sleep(0.003)) AS held, batch b")


async def test_who_seizes_a_log_misses_no_entry_that_its_owner_has_shown(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the owner writes as fast as it can, in every place of its statement."""
    assert await seizures(party, 20) == 0
    monkeypatch.setattr(PostgresStore, "APPEND", held(PostgresStore.APPEND))
    assert await seizures(party, 20, "held") == 0


@pytest.mark.parametrize("party", ["postgresql"], indirect=True)
@pytest.mark.parametrize("left_out", ["AND revision = %(revision)s", "FOR SHARE"])
async def test_the_naive_ways_to_seize_miss_entries(
    party: Party, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    """Epochs alone do not do it: an append that began before they changed is committed after the tail was read."""
    assert left_out in PostgresStore.APPEND
    naive = held(PostgresStore.APPEND.replace(left_out, "AND %(revision)s >= 0" if "revision" in left_out else ""))
    monkeypatch.setattr(PostgresStore, "APPEND", naive)
    for n in range(10):  # the window is small
        if await seizures(party, 20, f"round_{n}"):
            return
    pytest.fail("nothing was missed")


async def test_what_a_failed_transaction_made_ours_is_found(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been committed although its connection broke: then nobody else looks after that log."""
    ann, ben = await met(party)
    await party.begin(ann)
    left: Callable[..., object] = ben._left

    async def breaks(epochs: object) -> list[Left]:
        raise ConnectionError("scripted")

    monkeypatch.setattr(ben, "_left", breaks)
    with pytest.raises(ConnectionError):
        await ben.seize("log_1")
    monkeypatch.setattr(ben, "_left", left)
    assert await ben.beat() == [Left("log_1", 2, {})]
    assert await ben.beat() == []


async def test_what_was_given_back_is_handed_out_again(party: Party) -> None:
    """Who was handed a dead process's log could not open it: nobody waits in vain, and it is not forgotten."""
    ann, ben = await met(party)
    log = await party.begin(ann)
    log.append(b"second")
    await log.wait(1)
    await party.lapse(ann)
    (left,) = await ben.beat()
    assert await ben.beat() == [], "somebody has it"
    waiting = asyncio.create_task(ben.attended(left.log_id))
    await asyncio.sleep(0)
    assert not waiting.done()
    ben.give_back(left)
    await waiting
    (again,) = await ben.beat()
    assert again == left
    taken = ben.open(again.log_id, again.epoch, [b"first", *again.entries.values()])
    assert taken.entries == [b"first", b"second"]
    assert await ben.beat() == []
    await party.end(ben, taken)
