"""OpenAI's Responses API, wire version 1: https://platform.openai.com/docs/api-reference/responses-streaming

`sequence_number` is the cursor and also the SSE id. A cancelled answer ends with `response.incomplete` whose
response has the status `cancelled`: the stock clients know no event of that name, and throw at one.
"""

from typing import Any

import msgspec

from tako.chat.entries import (
    AnyEntry,
    Appended,
    Created,
    Ended,
    PartClosed,
    PartKind,
    PartOpened,
    Started,
    Status,
    Used,
)

WIRE = 1

_json = msgspec.json.Encoder().encode
_TERMINAL = {"completed": "completed", "failed": "failed", "cancelled": "incomplete", "incomplete": "incomplete"}


def json(value: object) -> bytes:
    """JSON on one line, also for clients that break lines at U+0085, U+2028 and U+2029."""
    data = _json(value)
    if data.isascii():
        return data
    return (
        data.replace(b"\xc2\x85", b"\\u0085").replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    )


class _Part:
    """One item of the output, as far as the log says."""

    __slots__ = ("_added", "_head", "closed", "complete", "index", "item_id", "kind", "pieces", "words")

    def __init__(self, opened: PartOpened) -> None:
        self.index = opened.part
        self.kind: PartKind = opened.kind
        self.item_id = opened.item_id
        self.pieces: list[str] = []
        self.closed = False
        self.complete = True
        self.words = "output_text" if self.kind == "text" else "reasoning_text"
        name = f"response.{self.words}.delta"
        place = json({"item_id": self.item_id, "output_index": self.index, "content_index": 0})[1:-1]
        self._head = (
            f"event: {name}\n".encode() + b'data: {"type":"' + name.encode() + b'","sequence_number":',
            b"," + place + b',"delta":',
            b',"logprobs":[]}\n\n' if self.kind == "text" else b"}\n\n",
        )

    def delta(self, seq: int, text: str) -> bytes:
        number = b"%d" % seq
        before, place, after = self._head
        return b"".join((b"id: ", number, b"\n", before, number, place, json(text), after))

    def content(self, text: str) -> dict[str, Any]:
        if self.kind == "text":
            return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        return {"type": "reasoning_text", "text": text}

    def item(self) -> dict[str, Any]:
        status = "in_progress" if not self.closed else "completed" if self.complete else "incomplete"
        content = [self.content("".join(self.pieces))] if self.pieces or self.closed else []
        if self.kind == "text":
            return {
                "id": self.item_id,
                "type": "message",
                "role": "assistant",
                "status": status,
                "content": content,
            }
        return {"id": self.item_id, "type": "reasoning", "summary": [], "content": content, "status": status}


class Responses:
    """Feed it a log, entry by entry; it gives the events that a reader behind `after` has not seen.

    `sequence_number` of the next event is `next`; `response()` is the object as of the last entry fed.
    """

    def __init__(self, after: int = -1) -> None:
        self.next = 0
        self._after = after
        self._base: dict[str, Any] = {}
        self._background = False
        self._status: Status = "queued"
        self._parts: list[_Part] = []
        self._usage: dict[str, Any] | None = None
        self._ended: Ended | None = None

    def feed(self, entry: AnyEntry) -> bytes:
        """The frames of this entry's events; empty for those that the reader has, and for entries without events."""
        match entry:
            case Appended(part, text):
                self._parts[part].pieces.append(text)
                seq = self.next
                self.next = seq + 1
                return self._parts[part].delta(seq, text) if seq > self._after else b""
            case Created():
                return self._create(entry)
            case Started():
                self._status = "in_progress"
                return self._lifecycle("in_progress")
            case PartOpened():
                return self._open(_Part(entry))
            case PartClosed(part, complete):
                return self._close(self._parts[part], complete)
            case Used():
                self._usage = usage(entry)
                return b""
            case Ended():
                self._ended = entry
                self._status = entry.status
                return self._event(f"response.{_TERMINAL[entry.status]}", {"response": self.response()})

    def response(self) -> dict[str, Any]:
        """The response object, with the text so far."""
        ended = self._ended
        value = {**self._base, "status": self._status, "output": [part.item() for part in self._parts]}
        value["usage"] = self._usage
        if ended is not None:
            value["completed_at"] = ended.completed_at // 1_000_000
            if ended.status == "failed":
                value["error"] = {"code": ended.error_code or "server_error", "message": ended.error_message or ""}
            elif ended.status != "completed":
                value["incomplete_details"] = {"reason": ended.reason or ended.status}
        return value

    def text(self) -> str:
        """The answer's text so far, reasoning left out."""
        return "".join("".join(part.pieces) for part in self._parts if part.kind == "text")

    def _create(self, entry: Created) -> bytes:
        self._base = msgspec.json.decode(entry.echo)
        self._background = entry.background
        self._status = "queued" if entry.background else "in_progress"
        frames = self._lifecycle("created")
        return frames + self._lifecycle("queued") if entry.background else frames

    def _lifecycle(self, name: str) -> bytes:
        return self._event(f"response.{name}", {"response": {**self._base, "status": self._status, "output": []}})

    def _open(self, part: _Part) -> bytes:
        self._parts.append(part)
        place = {"item_id": part.item_id, "output_index": part.index, "content_index": 0}
        added = self._event("response.output_item.added", {"output_index": part.index, "item": part.item()})
        return added + self._event("response.content_part.added", {**place, "part": part.content("")})

    def _close(self, part: _Part, complete: bool) -> bytes:
        part.closed, part.complete = True, complete
        text = "".join(part.pieces)
        place = {"item_id": part.item_id, "output_index": part.index, "content_index": 0}
        done = {**place, "text": text, "logprobs": []} if part.kind == "text" else {**place, "text": text}
        return (
            self._event(f"response.{part.words}.done", done)
            + self._event("response.content_part.done", {**place, "part": part.content(text)})
            + self._event("response.output_item.done", {"output_index": part.index, "item": part.item()})
        )

    def _event(self, name: str, fields: dict[str, Any]) -> bytes:
        seq = self.next
        self.next = seq + 1
        if seq <= self._after:
            return b""
        retry = b"retry: 1000\n" if seq == 0 else b""
        data = json({"type": name, "sequence_number": seq, **fields})
        return b"".join((b"id: %d\n" % seq, retry, b"event: ", name.encode(), b"\ndata: ", data, b"\n\n"))


def usage(entry: Used) -> dict[str, Any]:
    """OpenAI's usage object. `estimated` is ours."""
    value: dict[str, Any] = {
        "input_tokens": entry.input_tokens,
        "input_tokens_details": {"cached_tokens": entry.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": entry.output_tokens,
        "output_tokens_details": {"reasoning_tokens": entry.reasoning_tokens},
        "total_tokens": entry.input_tokens + entry.output_tokens,
    }
    if entry.estimated:
        value["estimated"] = True
    return value
