"""The page's dialect, version 1: a token costs about twenty bytes of frame.

Events are numbered from 1: one for each piece of text (`{"v": …}`, reasoning `{"r": …}`), then `error` when the
answer failed, then `done`. The answer's text is all `v` put together, nothing between them. Number 0 is nobody's, so
that a reader with nothing has the cursor 0. What names the answer (conversation, messages, model) is in no entry: it
stands in `event: metadata`, which opens every stream, has no number, and is made from columns that never change.

A title is no event of an answer. It is made after the answer's end, by a response of its own, so it could only be
rendered from what changes later; it is told in the feed.
"""

from typing import Any

from tako.chat.dialects.responses import json
from tako.chat.entries import AnyEntry, Appended, Ended, PartOpened, Used


class Compact:
    """Feed it a log, entry by entry; it gives the events that a reader behind `after` has not seen."""

    def __init__(self, after: int = 0) -> None:
        self.next = 1
        self._after = after
        self._heads: list[bytes] = []  # of each part's events
        self._used = Used(0, 0)

    def feed(self, entry: AnyEntry) -> bytes:
        match entry:
            case Appended(part, text):
                number = self.next
                self.next = number + 1
                if number <= self._after:
                    return b""
                return b"".join((b"id: %d\n" % number, self._heads[part], json(text), b"}\n\n"))
            case PartOpened(_, kind, _):
                self._heads.append(b'data: {"v":' if kind == "text" else b'data: {"r":')
            case Used():
                self._used = entry
            case Ended():
                return self._end(entry)
        return b""

    def _end(self, ended: Ended) -> bytes:
        error = b""
        if ended.status == "failed":
            error = self._event(b"error", failure(ended) or {})
        return error + self._event(
            b"done", {"status": ended.status, "reason": ended.reason, "usage": usage(self._used)}
        )

    def _event(self, name: bytes, fields: dict[str, Any]) -> bytes:
        number = self.next
        self.next = number + 1
        if number <= self._after:
            return b""
        return b"".join((b"id: %d\nevent: " % number, name, b"\ndata: ", json(fields), b"\n\n"))


def metadata(fields: dict[str, Any]) -> bytes:
    """The first event of every stream; it has no number."""
    return b"event: metadata\ndata: " + json(fields) + b"\n\n"


def failure(ended: Ended) -> dict[str, str] | None:
    """Why an answer failed, for programs (`code`) and people (`message`)."""
    if ended.status != "failed":
        return None
    return {"code": ended.error_code or "server_error", "message": ended.error_message or ""}


def usage(used: Used) -> dict[str, Any]:
    return {
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cached_tokens": used.cached_tokens,
        "reasoning_tokens": used.reasoning_tokens,
        "estimated": used.estimated,
    }
