"""/api/owner/users and /api/owner/invites: what an admin does with the accounts of others."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request

from tako.core import ids, names
from tako.core.accounts import owner, store
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import Principal, authorize
from tako.core.accounts.wire import (
    AccountObject,
    AccountPage,
    InviteList,
    InviteObject,
    MadeInvite,
    NewInvite,
    ResetLink,
    UserChanges,
)
from tako.core.db import Database
from tako.core.errors import Invalid

# Tokens that users have used today, by their ids; who is missing used none. The apps know, the accounts do not.
TokensToday = Callable[[Sequence[str]], Awaitable[Mapping[str, int]]]


def router(db: Database, authenticator: Authenticator, tokens_today: TokensToday) -> APIRouter:
    """The routes; all of them are for admins only."""
    routes = APIRouter(prefix="/api/owner", tags=["owner"])

    async def admin(request: Request) -> Principal:
        principal = await authenticator.principal(request.scope)
        authorize(principal, "admin")
        return principal

    @routes.get("/users", summary="Users in the order of their sign-up, with today's tokens")
    async def users(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        after: str | None = None,
        search: Annotated[str, Query(max_length=254)] = "",
    ) -> AccountPage:
        await admin(request)
        if after is not None and not ids.is_id(after, "user"):
            raise Invalid("'after' must be the id of a user.", code="invalid_cursor", param="after")
        search = names.normal(search, "search", least=0, most=254)
        async with db.read() as connection:
            found = await store.list_users(connection, limit=limit + 1, after=after, search=search)
        used = await tokens_today([user.id for user in found])
        seen = [AccountObject.seen(user, used.get(user.id, 0)) for user in found[:limit]]
        return AccountPage(data=seen, has_more=len(found) > limit)

    @routes.patch("/users/{user_id}", summary="Make or unmake an admin; set the daily limit")
    async def change(request: Request, user_id: str, body: UserChanges) -> AccountObject:
        by = await admin(request)
        user = await owner.change(db, user_id, body.model_dump(include=body.model_fields_set), by=by)
        return AccountObject.seen(user, (await tokens_today([user.id])).get(user.id, 0))

    @routes.post("/users/{user_id}/disable", status_code=204, summary="Take a user's access away")
    async def disable(request: Request, user_id: str) -> None:
        await owner.disable(db, user_id, by=await admin(request))

    @routes.post("/users/{user_id}/enable", status_code=204, summary="Give it back")
    async def enable(request: Request, user_id: str) -> None:
        await owner.enable(db, user_id, by=await admin(request))

    @routes.post(
        "/users/{user_id}/reset",
        status_code=201,
        summary="End the old password and all sessions; the link, shown this once, sets a new one within a day",
    )
    async def reset(request: Request, user_id: str) -> ResetLink:
        token, ends = await owner.reset(db, user_id, by=await admin(request))
        return ResetLink(token=token, path=f"/reset#token={token}", expires_at=ends // 1_000_000)

    @routes.get("/invites", summary="Invitations that may still be used, newest first")
    async def invites(request: Request) -> InviteList:
        await admin(request)
        async with db.read() as connection:
            return InviteList(data=[InviteObject.of(row) for row in await store.list_invites(connection)])

    @routes.post("/invites", status_code=201, summary="Invite somebody; the link is shown this once, and lasts a week")
    async def invite(request: Request, body: NewInvite) -> MadeInvite:
        made, token = await owner.invite(db, await admin(request), admin=body.admin, note=body.note)
        return MadeInvite(**InviteObject.of(made).model_dump(), token=token, path=f"/#invite={token}")

    @routes.delete("/invites/{invite_id}", status_code=204, summary="Take an invitation back")
    async def void_invite(request: Request, invite_id: str) -> None:
        await admin(request)
        if not ids.is_id(invite_id, "inv"):
            raise store.no_invite()
        async with db.write() as connection:
            await store.void_invite(connection, invite_id)

    return routes
