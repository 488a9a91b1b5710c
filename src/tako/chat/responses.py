"""Asking: a response is created in one transaction, and its generation begins."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat import history, places, quota, slots, store
from tako.chat.catalog import Catalog
from tako.chat.dialects import responses as dialect
from tako.chat.entries import Created, clean, encode
from tako.chat.generation import Generation, Generations
from tako.chat.places import Place, Spot
from tako.chat.providers.base import Model, Prompt, Provider, Turn, UpstreamError
from tako.chat.store import Item, Response
from tako.chat.tokens import PER_MESSAGE, estimate
from tako.chat.usher import Usher
from tako.chat.watch import Watch
from tako.core import blobs, ids
from tako.core.accounts.principal import Principal, authorize
from tako.core.bus import Bus
from tako.core.db import Database, now
from tako.core.errors import Conflict, NotFound, Unavailable, Unprocessable
from tako.core.feed import ADMINS, Feed, Hint
from tako.core.journal import Journal
from tako.core.site.settings import SiteSettings

_log = structlog.get_logger("tako.responses")

DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class InputItem:
    """One message of a request's input. Roles: user, assistant, system, developer."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody asks for, whatever wire it came by.

    `place` says where in its conversation it goes, None: after the current leaf, as it is at commit. With `begin`, the
    cut of its first question, the ask makes its conversation.
    """

    model: str
    input: tuple[InputItem, ...]
    purpose: Literal["answer", "title"] = "answer"
    place: Place | None = None
    begin: str | None = None
    instructions: str | None = None
    conversation_id: str | None = None
    previous_response_id: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    store: bool = True
    background: bool = False
    drop_oldest: bool = False
    idempotency_key: str | None = None
    request_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_running` answers at once in this process; `user_slots` at once of one user, 0 for no limit; days that
    responses outside of conversations are kept; seconds that a title may take. What the owner may change meanwhile is
    in `site`."""

    max_running: int
    response_days: int
    site: SiteSettings
    title_patience: float = 30.0
    user_slots: int = 0

    @property
    def daily_tokens(self) -> int:
        """Per user, as the owner has it now; 0 for no limit."""
        return self.site.current.daily_tokens

    @property
    def title_model(self) -> str | None:
        """As the owner has it now; None for the model that answered."""
        return self.site.current.title_model or None


@dataclass(frozen=True, slots=True)
class Plan:
    """A response to be stored, the turns to ask with, and the tokens that are left for the answer."""

    row: Response
    turns: list[Turn]
    output_tokens: int
    spot: Spot


class TitleNotWanted(Conflict):
    """Somebody has typed one meanwhile, or is making one."""


class Chat:
    """The chat's parts, put together by the server."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        journal: Journal,
        feed: Feed,
        catalog: Catalog,
        generations: Generations,
        usher: Usher,
        limits: Limits,
    ) -> None:
        self.db = db
        self.bus = bus
        self.journal = journal
        self.feed = feed
        self.catalog = catalog
        self.generations = generations
        self.usher = usher
        self.limits = limits
        self.draining = False
        # A search may take seconds and one of the few connections that read: not all of them.
        self.searches = asyncio.Semaphore(2)

    @property
    def watch(self) -> Watch:
        """Who counts from outside."""
        return self.generations.watch

    @property
    def title_model(self) -> str | None:
        """As the owner has it now; None: the one that answered."""
        return self.limits.site.current.title_model


async def create(chat: Chat, principal: Principal, ask: Ask) -> Response:
    """Store the question and begin the answer, in one transaction; an earlier request with the same
    idempotency key and body gives its response instead.

    Raises `NotFound`, `Conflict` (an answer is running where this one would follow), `ContextTooLong`,
    `QuotaExceeded`, `Unprocessable` (same key, other body), `Unavailable` (stopping, full).
    """
    authorize(principal, "chat")
    if chat.draining:
        raise Unavailable("This server is stopping; ask again in a moment.", code="server_shutdown")
    model, provider = _chosen(chat, principal, ask)
    _check_room(chat, ask)
    ask = replace(
        ask,
        input=cleaned(ask.input),
        instructions=clean(ask.instructions) if ask.instructions is not None else None,
        metadata=cleaned_metadata(ask.metadata),
    )
    counts, counted = await _count(provider, model, ask)
    generation: Generation | None = None
    try:
        async with chat.db.write() as connection:
            if earlier := await _earlier(connection, principal, ask):
                return earlier
            ask = await _in_conversation(connection, principal, ask)
            plan = await _prepare(connection, principal, ask, model, counts, counted)
            row, version = await _insert(connection, chat, principal, ask, plan, counts, provider)
            waits = row.purpose == "answer" and await slots.enter(
                connection, chat.usher.slots, row.id, row.principal_id, row.model
            )
            epoch = await chat.journal.create(connection, row.id)
            _check_room(chat, ask)
            # Before the commit: from then on others may see the row, and must be able to read and to stop it.
            log = chat.journal.open(row.id, epoch, [row.created])
            prompt = replace(prompt_of(row, model, plan.turns, plan.output_tokens), prefix=plan.spot.prefix)
            generation = chat.generations.add(row, provider, log, prompt)
    except BaseException:
        if generation is not None:
            chat.generations.forget(generation)
        raise
    _tell(chat, row, version, begun=ask.begin is not None)
    if waits:
        chat.usher.wait(generation)
    else:
        begin(chat, generation)
    return row


async def find(chat: Chat, principal: Principal, response_id: str) -> Response:
    """Raises `NotFound`, also for what belongs to somebody else."""
    async with chat.db.read() as connection:
        row = await store.response(connection, response_id)
    authorize(principal, "chat:read", owner_id=row.principal_id, missing=store.no_response())
    return row


def begin(chat: Chat, generation: Generation) -> None:
    """Its question is stored: ask the provider."""
    generation.begin()
    if generation.response.purpose == "title":
        generation.within(chat.limits.title_patience)


def _tell(chat: Chat, row: Response, version: int, *, begun: bool) -> None:
    """Whoever looks at the person's conversations hears of the new answer, and admins that there is one."""
    if row.conversation_id is not None and row.message_id is not None:
        kinds = ("created", "running") if begun else ("running",)
        chat.feed.publish(row.principal_id, *(Hint(kind, row.conversation_id, version) for kind in kinds))
    chat.feed.publish(ADMINS, Hint("began", row.id, 1))


def _chosen(chat: Chat, principal: Principal, ask: Ask) -> tuple[Model, Provider]:
    """The model that was asked for. The site itself may use any. Raises `ModelNotFound`."""
    if ask.purpose == "title" and (found := chat.catalog.get(ask.model)) is not None:
        return found
    return chat.catalog.find(ask.model, principal)


def _check_room(chat: Chat, ask: Ask) -> None:
    if chat.journal.problem is not None:
        raise Unavailable(
            "The database of this site takes no entries now (is its disk full?); nothing was stored.",
            code="storage_full",
        )
    if ask.purpose == "answer" and chat.generations.answers >= chat.limits.max_running:
        raise Unavailable("This server is answering as much as it can; ask again in a moment.", code="busy")


async def _count(provider: Provider, model: Model, ask: Ask) -> tuple[list[int], bool]:
    """Tokens of each input item, and whether a tokenizer counted them."""
    counts: list[int] = []
    counted = True
    for item in ask.input:
        tokens = None
        # What cannot fit anyway is not worth asking about.
        if len(item.text) <= 8 * model.context_tokens:
            try:
                tokens = await provider.count_tokens(model.id, item.text)
            except UpstreamError:
                counted = False
        counted = counted and tokens is not None
        counts.append(estimate(item.text) if tokens is None else tokens)
    return counts, counted


async def _earlier(connection: AsyncConnection, principal: Principal, ask: Ask) -> Response | None:
    if ask.idempotency_key is None:
        return None
    earlier = await store.same_request(connection, principal.id, ask.idempotency_key)
    if earlier is not None and earlier.request_hash != ask.request_hash:
        raise Unprocessable(
            "This Idempotency-Key was used for another request; use a new key for a new question.",
            code="idempotency_key_reused",
        )
    return earlier


async def _in_conversation(connection: AsyncConnection, principal: Principal, ask: Ask) -> Ask:
    """The ask with its conversation, which it may have to begin."""
    if ask.begin is not None:
        begun = await store.add_conversation(connection, principal.id, {}, title=ask.begin, title_wanted=True)
        return replace(ask, conversation_id=begun.id)
    if ask.purpose == "title" and ask.conversation_id is not None:
        conversation = await store.conversation(connection, ask.conversation_id, lock=True)
        if not conversation.title_wanted or await store.title_running(connection, conversation.id):
            raise TitleNotWanted("This conversation needs no other title now.", code="title_not_wanted")
    return ask


async def _spot(connection: AsyncConnection, principal: Principal, ask: Ask, model: Model) -> Spot:
    if ask.conversation_id is None or ask.purpose == "title":
        return Spot(None)
    return await places.find(connection, principal, ask.conversation_id, ask.place, prefix=model.prefix)


async def _prepare(
    connection: AsyncConnection, principal: Principal, ask: Ask, model: Model, counts: list[int], counted: bool
) -> Plan:
    previous = await _previous(connection, principal, ask.previous_response_id)
    spot = await _spot(connection, principal, ask, model)
    wanted = min(ask.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    least = min(ask.max_output_tokens or model.context_tokens // 4, wanted)
    instructions = estimate(ask.instructions) + PER_MESSAGE if ask.instructions else 0
    begun = sum(estimate(text) + PER_MESSAGE for text in (spot.prefix, spot.then) if text)
    own = sum(counts) + PER_MESSAGE * len(counts) + instructions + begun
    budget = model.context_tokens - least - own
    if budget < 0:
        raise history.too_long()
    earlier = history.of_chain(connection, previous) if previous else history.of_branch(connection, spot.leaf_id)
    turns, used, dropped = await history.collect(earlier, budget, drop_oldest=ask.drop_oldest)
    turns += [*(history.turn_of(asdict(item)) for item in ask.input), *spot.told()]
    input_tokens = own + used
    output_tokens = min(wanted, model.context_tokens - input_tokens)
    at = now()
    response_id = ids.new("resp")
    echo = _echo(response_id, at, ask, dropped)
    row = Response(
        id=response_id,
        principal_id=principal.id,
        conversation_id=ask.conversation_id,
        message_id=None,
        previous_response_id=ask.previous_response_id,
        purpose=ask.purpose,
        status="queued" if ask.background else "in_progress",
        background=ask.background,
        store=ask.store,
        wire=dialect.WIRE,
        model=ask.model,
        ask={
            "instructions": ask.instructions,
            "temperature": ask.temperature,
            "top_p": ask.top_p,
            "max_output_tokens": output_tokens,
            "context_tokens": model.context_tokens - least - instructions,
            "input_counted": counted,
            "onward": spot.answer is not None,
        },
        input_hash=None,
        created=encode(Created(response_id, at, ask.background, echo)),
        fold=None,
        reserved_tokens=input_tokens + output_tokens,
        input_tokens=input_tokens,
        idempotency_key=ask.idempotency_key,
        request_hash=ask.request_hash,
        created_at=at,
        completed_at=None,
        expires_at=None,
    )
    return Plan(row, turns, output_tokens, spot)


async def _previous(connection: AsyncConnection, principal: Principal, response_id: str | None) -> Response | None:
    if response_id is None:
        return None
    try:
        previous = await store.response(connection, response_id)
        authorize(principal, "chat:read", owner_id=previous.principal_id)
    except NotFound:
        raise NotFound(
            "There is no such previous response, or it was not stored.",
            code="previous_response_not_found",
            param="previous_response_id",
        ) from None
    if not previous.store:
        raise NotFound(
            "The previous response was not stored.", code="previous_response_not_found", param="previous_response_id"
        )
    if previous.completed_at is None:
        raise Conflict(
            "The previous response is still being made: wait for its end, or cancel it.",
            code="previous_response_running",
            param="previous_response_id",
        )
    return previous


async def _insert(
    connection: AsyncConnection,
    chat: Chat,
    principal: Principal,
    ask: Ask,
    plan: Plan,
    counts: list[int],
    provider: Provider,
) -> tuple[Response, int]:
    """Everything that a new response stores, except its log. Also returns its conversation's version (0: none)."""
    row = plan.row
    limit = quota.limit(principal, chat.limits.daily_tokens)
    if limit is not None and ask.purpose == "answer":
        await quota.reserve(connection, principal.id, row.created_at, row.reserved_tokens, limit)
    else:
        row = replace(row, reserved_tokens=0)
    version = 0
    if ask.conversation_id is not None and ask.store and ask.purpose == "answer":
        row = await _insert_messages(connection, ask, row, plan.spot, counts)
        version = await store.update_conversation(
            connection, ask.conversation_id, leaf_id=row.message_id, updated_at=row.created_at
        )
    else:
        kept = [{"id": ids.new("msg"), "role": item.role, "text": item.text} for item in ask.input]
        expires_at = row.created_at + chat.limits.response_days * DAY
        digest = await blobs.put(
            connection, principal.id, msgspec.json.encode(kept), "application/json", expires_at=expires_at
        )
        row = replace(row, input_hash=digest, expires_at=expires_at)
    await store.add_response(connection, row, provider.name)
    return row, version


async def _insert_messages(
    connection: AsyncConnection, ask: Ask, row: Response, spot: Spot, counts: list[int]
) -> Response:
    """The questions, and the message that the response is to fill."""
    conversation_id = ask.conversation_id or ""
    if spot.answer is not None:
        await store.reopen_message(connection, spot.answer.id)
        previous = await store.newest_response(connection, spot.answer.id)
        inputs = [spot.answer.parent_id] if spot.answer.parent_id else []
        return replace(
            row,
            message_id=spot.answer.id,
            previous_response_id=previous.id if previous else None,
            ask={**row.ask, "inputs": inputs},
        )
    leaf_id = spot.leaf_id
    inputs = [leaf_id] if leaf_id is not None and not ask.input else []
    for item, tokens in zip(ask.input, counts, strict=True):
        leaf_id = await store.add_message(
            connection, conversation_id, leaf_id, item.role, status="completed", token_count=tokens
        )
        await store.add_items(connection, leaf_id, [message_item(item)])
        inputs.append(leaf_id)
    message_id = await store.add_message(
        connection, conversation_id, leaf_id, "assistant", status="in_progress", model=ask.model
    )
    return replace(row, message_id=message_id, ask={**row.ask, "inputs": inputs})


def cleaned(items: Iterable[InputItem]) -> tuple[InputItem, ...]:
    """Texts that both databases can store, and that are the same in both."""
    return tuple(InputItem(item.role, clean(item.text)) for item in items)


def cleaned_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    return {clean(key): clean(value) for key, value in metadata.items()}


def message_item(item: InputItem) -> Item:
    """An input message as it is stored."""
    kind = "output_text" if item.role == "assistant" else "input_text"
    part: dict[str, Any] = {"type": kind, "text": item.text}
    if kind == "output_text":
        part |= {"annotations": [], "logprobs": []}
    return Item(ids.new("msg"), "message", {"type": "message", "role": item.role, "content": [part]}, item.text)


def prompt_of(row: Response, model: Model, turns: list[Turn], output_tokens: int) -> Prompt:
    """What the provider is asked."""
    instructions = row.ask["instructions"]
    system = [Turn("system", instructions)] if instructions else []
    return Prompt(
        model=model.id,
        turns=[*system, *turns],
        max_output_tokens=output_tokens,
        temperature=row.ask["temperature"],
        top_p=row.ask["top_p"],
    )


def _echo(response_id: str, at: int, ask: Ask, dropped: bool) -> bytes:
    """Every field of the response object that never changes, as JSON (the keys that Open Responses requires)."""
    value: dict[str, Any] = {
        "id": response_id,
        "object": "response",
        "created_at": at // 1_000_000,
        "completed_at": None,
        "status": "queued",
        "background": ask.background,
        "error": None,
        "incomplete_details": None,
        "instructions": ask.instructions,
        "max_output_tokens": ask.max_output_tokens,
        "max_tool_calls": None,
        "metadata": ask.metadata,
        "model": ask.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": ask.previous_response_id,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": ask.store,
        "temperature": 1.0 if ask.temperature is None else ask.temperature,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0 if ask.top_p is None else ask.top_p,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "truncation": "auto" if ask.drop_oldest else "disabled",
        "usage": None,
        "user": None,
    }
    if ask.conversation_id is not None:
        value["conversation"] = {"id": ask.conversation_id}
    if dropped:
        value["context_dropped"] = True
    return msgspec.json.encode(value)


def request_hash(body: bytes) -> str:
    """What tells two requests with the same idempotency key apart."""
    return hashlib.sha256(body).hexdigest()
