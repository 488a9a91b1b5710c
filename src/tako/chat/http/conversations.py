"""/v1/models and /v1/conversations: OpenAI's objects, and a list of conversations that OpenAI has not."""

from typing import Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from tako.chat import conversations, store
from tako.chat.http.requests import CreateConversation, CreateItems, UpdateConversation, input_items, parse
from tako.chat.http.responses import list_object
from tako.chat.providers.base import Model
from tako.chat.responses import Chat
from tako.chat.store import Conversation, Item
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import Principal, authorize
from tako.core.http import read_body


def router(chat: Chat, authenticator: Authenticator, *, max_body: int) -> APIRouter:
    """The routes, bound to the chat."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI-compatible"], default_response_class=JSONResponse)

    async def who(request: Request) -> Principal:
        return await authenticator.principal(request.scope)

    async def body_of(request: Request) -> bytes:
        return await read_body(request.scope, request.receive, limit=max_body)

    @routes.get("/models", summary="The models that may be asked")
    async def list_models(request: Request) -> dict[str, Any]:
        principal = await who(request)
        authorize(principal, "chat:read")
        return {"object": "list", "data": [model_object(model) for model in chat.catalog.models(principal)]}

    @routes.get("/models/{model_id:path}", summary="One model")
    async def get_model(request: Request, model_id: str) -> dict[str, Any]:
        principal = await who(request)
        authorize(principal, "chat:read")
        return model_object(chat.catalog.find(model_id, principal)[0])

    @routes.post("/conversations", summary="Begin a conversation", openapi_extra=_body(CreateConversation))
    async def create(request: Request) -> dict[str, Any]:
        principal = await who(request)
        given = parse(CreateConversation, await body_of(request))
        items = input_items(given.items, "items") if given.items else ()
        return conversation_object(await conversations.create(chat, principal, given.metadata or {}, items))

    @routes.get("/conversations", summary="One's conversations, newest first; `search` looks in titles and texts")
    async def list_all(
        request: Request,
        limit: int = Query(20, ge=1, le=100),
        after: str | None = None,
        search: str | None = Query(None, max_length=200),
    ) -> dict[str, Any]:
        principal = await who(request)
        found = await conversations.list_of(chat, principal, limit=limit + 1, after=after, search=search)
        return list_object([conversation_object(row) for row in found[:limit]], more=len(found) > limit)

    @routes.get("/conversations/{conversation_id}", summary="One conversation")
    async def get(request: Request, conversation_id: str) -> dict[str, Any]:
        return conversation_object(await conversations.find(chat, await who(request), conversation_id))

    @routes.post("/conversations/{conversation_id}", summary="Change it", openapi_extra=_body(UpdateConversation))
    async def update(request: Request, conversation_id: str) -> dict[str, Any]:
        principal = await who(request)
        given = parse(UpdateConversation, await body_of(request))
        changes = given.model_dump(exclude_none=True)
        return conversation_object(await conversations.update(chat, principal, conversation_id, changes))

    @routes.delete("/conversations/{conversation_id}", summary="Delete it; what runs in it is cancelled first")
    async def delete(request: Request, conversation_id: str) -> dict[str, Any]:
        await conversations.delete(chat, await who(request), conversation_id)
        return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}

    @routes.get("/conversations/{conversation_id}/items", summary="The items from the first to the current leaf")
    async def list_items(
        request: Request,
        conversation_id: str,
        limit: int = Query(20, ge=1, le=100),
        after: str | None = None,
        order: str = Query("desc", pattern="^(asc|desc)$"),
    ) -> dict[str, Any]:
        principal = await who(request)
        found, more = await conversations.items(
            chat, principal, conversation_id, limit=limit, after=after, ascending=order == "asc"
        )
        return list_object([item_object(item, status) for item, status in found], more=more)

    @routes.post("/conversations/{conversation_id}/items", summary="Add messages", openapi_extra=_body(CreateItems))
    async def create_items(request: Request, conversation_id: str) -> dict[str, Any]:
        principal = await who(request)
        given = parse(CreateItems, await body_of(request))
        added = await conversations.add_items(chat, principal, conversation_id, input_items(given.items, "items"))
        return list_object([item_object(item, "completed") for item in added], more=False)

    @routes.get("/conversations/{conversation_id}/items/{item_id}", summary="One item")
    async def get_item(request: Request, conversation_id: str, item_id: str) -> dict[str, Any]:
        await conversations.find(chat, await who(request), conversation_id)
        async with chat.db.read() as db:
            item, status = await store.item(db, conversation_id, item_id)
        return item_object(item, status)

    @routes.delete("/conversations/{conversation_id}/items/{item_id}", summary="Delete one item")
    async def delete_item(request: Request, conversation_id: str, item_id: str) -> dict[str, Any]:
        return conversation_object(await conversations.delete_item(chat, await who(request), conversation_id, item_id))

    return routes


def model_object(model: Model) -> dict[str, Any]:
    """OpenAI's model object; `name`, `note`, `demo` and `context_tokens` are ours."""
    return {
        "id": model.id,
        "object": "model",
        "created": 0,
        "owned_by": model.provider,
        "name": model.name,
        "note": model.note,
        "demo": model.demo,
        "context_tokens": model.context_tokens,
    }


def conversation_object(row: Conversation) -> dict[str, Any]:
    """OpenAI's conversation object; `title`, `updated_at` and `running` (a response id or null) are ours."""
    return {
        "id": row.id,
        "object": "conversation",
        "created_at": row.created_at // 1_000_000,
        "metadata": row.metadata,
        "title": row.title,
        "updated_at": row.updated_at // 1_000_000,
        "running": row.running.response_id if row.running else None,
    }


def item_object(item: Item, status: str) -> dict[str, Any]:
    return {"id": item.id, "status": status, **item.content}


def _body(kind: type[Any]) -> dict[str, Any]:
    """The documentation of a body that is read by `parse`, within the limit of this site."""
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}
