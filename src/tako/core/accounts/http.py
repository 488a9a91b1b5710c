"""/api: sign up, in and out, keys, and what an admin does with users."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from tako.core import ids
from tako.core.accounts import accounts as rules
from tako.core.accounts import store
from tako.core.accounts.accounts import Accounts
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import Principal, authorize
from tako.core.accounts.store import ApiKey, User
from tako.core.errors import Denied, Invalid

Email = Annotated[str, Field(max_length=254)]
Password = Annotated[str, Field(max_length=1024)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class SignIn(_Body):
    email: Email
    password: Password


class SignUp(SignIn):
    invite: str | None = None


class Setup(SignIn):
    token: str


class NewKey(_Body):
    name: str
    scopes: list[str] = ["chat"]


class NewInvite(_Body):
    admin: bool = False


class NewPassword(_Body):
    password: Password


def router(accounts: Accounts, authenticator: Authenticator, site_name: str) -> APIRouter:
    """The routes, bound to the accounts."""
    routes = APIRouter(prefix="/api", tags=["accounts"])
    db = accounts.db

    async def who(request: Request) -> Principal:
        return await authenticator.principal(request.scope)

    async def signed_in(request: Request, response: Response, user: User) -> dict[str, Any]:
        token = await rules.begin_session(accounts, user)
        keep(request, response, token, accounts.session_days * 86_400)
        return {"user": user_object(user)}

    def keep(request: Request, response: Response, token: str, max_age: int) -> None:
        name, value = authenticator.cookie(request.scope, token, max_age)
        response.headers.append(name.decode(), value.decode("latin-1"))

    @routes.get("/site", summary="What a visitor may know")
    async def site() -> dict[str, Any]:
        async with db.read() as connection:
            needs_setup = not await store.has_admin(connection)
        return {"name": site_name, "registration": accounts.registration, "needs_setup": needs_setup}

    @routes.post("/setup", status_code=201, summary="Make the first account, an admin, with the one-time link")
    async def setup(request: Request, response: Response, body: Setup) -> dict[str, Any]:
        authenticator.check_origin(request.scope, required=False)
        address = authenticator.proxies.client(request.scope)
        user = await rules.set_up(accounts, body.email, body.password, body.token, address)
        return await signed_in(request, response, user)

    @routes.post("/users", status_code=201, summary="Sign up")
    async def sign_up(request: Request, response: Response, body: SignUp) -> dict[str, Any]:
        authenticator.check_origin(request.scope, required=False)
        address = authenticator.proxies.client(request.scope)
        user = await rules.sign_up(accounts, body.email, body.password, body.invite, address)
        return await signed_in(request, response, user)

    @routes.post("/session", status_code=201, summary="Sign in")
    async def sign_in(request: Request, response: Response, body: SignIn) -> dict[str, Any]:
        authenticator.check_origin(request.scope, required=False)
        address = authenticator.proxies.client(request.scope)
        user, token = await rules.sign_in(accounts, body.email, body.password, address)
        keep(request, response, token, accounts.session_days * 86_400)
        return {"user": user_object(user)}

    @routes.get("/session", summary="Who I am")
    async def session(request: Request) -> dict[str, Any]:
        principal = await who(request)
        authorize(principal, "account")
        async with db.read() as connection:
            return {"user": user_object(await store.user(connection, principal.id))}

    @routes.delete("/session", status_code=204, summary="Sign out")
    async def sign_out(request: Request, response: Response) -> None:
        await rules.sign_out(accounts, await who(request))
        keep(request, response, "", 0)

    @routes.get("/keys", summary="One's API keys")
    async def keys(request: Request) -> dict[str, Any]:
        principal = await who(request)
        authorize(principal, "account")
        async with db.read() as connection:
            return {"data": [key_object(key) for key in await store.list_keys(connection, principal.id)]}

    @routes.post("/keys", status_code=201, summary="A new API key; it is shown this once")
    async def create_key(request: Request, body: NewKey) -> dict[str, Any]:
        principal = await who(request)
        authorize(principal, "account")
        row, key = await rules.create_key(db, principal.id, body.name, body.scopes, allowed=principal.scopes)
        return {**key_object(row), "key": key}

    @routes.delete("/keys/{key_id}", status_code=204, summary="Revoke an API key")
    async def revoke_key(request: Request, key_id: str) -> None:
        principal = await who(request)
        async with db.write() as connection:
            authorize(principal, "account", owner_id=await store.key_owner(connection, key_id))
            await store.revoke(connection, key_id)

    @routes.post("/invites", status_code=201, summary="Invite somebody (admin)")
    async def invite(request: Request, body: NewInvite) -> dict[str, Any]:
        return {"token": await rules.invite(accounts, await who(request), admin=body.admin)}

    @routes.get("/users", summary="All users (admin)")
    async def users(request: Request, limit: int = Query(50, ge=1, le=200), after: str | None = None) -> dict[str, Any]:
        authorize(await who(request), "admin")
        if after is not None and not ids.is_id(after, "user"):
            raise Invalid("'after' must be the id of a user.", code="invalid_cursor", param="after")
        async with db.read() as connection:
            found = await store.list_users(connection, limit=limit + 1, after=after)
        return {"data": [user_object(user) for user in found[:limit]], "has_more": len(found) > limit}

    @routes.post("/users/{user_id}/disable", status_code=204, summary="Take a user's access away (admin)")
    async def disable(request: Request, user_id: str) -> None:
        principal = await who(request)
        authorize(principal, "admin")
        if user_id == principal.id:
            raise Denied("You cannot disable yourself.", code="own_account")
        async with db.read() as connection:
            user = await store.user(connection, user_id)
        await rules.disable(db, user)

    @routes.post("/users/{user_id}/reset", status_code=204, summary="Set a user's password (admin)")
    async def reset(request: Request, user_id: str, body: NewPassword) -> None:
        authorize(await who(request), "admin")
        async with db.read() as connection:
            user = await store.user(connection, user_id)
        await rules.reset(db, user, body.password)

    return routes


def user_object(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "admin": user.admin,
        "disabled": user.disabled_at is not None,
        "created_at": user.created_at // 1_000_000,
    }


def key_object(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "scopes": key.scopes.split(),
        "created_at": key.created_at // 1_000_000,
    }
