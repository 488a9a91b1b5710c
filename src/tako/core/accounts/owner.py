"""What an owner does with the accounts of others. At least one admin can always sign in.

`by` is the admin who asks; None is whoever sits at the server and types a command.
"""

from collections.abc import Mapping

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core import names
from tako.core.accounts import passwords, store, tokens
from tako.core.accounts.accounts import normal_email
from tako.core.accounts.principal import Principal, authorize
from tako.core.accounts.store import Invite, User
from tako.core.db import Database
from tako.core.errors import Conflict, Denied

_log = structlog.get_logger("tako.accounts")

_HOUR = 3_600_000_000
INVITE_LIFETIME = 7 * 24 * _HOUR
RESET_LIFETIME = 24 * _HOUR
# No password has it, and looking takes as long as for any other (see `passwords.verify`).
_NO_PASSWORD = ""


class LastAdmin(Conflict):
    """Nobody could administer the site any more."""


async def invite(db: Database, by: Principal, *, admin: bool, note: str = "") -> tuple[Invite, str]:
    """An invitation and its token, which lets one person sign up, within a week. Raises `Denied`, `Invalid`."""
    authorize(by, "admin")
    note = names.normal(note, "note", least=0, most=100)
    token = tokens.new_token()
    async with db.write() as connection:
        await store.hold_admin(connection, by.id)
        invite_id = await store.add_invite(
            connection, token, admin=admin, created_by=by.id, lifetime=INVITE_LIFETIME, note=note
        )
        (made,) = [row for row in await store.list_invites(connection) if row.id == invite_id]
    return made, token


async def create_user(db: Database, email: str, password: str, *, admin: bool) -> User:
    """By the owner's hand. Raises `Invalid`, `EmailTaken`."""
    email = normal_email(email)
    passwords.check(password)
    hashed = await passwords.hash(password)
    async with db.write() as connection:
        return await store.add_user(connection, email, hashed, admin=admin)


async def disable(db: Database, user_id: str, *, by: Principal | None = None) -> None:
    """No way in any more, and no way for whom they invited; what runs for them goes on to its end.

    Raises `Denied` for oneself, `LastAdmin`, `NotFound`.
    """
    if by is not None and by.id == user_id:
        raise Denied("You cannot disable yourself.", code="own_account")
    async with db.write() as connection:
        await _one_admin_but(connection, user_id, by)
        await store.user(connection, user_id, lock=True)
        await store.disable(connection, user_id)
        await store.revoke_all(connection, user_id, keys=True)
        await store.void_invites_of(connection, user_id)
        await store.void_resets(connection, user_id)
    _log.info("user_disabled", user=user_id, by=_name(by))


async def enable(db: Database, user_id: str, *, by: Principal | None = None) -> None:
    """They may sign in again; sessions, keys and invitations that ended stay ended. Raises `NotFound`."""
    async with db.write() as connection:
        await _still_admin(connection, by)
        await store.user(connection, user_id, lock=True)
        await store.enable(connection, user_id)
    _log.info("user_enabled", user=user_id, by=_name(by))


async def change(db: Database, user_id: str, changes: Mapping[str, object], *, by: Principal | None = None) -> User:
    """Set `admin` or `daily_tokens` (None: the site's default, 0: no limit). Raises `LastAdmin`, `NotFound`.

    Invitations of somebody who is no admin any more are void.
    """
    async with db.write() as connection:
        demoted = changes.get("admin") is False
        if demoted:
            await _one_admin_but(connection, user_id, by)
        else:
            await _still_admin(connection, by)
        await store.user(connection, user_id, lock=True)
        if changes:
            await store.update_user(connection, user_id, **changes)
        if demoted:
            await store.void_invites_of(connection, user_id)
        user = await store.user(connection, user_id)
    _log.info("user_changed", user=user_id, by=_name(by), changes=sorted(changes))
    return user


async def reset(db: Database, user_id: str, *, by: Principal) -> tuple[str, int]:
    """A token that lets the person set a new password, and when it ends (microseconds): a day.

    The old password and every session end now, since it may be a thief's; API keys stay.
    Raises `Denied` for oneself, `Conflict` for a disabled account, `NotFound`.
    """
    if by.id == user_id:
        raise Denied("You cannot reset your own password here; on the server: tako user reset.", code="own_account")
    token = tokens.new_token()
    async with db.write() as connection:
        await _still_admin(connection, by)
        user = await store.user(connection, user_id, lock=True)
        if user.disabled_at is not None:
            raise Conflict("This account is disabled: enable it first.", code="account_disabled")
        await store.replace_password(connection, user_id, _NO_PASSWORD)
        ends = await store.add_reset(connection, user_id, token, RESET_LIFETIME)
    _log.info("password_reset", user=user_id, by=by.id)
    return token, ends


async def set_password(db: Database, user_id: str, password: str) -> None:
    """By the owner's hand; every session ends. Raises `Invalid`."""
    passwords.check(password)
    hashed = await passwords.hash(password)
    async with db.write() as connection:
        await store.replace_password(connection, user_id, hashed)


async def _one_admin_but(connection: AsyncConnection, user_id: str, by: Principal | None) -> None:
    """Somebody other than `user_id` stays an admin until the transaction ends, and `by` is one still.

    Without holding all of them, two admins who disable each other at once would both find the other one left.
    """
    admins = await store.hold_admins(connection)
    await _still_admin(connection, by)
    if admins == [user_id]:
        raise LastAdmin(
            "This is the last admin, without whom nobody could administer the site: make somebody else one first.",
            code="last_admin",
        )


async def _still_admin(connection: AsyncConnection, by: Principal | None) -> None:
    """What the request was allowed by may have ended since it was read."""
    if by is not None:
        authorize(by, "admin")
        await store.hold_admin(connection, by.id)


def _name(by: Principal | None) -> str:
    return by.id if by is not None else "command line"
