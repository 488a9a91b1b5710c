"""What a response's log says, entry by entry. Dialects are made from these and from nothing else.

Each entry is a MessagePack array whose first element names its kind and format version (``"a1"``: appended, version 1),
so that a log written today can be read by every later release.
"""

from typing import Literal

import msgspec

PartKind = Literal["text", "reasoning"]
Status = Literal["queued", "in_progress", "completed", "failed", "cancelled", "incomplete"]
Ending = Literal["completed", "failed", "cancelled", "incomplete"]


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """Base of all entries."""


class Created(Entry, frozen=True, tag="c1"):
    """Entry 0: every field that is echoed to clients, frozen when the response was asked for.

    `echo` is a JSON object as UTF-8; `created_at` is in microseconds.
    """

    response_id: str
    created_at: int
    background: bool
    echo: bytes


class Started(Entry, frozen=True, tag="s1"):
    """A provider has been asked."""


class PartOpened(Entry, frozen=True, tag="o1"):
    """Part number `part` (0, 1, … in order of opening) begins: an item of its own, with a stored id."""

    part: int
    kind: PartKind
    item_id: str


class Appended(Entry, frozen=True, tag="a1"):
    part: int
    text: str


class PartClosed(Entry, frozen=True, tag="p1"):
    part: int
    complete: bool


class Used(Entry, frozen=True, tag="u1"):
    """The bill: the sum over all attempts. `estimated` says that no upstream and no tokenizer counted it."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False


class Ended(Entry, frozen=True, tag="e1"):
    """The last entry. `reason` says why an answer is incomplete or cancelled; `error_*` why it failed."""

    status: Ending
    completed_at: int
    reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None


AnyEntry = Created | Started | PartOpened | Appended | PartClosed | Used | Ended

_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
decode = msgspec.msgpack.Decoder(AnyEntry).decode


class Cleaner:
    """Makes text storable and the same for every reader: NUL and lone surrogates become U+FFFD.

    A high surrogate at the end waits for its other half, which an upstream may send in its next chunk.
    """

    def __init__(self) -> None:
        self._high = ""

    def clean(self, text: str) -> str:
        if text.isascii() and not self._high:
            return text.replace("\0", "\ufffd")
        text = self._high + text
        self._high = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._high, text = text[-1], text[:-1]
        return clean(text)

    def rest(self) -> str:
        """What is still waiting when no more text comes."""
        high, self._high = self._high, ""
        return "\ufffd" if high else ""


def clean(text: str) -> str:
    """`text` without NUL and lone surrogates; two halves of a pair that stand together become their character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd")
