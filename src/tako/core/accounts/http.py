"""/api for visitors and users: sign up, in and out, a new password, keys."""

from fastapi import APIRouter, Request, Response

from tako.core.accounts import accounts as rules
from tako.core.accounts import store
from tako.core.accounts.accounts import Accounts
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import Principal, authorize
from tako.core.accounts.store import User
from tako.core.accounts.wire import (
    KeyList,
    KeyObject,
    MadeKey,
    NewKey,
    NewPassword,
    PasswordChange,
    Setup,
    SignedIn,
    SignIn,
    SignUp,
    UserObject,
)


def router(accounts: Accounts, authenticator: Authenticator) -> APIRouter:
    """The routes, bound to the accounts."""
    routes = APIRouter(prefix="/api", tags=["accounts"])
    db = accounts.db

    async def who(request: Request) -> Principal:
        return await authenticator.principal(request.scope)

    def visitor(request: Request) -> str:
        """The address of somebody without a session, on our own page."""
        authenticator.check_origin(request.scope, required=False)
        return authenticator.proxies.client(request.scope)

    async def signed_in(request: Request, response: Response, user: User) -> SignedIn:
        token = await rules.begin_session(accounts, user)
        keep(request, response, token, accounts.session_days * 86_400)
        return SignedIn(user=UserObject.of(user))

    def keep(request: Request, response: Response, token: str, max_age: int) -> None:
        name, value = authenticator.cookie(request.scope, token, max_age)
        response.headers.append(name.decode(), value.decode("latin-1"))

    @routes.post("/setup", status_code=201, summary="Make the first account, an admin, with the one-time link")
    async def setup(request: Request, response: Response, body: Setup) -> SignedIn:
        user = await rules.set_up(accounts, body.email, body.password, body.token, visitor(request))
        return await signed_in(request, response, user)

    @routes.post("/users", status_code=201, summary="Sign up")
    async def sign_up(request: Request, response: Response, body: SignUp) -> SignedIn:
        user = await rules.sign_up(accounts, body.email, body.password, body.invite, visitor(request))
        return await signed_in(request, response, user)

    @routes.post("/reset", status_code=201, summary="Set a new password with the link of an admin, and sign in")
    async def reset(request: Request, response: Response, body: NewPassword) -> SignedIn:
        user = await rules.set_password(accounts, body.token, body.password, visitor(request))
        return await signed_in(request, response, user)

    @routes.put("/password", status_code=204, summary="Change one's password; ends all other sessions")
    async def change_password(request: Request, body: PasswordChange) -> None:
        address = authenticator.proxies.client(request.scope)
        await rules.change_password(accounts, await who(request), body.current_password, body.password, address)

    @routes.post("/session", status_code=201, summary="Sign in")
    async def sign_in(request: Request, response: Response, body: SignIn) -> SignedIn:
        user, token = await rules.sign_in(accounts, body.email, body.password, visitor(request))
        keep(request, response, token, accounts.session_days * 86_400)
        return SignedIn(user=UserObject.of(user))

    @routes.get("/session", summary="Who I am")
    async def session(request: Request) -> SignedIn:
        principal = await who(request)
        authorize(principal, "account")
        async with db.read() as connection:
            return SignedIn(user=UserObject.of(await store.user(connection, principal.id)))

    @routes.delete("/session", status_code=204, summary="Sign out")
    async def sign_out(request: Request, response: Response) -> None:
        await rules.sign_out(accounts, await who(request))
        keep(request, response, "", 0)

    @routes.get("/keys", summary="One's API keys")
    async def keys(request: Request) -> KeyList:
        principal = await who(request)
        authorize(principal, "account")
        async with db.read() as connection:
            return KeyList(data=[KeyObject.of(key) for key in await store.list_keys(connection, principal.id)])

    @routes.post("/keys", status_code=201, summary="A new API key; it is shown this once")
    async def create_key(request: Request, body: NewKey) -> MadeKey:
        principal = await who(request)
        authorize(principal, "account")
        row, key = await rules.create_key(db, principal.id, body.name, body.scopes, allowed=principal.scopes)
        return MadeKey(**KeyObject.of(row).model_dump(), key=key)

    @routes.delete("/keys/{key_id}", status_code=204, summary="Revoke an API key")
    async def revoke_key(request: Request, key_id: str) -> None:
        principal = await who(request)
        async with db.write() as connection:
            authorize(principal, "account", owner_id=await store.key_owner(connection, key_id))
            await store.revoke(connection, key_id)

    return routes
