"""/api/owner as far as the chat goes: providers, models, usage, running answers. For admins only."""

from fastapi import APIRouter, Request

from tako.chat.owner import ledger, offers, providers, running, store, trial
from tako.chat.owner.presets import PRESETS, preset
from tako.chat.owner.store import ModelRow
from tako.chat.owner.trial import Trial
from tako.chat.owner.wire import (
    ModelChanges,
    ModelList,
    ModelObject,
    ModelOrder,
    ModelTest,
    NewModel,
    NewProvider,
    OfferedList,
    OfferedModel,
    PresetList,
    PresetObject,
    ProviderChanges,
    ProviderList,
    ProviderObject,
    RunningList,
    RunningObject,
    TestResult,
    Upstream,
    UpstreamProblem,
    UsageObject,
)
from tako.chat.providers.base import UpstreamError
from tako.chat.responses import Chat
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import Principal, authorize
from tako.core.db import now


def router(chat: Chat, authenticator: Authenticator) -> APIRouter:
    """The routes, bound to the chat."""
    routes = APIRouter(prefix="/api/owner", tags=["owner"])

    async def admin(request: Request) -> Principal:
        principal = await authenticator.principal(request.scope)
        authorize(principal, "admin")
        return principal

    async def models_now() -> ModelList:
        return ModelList(data=[ModelObject.of(seen) for seen in await offers.list_all(chat)])

    @routes.get("/presets", summary="Upstreams that many owners use, with what is known of them")
    async def presets(request: Request) -> PresetList:
        await admin(request)
        return PresetList(data=[PresetObject.of(known) for known in PRESETS])

    @routes.get("/providers", summary="The upstreams, those of tako.toml first")
    async def all_providers(request: Request) -> ProviderList:
        await admin(request)
        configured = [ProviderObject.configured(provider) for provider in chat.catalog.configured]
        async with chat.db.read() as connection:
            added = [ProviderObject.of(row) for row in await store.list_providers(connection)]
        return ProviderList(data=configured + added)

    @routes.post("/providers", status_code=201, summary="Add an upstream; its key is never shown again")
    async def add_provider(request: Request, body: NewProvider) -> ProviderObject:
        row = await providers.add(
            chat,
            await admin(request),
            kind=body.kind,
            name=body.name,
            base_url=body.base_url,
            api_key=body.api_key,
        )
        return ProviderObject.of(row)

    @routes.patch("/providers/{provider_id}", summary="Change an upstream")
    async def change_provider(request: Request, provider_id: str, body: ProviderChanges) -> ProviderObject:
        changes = body.model_dump(include=body.model_fields_set)
        return ProviderObject.of(await providers.change(chat, await admin(request), provider_id, changes))

    @routes.delete("/providers/{provider_id}", status_code=204, summary="Remove an upstream with its models")
    async def remove_provider(request: Request, provider_id: str) -> None:
        await providers.remove(chat, await admin(request), provider_id)

    @routes.get("/models", summary="All models in their order, whoever may use them")
    async def all_models(request: Request) -> ModelList:
        await admin(request)
        return await models_now()

    @routes.post("/models", status_code=201, summary="Offer one more model of an upstream that was added here")
    async def add_model(request: Request, body: NewModel) -> ModelObject:
        model_id = body.id or body.upstream_model
        name = body.name or body.upstream_model
        row = ModelRow(
            model_id,
            body.provider_id,
            body.upstream_model,
            name,
            body.context_tokens,
            body.max_output_tokens,
            body.slots,
        )
        await offers.add(chat, await admin(request), row)
        return ModelObject.of(await offers.find(chat, model_id))

    @routes.put("/models/order", summary="Put models into an order; the first is what new conversations begin with")
    async def order(request: Request, body: ModelOrder) -> ModelList:
        await offers.order(chat, await admin(request), body.ids)
        return await models_now()

    @routes.post("/models/test", summary="Ask for one short answer; a failure is told in plain words")
    async def test(request: Request, body: ModelTest) -> TestResult:
        await admin(request)
        try:
            return _passed(await trial.run(chat, body.draft(), body.model, body.upstream_model))
        except UpstreamError as error:
            return TestResult(ok=False, error=UpstreamProblem.of(error))

    @routes.post("/models/offered", summary="Ask an upstream for its own list of models")
    async def offered(request: Request, body: Upstream) -> OfferedList:
        await admin(request)
        try:
            found = await trial.offered(chat, body.draft())
        except UpstreamError as error:
            return OfferedList(data=[], error=UpstreamProblem.of(error))
        return OfferedList(data=[OfferedModel.of(model, preset(body.kind)) for model in found])

    @routes.patch("/models/{model_id:path}", summary="Describe, restrict or switch off a model")
    async def change_model(request: Request, model_id: str, body: ModelChanges) -> ModelObject:
        await offers.change(chat, await admin(request), model_id, body.model_dump(include=body.model_fields_set))
        return ModelObject.of(await offers.find(chat, model_id))

    @routes.delete("/models/{model_id:path}", status_code=204, summary="Offer it no more")
    async def remove_model(request: Request, model_id: str) -> None:
        await offers.remove(chat, await admin(request), model_id)

    @routes.get("/usage", summary="Tokens of today and of the last 30 days, by day, model and user")
    async def usage(request: Request) -> UsageObject:
        await admin(request)
        async with chat.db.read() as connection:
            return UsageObject.of(await ledger.usage(connection, now()))

    @routes.get("/running", summary="The answers that are being made, oldest first, without their text")
    async def all_running(request: Request) -> RunningList:
        found = await running.list_all(chat, await admin(request))
        return RunningList(data=[RunningObject.of(answer) for answer in found])

    @routes.post("/running/{response_id}/stop", status_code=204, summary="Stop one; what was shown stays")
    async def stop(request: Request, response_id: str) -> None:
        await running.stop(chat, await admin(request), response_id)

    return routes


def _passed(answer: Trial) -> TestResult:
    return TestResult(ok=True, latency_ms=answer.latency_ms, text=answer.text)
