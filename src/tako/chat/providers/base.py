"""What generates: the contract between a generation and an upstream model, and the pieces that come out of one."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tako.core.errors import TakoError


@dataclass(frozen=True, slots=True)
class Model:
    """A model that users may choose.

    `id` is what clients send; `context_tokens` bounds input plus output; `prefix` says whether the upstream
    can go on from a text that it has begun (then a lost answer is continued, not closed). `demo`: it only shows that
    the site works, and is asked for nothing that it was not chosen for. `slots` answers at once, 0 for no limit.
    """

    id: str
    name: str
    provider: str
    context_tokens: int
    max_output_tokens: int
    prefix: bool = False
    note: str | None = None
    demo: bool = False
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a prompt."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an upstream is asked. `prefix` is the text of the answer so far, to be continued (see `Model.prefix`);
    `headers` go along with the request."""

    model: str
    turns: Sequence[Turn]
    max_output_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the upstream counted them."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """Why the upstream stopped by itself: `length` means the token limit."""

    reason: Literal["stop", "length", "content_filter"]


@dataclass(frozen=True, slots=True)
class Named:
    """The id that the upstream gave to this answer, for support requests."""

    upstream_id: str


Piece = Text | Reasoning | Usage | Finish | Named


class Provider(Protocol):
    """One configured upstream."""

    name: str

    def models(self) -> Sequence[Model]:
        """The models that it offers, in the owner's order."""

    def stream(self, prompt: Prompt) -> AsyncIterator[list[Piece]]:
        """Ask once (no retries here). Yields one non-empty list for each read from the upstream.

        A `Finish` comes exactly once unless `UpstreamError` is raised; `Usage` at most once.
        Closing the iterator closes the upstream's connection.
        """

    async def count_tokens(self, model: str, text: str) -> int | None:
        """The tokens in `text`, by the model's own tokenizer; None where the upstream has none to ask."""

    async def close(self) -> None:
        """Close connections and end child processes."""


class UpstreamError(TakoError):
    """The upstream failed. The message says what happened and what to do; whoever asked can read it. `detail` is for
    the owner alone: the address, and what the network said.

    `retryable` says that asking again may help (before the first token only); `retry_after` is the upstream's
    own wish in seconds. `code` is one of: upstream_unreachable, upstream_auth, upstream_rate_limit,
    upstream_error (5xx), upstream_rejected (other 4xx), context_length_exceeded, upstream_timeout (no first token),
    upstream_silent (silence in mid-answer), upstream_cut, upstream_malformed.
    """

    status = 502
    kind = "server_error"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        retryable: bool = False,
        retry_after: float | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.detail = detail
        self.retryable = retryable
        self.retry_after = retry_after
