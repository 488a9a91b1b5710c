"""The providers' part of tako.toml: `[[providers]]` tables and `[local]`."""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from tako.core.errors import Misconfigured
from tako.core.words import nearest

Prefix = Literal["no", "assistant", "deepseek"]
LimitField = Literal["max_tokens", "max_completion_tokens"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """`upstream_model` is what the upstream calls it, where that differs from `id`. `prefix` says how the upstream
    continues a text that it has begun: not at all, from a last assistant message, or as DeepSeek does. `slots` answers
    at once, 0 for no limit: others wait for their turn."""

    id: str
    name: str | None = None
    upstream_model: str | None = None
    context_tokens: int = 8192
    max_output_tokens: int = 4096
    prefix: Prefix = "no"
    slots: int = 0


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One upstream. `base_url` usually ends in /v1. Times are in seconds.

    `limit_field` is how the upstream wants the longest answer told: OpenAI's newer models refuse `max_tokens`.
    """

    name: str
    base_url: str
    models: tuple[ModelSettings, ...]
    api_key: str | None = field(default=None, repr=False)
    api_key_env: str | None = None
    connect_timeout: float = 10.0
    first_token_timeout: float = 120.0
    silence_timeout: float = 60.0
    limit_field: LimitField = "max_tokens"


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """The built-in model. `model` is a GGUF file; by default the demo model that comes with Tako."""

    enabled: bool = True
    model: Path | None = None
    context_tokens: int = 2048
    parallel: int = 4
    threads: int = 0
    log: Path | None = None


_T = TypeVar("_T")


def provider_settings(table: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> ProviderSettings:
    """One `[[providers]]` table. Raises `Misconfigured` naming the key at fault."""
    where = f"[[providers]] {table.get('name', '(without a name)')}"
    values = dict(table)
    models = values.pop("models", None)
    if not isinstance(models, list) or not models or not all(isinstance(model, dict) for model in models):
        raise Misconfigured(f"{where} needs at least one [[providers.models]] table.")
    values["models"] = tuple(_build(ModelSettings, model, f"{where} models") for model in models)
    settings = _build(ProviderSettings, values, where)
    if not settings.base_url.startswith(("http://", "https://")):
        raise Misconfigured(f"{where}: base_url must begin with http:// or https://, not {settings.base_url!r}.")
    if settings.api_key_env and not settings.api_key:
        key = environ.get(settings.api_key_env)
        if not key:
            raise Misconfigured(f"{where}: the environment variable {settings.api_key_env} holds no key.")
        values["api_key"] = key
        settings = _build(ProviderSettings, values, where)
    return settings


def local_settings(table: Mapping[str, Any], data: Path) -> LocalSettings:
    """The `[local]` table. Raises `Misconfigured`."""
    values = dict(table)
    for key in ("model", "log"):
        if key in values:
            values[key] = Path(str(values[key]))
    values.setdefault("log", data / "local-model.log")
    settings = _build(LocalSettings, values, "[local]")
    if settings.model is not None and not settings.model.is_file():
        raise Misconfigured(f"[local]: there is no model file {settings.model}.")
    return settings


def _build(kind: type[_T], values: Mapping[str, Any], where: str) -> _T:
    known = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]  # _T is always a dataclass here
    hints = get_type_hints(kind)
    for key, value in values.items():
        if key not in known:
            raise Misconfigured(f"Unknown key {key!r} in {where}.{nearest(key, known)}")
        if not _fits(value, hints[key]):
            raise Misconfigured(f"{where}: {key} does not take {value!r}.")
    missing = [name for name, entry in known.items() if entry.default is MISSING and name not in values]
    if missing:
        raise Misconfigured(f"{where} needs {missing[0]!r}.")
    return kind(**values)


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple)
    if get_args(hint):
        return any(_fits(value, choice) for choice in get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return isinstance(value, hint)
