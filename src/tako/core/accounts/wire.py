"""What /api takes and gives about accounts. Times are in seconds since 1970 UTC."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tako.core.accounts.store import ApiKey, Invite, User

Email = Annotated[str, Field(max_length=254)]
Password = Annotated[str, Field(max_length=1024)]
Token = Annotated[str, Field(max_length=100)]


class Body(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class SignIn(Body):
    email: Email
    password: Password


class SignUp(SignIn):
    invite: Token | None = None


class Setup(SignIn):
    token: Token


class NewPassword(Body):
    """`token` is what stands behind the # of the link."""

    token: Token
    password: Password


class PasswordChange(Body):
    """One's own; who does not know the one they have needs a link of an admin."""

    current_password: Password
    password: Password


class NewKey(Body):
    name: str
    scopes: list[str] = ["chat"]


class NewInvite(Body):
    """`note` tells admins whom it is for."""

    admin: bool = False
    note: Annotated[str, Field(max_length=200)] = ""


class UserChanges(Body):
    """What is left out stays. `daily_tokens` null is the site's default, 0 is no limit."""

    admin: bool = False
    daily_tokens: Annotated[int, Field(ge=0, le=2**53)] | None = None


class UserObject(BaseModel):
    id: str
    email: str
    admin: bool
    disabled: bool
    created_at: int

    @classmethod
    def of(cls, user: User) -> "UserObject":
        return cls(
            id=user.id,
            email=user.email,
            admin=user.admin,
            disabled=user.disabled_at is not None,
            created_at=user.created_at // 1_000_000,
        )


class SignedIn(BaseModel):
    user: UserObject


class AccountObject(UserObject):
    """A user as admins see them. `daily_tokens` is their own limit, null for the site's default."""

    daily_tokens: int | None
    tokens_today: int

    @classmethod
    def seen(cls, user: User, tokens_today: int) -> "AccountObject":
        common = UserObject.of(user).model_dump()
        return cls(**common, daily_tokens=user.daily_tokens, tokens_today=tokens_today)


class AccountPage(BaseModel):
    """The next page begins after the id of the last one."""

    data: list[AccountObject]
    has_more: bool


class KeyObject(BaseModel):
    id: str
    name: str
    hint: str
    scopes: list[str]
    created_at: int

    @classmethod
    def of(cls, key: ApiKey) -> "KeyObject":
        scopes = key.scopes.split()
        return cls(id=key.id, name=key.name, hint=key.hint, scopes=scopes, created_at=key.created_at // 1_000_000)


class MadeKey(KeyObject):
    """`key` is shown this once."""

    key: str


class KeyList(BaseModel):
    data: list[KeyObject]


class InviteObject(BaseModel):
    """`created_by` is the e-mail address of the admin who made it."""

    id: str
    note: str
    admin: bool
    created_by: str
    created_at: int
    expires_at: int

    @classmethod
    def of(cls, invite: Invite) -> "InviteObject":
        return cls(
            id=invite.id,
            note=invite.note,
            admin=invite.admin,
            created_by=invite.created_by,
            created_at=invite.created_at // 1_000_000,
            expires_at=invite.expires_at // 1_000_000,
        )


class MadeInvite(InviteObject):
    """`token` and `path` (to be put behind the site's address) are shown this once."""

    token: str
    path: str


class InviteList(BaseModel):
    data: list[InviteObject]


class ResetLink(BaseModel):
    """`path` (to be put behind the site's address) is shown this once."""

    token: str
    path: str
    expires_at: int
