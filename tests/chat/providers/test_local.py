"""The built-in model's child process."""

import asyncio
from pathlib import Path

import psutil
import pytest

from tako.chat.providers.base import Prompt, Text, Turn
from tako.chat.providers.local import LocalProvider
from tako.chat.providers.settings import LocalSettings


async def said(provider: LocalProvider) -> str:
    """The beginning of an answer."""
    texts: list[str] = []
    async for pieces in provider.stream(Prompt("smollm2-135m", [Turn("user", "Say hello.")], 8)):
        texts += [piece.text for piece in pieces if isinstance(piece, Text)]
    return "".join(texts)


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "llama_child" in " ".join(child.cmdline())]


async def test_a_child_that_nobody_waits_for_any_more_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who stops the first answer while the model loads must not leave a second model in memory for good."""
    provider = LocalProvider(LocalSettings(), tmp_path)
    loading = asyncio.Event()

    async def never(child: asyncio.subprocess.Process, key: str) -> str:
        loading.set()
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(provider, "_address", never)
    asking = asyncio.create_task(said(provider))
    await loading.wait()
    assert provider._child is not None
    assert provider._child.returncode is None
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert provider._child.returncode is not None
    await provider.close()


@pytest.mark.slow
async def test_all_serving_processes_of_a_folder_share_one_child(tmp_path: Path) -> None:
    """Asked at the same moment, one of them starts it; when it dies, the next one that is asked starts another."""
    one, other = LocalProvider(LocalSettings(), tmp_path), LocalProvider(LocalSettings(), tmp_path)
    try:
        assert all(await asyncio.gather(said(one), said(other)))
        (child,) = children()
        child.kill()
        child.wait()
        assert await said(other)
        assert await said(one)
        assert len(children()) == 1
        assert (tmp_path / "local-model.json").stat().st_mode & 0o77 == 0
    finally:
        await one.close()
        await other.close()
    assert children() == []
