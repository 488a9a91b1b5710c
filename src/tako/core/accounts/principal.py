"""Who asks, and the one function that decides what they may touch."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from tako.core.errors import Denied, NotFound

Scope = Literal["chat", "chat:read", "account", "admin"]
SCOPES: tuple[Scope, ...] = ("chat", "chat:read", "account", "admin")


@dataclass(frozen=True, slots=True)
class Principal:
    """`id` owns things; `credential_id` is the session or key that proved it, and can be revoked on its own.

    `expires_at` (microseconds) is when the credential ends, None for never. `admin` says who the person is, for what
    is meant for admins; what this credential may do is said by its scopes alone.
    """

    id: str
    kind: Literal["user", "guest", "api_key", "system"]
    scopes: frozenset[str]
    credential_id: str | None = None
    expires_at: int | None = None
    admin: bool = False
    daily_tokens: int | None = None


def user_scopes(*, admin: bool) -> frozenset[str]:
    """All that a user may do who has signed in."""
    return frozenset(SCOPES) if admin else frozenset(SCOPES) - {"admin"}


def covers(scopes: Set[str], scope: str) -> bool:
    """Whether who has `scopes` may use `scope`: who may chat may read."""
    return scope in scopes or (scope == "chat:read" and "chat" in scopes)


def authorize(principal: Principal, scope: Scope, *, owner_id: str | None = None) -> None:
    """Decide whether `principal` may use `scope`, on something that `owner_id` owns where that is given.

    Raises `Denied` when the credential lacks the scope (that is no secret) and `NotFound` for what belongs to
    somebody else: that it exists is none of the asker's business.
    """
    if not covers(principal.scopes, scope):
        raise Denied(f"This credential lacks the scope {scope!r}.", code="missing_scope")
    if owner_id is not None and owner_id != principal.id:
        raise NotFound("There is no such thing.", code="not_found")
