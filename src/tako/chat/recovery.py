"""What becomes of an answer whose process died: it goes on where that can be, else it is closed with all it has."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat import history, places, responses, slots, store
from tako.chat.generation import INTERRUPTED, Outcome, Output
from tako.chat.places import Spot
from tako.chat.providers.base import Model, Prompt, Turn
from tako.chat.responses import Chat
from tako.chat.store import Response
from tako.chat.tokens import estimate
from tako.core.chores import running
from tako.core.errors import NotFound, Unavailable
from tako.core.journal import Left

_log = structlog.get_logger("tako.recovery")

# An answer that was begun this often is not begun again, whatever takes it over.
MAX_ATTEMPTS = 4
# Between two tries while the database does not answer, in seconds.
RETRY = 1.0


@asynccontextmanager
async def recovering(chat: Chat) -> AsyncIterator[Callable[[Iterable[Left]], None]]:
    """While the block runs, what it is given is decided about, one answer after the other. One that the database does
    not let be decided about yet is tried again."""
    waiting: asyncio.Queue[Left] = asyncio.Queue()

    async def recover_for_ever() -> None:
        while True:
            left = await waiting.get()
            try:
                await recover(chat, left)
            except Unavailable as error:
                _log.warning("answer_not_recovered_yet", response=left.log_id, reason=error.message)
                waiting.put_nowait(left)
                await asyncio.sleep(RETRY)
            except Exception:
                # A bug, which must not keep all other answers from being recovered.
                _log.exception("answer_not_recovered", response=left.log_id, next_step="it is tried again")
                chat.journal.give_back(left)

    def take(lefts: Iterable[Left]) -> None:
        for left in lefts:
            waiting.put_nowait(left)

    async with running(recovery=recover_for_ever()):
        yield take


async def recover(chat: Chat, left: Left) -> None:
    """Decide about an answer whose process died: go on where that is possible, else close it with all that it has."""
    found = await _found(chat, left)
    if found is None:
        return
    row, attempts, waits = found
    entries = _entries(row, left)
    model, provider = chat.catalog.get(row.model) or (None, None)
    prompt = None
    if model is not None and (waits or attempts < MAX_ATTEMPTS):
        prompt = await _continuation(chat, row, model, Output.of(entries))
    if prompt is None or provider is None:
        _log.info("answer_closed_after_crash", response=row.id, entries=len(entries))
        await _close(chat, row, left, INTERRUPTED, attempts)
        chat.watch.adopted(time.monotonic() - left.since)
        return
    attempts += not waits
    async with chat.db.write() as connection:
        if not await chat.journal.holds(connection, row.id, left.epoch):
            chat.journal.give_back(left)
            return
        if not waits:
            await store.add_attempt(connection, row.id, left.epoch, provider.name)
    _log.info("answer_goes_on_after_crash", response=row.id, entries=len(entries))
    log = chat.journal.open(row.id, left.epoch, entries)
    chat.watch.adopted(time.monotonic() - left.since)
    generation = chat.generations.add(row, provider, log, prompt, attempts)
    if waits:
        chat.usher.wait(generation)
    else:
        responses.begin(chat, generation)


async def close(chat: Chat, left: Left, outcome: Outcome) -> None:
    """End it so, with all that its log holds, and wait until that is stored."""
    try:
        if (found := await _found(chat, left)) is not None:
            row, attempts, _ = found
            await _close(chat, row, left, outcome, attempts)
    except BaseException:
        chat.journal.give_back(left)  # else nobody would look after it for as long as this process lives
        raise


async def _found(chat: Chat, left: Left) -> tuple[Response, int, bool] | None:
    """The response, how often it was begun, and whether it still waits for that; None when it has ended after all, or
    is somebody else's."""
    async with chat.db.write() as connection:
        row = await store.response(connection, left.log_id, hidden=True)
        if row.completed_at is not None or not await chat.journal.holds(connection, row.id, left.epoch):
            chat.journal.give_back(left)
            return None
        waits = await slots.is_waiting(connection, row.id)
        if not waits:
            await store.end_attempt(connection, row.id, "lost")
        return row, await store.count_attempts(connection, row.id), waits


async def _close(chat: Chat, row: Response, left: Left, outcome: Outcome, attempts: int) -> None:
    _, provider = chat.catalog.get(row.model) or (None, None)
    log = chat.journal.open(row.id, left.epoch, _entries(row, left))
    await chat.generations.close(row, log, outcome, provider, attempts)


def _entries(row: Response, left: Left) -> list[bytes]:
    entries = [row.created]
    while (n := len(entries)) in left.entries:
        entries.append(left.entries[n])
    return entries


async def _continuation(chat: Chat, row: Response, model: Model, output: Output) -> Prompt | None:
    """How to go on with an interrupted answer; None when it has to be closed.

    A foreground answer has lost its reader. One that showed nothing is asked for again. One in the middle of its text
    goes on when the provider can continue a prefix.
    """
    if not row.background:
        return None
    prefix = output.text("text")
    begun = bool(output.kinds)
    in_text = output.open is not None and output.kinds[output.open] == "text"
    if begun and not (model.prefix and in_text):
        return None
    if await _conversation_is_gone(chat, row):
        return None
    left = row.ask["max_output_tokens"] - (estimate(prefix) if begun else 0)
    if left <= 0:
        return None
    async with chat.db.read() as connection:
        spot = await places.again(connection, row, prefix=model.prefix)
        turns = await _turns_again(connection, row, spot)
    return replace(responses.prompt_of(row, model, turns, left), prefix=spot.prefix + prefix)


async def _conversation_is_gone(chat: Chat, row: Response) -> bool:
    """Whether it was deleted while the answer ran: whoever did that wanted the answer stopped."""
    if row.conversation_id is None:
        return False
    try:
        async with chat.db.read() as connection:
            await store.conversation(connection, row.conversation_id)
    except NotFound:
        return True
    return False


async def _turns_again(connection: AsyncConnection, row: Response, spot: Spot) -> list[Turn]:
    """The turns that a stored response was asked with."""
    budget = row.ask["context_tokens"] - estimate(spot.prefix)
    if row.message_id is not None:
        turns, _, _ = await history.collect(history.of_branch(connection, spot.leaf_id), budget, drop_oldest=True)
        return [*turns, *spot.told()]
    own = [history.turn_of(item) for item in await history.input_items(connection, row)]
    if row.purpose == "title":
        return own
    earlier = await _history_of(connection, row.conversation_id, row.previous_response_id)
    turns, _, _ = await history.collect(earlier, budget - row.input_tokens, drop_oldest=True)
    return [*turns, *own]


async def _history_of(connection: AsyncConnection, conversation_id: str | None, previous_id: str | None) -> Any:
    if previous_id is not None:
        try:
            return history.of_chain(connection, await store.response(connection, previous_id))
        except NotFound:
            return history.of_branch(connection, None)
    if conversation_id is not None:
        leaf_id = (await store.conversation(connection, conversation_id)).leaf_id
        return history.of_branch(connection, leaf_id)
    return history.of_branch(connection, None)
