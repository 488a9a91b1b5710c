"""/api/site, which visitors may read, and /api/owner/site."""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from tako.core.accounts import store as accounts_store
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import authorize
from tako.core.errors import Invalid, Unauthenticated
from tako.core.site.settings import Choices, Registration, SiteSettings


class SiteObject(BaseModel):
    """What a visitor may know. `real_model` says whether there is a model besides the demo; null for all but admins.
    `next_version`: one may try the next version of the page, by a cookie that a proxy looks at."""

    name: str
    registration: Registration
    needs_setup: bool
    real_model: bool | None
    next_version: bool


class OwnSite(BaseModel):
    """`fixed` says of each setting that cannot be changed here where it is set: a flag, a variable or a file.

    `daily_tokens` 0 is no limit; `title_model` null takes the model of the conversation. `places` are those of the
    owner's page that not every site has.
    """

    site_name: str
    registration: Registration
    daily_tokens: int
    title_model: str | None
    fixed: dict[str, str]
    places: list[str]


class SiteChanges(BaseModel):
    """What is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    site_name: Annotated[str, Field(max_length=200)] = ""
    registration: Registration = "invite"
    daily_tokens: Annotated[int, Field(ge=0, le=2**53)] = 0
    title_model: Annotated[str, Field(max_length=200)] | None = None


def router(
    site: SiteSettings,
    authenticator: Authenticator,
    has_real_model: Callable[[], bool],
    is_model: Callable[[str], bool],
    *,
    places: Sequence[str] = (),
    next_version: bool = False,
) -> APIRouter:
    """The routes. Which models there are, an app knows."""
    routes = APIRouter(prefix="/api")

    @routes.get("/site", tags=["accounts"], summary="What a visitor may know")
    async def visible(request: Request) -> SiteObject:
        async with site.db.read() as connection:
            needs_setup = not await accounts_store.has_admin(connection)
        return SiteObject(
            name=site.current.site_name,
            registration=site.current.registration,
            needs_setup=needs_setup,
            real_model=has_real_model() if await is_admin(request) else None,
            next_version=next_version,
        )

    async def is_admin(request: Request) -> bool:
        try:
            return "admin" in (await authenticator.principal(request.scope)).scopes
        except Unauthenticated:
            return False

    @routes.get("/owner/site", tags=["owner"], summary="What an admin may change of the site")
    async def read(request: Request) -> OwnSite:
        authorize(await authenticator.principal(request.scope), "admin")
        return shown(site.current)

    @routes.patch("/owner/site", tags=["owner"], summary="Change it")
    async def change(request: Request, body: SiteChanges) -> OwnSite:
        principal = await authenticator.principal(request.scope)
        authorize(principal, "admin")
        changes = body.model_dump(include=body.model_fields_set)
        title_model = changes.get("title_model")
        if title_model is not None and not is_model(title_model):
            raise Invalid("There is no such model here.", code="model_not_found", param="title_model")
        return shown(await site.change(principal, changes))

    def shown(current: Choices) -> OwnSite:
        return OwnSite(
            site_name=current.site_name,
            registration=current.registration,
            daily_tokens=current.daily_tokens,
            title_model=current.title_model,
            fixed=dict(site.fixed),
            places=list(places),
        )

    return routes
