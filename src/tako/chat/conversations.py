"""Conversations: begun, found, changed, deleted, and read from the first message to the current leaf."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tako.chat import responses, store
from tako.chat.entries import clean
from tako.chat.responses import Chat, InputItem, message_item
from tako.chat.store import Conversation, Item
from tako.chat.tokens import estimate
from tako.core.accounts.principal import Principal, authorize
from tako.core.db import now
from tako.core.errors import Conflict, NotFound


async def create(
    chat: Chat, principal: Principal, metadata: dict[str, str], items: Sequence[InputItem] = ()
) -> Conversation:
    """A new conversation, with `items` as its first messages."""
    authorize(principal, "chat")
    async with chat.db.write() as connection:
        row = await store.add_conversation(connection, principal.id, responses.cleaned_metadata(metadata))
        leaf_id = None
        for item in responses.cleaned(items):
            leaf_id = await store.add_message(
                connection, row.id, leaf_id, item.role, status="completed", token_count=estimate(item.text)
            )
            await store.add_items(connection, leaf_id, [message_item(item)])
        if leaf_id is not None:
            await store.update_conversation(connection, row.id, leaf_id=leaf_id)
    return row


async def find(chat: Chat, principal: Principal, conversation_id: str) -> Conversation:
    """Raises `NotFound`, also for what belongs to somebody else."""
    async with chat.db.read() as connection:
        row = await store.conversation(connection, conversation_id)
        authorize(principal, "chat:read", owner_id=row.principal_id, missing=store.no_conversation())
        running = await store.running_in(connection, row.id)
    return replace(row, running=running[-1] if running else None)


async def list_of(
    chat: Chat, principal: Principal, *, limit: int, after: str | None, search: str | None
) -> list[Conversation]:
    """Newest first, after the conversation with the id `after`."""
    authorize(principal, "chat:read")
    search = clean(search) if search else None
    async with chat.db.read() as connection:
        if after is not None:
            last = await store.conversation(connection, after)
            authorize(principal, "chat:read", owner_id=last.principal_id, missing=store.no_conversation())
        return await store.list_conversations(connection, principal.id, limit=limit, after=after, search=search)


async def update(chat: Chat, principal: Principal, conversation_id: str, changes: dict[str, Any]) -> Conversation:
    """Set `metadata` or `title`."""
    authorize(principal, "chat")
    row = await find(chat, principal, conversation_id)
    if "metadata" in changes:
        changes = {**changes, "metadata": responses.cleaned_metadata(changes["metadata"])}
    if "title" in changes:
        changes = {**changes, "title": clean(changes["title"])}
    if changes:
        async with chat.db.write() as connection:
            await store.update_conversation(connection, row.id, **changes)
    return replace(row, **changes)


async def delete(chat: Chat, principal: Principal, conversation_id: str) -> None:
    """Cancel what runs in it, then hide it; a purge deletes it for good later."""
    authorize(principal, "chat")
    row = await find(chat, principal, conversation_id)
    async with chat.db.write() as connection:
        await store.conversation(connection, row.id, lock=True)
        await store.update_conversation(connection, row.id, deleted_at=now())
        running = await store.running_in(connection, row.id)
    for response_id in running:
        if generation := chat.generations.find(response_id):
            await responses.stop(generation)


async def add_items(chat: Chat, principal: Principal, conversation_id: str, items: Sequence[InputItem]) -> list[Item]:
    """Messages that follow the current leaf, without asking anybody."""
    authorize(principal, "chat")
    added: list[Item] = []
    async with chat.db.write() as connection:
        row = await store.conversation(connection, conversation_id, lock=True)
        authorize(principal, "chat", owner_id=row.principal_id, missing=store.no_conversation())
        if await store.running_in(connection, row.id):
            raise Conflict("An answer is being made in this conversation.", code="conversation_busy")
        leaf_id = row.leaf_id
        for item in responses.cleaned(items):
            leaf_id = await store.add_message(
                connection, row.id, leaf_id, item.role, status="completed", token_count=estimate(item.text)
            )
            added.append(message_item(item))
            await store.add_items(connection, leaf_id, added[-1:])
        await store.update_conversation(connection, row.id, leaf_id=leaf_id, updated_at=now())
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
    return row
