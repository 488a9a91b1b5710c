"""Bodies of requests under /v1, as far as we use them. Unknown fields are ignored: clients grow new ones monthly."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tako.chat.responses import Ask, InputItem, request_hash
from tako.core.errors import Invalid
from tako.core.http import Scope, header

Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
# Clients that keep the history themselves send all of it; each item is a row and some statements.
_MOST_ITEMS = 2000
_PARTS = ("input_text", "output_text", "text")


class Body(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


_Body = TypeVar("_Body", bound=Body)


class Part(Body):
    """A piece of a message. Only text is read; `refusal` parts of earlier answers are skipped."""

    type: str
    text: str | None = None


class Item(Body):
    """An input item. `type` may be missing: many clients send only `role` and `content`."""

    type: str = "message"
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: str | list[Part] | None = None


class ConversationRef(Body):
    id: str


class CreateResponse(Body):
    """POST /v1/responses."""

    model: str
    input: str | Annotated[list[Item], Field(max_length=_MOST_ITEMS)]
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | ConversationRef | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=2**53)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    metadata: Metadata | None = None
    store: bool | None = None
    stream: bool | None = None
    background: bool | None = None
    truncation: Literal["auto", "disabled"] | None = None

    def ask(self, body: bytes, idempotency_key: str | None) -> Ask:
        """What it asks for. `body` tells it from another request with the same idempotency key."""
        conversation = self.conversation.id if isinstance(self.conversation, ConversationRef) else self.conversation
        if conversation is not None and self.previous_response_id is not None:
            raise Invalid(
                "Send either conversation or previous_response_id, not both.",
                code="conflicting_parameters",
                param="conversation",
            )
        return Ask(
            model=self.model,
            input=input_items(self.input, "input"),
            instructions=self.instructions,
            conversation_id=conversation,
            previous_response_id=self.previous_response_id,
            max_output_tokens=self.max_output_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            metadata=self.metadata or {},
            store=self.store is not False,
            background=bool(self.background),
            drop_oldest=self.truncation == "auto",
            idempotency_key=idempotency_key,
            request_hash=request_hash(body) if idempotency_key is not None else None,
        )


class CreateConversation(Body):
    """POST /v1/conversations."""

    items: Annotated[list[Item], Field(max_length=20)] | None = None
    metadata: Metadata | None = None


class UpdateConversation(Body):
    """POST /v1/conversations/{id}. `title` is ours."""

    metadata: Metadata | None = None
    title: Annotated[str, StringConstraints(max_length=200)] | None = None


class CreateItems(Body):
    """POST /v1/conversations/{id}/items."""

    items: Annotated[list[Item], Field(min_length=1, max_length=20)]


def input_items(value: str | list[Item], param: str) -> tuple[InputItem, ...]:
    """Raises `Invalid` for what holds no text that a model can read."""
    if isinstance(value, str):
        items: tuple[InputItem, ...] = (InputItem("user", value),)
    else:
        items = tuple(
            message for n, item in enumerate(value) if (message := _message(item, f"{param}[{n}]")) is not None
        )
    if not any(item.text.strip() for item in items):
        raise Invalid("The input is empty: send some text.", code="empty_input", param=param)
    return items


def _message(item: Item, param: str) -> InputItem | None:
    if item.type == "reasoning":
        return None  # an earlier answer's reasoning, sent back by clients that keep the history themselves
    if item.type != "message":
        raise Invalid(
            f"Input items of type {item.type[:40]!r} are not supported.", code="unsupported_item", param=param
        )
    if item.role is None or item.content is None:
        raise Invalid("A message needs role and content.", code="invalid_item", param=param)
    if isinstance(item.content, str):
        return InputItem(item.role, item.content)
    texts: list[str] = []
    for n, part in enumerate(item.content):
        if part.type in _PARTS and part.text is not None:
            texts.append(part.text)
        elif part.type != "refusal":
            raise Invalid(
                f"Content of type {part.type[:40]!r} is not supported: the models here read text.",
                code="unsupported_content",
                param=f"{param}.content[{n}]",
            )
    return InputItem(item.role, "\n".join(texts))


def parse(kind: type[_Body], body: bytes) -> _Body:
    """Read `body` as `kind`. Raises `Invalid`."""
    try:
        return kind.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_context=False, include_input=False)) from None


def idempotency_key(scope: Scope) -> str | None:
    """Raises `Invalid`."""
    key = header(scope, b"idempotency-key")
    if key is not None and not 1 <= len(key) <= 255:
        raise Invalid("Idempotency-Key must have 1 to 255 characters.", code="invalid_value", param="Idempotency-Key")
    return key


def cursor(given: Iterable[tuple[str, str]]) -> int:
    """The number of the last event that the reader has: the largest that was given, each with the name of its place;
    -1 for none. Raises `Invalid`."""
    after = -1
    for name, value in given:
        if not (value.isascii() and value.isdigit() and len(value) <= 15):
            raise Invalid(f"{name} must be the number of an event.", code="invalid_cursor", param=name)
        after = max(after, int(value))
    return after


def invalid(errors: Sequence[Any]) -> Invalid:
    """One of pydantic's errors, in the words of the API: of a union's alternatives the one that came furthest."""
    first = max(errors, key=lambda error: len(error["loc"]))
    if first["type"] == "json_invalid":
        return Invalid(
            f"The body is not valid JSON: {first['msg'].removeprefix('Invalid JSON: ')}", code="invalid_json"
        )
    param = _param(first["loc"])
    return Invalid(f"{param}: {first['msg']}", code="invalid_value", param=param)


def _param(location: tuple[int | str, ...]) -> str:
    """`input[2].role` out of pydantic's location; the names of the alternatives of a union are left out."""
    words: list[str] = []
    for step in location:
        if isinstance(step, int):
            words.append(f"[{step}]")
        elif step.isidentifier() and step not in ("str", "body", "query", "path", "Item", "ConversationRef", "Part"):
            words.append(f".{step}")
    return "".join(words).lstrip(".") or "body"
