"""A response being made: a task of the process, not of the request that asked for it.

It asks the provider, appends what each read brought, and ends the log once, whatever the reason. Whoever ends it
first decides how: the upstream, a stop, a shutdown.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat import fold, headline, quota, slots, store
from tako.chat.dialects.responses import Responses
from tako.chat.entries import (
    Appended,
    Cleaner,
    Ended,
    Ending,
    Entry,
    PartClosed,
    PartKind,
    PartOpened,
    Started,
    Used,
    clean,
    decode,
    encode,
)
from tako.chat.providers.base import Finish, Named, Piece, Prompt, Provider, Reasoning, Text, UpstreamError, Usage
from tako.chat.store import Item, Response
from tako.chat.tokens import estimate
from tako.chat.watch import Watch
from tako.core import ids
from tako.core.db import Database, now
from tako.core.errors import Unavailable
from tako.core.feed import ADMINS, Feed, Hint
from tako.core.journal import Fenced, Journal, Log
from tako.core.journal.log import Closed

_log = structlog.get_logger("tako.generation")

ITEM_PREFIX: dict[PartKind, str] = {"text": "msg", "reasoning": "rs"}
_FINISHED: dict[str, tuple[Ending, str | None]] = {
    "stop": ("completed", None),
    "length": ("incomplete", "max_output_tokens"),
    "content_filter": ("incomplete", "content_filter"),
}
# How long the end of an answer may wait for a tokenizer, in seconds; then the count is estimated.
COUNT_PATIENCE = 1.0
# How long a process that stops waits for a database that does not take the ends of its answers, in seconds.
LAST_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a response ends."""

    status: Ending
    reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None


CANCELLED = Outcome("cancelled", "cancelled")
INTERRUPTED = Outcome("incomplete", "interrupted")
SHUTDOWN = Outcome("incomplete", "server_shutdown")
TOO_LATE = Outcome("incomplete", "too_late")


@dataclass(slots=True)
class Output:
    """The parts of an answer, as its log has them."""

    kinds: list[PartKind] = field(default_factory=list)
    texts: list[list[str]] = field(default_factory=list)
    open: int | None = None

    def text(self, kind: PartKind | None = None) -> str:
        return "".join(
            "".join(pieces) for of, pieces in zip(self.kinds, self.texts, strict=True) if kind is None or of == kind
        )

    @classmethod
    def of(cls, entries: Iterable[bytes]) -> "Output":
        """What a log that somebody else began holds so far."""
        output = cls()
        for raw in entries:
            match decode(raw):
                case PartOpened(part, kind, _):
                    output.kinds.append(kind)
                    output.texts.append([])
                    output.open = part
                case Appended(part, text):
                    output.texts[part].append(text)
                case PartClosed():
                    output.open = None
        return output


class Generation:
    """One running response. Made by `Generations.start`."""

    def __init__(
        self,
        owner: "Generations",
        response: Response,
        log: Log,
        *,
        provider: Provider | None,
        prompt: Prompt | None,
        attempts: int,
    ) -> None:
        self.response = response
        self.log = log
        self.attempts = attempts
        self.provider = provider
        self.upstream_id: str | None = None
        self.detached = response.background
        self.readers = 0
        self._owner = owner
        self._prompt = prompt
        self._output = Output.of(log.entries)
        self._lost = self._output.text()  # what an attempt said whose process died: its upstream's figures are lost
        self._cleaner = Cleaner()
        self._usage: list[Usage] = []
        self.committed = asyncio.Event()
        self._end: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._parting: asyncio.Task[None] | None = None
        self.task: asyncio.Task[None] | None = None
        self._trace = owner.watch.trace(self)

    @property
    def provider_name(self) -> str:
        """For the books."""
        return self.provider.name if self.provider else "removed"

    @property
    def queued(self) -> bool:
        """It waits for a slot."""
        return self.committed.is_set() and self.task is None and self._end is None

    def wait(self) -> None:
        """Its question is stored, and it waits for a slot: it can be stopped, and asks nobody yet."""
        self.committed.set()
        self._owner.count(self)

    def begin(self) -> None:
        """Its question is stored, and it has a slot: ask, unless somebody has stopped it meanwhile."""
        self.committed.set()
        if self._end is None and not self.log.fenced:
            self.task = asyncio.create_task(self.run(), name=f"generation-{self.response.id}")
            self._owner.count(self)

    async def run(self) -> None:
        try:
            if len(self.log.entries) == 1:
                self.log.append(encode(Started()))
            outcome = await self._ask()
        except UpstreamError as error:
            _log.warning(
                "upstream_failed",
                response=self.response.id,
                code=error.code,
                reason=error.message,
                detail=error.detail,
            )
            outcome = Outcome("failed", None, error.code, clean(error.message))
        except Closed:
            return  # somebody else is ending it
        except Exception as error:
            _log.exception("generation_failed", response=self.response.id)
            outcome = Outcome("failed", None, "server_error", f"An error inside this server: {type(error).__name__}.")
        await asyncio.shield(self.end(outcome))

    def end(self, outcome: Outcome) -> "asyncio.Task[None]":
        """End the response; the first call decides how. The task ends when the end is stored, or with `Fenced`."""
        if self._end is None:
            self.log.closed = True
            self._end = asyncio.create_task(self._store_end(outcome), name=f"end-{self.response.id}")
            self._end.add_done_callback(self._ended)
            if self.task is not None and self.task is not asyncio.current_task():
                self.task.cancel()
        return self._end

    def lose(self) -> None:
        """Somebody else has its log: what it does now is for nobody, and its upstream is let go."""
        if self._end is None:
            self._owner.drop(self)
            self._forget_times()
            self._trace.lost()
            if self.task is not None:
                self.task.cancel()

    def tokens(self) -> int:
        """About how many the answer has so far."""
        return estimate(self._output.text())

    def within(self, seconds: float) -> None:
        """End it with what it has if it takes longer."""
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.end, TOO_LATE)

    def attach(self) -> None:
        """A reader has come: whoever waits for the last one's return need wait no more."""
        self.readers += 1
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    def leave(self, grace: float) -> None:
        """A reader has gone. A foreground answer ends `grace` seconds after its last one."""
        self.readers -= 1
        if self.readers == 0 and not self.detached and self._end is None:
            self._leaving = asyncio.get_running_loop().call_later(grace, self._abandoned)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._owner.drop(self)
        self._forget_times()
        if not task.cancelled() and (error := task.exception()) is not None:
            # A bug: the log stays open in the database, and the next start closes it. Readers must not wait for that.
            _log.error("end_failed", response=self.response.id, exc_info=error)
            self.log.fence()

    def _forget_times(self) -> None:
        for timer in (self._deadline, self._leaving):
            if timer is not None:
                timer.cancel()

    def _abandoned(self) -> None:
        self._parting = asyncio.create_task(self._part(), name=f"parting-{self.response.id}")

    async def _part(self) -> None:
        """End it for want of readers, unless it has one in another process, which made it a background one."""
        with contextlib.suppress(Unavailable):
            self.detached = self.detached or await self._owner.in_background(self.response)
        if self.readers == 0 and not self.detached:
            self.end(CANCELLED)

    async def _ask(self) -> Outcome:
        """Ask the provider, again where that can help and nothing has been shown."""
        while True:
            try:
                return await self._attempt()
            except UpstreamError as error:
                self._owner.watch.upstream_failed(self.provider_name, error.code or "upstream_error")
                shown = bool(self._output.kinds)
                if shown or not error.retryable or self.attempts > self._owner.retries:
                    raise
                pause = error.retry_after if error.retry_after is not None else 0.5 * 2**self.attempts
                if pause > self._owner.retry_patience:
                    raise
                self.attempts += 1
                await self._record_retry(error)
                await asyncio.sleep(pause)

    async def _record_retry(self, error: UpstreamError) -> None:
        """However long the database needs: that it is away is not the answer's end."""
        while True:
            try:
                await self._owner.record_retry(self, error)
            except Unavailable as away:
                _log.error("retry_not_stored_yet", response=self.response.id, reason=away.message)
                await asyncio.sleep(1)
            else:
                return

    async def _attempt(self) -> Outcome:
        if self.provider is None or self._prompt is None:
            raise UpstreamError("The provider of this model is no longer configured.", code="model_not_found")
        outcome = Outcome("completed")
        with self._trace.asking(self.attempts) as headers:
            stream = self.provider.stream(replace(self._prompt, headers=headers))
            try:
                async for pieces in stream:
                    if finished := self._take(pieces):
                        outcome = finished
                    if self._owner.journal.full:
                        await self._owner.journal.room()
            finally:
                await stream.aclose()  # type: ignore[attr-defined]  # every provider is an async generator
        return outcome

    def _take(self, pieces: list[Piece]) -> Outcome | None:
        """Append what one read brought: one entry for each stretch of the same kind."""
        outcome = None
        kind: PartKind | None = None
        texts: list[str] = []
        for piece in pieces:
            match piece:
                case Text(text):
                    new: PartKind = "text"
                case Reasoning(text):
                    new = "reasoning"
                case Finish(reason):
                    status, why = _FINISHED[reason]
                    outcome = Outcome(status, why)
                    continue
                case Usage():
                    self._usage.append(piece)
                    continue
                case Named(upstream_id):
                    self.upstream_id = clean(upstream_id)
                    continue
            if new != kind and texts:
                self._append(kind or new, "".join(texts))
                texts = []
            kind = new
            texts.append(text)
        if texts and kind is not None:
            self._append(kind, "".join(texts))
        return outcome

    def _append(self, kind: PartKind, text: str) -> None:
        text = self._cleaner.clean(text)
        if not text:
            return
        output = self._output
        if output.open is None or output.kinds[output.open] != kind:
            self._open(kind)
        part = output.open or 0
        self.log.append(encode(Appended(part, text)))
        output.texts[part].append(text)

    def _open(self, kind: PartKind) -> None:
        output = self._output
        if output.open is not None:
            self.log.append(encode(PartClosed(output.open, True)))
        part = len(output.kinds)
        if part == 0:
            self._trace.first_token()
            self._owner.watch.first_token(self, (now() - self.response.created_at) / 1e6)
        self.log.append(encode(PartOpened(part, kind, ids.new(ITEM_PREFIX[kind]))), at_once=part == 0)
        output.kinds.append(kind)
        output.texts.append([])
        output.open = part

    async def _store_end(self, outcome: Outcome) -> None:
        """Write the end in one transaction, however long the database needs to take it."""
        await self.committed.wait()
        bill = await self._count()
        tail = self._tail(outcome, bill)
        folded = fold.fold([*self.log.entries, *map(encode, tail)])

        hint: Hint | None = None

        async def everything(connection: AsyncConnection) -> None:
            nonlocal hint
            hint = await self._owner.store_end(connection, self, outcome, bill, folded)

        while True:
            try:
                with self._trace.storing():
                    await self._owner.journal.end(self.log, list(map(encode, tail)), everything)
            except Unavailable as error:
                _log.error("end_not_stored_yet", response=self.response.id, reason=error.message)
                await asyncio.sleep(1)
            except Fenced:
                self._trace.lost()
                return
            else:
                self._owner.watch.ended(self, outcome, bill)
                self._trace.ended(outcome, bill)
                self._owner.tell(self.response, hint)
                return

    def _tail(self, outcome: Outcome, bill: Used) -> list[Entry]:
        """The last entries of the log: what was waiting, the open part closed, the bill, the end."""
        output = self._output
        tail: list[Entry] = []
        if not output.kinds and outcome.status == "completed":
            tail.append(PartOpened(0, "text", ids.new(ITEM_PREFIX["text"])))
            output.open = 0
        if output.open is not None:
            if rest := self._cleaner.rest():
                tail.append(Appended(output.open, rest))
            tail.append(PartClosed(output.open, outcome.status == "completed"))
        return [
            *tail,
            bill,
            Ended(outcome.status, now(), outcome.reason, outcome.error_code, outcome.error_message),
        ]

    async def _count(self) -> Used:
        """The bill: the upstream's own figures, else the model's tokenizer, else an estimate that is marked."""
        if self._usage:
            return Used(
                sum(usage.input_tokens for usage in self._usage) + (self.response.input_tokens if self._lost else 0),
                sum(usage.output_tokens for usage in self._usage) + estimate(self._lost),
                sum(usage.cached_tokens for usage in self._usage),
                sum(usage.reasoning_tokens for usage in self._usage),
                estimated=bool(self._lost),
            )
        text = self._output.text()
        counted: int | None = 0
        if text:
            counted = None
            if self.provider is not None:
                with contextlib.suppress(TimeoutError, UpstreamError):
                    async with asyncio.timeout(COUNT_PATIENCE):
                        counted = await self.provider.count_tokens(self.response.model, text)
        if counted is None:
            return Used(self.response.input_tokens, estimate(text), estimated=True)
        return Used(self.response.input_tokens, counted, estimated=not self.response.ask.get("input_counted", False))


class Generations:
    """All responses that this process is making. Use as an async context manager: leaving ends what still runs."""

    def __init__(
        self,
        db: Database,
        journal: Journal,
        feed: Feed,
        *,
        retries: int,
        unstored_grace: float,
        watch: Watch | None = None,
    ) -> None:
        self.journal = journal
        self.watch = watch or Watch()
        self._on_end: list[Callable[[Response], None]] = []
        self.retries = retries
        self.retry_patience = 30.0
        self._db = db
        self._feed = feed
        self._unstored_grace = round(unstored_grace * 1e6)
        self._running: dict[str, Generation] = {}
        self._queued: set[str] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        journal.on_lost = self._lost

    async def __aenter__(self) -> "Generations":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop_all(SHUTDOWN)

    def on_end(self, ended: Callable[[Response], None]) -> None:
        """Call `ended` with each response that has ended here, when that is stored."""
        self._on_end.append(ended)

    def __len__(self) -> int:
        return len(self._running)

    @property
    def answers(self) -> int:
        """How many people wait for; titles do not count."""
        return sum(generation.response.purpose == "answer" for generation in self._running.values())

    def find(self, response_id: str) -> Generation | None:
        return self._running.get(response_id)

    def add(self, response: Response, provider: Provider, log: Log, prompt: Prompt, attempts: int = 1) -> Generation:
        """One whose question is about to be committed: it can be found and stopped, and asks `provider` when it is
        told to `begin`; when the commit fails, `forget` it. Where the log holds text already, `prompt.prefix` says
        what, and it is continued."""
        generation = Generation(self, response, log, provider=provider, prompt=prompt, attempts=attempts)
        self._keep(generation)
        return generation

    def forget(self, generation: Generation) -> None:
        """Its question was not stored, so nobody has seen it."""
        self.journal.forget(generation.log)
        self.drop(generation)

    async def close(
        self, response: Response, log: Log, outcome: Outcome, provider: Provider | None, attempts: int
    ) -> None:
        """End a response that nobody generates any more, with everything that its log holds."""
        generation = Generation(self, response, log, provider=provider, prompt=None, attempts=attempts)
        self._keep(generation)
        generation.committed.set()
        await generation.end(outcome)

    async def quiet(self) -> None:
        """Until nothing runs."""
        await self._quiet.wait()

    async def leave(self, waiting: Iterable[Generation]) -> None:
        """To whoever makes answers after this process, which is about to stop; these wait for a slot. In the
        foreground nobody else can answer, so those end. Raises `Unavailable`."""
        left = [generation for generation in waiting if generation.detached]
        for generation in set(waiting) - set(left):
            generation.end(SHUTDOWN)
        await self.journal.leave([generation.log for generation in left])
        for generation in left:
            generation.lose()

    async def stop_all(self, outcome: Outcome) -> None:
        """End all that run. A database that takes no end is waited for, but not for ever: a process that was told to
        stop must stop, and the next start ends what is left."""
        ends = [generation.end(outcome) for generation in list(self._running.values())]
        if ends:
            _, unstored = await asyncio.wait(ends, timeout=LAST_PATIENCE)
            if unstored:
                _log.error("ends_not_stored", count=len(unstored), next_step="the next start closes these answers")
            for end in unstored:
                end.cancel()
            await asyncio.gather(*unstored, return_exceptions=True)

    async def in_background(self, response: Response) -> bool:
        """As the database has it now."""
        async with self._db.read() as connection:
            return (await store.response(connection, response.id, hidden=True)).background

    async def record_retry(self, generation: Generation, error: UpstreamError) -> None:
        """One attempt is over, and the next begins: written down once, however often it is told.

        Raises `Unavailable`, and `Closed` when the log is somebody else's by now.
        """
        response_id, epoch = generation.response.id, generation.log.epoch
        name = generation.provider.name if generation.provider else ""
        async with self._db.write() as connection:
            if not await self.journal.holds(connection, response_id, epoch):
                raise Closed(response_id)
            if await store.count_attempts(connection, response_id) == generation.attempts:
                return
            await store.end_attempt(connection, response_id, error.code or "upstream_error")
            await store.add_attempt(connection, response_id, epoch, name)

    async def store_end(
        self, connection: AsyncConnection, generation: Generation, outcome: Outcome, bill: Used, folded: fold.Fold
    ) -> Hint | None:
        """All that the end of a response changes besides its log, within that one transaction. Returns what to tell
        afterwards."""
        response = generation.response
        state = Responses(after=1 << 60)
        for entry in folded.entries():
            state.feed(entry)
        ended = now()
        await store.update_response(
            connection,
            response.id,
            status=outcome.status,
            fold=fold.dump(folded),
            usage=state.response()["usage"],
            completed_at=ended,
            expires_at=ended + self._unstored_grace if not response.store else response.expires_at,
        )
        hint = None
        if response.message_id is not None:
            await store.add_items(connection, response.message_id, output_items(state.response()["output"]))
            hint = await self._end_message(connection, response, outcome, bill)
        elif response.purpose == "title":
            hint = await self._keep_title(connection, response, outcome, state.text())
        await slots.leave(connection, response.id)
        await store.end_attempt(
            connection,
            response.id,
            outcome.error_code or outcome.status,
            upstream_id=generation.upstream_id,
            input_tokens=bill.input_tokens,
            output_tokens=bill.output_tokens,
        )
        await store.bill(
            connection,
            response_id=response.id,
            principal_id=response.principal_id,
            model=response.model,
            provider=generation.provider_name,
            input_tokens=bill.input_tokens,
            output_tokens=bill.output_tokens,
            cached_tokens=bill.cached_tokens,
            reasoning_tokens=bill.reasoning_tokens,
            estimated=bill.estimated,
            attempts=generation.attempts,
        )
        used = bill.input_tokens + bill.output_tokens
        await quota.settle(connection, response.principal_id, response.created_at, response.reserved_tokens, used)
        return hint

    async def _end_message(
        self, connection: AsyncConnection, response: Response, outcome: Outcome, bill: Used
    ) -> Hint | None:
        error = None
        if outcome.status == "failed":
            error = {"code": outcome.error_code or "server_error", "message": outcome.error_message or ""}
        await store.end_message(
            connection, response.message_id or "", outcome.status, bill.output_tokens, outcome.reason, error
        )
        if response.conversation_id is None:
            return None
        version = await store.update_conversation(connection, response.conversation_id)
        return Hint("ended", response.conversation_id, version)

    async def _keep_title(
        self, connection: AsyncConnection, response: Response, outcome: Outcome, text: str
    ) -> Hint | None:
        """The title, unless the person has typed one meanwhile; one that was cut off by this server's end is made
        again at the next start."""
        if response.conversation_id is None or outcome in (INTERRUPTED, SHUTDOWN):
            return None
        title = headline.of_model(text) if outcome.status == "completed" else None
        version = await store.keep_title(connection, response.conversation_id, title)
        return None if version is None else Hint("titled", response.conversation_id, version)

    def tell(self, response: Response, hint: Hint | None) -> None:
        """The end is stored: whoever looks may see it."""
        if hint is not None:
            self._feed.publish(response.principal_id, hint)
        self._feed.publish(ADMINS, Hint("ended", response.id, 2))
        for ended in self._on_end:
            ended(response)

    def _lost(self, response_id: str) -> None:
        if (generation := self._running.get(response_id)) is not None:
            _log.warning("response_was_taken_over", response=response_id)
            generation.lose()

    def count(self, generation: Generation) -> None:
        """It has come, waits, begins, or is gone."""
        response_id = generation.response.id
        if response_id in self._running and generation.queued:
            self._queued.add(response_id)
        else:
            self._queued.discard(response_id)
        self.watch.running(len(self._running) - len(self._queued), len(self._queued))

    def _keep(self, generation: Generation) -> None:
        self._running[generation.response.id] = generation
        self._quiet.clear()
        self.count(generation)

    def drop(self, generation: Generation) -> None:
        self._running.pop(generation.response.id, None)
        self.count(generation)
        if not self._running:
            self._quiet.set()


def output_items(output: list[dict[str, Any]]) -> list[Item]:
    """A response's output as items of its message."""
    items: list[Item] = []
    for item in output:
        content = {key: value for key, value in item.items() if key not in ("id", "status")}
        text = "".join(part["text"] for part in item["content"])
        items.append(Item(item["id"], item["type"], content, text))
    return items
