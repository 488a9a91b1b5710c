"""A conversation's tree as one sees it: one branch of it, page by page, with the text of what is being made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat import answers, store
from tako.chat.dialects.compact import Compact
from tako.chat.entries import Appended, PartKind, PartOpened, decode
from tako.chat.responses import Chat
from tako.chat.store import Conversation, Item, Message, Running
from tako.core.accounts.principal import Principal, authorize
from tako.core.feed import Hint
from tako.core.journal import Log

_PASSED = 1 << 60
_TYPES: dict[PartKind, str] = {"text": "message", "reasoning": "reasoning"}


@dataclass(frozen=True, slots=True)
class Growing:
    """An answer that is being made: `items` hold its text up to the event `cursor` of the compact dialect."""

    response_id: str
    cursor: int
    items: tuple[Item, ...] = ()
    place: int | None = None


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """`items` are all that it holds, what is still growing included."""

    message: Message
    children_ids: list[str]
    items: tuple[Item, ...]
    running: Growing | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of the branch that ends with `leaf_id`, oldest message first."""

    conversation: Conversation
    leaf_id: str | None
    root_ids: list[str]
    messages: list[ShownMessage]
    has_more: bool


async def show(
    chat: Chat,
    principal: Principal,
    conversation_id: str,
    *,
    leaf_id: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Shown:
    """The last `limit` messages before the message `before` on the branch that ends with `leaf_id` (None: the current
    leaf). Raises `NotFound`.

    The database and the logs are looked at one after the other, so an answer may end in between. Then the database is
    read again: it has the whole answer. Who joins a growing one with its cursor misses and repeats nothing.
    """
    missing: set[str] = set()
    while True:
        async with chat.db.read() as connection:
            conversation = await store.conversation(connection, conversation_id)
            authorize(principal, "chat:read", owner_id=conversation.principal_id, missing=store.no_conversation())
            running = (await store.running_in(connection, [conversation.id])).get(conversation.id, [])
            shown = await _page(connection, conversation, leaf_id or conversation.leaf_id, before, limit)
        logs = {found.response_id: await answers.log_of_id(chat, found.response_id) for found in running}
        places = {id: await answers.place(chat, log) for id, log in logs.items()}
        growing = {
            found.message_id: _growing(found, logs[found.response_id], places[found.response_id]) for found in running
        }
        absent = {response_id for response_id, log in logs.items() if log is None}
        # What is absent twice has just been begun, or waits for somebody to take it over: nothing of it is shown yet.
        if absent <= missing:
            return _with_growing(shown, running, growing)
        missing = absent


async def walk(chat: Chat, principal: Principal, conversation_id: str, message_id: str) -> None:
    """Make the newest leaf below that message the current one. Raises `NotFound`."""
    authorize(principal, "chat")
    async with chat.db.read() as connection:  # a long tree takes a while to walk: nobody's writes wait for it
        conversation = await store.conversation(connection, conversation_id)
        authorize(principal, "chat", owner_id=conversation.principal_id, missing=store.no_conversation())
        await _message_of(connection, conversation, message_id)
        leaf_id = await store.newest_leaf(connection, message_id)
    if leaf_id == conversation.leaf_id:
        return
    async with chat.db.write() as connection:
        version = await store.update_conversation(connection, conversation.id, leaf_id=leaf_id)
    chat.feed.publish(principal.id, Hint("changed", conversation.id, version))


async def _page(
    connection: AsyncConnection, conversation: Conversation, leaf_id: str | None, before: str | None, limit: int
) -> Shown:
    last = leaf_id and (await _message_of(connection, conversation, leaf_id)).id
    if before is not None:
        last = (await _message_of(connection, conversation, before)).parent_id
    found = await store.branch(connection, last, page=limit) if last else []
    found.reverse()
    children = await store.children(connection, [message.id for message in found])
    return Shown(
        conversation,
        leaf_id,
        await store.roots(connection, conversation.id),
        [ShownMessage(message, children.get(message.id, []), message.items, None) for message in found],
        has_more=bool(found) and found[0].parent_id is not None,
    )


async def _message_of(connection: AsyncConnection, conversation: Conversation, message_id: str) -> Message:
    message = await store.message(connection, message_id)
    if message.conversation_id != conversation.id:
        raise store.no_message()
    return message


def _growing(running: Running, log: Log | None, place: int | None) -> Growing:
    """What its log shows now."""
    state = Compact(_PASSED)
    opened: list[PartOpened] = []
    texts: list[list[str]] = []
    for raw in log.entries[: log.committed] if log is not None else ():
        entry = decode(raw)
        state.feed(entry)
        match entry:
            case PartOpened():
                opened.append(entry)
                texts.append([])
            case Appended(part, text):
                texts[part].append(text)
    items = tuple(
        Item(part.item_id, _TYPES[part.kind], {}, "".join(text)) for part, text in zip(opened, texts, strict=True)
    )
    return Growing(running.response_id, state.next - 1, items, place)


def _with_growing(shown: Shown, running: Sequence[Running], growing: Mapping[str | None, Growing]) -> Shown:
    """The page with the answers that run; the one at the leaf is the conversation's, else the newest."""
    messages = [
        replace(place, items=place.items + found.items, running=found)
        if (found := growing.get(place.message.id)) is not None
        else place
        for place in shown.messages
    ]
    at_leaf = [found for found in running if found.message_id == shown.leaf_id]
    generating = [*running, *at_leaf][-1] if running else None
    return replace(shown, messages=messages, conversation=replace(shown.conversation, running=generating))
