"""The page's JSON routes: conversations, models and what is left of today's tokens."""

from typing import Any

from fastapi import APIRouter, Query, Request

from tako.chat import branches, conversations, quota, titles
from tako.chat.http.page import shapes
from tako.chat.http.page.openapi import body, problems
from tako.chat.http.requests import parse
from tako.chat.providers.base import Model
from tako.chat.responses import Chat
from tako.chat.store import Conversation
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import Principal, authorize
from tako.core.db import now
from tako.core.http import read_body

_SECOND = 1_000_000


def router(chat: Chat, authenticator: Authenticator, *, max_body: int) -> APIRouter:
    """The routes, bound to the chat."""
    routes = APIRouter(prefix="/api", tags=["page"], responses=problems())

    async def who(request: Request) -> Principal:
        return await authenticator.principal(request.scope)

    async def body_of(request: Request) -> bytes:
        return await read_body(request.scope, request.receive, limit=max_body)

    @routes.get("/conversations", operation_id="list_conversations", summary="One's conversations, newest first")
    async def list_all(
        request: Request,
        limit: int = Query(50, ge=1, le=100),
        after: str | None = Query(None, max_length=40, description="The id of the last one seen."),
        search: str | None = Query(None, max_length=200, description="Looked for in titles and texts, as it stands."),
    ) -> shapes.ConversationList:
        principal = await who(request)
        found = await conversations.list_of(chat, principal, limit=limit + 1, after=after, search=search)
        return shapes.ConversationList(data=[entry(row) for row in found[:limit]], has_more=len(found) > limit)

    @routes.get(
        "/conversations/{conversation_id}",
        operation_id="get_conversation",
        summary="A conversation with the newest page of its current branch",
    )
    async def get(
        request: Request,
        conversation_id: str,
        leaf: str | None = Query(None, max_length=40, description="The last message of another branch."),
        before: str | None = Query(None, max_length=40, description="Messages before this one of the branch."),
        limit: int = Query(100, ge=1, le=500),
    ) -> shapes.ConversationDetail:
        principal = await who(request)
        return detail(await branches.show(chat, principal, conversation_id, leaf_id=leaf, before=before, limit=limit))

    @routes.patch(
        "/conversations/{conversation_id}",
        operation_id="change_conversation",
        summary="Give it a title, which no model replaces",
        openapi_extra=body(shapes.ChangeConversation),
    )
    async def change(request: Request, conversation_id: str) -> shapes.ConversationEntry:
        principal = await who(request)
        given = parse(shapes.ChangeConversation, await body_of(request))
        return entry(await conversations.update(chat, principal, conversation_id, {"title": given.title}))

    @routes.delete(
        "/conversations/{conversation_id}",
        operation_id="delete_conversation",
        status_code=204,
        summary="Stop what runs in it and hide it; it can be restored for seven days",
    )
    async def delete(request: Request, conversation_id: str) -> None:
        await conversations.delete(chat, await who(request), conversation_id)

    @routes.post(
        "/conversations/{conversation_id}/restore", operation_id="restore_conversation", summary="Undo its deletion"
    )
    async def restore(request: Request, conversation_id: str) -> shapes.ConversationEntry:
        return entry(await conversations.restore(chat, await who(request), conversation_id))

    @routes.post(
        "/conversations/{conversation_id}/title",
        operation_id="title_conversation",
        status_code=202,
        summary="Have its title made again; the feed says when it is there",
    )
    async def title(request: Request, conversation_id: str) -> shapes.ConversationEntry:
        return entry(await titles.make_again(chat, await who(request), conversation_id))

    @routes.put(
        "/conversations/{conversation_id}/leaf",
        operation_id="walk_conversation",
        summary="Walk to a sibling: show the branch through it, down to its newest leaf",
        openapi_extra=body(shapes.Walk),
    )
    async def walk(request: Request, conversation_id: str) -> shapes.ConversationDetail:
        principal = await who(request)
        given = parse(shapes.Walk, await body_of(request))
        await branches.walk(chat, principal, conversation_id, given.message_id)
        return detail(await branches.show(chat, principal, conversation_id))

    @routes.post(
        "/conversations/{conversation_id}/stop",
        operation_id="stop_conversation",
        summary="Stop an answer from anywhere; what was shown stays",
        openapi_extra=body(shapes.Stop, required=False),
    )
    async def stop(request: Request, conversation_id: str) -> shapes.Stopped:
        principal = await who(request)
        given = parse(shapes.Stop, await body_of(request))
        stopped = await conversations.stop(chat, principal, conversation_id, given.response_id)
        return shapes.Stopped(response_ids=stopped)

    @routes.get("/models", operation_id="list_page_models", summary="The models that may be chosen, default first")
    async def models(request: Request) -> shapes.ModelChoices:
        principal = await who(request)
        authorize(principal, "chat:read")
        return shapes.ModelChoices(data=[model_entry(model) for model in chat.catalog.models(principal)])

    @routes.get("/quota", operation_id="get_quota", summary="What is left of today's tokens")
    async def left(request: Request) -> shapes.Quota:
        principal = await who(request)
        authorize(principal, "chat:read")
        at = now()
        async with chat.db.read() as connection:
            used, reserved = await quota.today(connection, principal.id, at)
        return shapes.Quota(
            limit=quota.limit(principal, chat.limits.daily_tokens),
            used=used,
            reserved=reserved,
            resets_at=(at // quota.DAY + 1) * quota.DAY // _SECOND,
        )

    return routes


def entry(row: Conversation) -> shapes.ConversationEntry:
    return shapes.ConversationEntry(**_fields(row))


def detail(shown: branches.Shown) -> shapes.ConversationDetail:
    return shapes.ConversationDetail(
        **_fields(shown.conversation),
        leaf_id=shown.leaf_id,
        root_ids=shown.root_ids,
        messages=[message(place) for place in shown.messages],
        has_more=shown.has_more,
    )


def message(shown: branches.ShownMessage) -> shapes.Message:
    row = shown.message
    return shapes.Message(
        id=row.id,
        parent_id=row.parent_id,
        children_ids=shown.children_ids,
        role=row.role,
        items=[shapes.MessageItem(id=item.id, type=item.type, text=item.text) for item in shown.items],
        model=row.model,
        token_count=row.token_count,
        status=row.status,
        reason=row.reason,
        error=None if row.error is None else shapes.Failure(**row.error),
        created_at=row.created_at // _SECOND,
        running=None
        if shown.running is None
        else shapes.Running(
            response_id=shown.running.response_id, cursor=shown.running.cursor, place=shown.running.place
        ),
    )


def model_entry(model: Model) -> shapes.ModelEntry:
    return shapes.ModelEntry(
        id=model.id, name=model.name, note=model.note, demo=model.demo, context_tokens=model.context_tokens
    )


def _fields(row: Conversation) -> dict[str, Any]:
    generating = None
    if row.running is not None and row.running.message_id is not None:
        generating = {"message_id": row.running.message_id, "response_id": row.running.response_id}
    return {
        "id": row.id,
        "title": row.title,
        "created_at": row.created_at // _SECOND,
        "updated_at": row.updated_at // _SECOND,
        "version": row.version,
        "generating": generating,
    }
