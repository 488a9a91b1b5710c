"""What becomes of an upstream's faults: who asked reads what is the matter, and only the owner reads where."""

import socket

import pytest

from tako.chat.providers.base import Prompt, Turn, UpstreamError
from tako.chat.providers.openai import OpenAIProvider
from tako.chat.providers.settings import ModelSettings, ProviderSettings
from tests.support.upstream import Cut, Say, Status, Step, Upstream

KEY = "sk-the-key-of-the-owner"


def provider_at(url: str) -> OpenAIProvider:
    return OpenAIProvider(ProviderSettings("kitchen", url, (ModelSettings("m"),), KEY))


async def failure(provider: OpenAIProvider) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        async for _ in provider.stream(Prompt("m", [Turn("user", "hi")], 8)):
            pass
    await provider.close()
    return raised.value


async def test_an_upstream_that_refuses_connections_is_said_to_be_unreachable() -> None:
    """It may be asked again: it may just be starting."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    error = await failure(provider_at(url))
    assert (error.code, error.retryable) == ("upstream_unreachable", True)
    assert error.message == "The provider 'kitchen' cannot be reached. Is it running, and is base_url right?"
    assert error.detail is not None
    assert error.detail.startswith(f"{url}: ")


@pytest.mark.parametrize(
    "script",
    [
        [Status(401, b'{"error": "wrong key: ' + KEY.encode() + b'"}')],
        [Status(404)],
        [Status(429)],
        [Status(503)],
        [Say("half"), Cut()],
        [Cut()],
    ],
)
async def test_neither_address_nor_key_is_told_to_who_asked(upstream: Upstream, script: list[Step]) -> None:
    """Both are the owner's; an upstream may repeat the key that it refuses."""
    upstream.script = script
    error = await failure(provider_at(upstream.url))
    assert upstream.url not in error.message
    assert "127.0.0.1" not in error.message
    assert KEY not in error.message
    assert error.detail is not None
    assert upstream.url in error.detail
