"""Any OpenAI-compatible upstream: `POST {base_url}/chat/completions`, streamed.

aiohttp, not httpx: 40 µs a chunk against 140 to 237. One list of pieces per read, since the cost is per wake-up.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NoReturn

import aiohttp
import msgspec

from tako.chat.providers.base import Finish, Model, Named, Piece, Prompt, Reasoning, Text, UpstreamError, Usage
from tako.chat.providers.settings import ModelSettings, ProviderSettings
from tako.core.db import now

# The longest event that an upstream may send, in bytes.
LONGEST_EVENT = 8 * 2**20
_WORDS = 300
_MOST_TOKENS = 10**9
# OpenRouter's list, the longest that we know, has half a megabyte.
_LONGEST_LIST = 4 * 2**20
_CONTEXT_WORDS = ("max_model_len", "context_length", "context_window")
_FINISH: dict[str, Literal["length", "content_filter"]] = {"length": "length", "content_filter": "content_filter"}


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: Any = 0


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: Any = 0


class _Usage(msgspec.Struct):
    """Counts of any type: a number that is none is no reason to lose an answer."""

    prompt_tokens: Any = 0
    completion_tokens: Any = 0
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Chunk(msgspec.Struct):
    """The fields of a chunk that are used; the rest is not even parsed into objects."""

    id: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


@dataclass(frozen=True, slots=True)
class Offered:
    """A model in an upstream's own list; many do not say how long its context is."""

    id: str
    context_tokens: int | None


class OpenAIProvider:
    """One configured upstream. `tokenizes` says that it answers llama.cpp's /tokenize beside /v1; `note` and `demo`
    are for its models."""

    def __init__(
        self, settings: ProviderSettings, *, note: str | None = None, demo: bool = False, tokenizes: bool = False
    ) -> None:
        self.name = settings.name
        self.settings = settings
        self._note = note
        self._demo = demo
        self._tokenizes = tokenizes
        self._by_id = {model.id: model for model in settings.models}
        self._session: aiohttp.ClientSession | None = None
        self._answers = 0
        self._retired = False

    def models(self) -> Sequence[Model]:
        return [
            Model(
                model.id,
                model.name or model.id,
                self.name,
                model.context_tokens,
                min(model.max_output_tokens, model.context_tokens),
                prefix=model.prefix != "no",
                note=self._note,
                demo=self._demo,
                slots=model.slots,
            )
            for model in self.settings.models
        ]

    async def stream(self, prompt: Prompt) -> AsyncIterator[list[Piece]]:
        self._answers += 1
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._asked(prompt)
            async for pieces in self._pieces(response):
                yield pieces
        finally:
            if response is not None:
                # Closes the connection of an answer that was not read to its end: so an upstream learns of a stop.
                response.close()
            self._answers -= 1
            if self._retired and not self._answers:
                await self.close()

    async def _asked(self, prompt: Prompt) -> aiohttp.ClientResponse:
        """The upstream's answer, which is a stream of events."""
        request = self._post("/chat/completions", self._body(prompt, self._by_id[prompt.model]), prompt.headers)
        try:
            async with asyncio.timeout(self.settings.first_token_timeout):
                response = await request
        except aiohttp.ClientError as error:  # its own timeouts, which are TimeoutErrors too, are of the connection
            raise self._unreachable(error) from error
        except TimeoutError:
            raise self._late() from None
        if response.status != 200 or response.content_type != "text/event-stream":
            async with response:
                await self._refuse(response)
        return response

    async def count_tokens(self, model: str, text: str) -> int | None:
        if not self._tokenizes:
            return None
        try:
            response = await self._post("/../tokenize", {"content": text})
            async with response:
                if response.status != 200:
                    return None
                return len((await response.json())["tokens"])
        except (aiohttp.ClientError, KeyError, ValueError):
            return None

    async def offered(self) -> list[Offered]:
        """The upstream's own list of models. Raises `UpstreamError`."""
        try:
            # No redirects: the key is for this address alone.
            async with self._opened().get(
                f"{self._base()}/models", headers=self._authorization(), allow_redirects=False
            ) as response:
                if response.status != 200:
                    await self._refuse(response)
                return self._listed(await response.content.read(_LONGEST_LIST))
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from error

    def _listed(self, raw: bytes) -> list[Offered]:
        """OpenAI's list; `max_model_len` is vLLM's word, `context_length` the one of several routers."""
        try:
            found = [
                Offered(str(entry["id"]), next((n for n in map(entry.get, _CONTEXT_WORDS) if isinstance(n, int)), None))
                for entry in json.loads(raw)["data"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._error("upstream_malformed", "sent no list of models: does base_url lack /v1?") from None
        return sorted(found, key=lambda model: model.id)

    async def retire(self) -> None:
        """Nobody new is sent here: connections close when the last answer has ended. Who has found this provider a
        moment ago may still ask it."""
        self._retired = True
        if not self._answers:
            await self.close()

    async def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _body(self, prompt: Prompt, model: ModelSettings) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [{"role": turn.role, "content": turn.text} for turn in prompt.turns]
        body: dict[str, Any] = {
            "model": model.upstream_model or model.id,
            "messages": messages,
            self.settings.limit_field: prompt.max_output_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if prompt.prefix:
            begun: dict[str, Any] = {"role": "assistant", "content": prompt.prefix}
            messages.append({**begun, "prefix": True} if model.prefix == "deepseek" else begun)
            if model.prefix == "assistant":
                # llama.cpp continues a last assistant message by itself; vLLM wants to be told.
                body |= {"continue_final_message": True, "add_generation_prompt": False}
        if prompt.temperature is not None:
            body["temperature"] = prompt.temperature
        if prompt.top_p is not None:
            body["top_p"] = prompt.top_p
        return body

    async def _post(
        self, path: str, body: dict[str, Any], more: Mapping[str, str] | None = None
    ) -> aiohttp.ClientResponse:
        headers = {"content-type": "application/json", "accept": "text/event-stream", **self._authorization()}
        headers.update(more or {})
        base = self._base()
        url = base.rpartition("/")[0] + path.removeprefix("/..") if path.startswith("/..") else base + path
        return await self._opened().post(url, data=msgspec.json.encode(body), headers=headers)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.settings.connect_timeout),
                read_bufsize=2**18,
            )
        return self._session

    def _base(self) -> str:
        return self.settings.base_url.rstrip("/")

    def _authorization(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.settings.api_key}"} if self.settings.api_key else {}

    async def _refuse(self, response: aiohttp.ClientResponse) -> NoReturn:
        """Raises what this answer, which is no stream of events, means."""
        words = (await self._words(response)).strip()
        said = f" It said: {words}" if words else ""
        status = response.status
        if status in (401, 403):
            raise self._error("upstream_auth", f"refused our key (HTTP {status}): check api_key.{said}")
        if status == 429:
            raise UpstreamError(
                self._sentence(f"is limiting us (HTTP 429): wait, or raise the limit there.{said}"),
                code="upstream_rate_limit",
                retryable=True,
                retry_after=_retry_after(response.headers.get("retry-after")),
                detail=self.settings.base_url,
            )
        if status >= 500:
            raise self._error("upstream_error", f"failed (HTTP {status}).{said}", retryable=True)
        if status == 200:
            raise self._error(
                "upstream_malformed",
                f"sent {response.content_type} instead of a stream of events: does base_url lack /v1?{said}",
            )
        lower = words.lower()
        if "context" in lower and ("length" in lower or "exceed" in lower or "maximum" in lower):
            raise self._error("context_length_exceeded", f"finds this conversation too long.{said}")
        if status == 404:
            raise self._error("upstream_rejected", f"knows no such address or model: check base_url and model.{said}")
        raise self._error("upstream_rejected", f"rejected the request (HTTP {status}).{said}")

    async def _words(self, response: aiohttp.ClientResponse) -> str:
        try:
            async with asyncio.timeout(5):
                raw = await response.content.read(8192)
        except (TimeoutError, aiohttp.ClientError):
            return ""
        try:
            told = json.loads(raw)
        except ValueError:
            told = raw.decode("utf-8", "replace")
        if isinstance(told, dict):
            told = told.get("error", told.get("message", told))
            told = told.get("message", told) if isinstance(told, dict) else told
        return str(told)[:_WORDS]

    async def _pieces(self, response: aiohttp.ClientResponse) -> AsyncIterator[list[Piece]]:
        """Pieces of each read, until the upstream says that it is done."""
        answer = _Answer(self._chunk)
        silence = self._late
        deadline = _Deadline(asyncio.get_running_loop(), response)
        deadline.set(self.settings.first_token_timeout)
        try:
            while not answer.done:
                try:
                    data = await response.content.readany()
                except aiohttp.ClientError as error:
                    raise silence() if deadline.passed else self._cut(str(error)) from error
                if not data:
                    break
                pieces = answer.feed(data)
                if pieces:
                    # Only what says something counts: an upstream may keep the connection alive with comments for ever.
                    silence = self._silent
                    deadline.set(self.settings.silence_timeout)
                    yield pieces
                if answer.error is not None:
                    raise answer.error
                if answer.waiting > LONGEST_EVENT:
                    raise self._error("upstream_malformed", f"sent an event of more than {LONGEST_EVENT} bytes.")
        finally:
            deadline.cancel()
        if not answer.finished:
            if not answer.done:
                raise self._cut("the stream ended before the answer did")
            yield [Finish("stop")]

    def _chunk(self, payload: bytes) -> _Chunk:
        try:
            chunk = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            chunk = self._lenient(payload)
        if chunk.error:
            error = chunk.error
            words = error.get("message", error) if isinstance(error, dict) else error
            raise self._error("upstream_error", f"broke off with an error. It said: {str(words)[:_WORDS]}")
        return chunk

    def _lenient(self, payload: bytes) -> _Chunk:
        """The standard library keeps half a surrogate pair, whose other half may come with the next chunk."""
        try:
            return msgspec.convert(json.loads(payload), _Chunk)
        except (ValueError, msgspec.ValidationError, RecursionError):
            shown = payload[:100].decode("utf-8", "replace")
            raise self._error(
                "upstream_malformed", f"sent something that is no chunk of an answer: {shown!r}"
            ) from None

    def _sentence(self, what: str) -> str:
        """Some upstreams repeat the key that they refuse; who reads this may not be who knows it."""
        if self.settings.api_key:
            what = what.replace(self.settings.api_key, "***")
        return f"The provider {self.name!r} {what}"

    def _error(self, code: str, what: str, *, retryable: bool = False, detail: str = "") -> UpstreamError:
        where = f"{self.settings.base_url}: {detail}" if detail else self.settings.base_url
        return UpstreamError(self._sentence(what), code=code, retryable=retryable, detail=where)

    def _unreachable(self, error: Exception) -> UpstreamError:
        return self._error(
            "upstream_unreachable",
            "cannot be reached. Is it running, and is base_url right?",
            retryable=True,
            detail=str(error),
        )

    def _late(self) -> UpstreamError:
        seconds = self.settings.first_token_timeout
        return self._error("upstream_timeout", f"sent no token within {seconds:g} seconds.", retryable=True)

    def _silent(self) -> UpstreamError:
        seconds = self.settings.silence_timeout
        return self._error("upstream_silent", f"went silent in the middle of the answer for {seconds:g} seconds.")

    def _cut(self, how: str) -> UpstreamError:
        return self._error("upstream_cut", "cut the answer off.", retryable=True, detail=how)


class _Answer:
    """Turns the bytes of a stream into pieces. An error is kept in `error`, so that what came before it is not lost."""

    def __init__(self, read: Callable[[bytes], _Chunk]) -> None:
        self.done = False
        self.finished = False
        self.error: UpstreamError | None = None
        self._read = read
        self._named = False
        self._rest = b""

    @property
    def waiting(self) -> int:
        """Bytes of an event that has not ended yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Piece]:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        pieces: list[Piece] = []
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            payload = line[5:].strip()
            if payload == b"[DONE]":
                self.done = True
                break
            try:
                self._take(self._read(payload), pieces)
            except UpstreamError as error:
                self.error = error
                break
        return pieces

    def _take(self, chunk: _Chunk, pieces: list[Piece]) -> None:
        if chunk.id and not self._named:
            self._named = True
            pieces.append(Named(chunk.id[:200]))
        for choice in chunk.choices or ():
            delta = choice.delta
            if delta is not None:
                if thought := delta.reasoning_content or delta.reasoning:
                    pieces.append(Reasoning(thought))
                if delta.content:
                    pieces.append(Text(delta.content))
            if choice.finish_reason and not self.finished:
                self.finished = True
                pieces.append(Finish(_FINISH.get(choice.finish_reason, "stop")))
        if chunk.usage is not None:
            used = _usage(chunk.usage)
            if used.input_tokens or used.output_tokens:
                pieces.append(used)


class _Deadline:
    """Ends a read that takes too long by closing the connection. One timer for a whole answer, moved by comparing
    times when it fires: setting one for each read would cost more than the read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, response: aiohttp.ClientResponse) -> None:
        self._loop = loop
        self._response = response
        self._at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.passed = False

    def set(self, seconds: float) -> None:
        self._at = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._at:
            self.cancel()
            self._timer = self._loop.call_at(self._at, self._check)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        if self._loop.time() >= self._at:
            self.passed = True
            self._response.close()
        else:
            self._timer = self._loop.call_at(self._at, self._check)


def _usage(usage: _Usage) -> Usage:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        _tokens(usage.prompt_tokens),
        _tokens(usage.completion_tokens),
        cached_tokens=_tokens(prompt.cached_tokens) if prompt else 0,
        reasoning_tokens=_tokens(completion.reasoning_tokens) if completion else 0,
    )


def _tokens(said: Any) -> int:
    """A count that can be true and can be billed; 0 for everything else."""
    return said if type(said) is int and 0 <= said <= _MOST_TOKENS else 0


def _retry_after(value: str | None) -> float | None:
    """Seconds out of a Retry-After header, which holds seconds or a date (RFC 9110 §10.2.3)."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now() / 1e6)
    except ValueError:
        return None
