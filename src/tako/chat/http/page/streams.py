"""The page's streams as plain ASGI routes: asking, joining an answer, and the feed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qs

from tako.chat import answers, fold, follow, messages, store
from tako.chat.dialects import compact
from tako.chat.dialects.compact import Compact
from tako.chat.http.page.shapes import NewConversation, NewMessage, Regenerate
from tako.chat.http.requests import cursor, idempotency_key, parse
from tako.chat.places import After
from tako.chat.responses import Ask, Chat, InputItem, request_hash
from tako.chat.store import Response
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import Principal, authorize
from tako.core.errors import Invalid
from tako.core.feed import ADMINS
from tako.core.http import Receive, Scope, Send, header, read_body
from tako.core.journal import Log
from tako.core.sse import Reader, Source, Wheel

_PASSED = 1 << 60


@dataclass(frozen=True, slots=True)
class PageStreams:
    """The routes under /api that answer with a stream. `max_body` is in bytes."""

    chat: Chat
    authenticator: Authenticator
    wheel: Wheel
    tails: follow.Tails
    max_body: int

    def serves(self, scope: Scope) -> bool:
        match (scope["method"], *scope["path"].split("/")[1:]):
            case ("POST", "api", "conversations", "messages"):
                return True
            case ("POST", "api", "conversations", _, "messages"):
                return True
            case ("POST", "api", "messages", _, "regenerate" | "continue"):
                return True
            case ("GET", "api", "messages", _, "stream"):
                return True
            case ("GET", "api", "feed") | ("GET", "api", "owner", "feed"):
                return True
        return False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only what `serves` says."""
        match (scope["method"], *scope["path"].split("/")[2:]):
            case (_, "feed"):
                await self._feed(scope, send)
            case (_, "owner", _):
                await self._owners_feed(scope, send)
            case ("GET", _, message_id, _):
                await self._join(scope, send, message_id)
            case (_, *path):
                await self._ask(scope, receive, send, path)

    async def _feed(self, scope: Scope, send: Send) -> None:
        principal = await self.authenticator.principal(scope)
        authorize(principal, "chat:read")
        await self._read(scope, send, principal, self.chat.feed.follow(principal.id))

    async def _owners_feed(self, scope: Scope, send: Send) -> None:
        principal = await self.authenticator.principal(scope)
        authorize(principal, "admin")
        await self._read(scope, send, principal, self.chat.feed.follow(ADMINS), for_admins=True)

    async def _join(self, scope: Scope, send: Send, message_id: str) -> None:
        principal = await self.authenticator.principal(scope)
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        after = _after(query, header(scope, b"last-event-id"))
        response_id = query.get("response_id", [None])[-1]
        row = await messages.answer_of(self.chat, principal, message_id, response_id)
        log = await answers.log_of(self.chat, row)
        if after:
            last = await self._last(row, log)
            if after > last and log is not None:
                await self.chat.journal.look(log)  # another process may have shown what we have not heard of yet
                last = await self._last(row, log)
            if after > last:
                raise Invalid(
                    f"after={after} is past the last event of this answer.", code="invalid_cursor", param="after"
                )
            if after == last and log is None:
                # This is how an EventSource is told not to come again.
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
        caught_up = self.chat.watch.resumed(running=log is not None)
        await answers.join(self.chat, row)
        await self._answer(scope, send, principal, row, after, caught_up)

    async def _ask(self, scope: Scope, receive: Receive, send: Send, path: list[str]) -> None:
        principal = await self.authenticator.principal(scope)
        body = await read_body(scope, receive, limit=self.max_body)
        row = await self._create(principal, path, body, idempotency_key(scope), request_hash(scope["raw_path"] + body))
        await self._answer(scope, send, principal, row, 0)

    async def _create(
        self, principal: Principal, path: list[str], body: bytes, key: str | None, request: str
    ) -> Response:
        ask = Ask("", (), background=True, drop_oldest=True, idempotency_key=key, request_hash=key and request)
        match path:
            case ["conversations", "messages"]:
                first = parse(NewConversation, body)
                ask = replace(ask, model=first.model, input=(InputItem("user", first.text),))
                return await messages.begin(self.chat, principal, ask)
            case ["conversations", conversation_id, _]:
                given = parse(NewMessage, body)
                place = After(given.parent_id) if "parent_id" in given.model_fields_set else None
                ask = replace(ask, model=given.model, input=(InputItem("user", given.text),), place=place)
                return await messages.ask(self.chat, principal, replace(ask, conversation_id=conversation_id))
            case [_, message_id, "regenerate"]:
                ask = replace(ask, model=parse(Regenerate, body).model or "")
                return await messages.regenerate(self.chat, principal, message_id, ask)
            case _:
                return await messages.go_on(self.chat, principal, path[1], ask)

    async def _answer(
        self,
        scope: Scope,
        send: Send,
        principal: Principal,
        row: Response,
        after: int,
        caught_up: Callable[[], None] | None = None,
    ) -> None:
        async with self.chat.db.read() as connection:
            message = await store.message(connection, row.message_id or "")
        first = compact.metadata(
            {
                "conversation_id": row.conversation_id,
                "question_id": message.parent_id,
                "answer_id": message.id,
                "response_id": row.id,
                "model": row.model,
                "cursor": after,
            }
        )
        await self._read(scope, send, principal, follow.Preceded(first, await self._source(row, after, caught_up)))

    async def _read(
        self, scope: Scope, send: Send, principal: Principal, source: Source, *, for_admins: bool = False
    ) -> None:
        reader = Reader(source, principal, scope, send, for_admins=for_admins)
        with self.wheel.watching(reader):
            await reader.run()

    async def _source(self, row: Response, after: int, caught_up: Callable[[], None] | None) -> Source:
        log = await answers.log_of(self.chat, row)
        if log is not None:
            return follow.Live(self.tails.of(log, Compact), Compact, after, caught_up)
        row = await answers.ended(self.chat, row)
        return follow.Ended(follow.replay(Compact(after), fold.load(row.fold or b"").entries()), caught_up)

    async def _last(self, row: Response, log: Log | None) -> int:
        """The number of the last event that anybody may have seen."""
        if log is not None:
            return self.tails.of(log, Compact).rendered - 1
        row = await answers.ended(self.chat, row)
        state = Compact(_PASSED)
        for entry in fold.load(row.fold or b"").entries():
            state.feed(entry)
        return state.next - 1


def _after(query: dict[str, list[str]], last_event_id: str | None) -> int:
    given = [("after", value) for value in query.get("after", [])]
    if last_event_id is not None:
        given.append(("Last-Event-ID", last_event_id))
    return max(0, cursor(given))
