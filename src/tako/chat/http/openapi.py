"""The document at /openapi.json, with the routes that FastAPI does not serve."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tako.chat.http.page import openapi as page
from tako.chat.http.requests import CreateResponse

_ID = {"name": "response_id", "in": "path", "required": True, "schema": {"type": "string"}}
_TAG = ["OpenAI-compatible"]


def document(api: FastAPI, more: Mapping[str, Any]) -> None:
    """Add them to the document at /openapi.json; `more` are paths of other apps that FastAPI does not serve."""

    def whole() -> dict[str, Any]:
        if api.openapi_schema is None:
            schema = get_openapi(title=api.title, version=api.version, routes=api.routes, openapi_version="3.1.0")
            request = CreateResponse.model_json_schema(ref_template="#/components/schemas/{model}")
            definitions = request.pop("$defs", {})
            known = {**definitions, "CreateResponse": request, **page.schemas()}
            schema["components"].setdefault("schemas", {}).update(known)
            schema["components"]["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "tako_session"},
            }
            schema["security"] = [{"key": []}, {"session": []}]
            schema["paths"].update({**_paths(), **page.paths(), **more})
            _drop_unused_errors(schema)
            api.openapi_schema = schema
        return api.openapi_schema

    api.openapi = whole  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _drop_unused_errors(schema: dict[str, Any]) -> None:
    """FastAPI documents its own answer to a bad parameter, which the server replaces by ours."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)


def _paths() -> dict[str, Any]:
    stream = {"text/event-stream": {"schema": {"type": "string"}}}
    response = {"application/json": {"schema": {"type": "object"}}}
    both = {"200": {"description": "The response, or its events", "content": {**response, **stream}}}
    create = {
        "summary": "Ask a model; the answer is a durable log",
        "operationId": "create_response",
        "tags": _TAG,
        "parameters": [{"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"}}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CreateResponse"}}},
        },
        "responses": both,
    }
    retrieve = {
        "summary": "The response as of now, or its events after a cursor",
        "operationId": "retrieve_response",
        "tags": _TAG,
        "parameters": [
            _ID,
            {"name": "stream", "in": "query", "schema": {"type": "boolean"}},
            {"name": "starting_after", "in": "query", "schema": {"type": "integer", "minimum": 0}},
            {"name": "Last-Event-ID", "in": "header", "schema": {"type": "integer", "minimum": 0}},
        ],
        "responses": {**both, "204": {"description": "It has ended, and Last-Event-ID is its last event"}},
    }
    return {
        "/v1/responses": {"post": create},
        "/v1/responses/{response_id}": {
            "get": retrieve,
            "delete": _simple("Forget it", "delete_response", response),
        },
        "/v1/responses/{response_id}/cancel": {"post": _simple("Stop it", "cancel_response", response)},
        "/v1/responses/{response_id}/input_items": {"get": _simple("What it was asked", "list_input_items", response)},
    }


def _simple(summary: str, name: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": name,
        "tags": _TAG,
        "parameters": [_ID],
        "responses": {"200": {"description": summary, "content": content}},
    }
