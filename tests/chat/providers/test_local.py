"""The built-in model's child process."""

import asyncio

import pytest

from tako.chat.providers.base import Prompt, Turn
from tako.chat.providers.local import LocalProvider
from tako.chat.providers.settings import LocalSettings


async def test_a_child_that_nobody_waits_for_any_more_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops the first answer while the model loads must not leave a second model in memory for good."""
    provider = LocalProvider(LocalSettings())
    loading = asyncio.Event()

    async def never(output: asyncio.StreamReader) -> str:
        loading.set()
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(provider, "_address", never)

    async def first_piece() -> None:
        async for _ in provider.stream(Prompt("smollm2-135m", [Turn("user", "hi")], 8)):
            return

    asking = asyncio.create_task(first_piece())
    await loading.wait()
    assert provider._child is not None
    assert provider._child.returncode is None
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert provider._child.returncode is not None
    await provider.close()
