"""The chat's queries. Each takes a connection, so that rules decide what belongs into one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat.models import attempts, conversations, items, ledger, messages, responses
from tako.core import ids
from tako.core.blobs import blobs
from tako.core.db import now
from tako.core.errors import NotFound
from tako.core.journal.models import logs


@dataclass(frozen=True, slots=True)
class Running:
    """A response that is being made, and the message that it fills (None: it is not kept in its conversation)."""

    response_id: str
    message_id: str | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """`version` grows with every change. `title_wanted`: a model is to make the title; what stands there is a cut of
    the first question. `running` is the newest answer that is being made."""

    id: str
    principal_id: str
    title: str
    title_wanted: bool
    version: int
    metadata: dict[str, str]
    leaf_id: str | None
    created_at: int
    updated_at: int
    deleted_at: int | None = None
    running: Running | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """`content` is the item as clients see it, without its id and status."""

    id: str
    type: str
    content: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One node of a conversation's tree. `reason` and `error` (code, message) say why it is not completed."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: str
    model: str | None
    status: str
    token_count: int | None
    reason: str | None
    error: dict[str, str] | None
    created_at: int
    items: tuple[Item, ...] = ()

    @property
    def text(self) -> str:
        """What was said, reasoning left out. An answer that went on after an interruption has several items."""
        return "".join(item.text for item in self.items if item.type == "message")


@dataclass(frozen=True, slots=True)
class Response:
    """A row of `responses`; `fold` is None while it runs."""

    id: str
    principal_id: str
    conversation_id: str | None
    message_id: str | None
    previous_response_id: str | None
    purpose: str
    status: str
    background: bool
    store: bool
    wire: int
    model: str
    ask: dict[str, Any]
    input_hash: str | None
    created: bytes
    fold: bytes | None
    reserved_tokens: int
    input_tokens: int
    idempotency_key: str | None
    request_hash: str | None
    created_at: int
    completed_at: int | None
    expires_at: int | None


_RESPONSE = [responses.c[name] for name in Response.__dataclass_fields__]
_CONVERSATION = [conversations.c[name] for name in Conversation.__dataclass_fields__ if name != "running"]
_MESSAGE = [messages.c[name] for name in Message.__dataclass_fields__ if name != "items"]
_RUNNING = responses.c.completed_at.is_(None)  # as the index says it
# Statements of every answer are built once: building one costs ten times as much as running it.
_ADD_RESPONSE = insert(responses)
_ANY_RESPONSE = select(*_RESPONSE).where(responses.c.id == bindparam("response"))
_RESPONSE_TO_SHOW = _ANY_RESPONSE.where(
    responses.c.deleted_at.is_(None), or_(responses.c.expires_at.is_(None), responses.c.expires_at > bindparam("at"))
)
_CHANGE_RESPONSE = update(responses).where(responses.c.id == bindparam("response"))
_ADD_ATTEMPT = insert(attempts)
_END_ATTEMPT = update(attempts).where(attempts.c.response_id == bindparam("response"), attempts.c.ended_at.is_(None))
_BILL = insert(ledger)


def _branch() -> Select[Any]:
    """From the message `leaf` up to the ancestor `deepest` above it, each with its items."""
    up = (
        select(messages.c.id, messages.c.parent_id, literal(0).label("depth"))
        .where(messages.c.id == bindparam("leaf"))
        .cte("up", recursive=True)
    )
    up = up.union_all(
        select(messages.c.id, messages.c.parent_id, up.c.depth + 1)
        .join(up, messages.c.id == up.c.parent_id)
        .where(up.c.depth < bindparam("deepest"))
    )
    return (
        select(*_MESSAGE, items.c.id.label("item_id"), items.c.type, items.c.content, items.c.text)
        .select_from(up.join(messages, messages.c.id == up.c.id))
        .outerjoin(items, (items.c.message_id == messages.c.id) & items.c.deleted_at.is_(None))
        .order_by(up.c.depth, items.c.position)
    )


_BRANCH = _branch()


# Conversations


async def add_conversation(
    connection: AsyncConnection,
    principal_id: str,
    metadata: dict[str, str],
    *,
    title: str = "",
    title_wanted: bool = False,
) -> Conversation:
    at = now()
    row = Conversation(ids.new("conv"), principal_id, title, title_wanted, 1, metadata, None, at, at)
    values = {column.name: getattr(row, column.name) for column in _CONVERSATION}
    await connection.execute(insert(conversations).values(**values))
    return row


async def conversation(
    connection: AsyncConnection, conversation_id: str, *, lock: bool = False, deleted: bool = False
) -> Conversation:
    """Raises `NotFound`. With `lock` no other transaction posts into it until ours ends; `deleted` finds it also
    when it is deleted."""
    query = select(*_CONVERSATION).where(conversations.c.id == conversation_id)
    if not deleted:
        query = query.where(conversations.c.deleted_at.is_(None))
    row = None
    if ids.is_id(conversation_id, "conv"):  # PostgreSQL takes no NUL, not even to look for it
        row = (await connection.execute(query.with_for_update() if lock else query)).first()
    if row is None:
        raise no_conversation()
    return Conversation(**row._mapping)


def no_message() -> NotFound:
    return NotFound("There is no such message.", code="message_not_found")


def no_conversation() -> NotFound:
    return NotFound("There is no such conversation.", code="conversation_not_found")


async def list_conversations(
    connection: AsyncConnection, principal_id: str, *, limit: int, after: str | None, search: str | None
) -> list[Conversation]:
    """Newest first. `after` is the id of the last one seen; `search` matches titles and texts, letter by letter."""
    query = select(*_CONVERSATION).where(
        conversations.c.principal_id == principal_id, conversations.c.deleted_at.is_(None)
    )
    if after is not None:
        last = await conversation(connection, after)
        query = query.where(
            or_(
                conversations.c.updated_at < last.updated_at,
                (conversations.c.updated_at == last.updated_at) & (conversations.c.id < last.id),
            )
        )
    if search:
        matching = (
            select(items.c.id)
            .join(messages, messages.c.id == items.c.message_id)
            .where(messages.c.conversation_id == conversations.c.id, items.c.deleted_at.is_(None))
            .where(items.c.type == "message", items.c.text.icontains(search, autoescape=True))
        )
        query = query.where(or_(conversations.c.title.icontains(search, autoescape=True), matching.exists()))
    query = query.order_by(conversations.c.updated_at.desc(), conversations.c.id.desc()).limit(limit)
    rows = [Conversation(**row._mapping) for row in await connection.execute(query)]
    running = await running_in(connection, [row.id for row in rows])
    return [replace(row, running=running[row.id][-1] if row.id in running else None) for row in rows]


async def update_conversation(connection: AsyncConnection, conversation_id: str, **values: Any) -> int:
    """Change it. Returns its new version."""
    changed = await connection.execute(
        update(conversations)
        .where(conversations.c.id == conversation_id)
        .values(version=conversations.c.version + 1, **values)
        .returning(conversations.c.version)
    )
    return int(changed.scalar() or 0)


async def keep_title(connection: AsyncConnection, conversation_id: str, title: str | None) -> int | None:
    """The title that was made (None: what stands there has to do), if one is still wanted. Returns the new version,
    None when nothing changed that people see."""
    values = {"title_wanted": False} if title is None else {"title_wanted": False, "title": title}
    changed = await connection.execute(
        update(conversations)
        .where(conversations.c.id == conversation_id, conversations.c.title_wanted.is_(True))
        .values(version=conversations.c.version + 1, **values)
        .returning(conversations.c.version)
    )
    version = changed.scalar()
    return None if version is None else int(version)


async def titles_wanted(connection: AsyncConnection) -> list[str]:
    """Conversations that wait for a title, and in which nothing runs that will ask for one at its end."""
    running = select(responses.c.id).where(responses.c.conversation_id == conversations.c.id, _RUNNING)
    found = await connection.execute(
        select(conversations.c.id)
        .where(conversations.c.title_wanted.is_(True), conversations.c.deleted_at.is_(None), ~running.exists())
        .order_by(conversations.c.id)
    )
    return list(found.scalars())


async def title_running(connection: AsyncConnection, conversation_id: str) -> bool:
    found = await connection.execute(
        select(responses.c.id).where(
            responses.c.conversation_id == conversation_id, _RUNNING, responses.c.purpose == "title"
        )
    )
    return found.first() is not None


async def running_in(
    connection: AsyncConnection, conversation_ids: Sequence[str], *, titles: bool = False
) -> dict[str, list[Running]]:
    """The answers that are being made in those conversations, oldest first; with `titles` those too."""
    query = select(responses.c.conversation_id, responses.c.id, responses.c.message_id).where(
        responses.c.conversation_id.in_(conversation_ids), _RUNNING
    )
    if not titles:
        query = query.where(responses.c.purpose == "answer")
    found: dict[str, list[Running]] = {}
    for conversation_id, response_id, message_id in await connection.execute(query.order_by(responses.c.id)):
        found.setdefault(conversation_id, []).append(Running(response_id, message_id))
    return found


# Messages


async def add_message(
    connection: AsyncConnection,
    conversation_id: str,
    parent_id: str | None,
    role: str,
    *,
    status: str,
    message_id: str | None = None,
    model: str | None = None,
    token_count: int | None = None,
) -> str:
    message_id = message_id or ids.new("mesg")
    await connection.execute(
        insert(messages).values(
            id=message_id,
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=role,
            model=model,
            status=status,
            token_count=token_count,
            created_at=now(),
        )
    )
    return message_id


async def add_items(connection: AsyncConnection, message_id: str, new: Sequence[Item]) -> None:
    """After those that the message has."""
    if not new:
        return
    last = await connection.execute(select(func.max(items.c.position)).where(items.c.message_id == message_id))
    first = (last.scalar() or 0) + 1
    await connection.execute(
        insert(items),
        [
            {
                "id": item.id,
                "message_id": message_id,
                "position": position,
                "type": item.type,
                "content": item.content,
                "text": item.text,
            }
            for position, item in enumerate(new, first)
        ],
    )


async def message(connection: AsyncConnection, message_id: str) -> Message:
    """One message with its items. Raises `NotFound`."""
    found = await branch(connection, message_id, page=1) if ids.is_id(message_id, "mesg") else []
    if not found:
        raise no_message()
    return found[0]


async def branch(connection: AsyncConnection, leaf_id: str, *, page: int) -> list[Message]:
    """The message `leaf_id` and up to `page - 1` of its ancestors, newest first, with their items."""
    found: dict[str, Message] = {}
    said: dict[str, list[Item]] = {}
    for row in await connection.execute(_BRANCH, {"leaf": leaf_id, "deepest": page - 1}):
        own, (item_id, *item) = row[: len(_MESSAGE)], row[len(_MESSAGE) :]
        found[own[0]] = found.get(own[0]) or Message(*own)
        if item_id:
            said.setdefault(own[0], []).append(Item(item_id, *item))
    return [replace(one, items=tuple(said.get(message_id, ()))) for message_id, one in found.items()]


async def roots(connection: AsyncConnection, conversation_id: str) -> list[str]:
    """The first messages of all branches, in the order in which they were made."""
    query = select(messages.c.id).where(messages.c.conversation_id == conversation_id, messages.c.parent_id.is_(None))
    return list((await connection.execute(query.order_by(messages.c.id))).scalars())


async def children(connection: AsyncConnection, message_ids: Sequence[str]) -> dict[str, list[str]]:
    """The answers and questions that follow each of those messages, in the order in which they were made."""
    query = select(messages.c.parent_id, messages.c.id).where(messages.c.parent_id.in_(message_ids))
    found: dict[str, list[str]] = {}
    for parent_id, message_id in await connection.execute(query.order_by(messages.c.id)):
        found.setdefault(parent_id, []).append(message_id)
    return found


async def newest_leaf(connection: AsyncConnection, message_id: str) -> str:
    """The newest of the messages below that one (or itself) that nothing follows."""
    down = select(messages.c.id).where(messages.c.id == message_id).cte("down", recursive=True)
    down = down.union_all(select(messages.c.id).join(down, messages.c.parent_id == down.c.id))
    below = messages.alias()
    query = select(func.max(down.c.id)).where(~select(below.c.id).where(below.c.parent_id == down.c.id).exists())
    return str((await connection.execute(query)).scalar_one())


async def first_of(connection: AsyncConnection, message_id: str) -> str:
    """The first message of the branch that ends with that one."""
    up = select(messages.c.id, messages.c.parent_id).where(messages.c.id == message_id).cte("up", recursive=True)
    up = up.union_all(select(messages.c.id, messages.c.parent_id).join(up, messages.c.id == up.c.parent_id))
    return str((await connection.execute(select(up.c.id).where(up.c.parent_id.is_(None)))).scalar_one())


async def item(connection: AsyncConnection, conversation_id: str, item_id: str) -> tuple[Item, str]:
    """An item with its message's status. Raises `NotFound`."""
    query = (
        select(items.c.id, items.c.type, items.c.content, items.c.text, messages.c.status)
        .join(messages, messages.c.id == items.c.message_id)
        .where(items.c.id == item_id, messages.c.conversation_id == conversation_id, items.c.deleted_at.is_(None))
    )
    row = (await connection.execute(query)).first() if ids.is_id(item_id) else None
    if row is None:
        raise NotFound("There is no such item in this conversation.", code="item_not_found")
    return Item(row.id, row.type, row.content, row.text), row.status


async def delete_item(connection: AsyncConnection, item_id: str) -> None:
    await connection.execute(update(items).where(items.c.id == item_id).values(deleted_at=now()))


# Responses


def _response(row: Row[Any]) -> Response:
    return Response(**row._mapping)


async def add_response(connection: AsyncConnection, row: Response, provider: str) -> None:
    """A new response together with its first attempt."""
    values = {name: getattr(row, name) for name in Response.__dataclass_fields__}
    await connection.execute(_ADD_RESPONSE, values)
    await add_attempt(connection, row.id, 1, provider)


async def response(connection: AsyncConnection, response_id: str, *, hidden: bool = False) -> Response:
    """Raises `NotFound`, also for what is deleted or has expired unless `hidden` things are asked for."""
    row = None
    if ids.is_id(response_id, "resp"):
        asked = {"response": response_id} if hidden else {"response": response_id, "at": now()}
        row = (await connection.execute(_ANY_RESPONSE if hidden else _RESPONSE_TO_SHOW, asked)).first()
    if row is None:
        raise no_response()
    return _response(row)


def no_response() -> NotFound:
    return NotFound("There is no such response, or it has expired.", code="response_not_found")


async def same_request(connection: AsyncConnection, principal_id: str, key: str) -> Response | None:
    """The response that an earlier request with this idempotency key made, as long as it exists.

    Until the transaction ends nobody else uses that key: SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        name = func.hashtextextended(f"{principal_id} {key}", 0)
        await connection.execute(select(func.pg_advisory_xact_lock(name)))
    row = (
        await connection.execute(
            select(*_RESPONSE).where(
                responses.c.principal_id == principal_id,
                responses.c.idempotency_key == key,
                responses.c.deleted_at.is_(None),
            )
        )
    ).first()
    if row is not None and row.expires_at is not None and row.expires_at <= now():
        await delete_response(connection, row.id)
        return None
    return _response(row) if row else None


async def update_response(connection: AsyncConnection, response_id: str, **values: Any) -> None:
    await connection.execute(_CHANGE_RESPONSE, {"response": response_id, **values})


async def delete_response(connection: AsyncConnection, response_id: str) -> None:
    """Hide it, and free its idempotency key."""
    await update_response(connection, response_id, deleted_at=now(), idempotency_key=None)


async def newest_response(connection: AsyncConnection, message_id: str) -> Response | None:
    """The last one that filled that message."""
    query = select(*_RESPONSE).where(responses.c.message_id == message_id, responses.c.deleted_at.is_(None))
    row = (await connection.execute(query.order_by(responses.c.id.desc()).limit(1))).first()
    return _response(row) if row else None


async def reopen_message(connection: AsyncConnection, message_id: str) -> None:
    """Another response goes on with it."""
    await connection.execute(
        update(messages).where(messages.c.id == message_id).values(status="in_progress", reason=None, error=None)
    )


async def end_message(
    connection: AsyncConnection,
    message_id: str,
    status: str,
    tokens: int,
    reason: str | None,
    error: dict[str, str] | None,
) -> None:
    """`tokens` are added to those of the responses that filled it before."""
    await connection.execute(
        update(messages)
        .where(messages.c.id == message_id)
        .values(
            status=status, token_count=func.coalesce(messages.c.token_count, 0) + tokens, reason=reason, error=error
        )
    )


# Attempts and the bill


async def add_attempt(connection: AsyncConnection, response_id: str, epoch: int, provider: str) -> None:
    row = {"response_id": response_id, "epoch": epoch, "provider": provider, "started_at": now()}
    await connection.execute(_ADD_ATTEMPT, {"id": ids.new("att"), **row})


async def end_attempt(
    connection: AsyncConnection,
    response_id: str,
    outcome: str,
    *,
    upstream_id: str | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
) -> None:
    """End the attempt that is open; a response has at most one."""
    ended = {
        "outcome": outcome,
        "ended_at": now(),
        "upstream_id": upstream_id,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
    }
    await connection.execute(_END_ATTEMPT, {"response": response_id, **ended})


async def count_attempts(connection: AsyncConnection, response_id: str) -> int:
    found = await connection.execute(select(func.count()).where(attempts.c.response_id == response_id))
    return int(found.scalar_one())


async def bill(connection: AsyncConnection, **row: Any) -> None:
    """The one ledger row of a response; a second one is refused by its key."""
    await connection.execute(_BILL, {**row, "created_at": now()})


# Purge


async def purge_responses(connection: AsyncConnection, *, limit: int) -> int:
    """Delete ended responses that have expired or were deleted, with their inputs and logs. Returns how many."""
    found = await connection.execute(
        select(responses.c.id, responses.c.input_hash)
        .where(or_(responses.c.expires_at <= now(), responses.c.deleted_at.is_not(None)))
        .where(responses.c.completed_at.is_not(None))
        .limit(limit)
    )
    inputs = {row.id: row.input_hash for row in found}
    gone = list(inputs)
    if gone:
        # Its input goes with it: no other response has the same blob, since each item of an input has its own id.
        kept = [digest for digest in inputs.values() if digest is not None]
        await connection.execute(delete(blobs).where(blobs.c.hash.in_(kept)))
        await connection.execute(delete(responses).where(responses.c.id.in_(gone)))
        await connection.execute(delete(logs).where(logs.c.id.in_(gone)))
    return len(gone)


async def purge_conversations(connection: AsyncConnection, before: int, *, limit: int) -> int:
    """Delete conversations that were deleted before that time, with all that they hold. Returns how many."""
    gone = list(
        (
            await connection.execute(select(conversations.c.id).where(conversations.c.deleted_at < before).limit(limit))
        ).scalars()
    )
    if gone:
        held = select(responses.c.id).where(responses.c.conversation_id.in_(gone))
        await connection.execute(delete(logs).where(logs.c.id.in_(held)))
        await connection.execute(delete(conversations).where(conversations.c.id.in_(gone)))
    return len(gone)
