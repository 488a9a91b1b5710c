"""Upstreams that many owners use, so that a key is all they have to look up. Data only.

The models are suggestions with what their makers said of them when this was written; the page can ask an upstream for
its present list, and every figure can be changed before it is saved.
"""

from dataclasses import dataclass
from typing import Literal

from tako.chat.providers.settings import LimitField

Kind = Literal["hunyuan", "deepseek", "openai", "ollama", "custom"]


@dataclass(frozen=True, slots=True)
class KnownModel:
    """Tokens as in `ModelSettings`."""

    upstream_model: str
    name: str
    context_tokens: int
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Preset:
    """`key_url` is where an owner gets a key; `limit_field` is how the upstream wants the longest answer told."""

    kind: Kind
    name: str
    base_url: str
    needs_key: bool
    key_url: str | None
    hint: str
    models: tuple[KnownModel, ...] = ()
    limit_field: LimitField = "max_tokens"


PRESETS: tuple[Preset, ...] = (
    Preset(
        kind="hunyuan",
        name="Tencent Hunyuan",
        base_url="https://api.hunyuan.cloud.tencent.com/v1",
        needs_key=True,
        key_url="https://console.cloud.tencent.com/hunyuan/api-key",
        hint="Make an API key in Tencent Cloud's Hunyuan console.",
        models=(
            KnownModel("hunyuan-turbos-latest", "Hunyuan TurboS", 32_000, 16_000),
            KnownModel("hunyuan-t1-latest", "Hunyuan T1", 92_000, 64_000),
            KnownModel("hunyuan-lite", "Hunyuan Lite", 256_000, 6_000),
        ),
    ),
    Preset(
        kind="deepseek",
        name="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        needs_key=True,
        key_url="https://platform.deepseek.com/api_keys",
        hint="Make an API key on DeepSeek's platform.",
        models=(
            KnownModel("deepseek-chat", "DeepSeek Chat", 128_000, 8_000),
            KnownModel("deepseek-reasoner", "DeepSeek Reasoner", 128_000, 64_000),
        ),
    ),
    Preset(
        kind="openai",
        name="OpenAI",
        base_url="https://api.openai.com/v1",
        needs_key=True,
        key_url="https://platform.openai.com/api-keys",
        hint="Make a secret key on OpenAI's platform.",
        models=(
            KnownModel("gpt-5", "GPT-5", 400_000, 128_000),
            KnownModel("gpt-5-mini", "GPT-5 mini", 400_000, 128_000),
            KnownModel("gpt-4.1", "GPT-4.1", 1_000_000, 32_000),
            KnownModel("gpt-4o-mini", "GPT-4o mini", 128_000, 16_000),
        ),
        limit_field="max_completion_tokens",  # its reasoning models refuse the older name
    ),
    Preset(
        kind="ollama",
        name="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        needs_key=False,
        key_url=None,
        hint="Needs no key. Its own context is often 4,096 tokens, whatever the model could do, unless "
        "OLLAMA_CONTEXT_LENGTH says more: put the same figure here.",
    ),
    Preset(
        kind="custom",
        name="OpenAI-compatible",
        base_url="",
        needs_key=False,
        key_url=None,
        hint="The address usually ends in /v1; /chat/completions is added to it.",
    ),
)


def preset(kind: str) -> Preset:
    """The one of that kind; what a newer release has stored is treated as custom."""
    return next((known for known in PRESETS if known.kind == kind), PRESETS[-1])
