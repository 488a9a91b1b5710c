"""The product with one promise broken, each in its own way: what a proof must notice.

Each is given a `MonkeyPatch` before the server starts, in this process (`test_exactly_once`) or in one of its own
(`mutated`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tako.chat import answers, fold, follow, quota, store
from tako.chat.dialects.responses import Responses
from tako.chat.generation import Generation, Generations, Outcome, Output
from tako.chat.http import responses as responses_http
from tako.chat.http.page import streams
from tako.chat.providers.base import Provider
from tako.chat.responses import Chat
from tako.chat.store import Response
from tako.core.journal import Journal, Log
from tako.core.journal import store as journal_store
from tako.core.journal.following import Following
from tako.core.journal.lease import Lapses
from tako.core.journal.postgres import PostgresStore
from tako.core.journal.store import Seized, Sign


def shown_before_commit(patch: pytest.MonkeyPatch) -> None:
    """Promise 2: readers see what only memory has."""
    append = Log.append

    def too_early(self: Log, entry: bytes, *, at_once: bool = False) -> None:
        append(self, entry, at_once=at_once)
        self.committed = len(self.entries)
        self.wake()

    patch.setattr(Log, "append", too_early)


def place_taken_too_late(patch: pytest.MonkeyPatch) -> None:
    """Promise 1: a reader that catches up believes to be one batch further than it is."""
    catch_up = follow.Live._catch_up

    def too_far(self: follow.Live) -> None:
        catch_up(self)
        pieces = self._catching_up
        assert pieces is not None
        self._catching_up = iter(list(pieces)[:-1])

    patch.setattr(follow.Live, "_catch_up", too_far)


def place_taken_too_early(patch: pytest.MonkeyPatch) -> None:
    """Promise 1: a reader that has caught up gets the last batch again."""
    catch_up = follow.Live._catch_up

    def too_near(self: follow.Live) -> None:
        catch_up(self)
        pieces = self._catching_up
        assert pieces is not None

        def missing() -> Iterator[bytes]:
            yield from pieces
            self._place -= 1

        self._catching_up = missing()

    patch.setattr(follow.Live, "_catch_up", too_near)


def cursor_off_by_one(patch: pytest.MonkeyPatch) -> None:
    """Promise 1: the event that a reader has comes again."""
    real = Responses.__init__

    def before(self: Responses, after: int = -1) -> None:
        real(self, after - 1 if 0 < after < 1 << 30 else after)

    patch.setattr(Responses, "__init__", before)


def runs_merged_in_the_fold(patch: pytest.MonkeyPatch) -> None:
    """Promise 1: the stored text is right, but its events are others than those that were streamed."""
    real = fold.fold

    def tidy(entries: Any) -> fold.Fold:
        made = real(entries)
        runs: list[int] = []
        for part, length in zip(made.runs[::2], made.runs[1::2], strict=True):
            if runs and runs[-2] == part:
                runs[-1] += length
            else:
                runs += (part, length)
        others = [(min(at, len(runs) // 2), raw) for at, raw in made.others]
        return fold.Fold(made.version, made.texts, runs, others)

    patch.setattr(fold, "fold", tidy)


def last_entry_lost_in_a_takeover(patch: pytest.MonkeyPatch) -> None:
    """Promises 2 and 4: whoever takes over overlooks the newest entry, and numbers on from there."""
    real = journal_store.tails

    async def short(*arguments: Any) -> dict[str, dict[int, bytes]]:
        found = await real(*arguments)
        return {log_id: dict(sorted(entries.items())[:-1]) for log_id, entries in found.items()}

    patch.setattr(journal_store, "tails", short)


def handed_over_but_not_stored(patch: pytest.MonkeyPatch) -> None:
    """Promise 2: the end keeps only what was committed before it."""
    real = Generation._tail

    def forgetful(self: Generation, *arguments: Any) -> Any:
        del self.log.entries[self.log.committed :]
        return real(self, *arguments)

    patch.setattr(Generation, "_tail", forgetful)


def beginning_not_told_to_the_next_attempt(patch: pytest.MonkeyPatch) -> None:
    """Promise 4: the model begins anew behind what was shown."""
    patch.setattr(Output, "text", lambda self, kind=None: "")


def stop_that_stops_nothing(patch: pytest.MonkeyPatch) -> None:
    """Promise 3."""

    async def nothing(chat: Chat, response_id: str) -> None:
        return None

    patch.setattr(answers, "stop", nothing)


def late_stop_hits_the_next_answer(patch: pytest.MonkeyPatch) -> None:
    """Promise 3: a stop stops whatever is running."""
    patch.setattr(Generations, "find", lambda self, response_id: next(iter(self._running.values()), None))


def no_bill(patch: pytest.MonkeyPatch) -> None:
    """Promises 5 and 7."""

    async def nothing(*_: object, **__: object) -> None:
        return None

    patch.setattr(store, "bill", nothing)


def quota_never_released(patch: pytest.MonkeyPatch) -> None:
    """Promise 5."""

    async def nothing(*_: object, **__: object) -> None:
        return None

    patch.setattr(quota, "settle", nothing)


def end_in_two_transactions(patch: pytest.MonkeyPatch) -> None:
    """Promise 5: the log ends, and a moment later all the rest; a crash may come in between."""
    real = Journal.end

    async def halves(self: Journal, log: Log, tail: list[bytes], transaction: Callable[[Any], Awaitable[None]]) -> None:
        async def nothing(connection: Any) -> None:
            return None

        await real(self, log, tail, nothing)
        await asyncio.sleep(0.3)
        async with self._db.write() as connection:
            await transaction(connection)

    patch.setattr(Journal, "end", halves)


def tails_read_before_the_fence(patch: pytest.MonkeyPatch) -> None:
    """Promise 4: whoever takes a log over reads what it holds, and only then keeps its owner from writing more."""
    seize, tails = journal_store.seize, journal_store.tails
    early: dict[str, dict[int, bytes]] = {}

    async def naively(connection: Any, log_id: str, process_id: str) -> Seized | None:
        early.update(await tails(connection, [log_id]))
        await asyncio.sleep(0.05)
        return await seize(connection, log_id, process_id)

    async def read_already(connection: Any, log_ids: Sequence[str]) -> dict[str, dict[int, bytes]]:
        found = await tails(connection, log_ids)
        return {log_id: early.pop(log_id, entries) for log_id, entries in found.items()}

    patch.setattr(journal_store, "seize", naively)
    patch.setattr(journal_store, "tails", read_already)


def append_that_checks_no_epoch(patch: pytest.MonkeyPatch) -> None:
    """Promise 4: what wakes from a pause writes on in logs that are somebody else's."""
    unchecked = """
        WITH written AS (
            INSERT INTO journal_entries (log_id, n, entry)
            SELECT * FROM unnest(%(log)s::text[], %(n)s::int[], %(entry)s::bytea[]) ON CONFLICT DO NOTHING
        )
        SELECT true, ARRAY[]::text[]
    """
    patch.setattr(PostgresStore, "APPEND", unchecked)


def death_that_nobody_notices(patch: pytest.MonkeyPatch) -> None:
    """Promise 4."""

    def none(self: Lapses, signs: Any) -> list[Sign]:
        return []

    patch.setattr(Lapses, "seen", none)


def stop_that_its_owner_does_not_hear(patch: pytest.MonkeyPatch) -> None:
    """Promise 3: the answer ends, and its upstream talks on to nobody."""
    patch.setattr(Generation, "lose", lambda self: self._owner.drop(self))


def follower_that_needs_every_hint(patch: pytest.MonkeyPatch) -> None:
    """Promise 1: no heartbeat looks for what a lost hint would have told."""
    patch.setattr(Following, "all_stale", lambda self: None)


def slow_reader_that_misses_what_is_kept_no_longer(patch: pytest.MonkeyPatch) -> None:
    """Promise 6: who falls behind what is kept rendered, which is little, goes on with that, as from a full queue."""
    catch_up = follow.Live._catch_up

    def skip(self: follow.Live) -> None:
        if self._place:
            self._place = self._tail._first
        else:
            catch_up(self)

    patch.setattr(follow, "TAIL", 1)
    patch.setattr(follow.Live, "_catch_up", skip)


def key_that_is_ignored(patch: pytest.MonkeyPatch) -> None:
    """Promise 7: the same request twice is two answers."""
    for module in (responses_http, streams):
        patch.setattr(module, "idempotency_key", lambda scope: None)


def recovery_that_is_billed_too(patch: pytest.MonkeyPatch) -> None:
    """Promises 5 and 7: whoever closes a dead process's answer takes its tokens once more."""
    close = Generations.close

    async def dear(
        self: Generations, response: Response, log: Log, outcome: Outcome, provider: Provider | None, attempts: int
    ) -> None:
        await close(self, response, log, outcome, provider, attempts)
        async with self._db.write() as connection:
            await quota.settle(connection, response.principal_id, response.created_at, 0, 1)

    patch.setattr(Generations, "close", dear)


@dataclass(frozen=True)
class Mutant:
    """One to be run in processes of its own: the promises it breaks, the faults under which it shows, and settings."""

    broken: Callable[[pytest.MonkeyPatch], None]
    promises: Sequence[int]
    faults: Sequence[str] = ()
    settings: str = ""

    @property
    def name(self) -> str:
        return self.broken.__name__


MUTANTS = (
    Mutant(cursor_off_by_one, (1,)),
    Mutant(follower_that_needs_every_hint, (1,), ("Valkey hanging", "PostgreSQL's connections cut")),
    Mutant(shown_before_commit, (2,), ("kill -9 of all processes",), "commit_interval = 0.1"),
    Mutant(stop_that_stops_nothing, (3,)),
    Mutant(stop_that_its_owner_does_not_hear, (3,)),
    Mutant(tails_read_before_the_fence, (2, 4)),
    Mutant(append_that_checks_no_epoch, (4,), ("SIGSTOP of a process, 3 s",) * 2),
    Mutant(death_that_nobody_notices, (4,), ("kill -9 of a process",)),
    Mutant(end_in_two_transactions, (5,), ("kill -9 of all processes",) * 2),
    Mutant(slow_reader_that_misses_what_is_kept_no_longer, (6,)),
    Mutant(key_that_is_ignored, (7,)),
    Mutant(recovery_that_is_billed_too, (5, 7), ("kill -9 of all processes",)),
)
