"""Conversations: begun, found, changed, deleted, and read from the first message to the current leaf."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tako.chat import answers, responses, store
from tako.chat.entries import clean
from tako.chat.responses import Chat, InputItem, message_item
from tako.chat.store import Conversation, Item
from tako.chat.tokens import estimate
from tako.core.accounts.principal import Principal, authorize
from tako.core.db import now
from tako.core.errors import Conflict, NotFound
from tako.core.feed import Hint


async def create(
    chat: Chat, principal: Principal, metadata: dict[str, str], items: Sequence[InputItem] = ()
) -> Conversation:
    """A new conversation, with `items` as its first messages."""
    authorize(principal, "chat")
    async with chat.db.write() as connection:
        title = clean(metadata.get("title", ""))
        row = await store.add_conversation(connection, principal.id, responses.cleaned_metadata(metadata), title=title)
        leaf_id = None
        for item in responses.cleaned(items):
            leaf_id = await store.add_message(
                connection, row.id, leaf_id, item.role, status="completed", token_count=estimate(item.text)
            )
            await store.add_items(connection, leaf_id, [message_item(item)])
        if leaf_id is not None:
            version = await store.update_conversation(connection, row.id, leaf_id=leaf_id)
            row = replace(row, leaf_id=leaf_id, version=version)
    _tell(chat, row, "created")
    return row


async def find(chat: Chat, principal: Principal, conversation_id: str) -> Conversation:
    """Raises `NotFound`, also for what belongs to somebody else."""
    async with chat.db.read() as connection:
        row = await store.conversation(connection, conversation_id)
        authorize(principal, "chat:read", owner_id=row.principal_id, missing=store.no_conversation())
        running = await store.running_in(connection, [row.id])
    return replace(row, running=running[row.id][-1] if running else None)


async def list_of(
    chat: Chat, principal: Principal, *, limit: int, after: str | None, search: str | None
) -> list[Conversation]:
    """Newest first, after the conversation with the id `after`."""
    authorize(principal, "chat:read")
    search = clean(search) if search else None
    async with chat.searches if search else contextlib.nullcontext(), chat.db.read() as connection:
        if after is not None:
            last = await store.conversation(connection, after)
            authorize(principal, "chat:read", owner_id=last.principal_id, missing=store.no_conversation())
        return await store.list_conversations(connection, principal.id, limit=limit, after=after, search=search)


async def update(chat: Chat, principal: Principal, conversation_id: str, changes: dict[str, Any]) -> Conversation:
    """Set `metadata` or `title`. A title that a person has typed is replaced by no model."""
    authorize(principal, "chat")
    row = await find(chat, principal, conversation_id)
    if not changes:
        return row
    if "metadata" in changes:
        changes = {**changes, "metadata": responses.cleaned_metadata(changes["metadata"])}
    if "title" in changes:
        changes = {**changes, "title": clean(changes["title"]), "title_wanted": False}
    async with chat.db.write() as connection:
        version = await store.update_conversation(connection, row.id, **changes)
    row = replace(row, version=version, **changes)
    _tell(chat, row, "titled" if "title" in changes else "changed")
    return row


async def delete(chat: Chat, principal: Principal, conversation_id: str) -> None:
    """Hide it and stop what runs in it; a purge deletes it for good later."""
    authorize(principal, "chat")
    row = await find(chat, principal, conversation_id)
    async with chat.db.write() as connection:
        await store.conversation(connection, row.id, lock=True)
        version = await store.update_conversation(connection, row.id, deleted_at=now())
        running = await store.running_in(connection, [row.id], titles=True)
    _tell(chat, replace(row, version=version), "deleted")
    await answers.stop_all(chat, [found.response_id for found in running.get(row.id, ())])


async def restore(chat: Chat, principal: Principal, conversation_id: str) -> Conversation:
    """Undo a deletion that the purge has not made final. What ran in it stays stopped. Raises `NotFound`."""
    authorize(principal, "chat")
    async with chat.db.write() as connection:
        row = await store.conversation(connection, conversation_id, lock=True, deleted=True)
        authorize(principal, "chat", owner_id=row.principal_id, missing=store.no_conversation())
        if row.deleted_at is not None:
            version = await store.update_conversation(connection, row.id, deleted_at=None)
            row = replace(row, version=version, deleted_at=None)
    _tell(chat, row, "created")
    return row


async def stop(chat: Chat, principal: Principal, conversation_id: str, response_id: str | None) -> list[str]:
    """Stop that answer, or all that run in the conversation now. Returns the ids of those that were running; their
    ends are stored."""
    authorize(principal, "chat")
    async with chat.db.read() as connection:
        row = await store.conversation(connection, conversation_id)
        authorize(principal, "chat", owner_id=row.principal_id, missing=store.no_conversation())
        running = await store.running_in(connection, [row.id])
    meant = [found.response_id for found in running.get(row.id, ()) if response_id in (None, found.response_id)]
    await answers.stop_all(chat, meant)
    return meant


def _tell(chat: Chat, row: Conversation, kind: str) -> None:
    chat.feed.publish(row.principal_id, Hint(kind, row.id, row.version))


async def add_items(chat: Chat, principal: Principal, conversation_id: str, items: Sequence[InputItem]) -> list[Item]:
    """Messages that follow the current leaf, without asking anybody."""
    authorize(principal, "chat")
    added: list[Item] = []
    async with chat.db.write() as connection:
        row = await store.conversation(connection, conversation_id, lock=True)
        authorize(principal, "chat", owner_id=row.principal_id, missing=store.no_conversation())
        if await store.running_in(connection, [row.id]):
            raise Conflict("An answer is being made in this conversation.", code="conversation_busy")
        leaf_id = row.leaf_id
        for item in responses.cleaned(items):
            leaf_id = await store.add_message(
                connection, row.id, leaf_id, item.role, status="completed", token_count=estimate(item.text)
            )
            added.append(message_item(item))
            await store.add_items(connection, leaf_id, added[-1:])
        version = await store.update_conversation(connection, row.id, leaf_id=leaf_id, updated_at=now())
    _tell(chat, replace(row, version=version), "changed")
    return added


async def items(
    chat: Chat, principal: Principal, conversation_id: str, *, limit: int, after: str | None, ascending: bool
) -> tuple[list[tuple[Item, str]], bool]:
    """Items of the current branch with their messages' status, and whether there are more."""
    row = await find(chat, principal, conversation_id)
    found: list[tuple[Item, str]] = []
    async with chat.db.read() as connection:
        leaf_id = row.leaf_id
        while leaf_id is not None:
            page = await store.branch(connection, leaf_id, page=500)
            for message in page:
                found += [(item, message.status) for item in reversed(message.items)]
            leaf_id = page[-1].parent_id
    if ascending:
        found.reverse()
    if after is not None:
        places = [n for n, (item, _) in enumerate(found) if item.id == after]
        if not places:
            raise NotFound("There is no such item to go on after.", code="item_not_found", param="after")
        found = found[places[0] + 1 :]
    return found[:limit], len(found) > limit


async def delete_item(chat: Chat, principal: Principal, conversation_id: str, item_id: str) -> Conversation:
    """Hide one item; the message that held it stays where it is in the tree."""
    authorize(principal, "chat")
    row = await find(chat, principal, conversation_id)
    async with chat.db.write() as connection:
        await store.item(connection, row.id, item_id)
        await store.delete_item(connection, item_id)
        row = replace(row, version=await store.update_conversation(connection, row.id))
    _tell(chat, row, "changed")
    return row
