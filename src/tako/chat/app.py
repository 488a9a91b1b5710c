"""The chat as an app of the site: its parts in the order in which they open, and what it throws away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from tako.chat import recovery, store, titles, usher
from tako.chat.catalog import Catalog
from tako.chat.generation import SHUTDOWN, Generations
from tako.chat.owner.providers import load
from tako.chat.providers.base import Provider
from tako.chat.responses import Chat, Limits
from tako.chat.slots import Slots
from tako.chat.usher import Usher
from tako.chat.watch import Watch
from tako.core import blobs
from tako.core.bus import MODELS, Bus, reloading
from tako.core.chores import running
from tako.core.db import Database, now
from tako.core.errors import TakoError, Unavailable
from tako.core.feed import Feed
from tako.core.journal import Journal, Left

_log = structlog.get_logger("tako.chat")

# Deleted conversations stay this long, so that a deletion can be undone, in microseconds.
UNDO = 7 * 86_400_000_000
PURGE_BATCH = 500


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """Times in seconds; see the settings of the same names."""

    limits: Limits
    upstream_retries: int
    unstored_grace: float


@asynccontextmanager
async def opened(
    db: Database,
    bus: Bus,
    journal: Journal,
    feed: Feed,
    providers: list[Provider],
    settings: ChatSettings,
    watch: Watch | None = None,
) -> AsyncIterator[Chat]:
    """The chat, ready to be asked. What dead processes left running is decided about before, where this is the only
    process, and else as soon as their lease has lapsed."""
    catalog, limits = Catalog(providers), settings.limits
    try:
        async with (
            reloading(bus, MODELS, lambda: load(db, catalog)),
            Generations(
                db,
                journal,
                feed,
                retries=settings.upstream_retries,
                unstored_grace=settings.unstored_grace,
                watch=watch,
            ) as generations,
            usher.taking(db, bus, feed, generations, lambda: Slots(limits.user_slots, catalog.slots)) as ushering,
        ):
            chat = Chat(db, bus, journal, feed, catalog, generations, ushering, limits)
            if not journal.shared:
                for left in await journal.take_over_all():
                    await recovery.recover(chat, left)
            async with (
                recovery.recovering(chat) as adopt,
                running(lease=_hold(journal, ushering, adopt)),
                titles.making(chat),
            ):
                yield chat
    finally:
        await catalog.close()


async def _hold(journal: Journal, ushering: Usher, adopt: Callable[[Iterable[Left]], None]) -> None:
    """Renew the lease of this process, and adopt the answers of those that do so no more."""
    while True:
        try:
            adopt(await journal.beat())
            ushering.look()
        except TakoError as error:
            _log.warning("heartbeat_failed", reason=error.message)
        await asyncio.sleep(journal.every)


async def drain(chat: Chat, grace: float) -> None:
    """No new work, and who waits for a slot is left to whoever serves next; running answers get `grace` seconds, then
    they end as incomplete with all that they have."""
    chat.draining = True
    try:
        await chat.generations.leave(chat.usher.rest())
    except Unavailable as error:
        _log.warning("waiting_answers_not_left", reason=error.message)
    try:
        async with asyncio.timeout(grace):
            await chat.generations.quiet()
    except TimeoutError:
        _log.info("answers_cut_by_shutdown", count=len(chat.generations))
        await chat.generations.stop_all(SHUTDOWN)


async def purge(chat: Chat) -> int:
    """Delete for good what has expired or was deleted long enough ago. Returns how many rows went."""
    total = 0
    while True:
        async with chat.db.write(patient=True) as connection:
            gone = await store.purge_responses(connection, limit=PURGE_BATCH)
            gone += await store.purge_conversations(connection, now() - UNDO, limit=PURGE_BATCH)
            gone += await blobs.purge(connection, now())
        total += gone
        if gone < PURGE_BATCH:
            return total
