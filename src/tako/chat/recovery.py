"""What becomes of an answer whose process died: it goes on where that can be, else it is closed with all it has."""

from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat import history, places, responses, store
from tako.chat.generation import INTERRUPTED, Output
from tako.chat.places import Spot
from tako.chat.providers.base import Model, Prompt, Turn
from tako.chat.responses import Chat
from tako.chat.store import Response
from tako.chat.tokens import estimate
from tako.core.errors import NotFound
from tako.core.journal import Left

_log = structlog.get_logger("tako.recovery")

# An answer that was begun this often is not begun again, whatever takes it over.
MAX_ATTEMPTS = 4


async def recover(chat: Chat, left: Left) -> None:
    """Decide about an answer whose process died: go on where that is possible, else close it with all that it has."""
    async with chat.db.write() as connection:
        row = await store.response(connection, left.log_id, hidden=True)
        attempts = await store.count_attempts(connection, row.id)
        await store.end_attempt(connection, row.id, "lost")
    entries = [row.created]
    while (n := len(entries)) in left.entries:
        entries.append(left.entries[n])
    log = chat.journal.open(row.id, left.epoch, entries)
    model_and_provider = chat.catalog.get(row.model)
    if model_and_provider is None:
        await chat.generations.close(row, log, INTERRUPTED, None, attempts)
        return
    model, provider = model_and_provider
    prompt = await _continuation(chat, row, model, Output.of(entries)) if attempts < MAX_ATTEMPTS else None
    if prompt is None:
        _log.info("answer_closed_after_crash", response=row.id, entries=len(entries))
        await chat.generations.close(row, log, INTERRUPTED, provider, attempts)
        return
    _log.info("answer_goes_on_after_crash", response=row.id, entries=len(entries))
    async with chat.db.write() as connection:
        await store.add_attempt(connection, row.id, left.epoch, provider.name)
    responses.begin(chat, chat.generations.add(row, provider, log, prompt, attempts + 1))


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
    left = row.ask["max_output_tokens"] - (estimate(prefix) if begun else 0)
    if left <= 0:
        return None
    async with chat.db.read() as connection:
        spot = await places.again(connection, row, prefix=model.prefix)
        turns = await _turns_again(connection, row, spot)
    return replace(responses.prompt_of(row, model, turns, left), prefix=spot.prefix + prefix)


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
