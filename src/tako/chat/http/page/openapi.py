"""The documentation of the page's streams, which FastAPI does not serve, and of the errors under /api."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from tako.chat.http.page import shapes

_TAG = ["page"]
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same key and request give the same answer, as long as it exists; nothing is asked twice.",
}
_STREAM = (
    "Server-sent events: `event: metadata` (Metadata) without an id; then, numbered from 1 by `id: N`, events without "
    "a name (TextDelta, ReasoningDelta), `event: error` (Failure) when the answer failed, and at last `event: done` "
    "(Done). A stream that ends without `done` was cut off: join again after the last number."
)
# Schemas that no JSON route of FastAPI names: bodies that are read by `parse`, and the events of the streams.
_MODELS: tuple[type[BaseModel], ...] = (
    *(shapes.ChangeConversation, shapes.Walk, shapes.Stop, shapes.NewConversation, shapes.NewMessage),
    *(shapes.Regenerate, shapes.Metadata, shapes.TextDelta, shapes.ReasoningDelta, shapes.Done, shapes.Hint),
    *(shapes.Failure, shapes.Problem),
)


def body(kind: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """What `openapi_extra` says of a body that is read within the limit of this site."""
    content = {"application/json": {"schema": _ref(kind)}}
    return {"requestBody": {"required": required, "content": content}}


def problems() -> dict[int | str, dict[str, Any]]:
    """Every error under /api."""
    content = {"application/problem+json": {"schema": _ref(shapes.Problem)}}
    return {"default": {"description": "What went wrong", "content": content}}


def schemas() -> dict[str, Any]:
    """The schemas that `body`, `problems` and `paths` refer to."""
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "serialization" if issubclass(model, shapes.Shape) else "validation") for model in _MODELS
    ]
    _, found = models_json_schema(modes, ref_template="#/components/schemas/{model}")
    return dict(found["$defs"])


def paths() -> dict[str, Any]:
    """The routes of `streams.py`."""
    asks = "the answer's stream begins at once, and the answer is made whether or not it is read"
    conversation, message = _path("conversation_id"), _path("message_id")
    return {
        "/api/conversations/messages": {
            "post": _stream("ask_new_conversation", f"Begin a conversation: {asks}", [_KEY], shapes.NewConversation)
        },
        "/api/conversations/{conversation_id}/messages": {
            "post": _stream("ask", f"Ask, from any message: {asks}", [conversation, _KEY], shapes.NewMessage)
        },
        "/api/messages/{message_id}/regenerate": {
            "post": _stream(
                "regenerate", f"Another answer to the same question: {asks}", [message, _KEY], shapes.Regenerate
            )
        },
        "/api/messages/{message_id}/continue": {
            "post": _stream("continue_answer", "Go on with an interrupted answer, in the same message", [message, _KEY])
        },
        "/api/messages/{message_id}/stream": {"get": _join(message)},
        "/api/feed": {
            "get": _feed(
                "follow_feed",
                "What changes in one's conversations, on every device",
                "Server-sent events, each named for what happened to a conversation, with a Hint",
            )
        },
        "/api/owner/feed": {
            "get": _feed(
                "follow_owners_feed",
                "That an answer begins or ends, whoever asked: never what. For admins only",
                "Server-sent events, `began` and `ended`, each with the Hint of a response",
            )
        },
    }


def _join(message: dict[str, Any]) -> dict[str, Any]:
    number = {"type": "integer", "minimum": 0}
    parameters = [
        message,
        {"name": "after", "in": "query", "schema": number, "description": "The last number that the reader has."},
        {
            "name": "response_id",
            "in": "query",
            "schema": {"type": "string"},
            "description": "The response that `after` belongs to; by default the message's newest.",
        },
        {"name": "Last-Event-ID", "in": "header", "schema": number, "description": "As `after`; the larger counts."},
    ]
    operation = _stream("join_answer", "Join a running or finished answer at any place", parameters)
    operation["responses"]["204"] = {"description": "It has ended, and the reader has all of it"}
    return operation


def _feed(name: str, summary: str, text: str) -> dict[str, Any]:
    stream = {"description": text, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    return {
        "summary": summary,
        "operationId": name,
        "tags": _TAG,
        "responses": {"200": stream, **problems()},
    }


def _stream(
    name: str, summary: str, parameters: list[dict[str, Any]], kind: type[BaseModel] | None = None
) -> dict[str, Any]:
    stream = {"description": _STREAM, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    return {
        "summary": summary,
        "operationId": name,
        "tags": _TAG,
        "parameters": parameters,
        **(body(kind, required=kind is not shapes.Regenerate) if kind else {}),
        "responses": {"200": stream, **problems()},
    }


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _ref(kind: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
