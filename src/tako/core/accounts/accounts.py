"""What people do with accounts of their own: sign up, in and out, set a new password by a link, make keys."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass

from tako.core import names
from tako.core.accounts import passwords, store, tokens
from tako.core.accounts.limits import SignInLimit
from tako.core.accounts.principal import SCOPES, Principal, authorize, covers
from tako.core.accounts.store import ApiKey, User
from tako.core.db import Database
from tako.core.errors import Denied, Invalid, Unauthenticated
from tako.core.site.settings import SiteSettings

_EMAIL = re.compile(r"[^@\s\x00-\x1f\ud800-\udfff]{1,64}@[^@\s\x00-\x1f\ud800-\udfff]{1,189}\Z")
_HOUR = 3_600_000_000
SETUP_LIFETIME = 24 * _HOUR


class WrongCurrentPassword(Denied):
    """Somebody who is signed in does not know the password."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of the site."""

    db: Database
    site: SiteSettings
    session_days: int
    limit: SignInLimit


def normal_email(email: str) -> str:
    """Trimmed and in lower case. Raises `Invalid`."""
    email = email.strip().lower()
    if not _EMAIL.match(email):
        raise Invalid("That is not an e-mail address.", code="invalid_email", param="email")
    return email


async def sign_up(accounts: Accounts, email: str, password: str, invite: str | None, address: str) -> User:
    """A new account, never an admin unless the invitation says so.

    Raises `Denied`, `Invalid`, `EmailTaken`, and `TooMany` for an address that has failed too often: it could try
    invitations, or ask which e-mail addresses have an account.
    """
    email = normal_email(email)
    passwords.check(password)
    registration = accounts.site.current.registration
    if registration == "closed":
        raise Denied("Signing up is closed on this site.", code="registration_closed")
    if registration == "invite" and invite is None:
        raise Denied("Signing up needs an invitation on this site.", code="registration_closed")
    accounts.limit.attempt(address)
    hashed = await passwords.hash(password)
    async with accounts.db.write() as connection:
        admin = await store.use_invite(connection, invite) if invite is not None else False
        user = await store.add_user(connection, email, hashed, admin=admin)
    accounts.limit.succeeded(address)
    return user


async def set_up(accounts: Accounts, email: str, password: str, token: str, address: str) -> User:
    """The first account, an admin, by the one-time link, whoever else may sign up. Raises as `sign_up` does."""
    email = normal_email(email)
    passwords.check(password)
    accounts.limit.attempt(address)
    hashed = await passwords.hash(password)
    async with accounts.db.write() as connection:
        await store.use_setup_link(connection, token)
        user = await store.add_user(connection, email, hashed, admin=True)
    accounts.limit.succeeded(address)
    return user


async def sign_in(accounts: Accounts, email: str, password: str, address: str) -> tuple[User, str]:
    """The user and a new session's token. Raises `Unauthenticated` and `TooMany`."""
    try:
        email = normal_email(email)
    except Invalid:
        raise _wrong_password() from None
    accounts.limit.attempt(address, email)
    while True:
        async with accounts.db.read() as connection:
            user = await store.user_by_email(connection, email)
        right = await passwords.verify(user.password_hash if user else None, password)
        if user is None or not right or user.disabled_at is not None:
            raise _wrong_password()
        token = await _session_of_unchanged(accounts, user, password)
        if token is not None:
            accounts.limit.succeeded(address, email)
            return user, token


async def _session_of_unchanged(accounts: Accounts, user: User, password: str) -> str | None:
    """A session for `user`, unless the account has changed since it was read.

    A hash takes a tenth of a second: long enough for an owner to reset a stolen password, and for the thief to get a
    session that the reset did not see.
    """
    hashed = await passwords.hash(password) if passwords.is_outdated(user.password_hash) else None
    token = tokens.new_token()
    async with accounts.db.write() as connection:
        if await store.user(connection, user.id, lock=True) != user:
            return None
        if hashed is not None:
            await store.set_password(connection, user.id, hashed)
        await store.add_session(connection, user.id, token, accounts.session_days)
    return token


def _wrong_password() -> Unauthenticated:
    return Unauthenticated("The e-mail address or the password is wrong.", code="wrong_password")


async def begin_session(accounts: Accounts, user: User) -> str:
    """A session for somebody whose account was made just now; returns its token, for the cookie."""
    token = tokens.new_token()
    async with accounts.db.write() as connection:
        await store.add_session(connection, user.id, token, accounts.session_days)
    return token


async def sign_out(accounts: Accounts, principal: Principal) -> None:
    """End the session. Raises `Invalid` for an API key, which is revoked by its id."""
    if principal.kind != "user" or principal.credential_id is None:
        raise Invalid("An API key has no session to end; revoke it by DELETE /api/keys/{id}.", code="no_session")
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


async def set_password(accounts: Accounts, token: str, password: str, address: str) -> User:
    """By the link that an admin gave. What somebody else may know of the account ends: every session and other link.

    Raises `Denied` for a link that is void and for disabled accounts, `Invalid`, `TooMany`.
    """
    passwords.check(password)
    accounts.limit.attempt(address)
    hashed = await passwords.hash(password)
    async with accounts.db.write() as connection:
        user_id = await store.use_reset(connection, token)
        await store.hold_enabled(connection, user_id)
        await store.replace_password(connection, user_id, hashed)
        user = await store.user(connection, user_id)
    accounts.limit.succeeded(address)
    return user


async def change_password(accounts: Accounts, principal: Principal, current: str, password: str, address: str) -> None:
    """By somebody who is signed in and knows the password they have. What somebody else may know of the account ends:
    every other session and every link that sets a password. API keys stay.

    Raises `WrongCurrentPassword`, `Invalid`, and `TooMany`: whoever found a signed-in browser may guess.
    """
    authorize(principal, "account")
    passwords.check(password)
    async with accounts.db.read() as connection:
        user = await store.user(connection, principal.id)
    accounts.limit.attempt(address, user.email)
    hashed = await passwords.hash(password)
    while True:
        if not await passwords.verify(user.password_hash, current):
            raise WrongCurrentPassword(
                "The current password is wrong.", code="wrong_current_password", param="current_password"
            )
        async with accounts.db.write() as connection:
            # Verifying takes a tenth of a second, in which somebody else may have changed it.
            found = await store.user(connection, user.id, lock=True)
            if found.password_hash == user.password_hash:
                await store.hold_enabled(connection, user.id)
                await store.replace_password(connection, user.id, hashed, keeping=principal.credential_id)
                break
        user = found
    accounts.limit.succeeded(address, user.email)


async def create_key(
    db: Database, user_id: str, name: str, scopes: Sequence[str], *, allowed: Set[str], expires_at: int | None = None
) -> tuple[ApiKey, str]:
    """A new API key and the only sight of it.

    `allowed` is what the one who asks may do: a key that may only manage keys must not make itself one that may more.
    Raises `Invalid` for scopes or names that cannot be, `Denied` for scopes beyond `allowed` and disabled owners.
    """
    if not scopes or any(scope not in SCOPES for scope in scopes):
        raise Invalid(f"Scopes are: {', '.join(SCOPES)}.", code="unknown_scope", param="scopes")
    missing = [scope for scope in scopes if not covers(allowed, scope)]
    if missing:
        raise Denied(f"A key cannot have the scope {missing[0]!r}, which its maker has not.", code="missing_scope")
    name = names.normal(name, "name", most=100)
    key = tokens.new_key()
    async with db.write() as connection:
        await store.hold_enabled(connection, user_id)
        return await store.add_key(connection, user_id, key, name, list(dict.fromkeys(scopes)), expires_at), key
