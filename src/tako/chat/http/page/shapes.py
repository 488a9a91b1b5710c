"""What /api takes and gives. Times are seconds since 1970 UTC."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from tako.chat.http.requests import Body

MessageStatus = Literal["queued", "in_progress", "completed", "incomplete", "cancelled", "failed"]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Problem(Shape):
    """RFC 9457. `code` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str | None = None
    param: str | None = None
    request_id: str | None = None


class Generating(Shape):
    """An answer that is being made: join it at `GET /api/messages/{message_id}/stream`."""

    message_id: str
    response_id: str


class ConversationEntry(Shape):
    """A conversation as the list shows it. `version` grows with every change; hints of the feed name it."""

    id: str
    title: str
    created_at: int
    updated_at: int
    version: int
    generating: Generating | None = None


class ConversationList(Shape):
    """Newest first. The next page: `after` the last one's id."""

    data: list[ConversationEntry]
    has_more: bool


class MessageItem(Shape):
    """A piece of a message. A message's text is all its items of type `message`, with nothing between them."""

    id: str
    type: Literal["message", "reasoning"]
    text: str


class Failure(Shape):
    """Why an answer failed: `message` is for people."""

    code: str
    message: str


class Running(Shape):
    """Where to join: the stream of `response_id` after `cursor` brings what `items` lack, and nothing else. `place`: in
    the line of its model, while it waits for a slot."""

    response_id: str
    cursor: int
    place: int | None = None


class Message(Shape):
    """One node of the conversation's tree. `children_ids` are in the order in which they were made.

    `token_count` is of this message alone (None while its first answer is being made). `reason` says why it is
    incomplete or cancelled: max_output_tokens, content_filter, cancelled, interrupted, server_shutdown.
    """

    id: str
    parent_id: str | None
    children_ids: list[str]
    role: Literal["user", "assistant", "system", "developer"]
    items: list[MessageItem]
    model: str | None
    token_count: int | None
    status: MessageStatus
    reason: str | None = None
    error: Failure | None = None
    created_at: int
    running: Running | None = None


class ConversationDetail(ConversationEntry):
    """A conversation with one page of one branch, oldest first; earlier ones: `before` the first one's id.

    `root_ids` are the first messages of all its branches. `leaf_id` is the last message of the branch shown.
    """

    leaf_id: str | None
    root_ids: list[str]
    messages: list[Message]
    has_more: bool


class ChangeConversation(Body):
    """PATCH /api/conversations/{id}."""

    title: Title


class Walk(Body):
    """PUT /api/conversations/{id}/leaf: show the branch through this message, down to its newest leaf."""

    message_id: str


class Stop(Body):
    """POST /api/conversations/{id}/stop. Name the answer that is meant, so that a late stop never hits the next one;
    without, all that run in the conversation now are stopped."""

    response_id: str | None = None


class Stopped(Shape):
    """Ids of the responses that were running, whose ends are stored now."""

    response_ids: list[str]


class NewMessage(Body):
    """A question. Without `parent_id` it follows the current leaf; with one it makes a branch (null: a new first
    question)."""

    text: Annotated[str, StringConstraints(min_length=1)]
    model: str
    parent_id: str | None = None


class NewConversation(Body):
    """The first question of a new conversation."""

    text: Annotated[str, StringConstraints(min_length=1)]
    model: str


class Regenerate(Body):
    """Another answer to the same question, by default from the same model."""

    model: str | None = None


class ModelEntry(Shape):
    """A model that may be chosen. `demo`: the built-in one, of which `note` says what it can do."""

    id: str
    name: str
    note: str | None
    demo: bool
    context_tokens: int


class ModelChoices(Shape):
    """In the owner's order; the first is the default."""

    data: list[ModelEntry]


class Quota(Shape):
    """Today's tokens (UTC): `used` by answers that have ended, `reserved` by running ones. `limit` null: none."""

    limit: int | None
    used: int
    reserved: int
    resets_at: int


# Events of the streams: no route returns them as JSON, but clients want their types.


class Metadata(Shape):
    """`event: metadata`, the first one of every stream of an answer. `cursor`: what `after` named, 0 for the start.
    `question_id` is null for an answer that follows no question."""

    conversation_id: str
    question_id: str | None
    answer_id: str
    response_id: str
    model: str
    cursor: int


class TextDelta(Shape):
    """An event without a name, with `id: N`: text to add to the answer."""

    v: str


class ReasoningDelta(Shape):
    """An event without a name, with `id: N`: text to add to the reasoning."""

    r: str


class Usage(Shape):
    """Tokens of this response. `estimated`: neither the upstream nor a tokenizer counted them."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    estimated: bool


class Done(Shape):
    """`event: done`, the last one of an answer; `event: error` (a `Failure`) comes before it when it failed."""

    status: Literal["completed", "incomplete", "cancelled", "failed"]
    reason: str | None
    usage: Usage


class Hint(Shape):
    """An event of the feed, whose name says what happened to the conversation `id`: created, running, ended, titled,
    changed, deleted. What is shown with this `version` or a newer one is up to date. `event: ready` (the feed is
    connected: read your lists now) and `event: reload` (hints were lost: read them again) have no fields.

    `queued`: an answer in it waits for a slot, and its place is `version` now, or 0 when it has one.

    In the owner's feed, `began` (version 1) and `ended` (version 2) of the response `id`."""

    id: str
    version: int
