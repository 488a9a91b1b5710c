"""What /api/owner takes and gives about providers, models, usage and running answers. Times are in seconds."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tako.chat.owner.ledger import Line, Sum, Usage
from tako.chat.owner.offers import Seen
from tako.chat.owner.presets import Kind, Preset, preset
from tako.chat.owner.providers import fixed, hint
from tako.chat.owner.running import Running
from tako.chat.owner.store import ProviderRow
from tako.chat.owner.trial import Draft
from tako.chat.providers.base import Provider, UpstreamError
from tako.chat.providers.openai import Offered, OpenAIProvider

Short = Annotated[str, Field(max_length=500)]
Secret = Annotated[str | None, Field(max_length=1000, repr=False)]
Tokens = Annotated[int, Field(ge=1, le=2**53)]
Slots = Annotated[int, Field(ge=0, le=2**53, description="Answers at once; more wait for their turn; 0 for no limit.")]


class _Body(BaseModel):
    """A misspelt field must not look as if it had been taken; and no error may repeat a key."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


# Presets


class KnownModelObject(BaseModel):
    """A suggestion: `upstream_model` is what the upstream calls it."""

    upstream_model: str
    name: str
    context_tokens: int
    max_output_tokens: int


class PresetObject(BaseModel):
    kind: Kind
    name: str
    base_url: str
    needs_key: bool
    key_url: str | None
    hint: str
    models: list[KnownModelObject]

    @classmethod
    def of(cls, preset: Preset) -> "PresetObject":
        return cls(
            kind=preset.kind,
            name=preset.name,
            base_url=preset.base_url,
            needs_key=preset.needs_key,
            key_url=preset.key_url,
            hint=preset.hint,
            models=[
                KnownModelObject(
                    upstream_model=known.upstream_model,
                    name=known.name,
                    context_tokens=known.context_tokens,
                    max_output_tokens=known.max_output_tokens,
                )
                for known in preset.models
            ],
        )


class PresetList(BaseModel):
    data: list[PresetObject]


# Providers


class NewProvider(_Body):
    kind: Kind = "custom"
    name: Short
    base_url: Short
    api_key: Secret = None


class ProviderChanges(_Body):
    """What is left out stays. `api_key` null takes the key away; another host needs the key again."""

    name: Short = ""
    base_url: Short = ""
    api_key: Secret = None


class ProviderObject(BaseModel):
    """`id` is null and `fixed` says where it is set for what cannot be changed here; `key_hint` is the end of its key,
    null where it has none."""

    id: str | None
    kind: Kind | None
    name: str
    base_url: str | None
    key_hint: str | None
    fixed: str | None

    @classmethod
    def of(cls, row: ProviderRow) -> "ProviderObject":
        kind = preset(row.kind).kind
        return cls(id=row.id, kind=kind, name=row.name, base_url=row.base_url, key_hint=hint(row.api_key), fixed=None)

    @classmethod
    def configured(cls, provider: Provider) -> "ProviderObject":
        settings = provider.settings if isinstance(provider, OpenAIProvider) else None
        return cls(
            id=None,
            kind=None,
            name=provider.name,
            base_url=settings.base_url if settings else None,
            key_hint=hint(settings.api_key) if settings else None,
            fixed=fixed(provider),
        )


class ProviderList(BaseModel):
    data: list[ProviderObject]


# Models


class NewModel(_Body):
    """`id` is what clients send, by default what the upstream calls it."""

    provider_id: str
    upstream_model: Short
    id: Short | None = None
    name: Short | None = None
    context_tokens: Tokens = 8192
    max_output_tokens: Tokens = 4096
    slots: Slots = 0


class ModelChanges(_Body):
    """What is left out stays. `enabled` and `admins_only` can be set of every model, the rest of those added here."""

    upstream_model: Short = ""
    name: Short = ""
    context_tokens: Tokens = 8192
    max_output_tokens: Tokens = 4096
    slots: Slots = 0
    enabled: bool = True
    admins_only: bool = False


class ModelObject(BaseModel):
    """A model in the owner's order. `provider_id` and `upstream_model` are null where `fixed` says that it is set
    elsewhere; `demo` is the small model that comes with Tako."""

    id: str
    name: str
    provider: str
    provider_id: str | None
    upstream_model: str | None
    context_tokens: int
    max_output_tokens: int
    slots: int
    enabled: bool
    admins_only: bool
    demo: bool
    fixed: str | None

    @classmethod
    def of(cls, seen: Seen) -> "ModelObject":
        model, terms, row = seen.offer.model, seen.offer.terms, seen.row
        return cls(
            id=model.id,
            name=model.name,
            provider=model.provider,
            provider_id=row.provider_id if row else None,
            upstream_model=row.upstream_model if row else None,
            context_tokens=model.context_tokens,
            max_output_tokens=model.max_output_tokens,
            slots=model.slots,
            enabled=terms.enabled,
            admins_only=terms.admins_only,
            demo=model.demo,
            fixed=seen.fixed,
        )


class ModelList(BaseModel):
    data: list[ModelObject]


class ModelOrder(_Body):
    """Those that are not named follow in the order that they had."""

    ids: Annotated[list[Short], Field(max_length=1000)]


# Trying out


class Upstream(_Body):
    """A provider that was added here (`provider_id`), or one that is not stored yet (`base_url`, `api_key`)."""

    provider_id: str | None = None
    kind: Kind = "custom"
    base_url: Short | None = None
    api_key: Secret = None

    def draft(self) -> Draft:
        return Draft(self.provider_id, self.kind, self.base_url, self.api_key)


class ModelTest(Upstream):
    """Either `model`, the id of a model that is offered, or an upstream and what it calls the model."""

    model: Short | None = None
    upstream_model: Short | None = None


class UpstreamProblem(BaseModel):
    """The upstream's error in plain words, with what only an owner is told: its address and the network's own words."""

    code: str
    message: str

    @classmethod
    def of(cls, error: UpstreamError) -> "UpstreamProblem":
        message = f"{error.message} ({error.detail})" if error.detail else error.message
        return cls(code=error.code or "upstream_error", message=message)


class TestResult(BaseModel):
    """`latency_ms` is the time to the first word; `text` how the answer begins. Both null where it failed."""

    ok: bool
    latency_ms: int | None = None
    text: str | None = None
    error: UpstreamProblem | None = None


class OfferedModel(BaseModel):
    """A model in the upstream's own list; figures are null where neither it nor a preset knows them."""

    id: str
    name: str | None
    context_tokens: int | None
    max_output_tokens: int | None

    @classmethod
    def of(cls, offered: Offered, preset: Preset) -> "OfferedModel":
        known = next((model for model in preset.models if model.upstream_model == offered.id), None)
        return cls(
            id=offered.id,
            name=known.name if known else None,
            context_tokens=offered.context_tokens or (known.context_tokens if known else None),
            max_output_tokens=known.max_output_tokens if known else None,
        )


class OfferedList(BaseModel):
    data: list[OfferedModel]
    error: UpstreamProblem | None = None


# Usage


class UsageSum(BaseModel):
    answers: int
    input_tokens: int
    output_tokens: int

    @classmethod
    def of(cls, total: Sum) -> "UsageSum":
        return cls(answers=total.answers, input_tokens=total.input_tokens, output_tokens=total.output_tokens)


class UsageDay(UsageSum):
    """`day` is a date in UTC."""

    day: str


class ModelUsage(BaseModel):
    model: str
    today: UsageSum
    month: UsageSum


class UserUsage(BaseModel):
    """`email` is null for accounts that are gone."""

    user_id: str
    email: str | None
    today: UsageSum
    month: UsageSum


class UsageObject(BaseModel):
    """`days` are the last 30, the last one today; `month` sums them; users are those who used most."""

    days: list[UsageDay]
    models: list[ModelUsage]
    users: list[UserUsage]

    @classmethod
    def of(cls, usage: Usage) -> "UsageObject":
        return cls(
            days=[UsageDay(day=_date(day), **UsageSum.of(total).model_dump()) for day, total in usage.days],
            models=[ModelUsage(model=line.of, **_both(line)) for line in usage.models],
            users=[UserUsage(user_id=line.of, email=line.label, **_both(line)) for line in usage.users],
        )


def _date(day: int) -> str:
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}"


def _both(line: Line) -> dict[str, UsageSum]:
    return {"today": UsageSum.of(line.today), "month": UsageSum.of(line.month)}


# Running answers


class RunningObject(BaseModel):
    """`tokens` is about how many the answer has so far; null where another process makes it."""

    id: str
    user_id: str
    email: str | None
    model: str
    purpose: str
    created_at: int
    tokens: int | None

    @classmethod
    def of(cls, running: Running) -> "RunningObject":
        row = running.row
        return cls(
            id=row.id,
            user_id=row.user_id,
            email=row.email,
            model=row.model,
            purpose=row.purpose,
            created_at=row.created_at // 1_000_000,
            tokens=running.tokens,
        )


class RunningList(BaseModel):
    data: list[RunningObject]
