"""A migration as the owner's page watches it: read when it is asked for, and told of while somebody looks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import structlog

from tako.core.chores import running
from tako.core.errors import TakoError
from tako.core.feed import Feed, Follower, Hint
from tako.ferry import cutover, plan, status, target
from tako.ferry.errors import BadRules
from tako.ferry.plan import Plan
from tako.ferry.target import notices
from tako.ferry.target.notices import Notices

_log = structlog.get_logger("tako.ferry")

PATIENCE = 5  # seconds that the target gets to say something
APART = 0.5  # seconds between two hints, at the least
SILENCE = cutover.ALIVE + 1.0  # seconds after which it is news that nothing is told any more
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds between two tries to reach the target
KIND = "ferry"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a migration.

    `status` is that of `tako ferry status --json` and was read at `read_at`, which is long ago if `problem` says why it
    cannot be read now. Without a plan that can be read there is nothing else.
    """

    plan: Plan | None = None
    status: dict[str, Any] | None = None
    read_at: datetime | None = None
    problem: TakoError | None = None


class Watch:
    """The migration of the plan in `file`, which is read anew each time: it may be planned again."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._last = Seen()
        self._reading = asyncio.Lock()
        self._feed = Feed()  # each process hears the target itself, for those who look here
        self._hints = count(1)
        self._lookers = 0
        self._listening = AsyncExitStack()

    async def read(self) -> Seen:
        """As it is now, or as it was when it could be read."""
        async with self._reading:
            self._last = await asyncio.to_thread(_read, self.file, self._last)
            return self._last

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[Follower]:
        """Somebody looks while the block runs: the follower gets a hint, twice a second at most, when something has
        changed. The target is listened to as long as anybody does."""
        follower = self._feed.follow(KIND)
        self._lookers += 1
        try:
            if self._lookers == 1:
                self._listening = AsyncExitStack()
                await self._listening.enter_async_context(running(ferry_watch=self._listen()))
            yield follower
        finally:
            self._lookers -= 1
            if self._lookers == 0:
                await self._listening.aclose()

    async def _listen(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                made = await asyncio.to_thread(plan.read, self.file)
                async with notices.listening(made.target.url, PATIENCE) as heard:
                    pause = FIRST_PAUSE
                    self._hint()  # of what happened before
                    await self._hear(heard)
            except TakoError as error:
                if pause == FIRST_PAUSE:
                    _log.warning("ferry_not_heard", reason=error.message)
                    self._hint()  # who reads now is told why
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _hear(self, heard: Notices) -> None:
        told = True
        while True:
            told = await heard.next(SILENCE if told else None)
            self._hint()
            await asyncio.sleep(APART)

    def _hint(self) -> None:
        self._feed.publish(KIND, Hint("changed", KIND, next(self._hints)))


def _read(file: Path, last: Seen) -> Seen:
    try:
        made = plan.read(file)
    except BadRules as error:
        return Seen(problem=error)
    known = last if last.plan is not None and last.plan.hash == made.hash else Seen()
    try:
        with target.connect(made.target.url, patience=PATIENCE) as session, session.transaction():
            # One moment: `tako ferry abort` may be at work.
            session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            found = status.read(made, session)
    except TakoError as error:
        return replace(known, plan=made, problem=error)
    return Seen(made, found, datetime.now(UTC))
