"""Hints from one process of a site to the others: something has changed, look at the database.

A hint may be lost, doubled or late, and nothing but time is lost with it: who hears one reads what is true, and who may
have missed some is told so and reads everything. `tell` therefore never waits and never fails.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from tako.core.chores import running
from tako.core.errors import Unavailable

# What a hint is about; its body says which one.
FEED = "feed"  # a principal and hints for their browsers
LOGS = "logs"  # a process that has committed entries or ended a log
LOST = "lost"  # a process whose log somebody has taken
CAME = "came"  # a process that serves from now on
SITE = "site"  # the settings that an owner may change on the page
MODELS = "models"  # the upstreams and models that an owner has added, and their terms
SLOTS = "slots"  # an answer has ended or begun, which others of its user or model may wait for
FOLLOWED = "followed"  # a process, one of its logs, and the entry from which on somebody follows it (`journal.echo`)
GREW = "grew"  # logs that are followed, each with the number of its entries
ENDED = "ended"  # a log that is followed
DEAF = "deaf"  # a process that does not hear Valkey
TOPICS = (FEED, LOGS, LOST, CAME, SITE, MODELS, SLOTS, FOLLOWED, GREW, ENDED, DEAF)

# Between two tries to load something again while the database does not answer, in seconds.
_RETRY = 1.0


class Bus(Protocol):
    """Ways to tell the other processes. Bodies are short texts without line breaks (PostgreSQL takes 7,900 bytes)."""

    def tell(self, topic: str, body: str) -> None:
        """Say it to all other processes, soon; the same body is said once however often it is told meanwhile."""

    def listen(self, topic: str, heard: Callable[[str], None]) -> None:
        """Call `heard` with every body that another process tells from now on."""

    def on_gap(self, missed: Callable[[], None]) -> None:
        """Call `missed` when hints may have been lost: the connection was, and is there again."""


class Alone:
    """A site of one process: there is nobody to tell."""

    def tell(self, topic: str, body: str) -> None:
        """Nobody hears it."""

    def listen(self, topic: str, heard: Callable[[str], None]) -> None:
        """Nobody speaks."""

    def on_gap(self, missed: Callable[[], None]) -> None:
        """Nothing is lost."""


@asynccontextmanager
async def reloading(bus: Bus, topic: str, load: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """`load` once, and again whenever another process tells the topic or may have told it."""
    changed = asyncio.Event()
    bus.listen(topic, lambda body: changed.set())
    bus.on_gap(changed.set)
    await load()

    async def load_again() -> None:
        while True:
            await changed.wait()
            changed.clear()
            try:
                await load()
            except Unavailable:
                changed.set()
                await asyncio.sleep(_RETRY)

    async with running(**{f"reload {topic}": load_again()}):
        yield
