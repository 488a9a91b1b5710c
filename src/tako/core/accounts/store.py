"""The accounts' queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, delete, insert, literal, select, union_all, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core import ids
from tako.core.accounts import tokens
from tako.core.accounts.models import api_keys, invites, principals, resets, sessions, users
from tako.core.db import now
from tako.core.errors import Conflict, Denied, NotFound

DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class User:
    id: str
    email: str
    password_hash: str
    admin: bool
    daily_tokens: int | None
    created_at: int
    disabled_at: int | None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Without the key itself, which nobody has but who was shown it."""

    id: str
    name: str
    hint: str
    scopes: str
    created_at: int
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class Credential:
    """A session or a key that is valid now, with its owner."""

    id: str
    principal_id: str
    scopes: str | None  # None: a session, which may do all that its owner may
    expires_at: int | None
    admin: bool
    daily_tokens: int | None


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation that somebody may still use; its token is known to nobody but who was shown it."""

    id: str
    note: str
    admin: bool
    created_by: str  # the e-mail address of the admin who made it
    created_at: int
    expires_at: int


def _credential(table: Table, digest: ColumnElement[str], scopes: ColumnElement[str | None]) -> Select[Any]:
    return (
        select(
            table.c.id,
            table.c.principal_id,
            scopes.label("scopes"),
            table.c.expires_at,
            users.c.admin,
            users.c.daily_tokens,
        )
        .join(principals, principals.c.id == table.c.principal_id)
        .join(users, users.c.id == principals.c.id)
        .where(digest == bindparam("digest"), table.c.revoked_at.is_(None), principals.c.disabled_at.is_(None))
        .where((table.c.expires_at > bindparam("at")) | table.c.expires_at.is_(None))
    )


# Built once: every request runs one of them.
_KEY = _credential(api_keys, api_keys.c.key_hash, api_keys.c.scopes)
_SESSION = _credential(sessions, sessions.c.token_hash, literal(None))


class EmailTaken(Conflict):
    """Somebody has an account with that address."""


def _users() -> Select[Any]:
    return select(
        users.c.id,
        users.c.email,
        users.c.password_hash,
        users.c.admin,
        users.c.daily_tokens,
        principals.c.created_at,
        principals.c.disabled_at,
    ).join(principals, principals.c.id == users.c.id)


async def add_user(connection: AsyncConnection, email: str, password_hash: str, *, admin: bool) -> User:
    """With the first admin every setup link is void. Raises `EmailTaken`."""
    user = User(ids.new("user"), email, password_hash, admin, None, now(), None)
    try:
        await connection.execute(insert(principals).values(id=user.id, kind="user", created_at=user.created_at))
        await connection.execute(
            insert(users).values(id=user.id, email=email, password_hash=password_hash, admin=admin)
        )
    except IntegrityError:
        raise EmailTaken(
            "There is an account with this e-mail address already.", code="email_taken", param="email"
        ) from None
    if admin:
        await void_setup_links(connection)
    return user


async def user_by_email(connection: AsyncConnection, email: str) -> User | None:
    row = (await connection.execute(_users().where(users.c.email == email))).first()
    return User(**row._mapping) if row else None


async def user(connection: AsyncConnection, user_id: str, *, lock: bool = False) -> User:
    """With `lock` it stays as it is until the transaction ends. Raises `NotFound`."""
    query = _users().where(users.c.id == user_id)
    row = None
    if ids.is_id(user_id, "user"):  # PostgreSQL takes no NUL, not even to look for it
        row = (await connection.execute(query.with_for_update() if lock else query)).first()
    if row is None:
        raise NotFound("There is no such user.", code="user_not_found")
    return User(**row._mapping)


async def hold_enabled(connection: AsyncConnection, user_id: str) -> None:
    """Nobody can disable the account until the transaction ends. Raises `Denied` when it is disabled already."""
    if (await user(connection, user_id, lock=True)).disabled_at is not None:
        raise Denied("This account is disabled.", code="account_disabled")


async def hold_admin(connection: AsyncConnection, user_id: str) -> None:
    """They stay an admin until the transaction ends. Raises `Denied` when they are none any more."""
    held = await user(connection, user_id, lock=True)
    if held.disabled_at is not None or not held.admin:
        raise Denied("You are no admin any more.", code="not_admin")


async def hold_admins(connection: AsyncConnection) -> list[str]:
    """Ids of all who can sign in as admins; they stay that until the transaction ends.

    In one order, so that two who hold them at once wait for each other instead of locking up.
    """
    query = _users().where(users.c.admin.is_(True), principals.c.disabled_at.is_(None)).order_by(users.c.id)
    return [row.id for row in await connection.execute(query.with_for_update())]


async def admins(connection: AsyncConnection) -> set[str]:
    """Ids of all who can sign in as admins."""
    query = _users().where(users.c.admin.is_(True), principals.c.disabled_at.is_(None))
    return {row.id for row in await connection.execute(query)}


async def list_users(
    connection: AsyncConnection, *, limit: int, after: str | None, search: str | None = None
) -> list[User]:
    """In the order of their sign-up, those whose address holds `search`."""
    query = _users().order_by(users.c.id).limit(limit)
    if after is not None:
        query = query.where(users.c.id > after)
    if search:
        query = query.where(users.c.email.contains(search.lower(), autoescape=True))
    return [User(**row._mapping) for row in await connection.execute(query)]


async def has_admin(connection: AsyncConnection) -> bool:
    return (await connection.execute(select(users.c.id).where(users.c.admin.is_(True)).limit(1))).first() is not None


async def set_password(connection: AsyncConnection, user_id: str, password_hash: str) -> None:
    await connection.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))


async def replace_password(
    connection: AsyncConnection, user_id: str, password_hash: str, *, keeping: str | None = None
) -> None:
    """Whoever is signed in is signed out, except in the session `keeping`, and no earlier link sets yet another; API
    keys stay."""
    await set_password(connection, user_id, password_hash)
    await revoke_all(connection, user_id, keys=False, keeping=keeping)
    await void_resets(connection, user_id)


async def disable(connection: AsyncConnection, user_id: str) -> None:
    await connection.execute(
        update(principals)
        .where(principals.c.id == user_id, principals.c.disabled_at.is_(None))
        .values(disabled_at=now())
    )


async def enable(connection: AsyncConnection, user_id: str) -> None:
    await connection.execute(update(principals).where(principals.c.id == user_id).values(disabled_at=None))


async def update_user(connection: AsyncConnection, user_id: str, **values: Any) -> None:
    """Set `admin` or `daily_tokens`."""
    await connection.execute(update(users).where(users.c.id == user_id).values(**values))


async def add_session(connection: AsyncConnection, user_id: str, token: str, days: int) -> None:
    at = now()
    await connection.execute(
        insert(sessions).values(
            id=ids.new("sess"),
            principal_id=user_id,
            token_hash=tokens.digest(token),
            created_at=at,
            expires_at=at + days * DAY,
        )
    )


async def revoke(connection: AsyncConnection, credential_id: str) -> None:
    for table in (sessions, api_keys):
        await connection.execute(
            update(table).where(table.c.id == credential_id, table.c.revoked_at.is_(None)).values(revoked_at=now())
        )


async def revoke_all(connection: AsyncConnection, user_id: str, *, keys: bool, keeping: str | None = None) -> None:
    """Sign the user out everywhere but in the session `keeping`; with `keys` the API keys go too."""
    for table in (sessions, api_keys) if keys else (sessions,):
        theirs = table.c.principal_id == user_id, table.c.revoked_at.is_(None)
        but = () if keeping is None else (table.c.id != keeping,)
        await connection.execute(update(table).where(*theirs, *but).values(revoked_at=now()))


async def revoked_since(connection: AsyncConnection, since: int) -> list[str]:
    """Ids of the sessions and keys that were revoked at or after `since` (microseconds): one statement."""
    both = union_all(*(select(table.c.id).where(table.c.revoked_at >= since) for table in (sessions, api_keys)))
    return list((await connection.execute(both)).scalars())


async def add_key(
    connection: AsyncConnection, user_id: str, key: str, name: str, scopes: Sequence[str], expires_at: int | None
) -> ApiKey:
    row = ApiKey(ids.new("key"), name, tokens.hint(key), " ".join(scopes), now(), expires_at)
    await connection.execute(
        insert(api_keys).values(
            id=row.id,
            principal_id=user_id,
            name=name,
            key_hash=tokens.digest(key),
            hint=row.hint,
            scopes=row.scopes,
            created_at=row.created_at,
            expires_at=expires_at,
        )
    )
    return row


async def list_keys(connection: AsyncConnection, user_id: str) -> list[ApiKey]:
    columns = [api_keys.c[name] for name in ApiKey.__dataclass_fields__]
    query = select(*columns).where(api_keys.c.principal_id == user_id, api_keys.c.revoked_at.is_(None))
    return [ApiKey(**row._mapping) for row in await connection.execute(query.order_by(api_keys.c.id))]


async def key_owner(connection: AsyncConnection, key_id: str) -> str:
    """Raises the same `NotFound` as for somebody else's key."""
    owner = None
    if ids.is_id(key_id, "key"):
        owner = (await connection.execute(select(api_keys.c.principal_id).where(api_keys.c.id == key_id))).scalar()
    if owner is None:
        raise NotFound("There is no such thing.", code="not_found")
    return str(owner)


async def credential(connection: AsyncConnection, secret: str, *, key: bool) -> Credential | None:
    """The session (or API key) that `secret` proves, if it is valid now and its owner is not disabled."""
    query = _KEY if key else _SESSION
    row = (await connection.execute(query, {"digest": tokens.digest(secret), "at": now()})).first()
    return Credential(**row._mapping) if row else None


async def add_invite(
    connection: AsyncConnection, token: str, *, admin: bool, created_by: str | None, lifetime: int, note: str = ""
) -> str:
    """Returns its id."""
    at, invite_id = now(), ids.new("inv")
    await connection.execute(
        insert(invites).values(
            id=invite_id,
            token_hash=tokens.digest(token),
            note=note,
            admin=admin,
            created_by=created_by,
            created_at=at,
            expires_at=at + lifetime,
        )
    )
    return invite_id


async def list_invites(connection: AsyncConnection) -> list[Invite]:
    """Those that may still be used, newest first."""
    query = (
        select(
            invites.c.id,
            invites.c.note,
            invites.c.admin,
            users.c.email.label("created_by"),
            invites.c.created_at,
            invites.c.expires_at,
        )
        .join(users, users.c.id == invites.c.created_by)
        .where(invites.c.used_at.is_(None), invites.c.expires_at > now())
        .order_by(invites.c.id.desc())
    )
    return [Invite(**row._mapping) for row in await connection.execute(query)]


async def void_invite(connection: AsyncConnection, invite_id: str) -> None:
    """Raises `NotFound` for what nobody can use (any more)."""
    voided = await connection.execute(
        update(invites)
        .where(invites.c.id == invite_id, invites.c.created_by.is_not(None), invites.c.used_at.is_(None))
        .values(used_at=now())
    )
    if voided.rowcount != 1:
        raise no_invite()


def no_invite() -> NotFound:
    return NotFound("There is no such invitation, or it was used.", code="invite_not_found")


async def void_setup_links(connection: AsyncConnection) -> None:
    await connection.execute(
        update(invites).where(invites.c.created_by.is_(None), invites.c.used_at.is_(None)).values(used_at=now())
    )


async def void_invites_of(connection: AsyncConnection, user_id: str) -> None:
    await connection.execute(
        update(invites).where(invites.c.created_by == user_id, invites.c.used_at.is_(None)).values(used_at=now())
    )


async def use_invite(connection: AsyncConnection, token: str) -> bool:
    """Take an invitation that an admin made, once. Returns whether it makes an admin. Raises `Denied`."""
    return await _take(connection, token, setup=False)


async def use_setup_link(connection: AsyncConnection, token: str) -> None:
    """Take the one-time link of the first admin. Raises `Denied`."""
    await _take(connection, token, setup=True)


async def _take(connection: AsyncConnection, token: str, *, setup: bool) -> bool:
    """One UPDATE, so that of two who come at once only one finds it unused."""
    at = now()
    taken = await connection.execute(
        update(invites)
        .where(invites.c.token_hash == tokens.digest(token), invites.c.used_at.is_(None), invites.c.expires_at > at)
        .where(invites.c.created_by.is_(None) if setup else invites.c.created_by.is_not(None))
        .values(used_at=at)
        .returning(invites.c.admin)
    )
    row = taken.first()
    if row is None:
        raise Denied("This link was used already, or is too old. Ask for a new one.", code="invalid_invite")
    return bool(row.admin)


async def add_reset(connection: AsyncConnection, user_id: str, token: str, lifetime: int) -> int:
    """A link for that user; earlier ones are void. Returns when it ends."""
    await void_resets(connection, user_id)
    at = now()
    await connection.execute(
        insert(resets).values(
            id=ids.new("rst"),
            user_id=user_id,
            token_hash=tokens.digest(token),
            created_at=at,
            expires_at=at + lifetime,
        )
    )
    return at + lifetime


async def void_resets(connection: AsyncConnection, user_id: str) -> None:
    await connection.execute(
        update(resets).where(resets.c.user_id == user_id, resets.c.used_at.is_(None)).values(used_at=now())
    )


async def use_reset(connection: AsyncConnection, token: str) -> str:
    """Take the link, once; returns whose it is. Raises `Denied`."""
    at = now()
    taken = await connection.execute(
        update(resets)
        .where(resets.c.token_hash == tokens.digest(token), resets.c.used_at.is_(None), resets.c.expires_at > at)
        .values(used_at=at)
        .returning(resets.c.user_id)
    )
    user_id = taken.scalar()
    if user_id is None:
        raise Denied("This link was used already, or is too old. Ask for a new one.", code="invalid_reset")
    return str(user_id)


async def purge(connection: AsyncConnection, before: int) -> int:
    """Delete sessions, keys, invitations and reset links that ended before `before` (microseconds).

    Returns how many went.
    """
    gone = 0
    for table in (sessions, api_keys):
        ended = (table.c.expires_at < before) | (table.c.revoked_at < before)
        gone += (await connection.execute(delete(table).where(ended))).rowcount
    for links in (invites, resets):
        ended = (links.c.expires_at < before) | (links.c.used_at < before)
        gone += (await connection.execute(delete(links).where(ended))).rowcount
    return gone
