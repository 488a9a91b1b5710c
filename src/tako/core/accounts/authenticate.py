"""Who sent a request: an API key in `Authorization`, or the session in a cookie."""

from dataclasses import dataclass

from tako.core.accounts import store
from tako.core.accounts.principal import Principal, user_scopes
from tako.core.db import Database
from tako.core.errors import Denied, Unauthenticated
from tako.core.http import Header, Scope, header
from tako.core.proxies import Proxies

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Authenticator:
    """`public_url` is the site's own address where a proxy hides it."""

    db: Database
    proxies: Proxies
    public_url: str | None

    async def principal(self, scope: Scope) -> Principal:
        """Raises `Unauthenticated`, and `Denied` for a request that another site made the browser send."""
        authorization = header(scope, b"authorization")
        if authorization is not None:
            return await self._by_key(authorization)
        token = self._session_token(scope)
        if token is None:
            raise Unauthenticated(
                'Sign in, or send an API key as "Authorization: Bearer sk-tako-…".', code="missing_credentials"
            )
        self.check_origin(scope, required=True)
        async with self.db.read() as connection:
            found = await store.credential(connection, token, key=False)
        if found is None:
            raise Unauthenticated("This session has ended; sign in again.", code="session_ended")
        scopes = user_scopes(admin=found.admin)
        return Principal(
            found.principal_id, "user", scopes, found.id, found.expires_at, found.admin, found.daily_tokens
        )

    def check_origin(self, scope: Scope, *, required: bool) -> None:
        """A request that changes something must come from our own page. Raises `Denied`."""
        if scope["method"] in _SAFE_METHODS:
            return
        origin = header(scope, b"origin")
        if origin is None:
            if required and header(scope, b"sec-fetch-site") != "same-origin":
                raise Denied("A request with a cookie needs the Origin header of this site.", code="bad_origin")
            return
        own = {f"{self.proxies.scheme(scope)}://{header(scope, b'host')}".lower()}
        if self.public_url:
            own.add(self.public_url.rstrip("/").lower())
        if origin.lower() not in own:
            raise Denied(
                f"This request comes from another site ({origin[:100]}). If that is this site's own address, its owner "
                "must set public_url, or trusted_proxies.",
                code="bad_origin",
            )

    def cookie(self, scope: Scope, token: str, max_age: int) -> Header:
        """The header that keeps `token` in the browser for `max_age` seconds."""
        secure = "; Secure" if self.proxies.scheme(scope) == "https" else ""
        value = f"{self._cookie_name(scope)}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}"
        return (b"set-cookie", value.encode("latin-1"))

    async def _by_key(self, authorization: str) -> Principal:
        fields = authorization.split()
        if len(fields) != 2 or fields[0].lower() != "bearer":
            raise Unauthenticated('Authorization must read "Bearer sk-tako-…".', code="invalid_api_key")
        async with self.db.read() as connection:
            found = await store.credential(connection, fields[1], key=True)
        if found is None:
            raise Unauthenticated("This API key is unknown, was revoked or has expired.", code="invalid_api_key")
        # What the owner may not do any more, a key of theirs may not either.
        scopes = frozenset((found.scopes or "").split()) & user_scopes(admin=found.admin)
        return Principal(
            found.principal_id, "api_key", scopes, found.id, found.expires_at, found.admin, found.daily_tokens
        )

    def _session_token(self, scope: Scope) -> str | None:
        """Read by hand: the standard library drops all cookies when one, maybe of another program here, is odd."""
        wanted = self._cookie_name(scope)
        for name, value in scope["headers"]:
            for pair in str(value, "latin-1").split(";") if name == b"cookie" else ():
                key, _, token = pair.strip().partition("=")
                if key == wanted and token:
                    return token
        return None

    def _cookie_name(self, scope: Scope) -> str:
        return "__Host-tako_session" if self.proxies.scheme(scope) == "https" else "tako_session"
