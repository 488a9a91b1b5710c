"""The answers that are being made: whose they are and how long they run, never what they say."""

from dataclasses import dataclass

import structlog

from tako.chat import answers
from tako.chat import store as chat_store
from tako.chat.owner import store
from tako.chat.owner.store import RunningRow
from tako.chat.responses import Chat
from tako.core import ids
from tako.core.accounts.principal import Principal, authorize
from tako.core.errors import NotFound

_log = structlog.get_logger("tako.running")


@dataclass(frozen=True, slots=True)
class Running:
    """`tokens` is about how many the answer has so far; None where another process makes it."""

    row: RunningRow
    tokens: int | None


async def list_all(chat: Chat, by: Principal) -> list[Running]:
    """Oldest first. Raises `Denied`."""
    authorize(by, "admin")
    async with chat.db.read() as connection:
        rows = await store.running(connection)
    made_here = ((row, chat.generations.find(row.id)) for row in rows)
    return [Running(row, generation.tokens() if generation else None) for row, generation in made_here]


async def stop(chat: Chat, by: Principal, response_id: str) -> None:
    """End it as cancelled with all that was shown; what has ended stays as it is. Raises `Denied`, `NotFound`,
    `Unavailable`."""
    authorize(by, "admin")
    if not ids.is_id(response_id, "resp"):
        raise NotFound("There is no such response.", code="response_not_found")
    async with chat.db.read() as connection:
        row = await chat_store.response(connection, response_id, hidden=True)
    if row.completed_at is None:
        await answers.stop(chat, row.id)
        _log.info("answer_stopped_by_admin", response=row.id, by=by.id)
