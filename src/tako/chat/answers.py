"""Answers that are being made, in this process or in another: finding their logs, joining them, stopping them."""

import asyncio
import time
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat import fold, recovery, responses, store
from tako.chat.entries import encode
from tako.chat.generation import CANCELLED, Generation
from tako.chat.responses import Chat
from tako.chat.store import Response
from tako.core.accounts.principal import Principal, authorize
from tako.core.errors import Invalid, NotFound, Unavailable
from tako.core.journal import Log

# How long whoever stops an answer waits for its end to be stored, in seconds.
PATIENCE = 10.0


async def log_of(chat: Chat, row: Response) -> Log | None:
    """The log while the response runs, here or elsewhere; None when it has ended: then its fold is the truth, which
    `row` may have been read too early to show. Raises `Unavailable`."""
    if (log := chat.journal.find(row.id)) is not None or row.fold is not None:
        return log

    async def whole() -> list[bytes] | None:
        async with chat.db.read() as connection:
            return await _entries(connection, row.id)

    return await chat.journal.follow(row.id, [row.created], whole)


async def log_of_id(chat: Chat, response_id: str) -> Log | None:
    """The same for whoever has no more of the response than its id."""
    if (log := chat.journal.find(response_id)) is not None or not chat.journal.shared:
        return log
    async with chat.db.read() as connection:
        row = await store.response(connection, response_id, hidden=True)
    return await log_of(chat, row)


async def place(chat: Chat, log: Log | None) -> int | None:
    """Of an answer in the line of its model, while it waits for a slot."""
    if log is None or len(log.entries) > 1:
        return None
    return await chat.usher.place(log.id)


async def ended(chat: Chat, row: Response) -> Response:
    """A response that may have run when it was read and does so no longer, with its fold. Raises `Unavailable` in the
    instant in which another process takes it over."""
    if row.fold is None:
        async with chat.db.read() as connection:
            row = await store.response(connection, row.id, hidden=True)
    if row.fold is None:
        raise Unavailable("This response is being taken over; ask again in a moment.", code="orphaned")
    return row


async def join(chat: Chat, row: Response) -> Generation | None:
    """Somebody follows a running answer from another connection: it goes on without the first one. Returns the
    generation if it is made here."""
    generation = chat.generations.find(row.id)
    if generation is not None:
        if generation.detached:
            return generation
        generation.detached = True
    elif row.background or row.completed_at is not None:
        return None
    async with chat.db.write() as connection:
        await store.update_response(connection, row.id, background=True)
    return generation


async def cancel(chat: Chat, principal: Principal, response_id: str) -> Response:
    """Stop it and wait for its end; what has ended already stays as it is. Only background responses can be cancelled
    by name: a foreground one is cancelled by closing its connection."""
    authorize(principal, "chat")
    row = await responses.find(chat, principal, response_id)
    generation = chat.generations.find(response_id)
    if not (generation.detached if generation is not None else row.background):
        raise Invalid(
            "Only background responses can be cancelled; to stop this one, close its connection.",
            code="not_background",
        )
    await stop(chat, response_id)
    async with chat.db.read() as connection:
        # One that was not to be stored may have expired with its end.
        return await store.response(connection, response_id, hidden=True)


async def delete(chat: Chat, principal: Principal, response_id: str) -> None:
    """Stop it if it runs, and forget it. A message that it filled stays in its conversation."""
    authorize(principal, "chat")
    row = await responses.find(chat, principal, response_id)
    if row.completed_at is None:
        await stop(chat, row.id)
    async with chat.db.write() as connection:
        await store.delete_response(connection, row.id)


async def stop(chat: Chat, response_id: str) -> None:
    """End a running answer as cancelled, with all that was shown, and wait until that is stored. What has ended stays
    as it is. Raises `Unavailable`.

    Whoever is asked does it: an answer of another process is taken from it first, be that one busy, paused or dead.
    """
    asked = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                if (generation := chat.generations.find(response_id)) is not None:
                    await asyncio.shield(generation.end(CANCELLED))
                    if not generation.log.fenced:
                        return
                    # Somebody else had it already, and goes on with it.
                left = await chat.journal.seize(response_id)
                if left is not None:
                    await recovery.close(chat, left, CANCELLED)
                elif await _has_ended(chat, response_id):
                    return
                await chat.journal.attended(response_id)  # this process may have taken it over a moment ago
    except TimeoutError:
        raise Unavailable(
            "The answer has been stopped, but the database does not take its end yet.", code="storage_full"
        ) from None
    finally:
        chat.watch.stopped(time.monotonic() - asked)


async def stop_all(chat: Chat, response_ids: Sequence[str]) -> None:
    """Stop those of them that run."""
    await asyncio.gather(*(stop(chat, response_id) for response_id in response_ids))


async def _has_ended(chat: Chat, response_id: str) -> bool:
    async with chat.db.read() as connection:
        try:
            row = await store.response(connection, response_id, hidden=True)
        except NotFound:
            return True
    return row.completed_at is not None


async def _entries(connection: AsyncConnection, response_id: str) -> list[bytes] | None:
    """All entries of a response that has ended; None when there is no such response any more."""
    try:
        row = await store.response(connection, response_id, hidden=True)
    except NotFound:
        return None
    return None if row.fold is None else [encode(entry) for entry in fold.load(row.fold).entries()]
