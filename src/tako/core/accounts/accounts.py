"""What people do with accounts: sign up, in and out, invite, make keys; and what an owner does to them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tako.core.accounts import passwords, store, tokens
from tako.core.accounts.limits import SignInLimit
from tako.core.accounts.principal import SCOPES, Principal, authorize
from tako.core.accounts.store import ApiKey, User
from tako.core.db import Database
from tako.core.errors import Denied, Invalid, Unauthenticated

_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}\Z")
_HOUR = 3_600_000_000
INVITE_LIFETIME = 7 * 24 * _HOUR
SETUP_LIFETIME = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of the site."""

    db: Database
    registration: Literal["open", "invite", "closed"]
    session_days: int
    limit: SignInLimit


def normal_email(email: str) -> str:
    """Trimmed and in lower case. Raises `Invalid`."""
    email = email.strip().lower()
    if not _EMAIL.match(email):
        raise Invalid("That is not an e-mail address.", code="invalid_email", param="email")
    return email


async def sign_up(accounts: Accounts, email: str, password: str, invite: str | None) -> User:
    """A new account, never an admin unless the invitation says so. Raises `Denied`, `Invalid`, `EmailTaken`."""
    email = normal_email(email)
    passwords.check(password)
    if invite is None and accounts.registration != "open":
        reason = "needs an invitation" if accounts.registration == "invite" else "is closed"
        raise Denied(f"Signing up {reason} on this site.", code="registration_closed")
    hashed = await passwords.hash(password)
    async with accounts.db.write() as connection:
        admin = await store.use_invite(connection, invite) if invite is not None else False
        return await store.add_user(connection, email, hashed, admin=admin)


async def sign_in(accounts: Accounts, email: str, password: str, address: str) -> tuple[User, str]:
    """The user and a new session's token. Raises `Unauthenticated` and `TooMany`."""
    email = email.strip().lower()
    accounts.limit.check(email, address)
    async with accounts.db.read() as connection:
        user = await store.user_by_email(connection, email)
    if not await passwords.verify(user.password_hash if user else None, password) or user is None or user.disabled_at:
        accounts.limit.failed(email, address)
        raise Unauthenticated("The e-mail address or the password is wrong.", code="wrong_password")
    accounts.limit.succeeded(email)
    return user, await begin_session(accounts, user)


async def begin_session(accounts: Accounts, user: User) -> str:
    """A session for somebody who has just proved who they are; returns its token, for the cookie."""
    token = tokens.new_token()
    async with accounts.db.write() as connection:
        await store.add_session(connection, user.id, token, accounts.session_days)
    return token


async def sign_out(accounts: Accounts, principal: Principal) -> None:
    if principal.credential_id is not None:
        async with accounts.db.write() as connection:
            await store.revoke(connection, principal.credential_id)


async def first_admin_link(db: Database, address: str) -> str | None:
    """A link that makes the first account, an admin, once; None when there is an admin. Earlier ones are void."""
    token = tokens.new_token()
    async with db.write() as connection:
        if await store.has_admin(connection):
            return None
        await store.void_setup_links(connection)
        await store.add_invite(connection, token, admin=True, created_by=None, lifetime=SETUP_LIFETIME)
    return f"{address}/setup#token={token}"


async def invite(accounts: Accounts, principal: Principal, *, admin: bool) -> str:
    """A token that lets one person sign up."""
    authorize(principal, "admin")
    token = tokens.new_token()
    async with accounts.db.write() as connection:
        await store.add_invite(connection, token, admin=admin, created_by=principal.id, lifetime=INVITE_LIFETIME)
    return token


async def create_user(db: Database, email: str, password: str, *, admin: bool) -> User:
    """By the owner's hand. Raises `Invalid`, `EmailTaken`."""
    email = normal_email(email)
    passwords.check(password)
    hashed = await passwords.hash(password)
    async with db.write() as connection:
        return await store.add_user(connection, email, hashed, admin=admin)


async def disable(db: Database, user: User) -> None:
    """No way in any more; what runs for them goes on to its end."""
    async with db.write() as connection:
        await store.disable(connection, user.id)
        await store.revoke_all(connection, user.id, keys=True)


async def reset(db: Database, user: User, password: str) -> None:
    """A new password; every session ends."""
    passwords.check(password)
    hashed = await passwords.hash(password)
    async with db.write() as connection:
        await store.set_password(connection, user.id, hashed)
        await store.revoke_all(connection, user.id, keys=False)


async def create_key(
    db: Database, user_id: str, name: str, scopes: Sequence[str], *, admin: bool, expires_at: int | None = None
) -> tuple[ApiKey, str]:
    """A new API key and the only sight of it. Raises `Invalid` for scopes that the owner has not."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise Invalid(f"Scopes are: {', '.join(SCOPES)}.", code="unknown_scope", param="scopes")
    if "admin" in scopes and not admin:
        raise Denied("Only an admin's key can have the scope 'admin'.", code="missing_scope")
    name = name.strip()
    if not 1 <= len(name) <= 100:
        raise Invalid("A key needs a name of 1 to 100 characters.", code="invalid_value", param="name")
    key = tokens.new_key()
    async with db.write() as connection:
        return await store.add_key(connection, user_id, key, name, scopes, expires_at), key
