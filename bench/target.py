"""Whom a measure asks: a server's port, how it wants to be asked, and whose CPU counts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bench.readers import Reader, connect
from bench.servers import Tree

SERVER = "server"


def paced(chunks: int, rate: float, hold: int = -1) -> str:
    """The model that says so much, so fast: see `upstream`."""
    return f"paced:chunks={chunks};rate={rate:g}" + (f";hold={hold}" if hold >= 0 else "")


@dataclass(frozen=True)
class Target:
    """`parts` are the processes that it needs, by name, its own as `server`."""

    name: str
    port: int
    path: str
    parts: Mapping[str, Tree]
    key: str = ""

    @property
    def server(self) -> Tree:
        return self.parts[SERVER]

    def ask(self, model: str, **more: object) -> bytes:
        """A request for one answer, streamed if nothing else is said."""
        question = {"messages": [{"role": "user", "content": "hello"}]}
        if self.path.endswith("/responses"):
            question = {"input": "hello"}  # type: ignore[dict-item]  # JSON
        return self.post(self.path, {"model": model, "stream": True, **question, **more})

    def get(self, path: str) -> bytes:
        return self._request("GET", path, None)

    def post(self, path: str, body: object) -> bytes:
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: object) -> bytes:
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Content-Length: {len(data)}"]
        lines += ["Content-Type: application/json"] if data else []
        lines += [f"Authorization: Bearer {self.key}"] if self.key else []
        return "\r\n".join([*lines, "", ""]).encode() + data


@dataclass(frozen=True)
class Running:
    """An answer of a Tako, with the reader who asked for it."""

    id: str
    first: Reader

    @property
    def path(self) -> str:
        return f"/v1/responses/{self.id}?stream=true"


async def begin(target: Target, model: str, chunks: int) -> Running:
    """Ask a Tako for an answer that does not need its first reader, of which `chunks` chunks are counted."""
    reader = await connect(target.port)
    await reader.begin(target.ask(model, background=True), chunks)
    await reader.body_holds(b'"id":"resp_')
    response_id = reader.seen.body.partition(b'"id":"resp_')[2].partition(b'"')[0].decode()
    return Running(f"resp_{response_id}", reader)
