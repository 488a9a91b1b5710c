"""What was said before: walked backwards from the newest, only until the model's budget is full."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat import fold, store
from tako.chat.dialects.responses import Responses
from tako.chat.providers.base import Turn
from tako.chat.store import Response
from tako.chat.tokens import PER_MESSAGE, estimate
from tako.core import blobs
from tako.core.errors import Invalid, NotFound

# Ancestors are read this many at a time.
PAGE = 64
_NOTHING = 10**9


class ContextTooLong(Invalid):
    """History and question together are longer than the model can read."""


async def collect(
    earlier: AsyncIterator[tuple[Turn, int]], budget: int, *, drop_oldest: bool
) -> tuple[list[Turn], int, bool]:
    """Turns in the order of speaking, their tokens, and whether older ones were left out.

    `budget` is in tokens. When it does not suffice: `ContextTooLong`, or with `drop_oldest` the oldest are left out.
    """
    turns: list[Turn] = []
    used = 0
    dropped = False
    async for turn, tokens in earlier:
        if used + tokens > budget:
            if not drop_oldest:
                raise too_long()
            dropped = True
            break
        used += tokens
        turns.append(turn)
    turns.reverse()
    return turns, used, dropped


def too_long() -> ContextTooLong:
    return ContextTooLong(
        "This conversation is longer than the model can read. Start a new one, choose a model with a larger context, "
        'or send "truncation": "auto" to leave the oldest messages out.',
        code="context_length_exceeded",
        param="input",
    )


async def of_branch(connection: AsyncConnection, leaf_id: str | None) -> AsyncIterator[tuple[Turn, int]]:
    """The messages from `leaf_id` up to the first, newest first, with their tokens."""
    while leaf_id is not None:
        page = await store.branch(connection, leaf_id, page=PAGE)
        if not page:
            return
        for message in page:
            if text := message.text:
                yield _turn(message.role, text), (message.token_count or estimate(text)) + PER_MESSAGE
        leaf_id = page[-1].parent_id


async def of_chain(connection: AsyncConnection, previous: Response | None) -> AsyncIterator[tuple[Turn, int]]:
    """What `previous` answered, what it was asked, and so on back along `previous_response_id`, newest first."""
    while previous is not None:
        if previous.message_id is not None:
            async for turn in of_branch(connection, previous.message_id):
                yield turn
            return
        answer = text_of(previous)
        if answer:
            yield Turn("assistant", answer), estimate(answer) + PER_MESSAGE
        for item in reversed(await input_items(connection, previous)):
            yield turn_of(item), estimate(item["text"]) + PER_MESSAGE
        if previous.previous_response_id is None:
            return
        try:
            previous = await store.response(connection, previous.previous_response_id)
        except NotFound:
            return  # an older part of the chain was deleted or has expired


def text_of(response: Response) -> str:
    """The text of an answer that has ended."""
    if response.fold is None:
        return ""
    state = Responses(after=_NOTHING)
    for entry in fold.load(response.fold).entries():
        state.feed(entry)
    return state.text()


async def input_items(connection: AsyncConnection, response: Response) -> list[dict[str, Any]]:
    """The input of a response that no conversation holds: objects with `id`, `role` and `text`, in order."""
    if response.input_hash is None:
        return []
    data = await blobs.get(connection, response.principal_id, response.input_hash)
    return msgspec.json.decode(data, type=list[dict[str, Any]]) if data else []


def turn_of(item: dict[str, Any]) -> Turn:
    return _turn(item["role"], item["text"])


def _turn(role: str, text: str) -> Turn:
    if role == "assistant":
        return Turn("assistant", text)
    return Turn("system" if role in ("system", "developer") else "user", text)
