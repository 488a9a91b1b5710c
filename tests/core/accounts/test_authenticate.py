"""Who sent a request is decided the same way for every spelling, and other sites cannot ride on a visitor's cookie."""

from dataclasses import dataclass, replace

import pytest

from tako.core.accounts import accounts as rules
from tako.core.accounts import owner
from tako.core.accounts.accounts import Accounts
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import SCOPES
from tako.core.accounts.store import User
from tako.core.errors import Denied, Unauthenticated
from tako.core.http import Scope


@dataclass(frozen=True)
class Ann:
    user: User
    session: str
    key: str


@pytest.fixture
async def ann(accounts: Accounts) -> Ann:
    user = await owner.create_user(accounts.db, "ann@example.org", "correct horse", admin=False)
    _, key = await rules.create_key(accounts.db, user.id, "laptop", ["chat"], allowed=frozenset(SCOPES))
    return Ann(user, await rules.begin_session(accounts, user), key)


def request(*headers: tuple[str, str], method: str = "GET", scheme: str = "http", peer: str = "198.51.100.7") -> Scope:
    lines = [("host", "site.example"), *headers]
    return {
        "type": "http",
        "method": method,
        "scheme": scheme,
        "path": "/",
        "client": (peer, 50000),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in lines],
    }


@pytest.mark.parametrize("spelling", ["Bearer {}", "bearer {}", "BEARER   {}", "\tBearer\t{}  ", "  Bearer \t {}"])
async def test_stray_spaces_in_authorization_do_not_matter(
    authenticator: Authenticator, ann: Ann, spelling: str
) -> None:
    principal = await authenticator.principal(request(("authorization", spelling.format(ann.key))))
    assert (principal.id, principal.kind, principal.scopes) == (ann.user.id, "api_key", frozenset({"chat"}))
    assert not principal.admin


@pytest.mark.parametrize("spelling", ["", "Bearer", "{}", "Basic {}", "Bearer {} {}", "Bearer {}x", "Bearer sk-tako-é"])
async def test_what_is_no_key_says_what_to_send(authenticator: Authenticator, ann: Ann, spelling: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await authenticator.principal(request(("authorization", spelling.format(ann.key, ann.key))))
    assert "key" in refused.value.message or "Bearer" in refused.value.message
    assert ann.key not in refused.value.message


async def test_nothing_at_all_says_what_to_send(authenticator: Authenticator) -> None:
    with pytest.raises(Unauthenticated, match="Authorization: Bearer sk-tako-"):
        await authenticator.principal(request())


async def test_a_session_may_do_all_that_its_user_may(authenticator: Authenticator, ann: Ann) -> None:
    principal = await authenticator.principal(request(("cookie", f"tako_session={ann.session}")))
    assert (principal.id, principal.kind) == (ann.user.id, "user")
    assert principal.scopes == {"chat", "chat:read", "account"}
    assert principal.expires_at is not None


async def test_odd_cookies_of_other_programs_do_not_sign_anybody_out(authenticator: Authenticator, ann: Ann) -> None:
    cookie = f'other={{"a": 1, [}}; é=ü;;=; tako_session={ann.session}; last'
    assert (await authenticator.principal(request(("cookie", cookie)))).id == ann.user.id


async def test_cookies_may_come_in_several_headers(authenticator: Authenticator, ann: Ann) -> None:
    scope = request(("cookie", "a=b"), ("cookie", f"tako_session={ann.session}"))
    assert (await authenticator.principal(scope)).id == ann.user.id


async def test_authorization_wins_over_the_cookie(authenticator: Authenticator, ann: Ann) -> None:
    cookie = ("cookie", f"tako_session={ann.session}")
    scope = request(cookie, ("authorization", f"Bearer {ann.key}"), method="POST")
    assert (await authenticator.principal(scope)).kind == "api_key"
    with pytest.raises(Unauthenticated):
        await authenticator.principal(request(cookie, ("authorization", "Bearer sk-tako-unknown")))


async def test_a_session_token_is_no_key_and_a_key_is_no_session(authenticator: Authenticator, ann: Ann) -> None:
    with pytest.raises(Unauthenticated):
        await authenticator.principal(request(("authorization", f"Bearer {ann.session}")))
    with pytest.raises(Unauthenticated):
        await authenticator.principal(request(("cookie", f"tako_session={ann.key}")))


async def test_behind_tls_only_the_host_bound_cookie_counts(authenticator: Authenticator, ann: Ann) -> None:
    """A neighbour on a sub-domain can plant a plain cookie, but none whose name begins with __Host-."""
    planted = request(("cookie", f"tako_session={ann.session}"), scheme="https")
    with pytest.raises(Unauthenticated):
        await authenticator.principal(planted)
    own = request(("cookie", f"__Host-tako_session={ann.session}"), scheme="https")
    assert (await authenticator.principal(own)).id == ann.user.id


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://site.example", "http://site.example:81", "null", "", None]
)
async def test_another_site_cannot_use_a_visitors_cookie(
    authenticator: Authenticator, ann: Ann, method: str, origin: str | None
) -> None:
    headers = [("cookie", f"tako_session={ann.session}"), *([("origin", origin)] if origin is not None else [])]
    with pytest.raises(Denied) as refused:
        await authenticator.principal(request(*headers, method=method))
    assert refused.value.code == "bad_origin"


@pytest.mark.parametrize("proof", [("origin", "http://site.example"), ("sec-fetch-site", "same-origin")])
async def test_our_own_page_can(authenticator: Authenticator, ann: Ann, proof: tuple[str, str]) -> None:
    scope = request(("cookie", f"tako_session={ann.session}"), proof, method="POST")
    assert (await authenticator.principal(scope)).id == ann.user.id


async def test_reading_needs_no_origin(authenticator: Authenticator, ann: Ann) -> None:
    scope = request(("cookie", f"tako_session={ann.session}"), ("origin", "http://evil.example"))
    assert (await authenticator.principal(scope)).id == ann.user.id


async def test_the_public_address_is_an_origin_of_ours(authenticator: Authenticator, ann: Ann) -> None:
    behind = replace(authenticator, public_url="https://www.example.org")
    scope = request(("cookie", f"tako_session={ann.session}"), ("origin", "https://www.example.org"), method="POST")
    assert (await behind.principal(scope)).id == ann.user.id


async def test_a_trusted_proxy_says_that_the_visitor_came_by_https(authenticator: Authenticator, ann: Ann) -> None:
    headers = (
        ("cookie", f"__Host-tako_session={ann.session}"),
        ("origin", "https://site.example"),
        ("x-forwarded-proto", "https"),
    )
    assert (await authenticator.principal(request(*headers, method="POST", peer="10.1.2.3"))).id == ann.user.id
    with pytest.raises(Unauthenticated):
        await authenticator.principal(request(*headers, method="POST", peer="198.51.100.7"))


async def test_an_admins_key_does_only_what_it_was_made_for(accounts: Accounts, authenticator: Authenticator) -> None:
    boss = await owner.create_user(accounts.db, "owner@example.org", "correct horse", admin=True)
    for scopes in (["chat"], ["chat", "admin"]):
        _, key = await rules.create_key(accounts.db, boss.id, "key", scopes, allowed=frozenset(SCOPES))
        principal = await authenticator.principal(request(("authorization", f"Bearer {key}")))
        assert (principal.admin, principal.scopes) == (True, frozenset(scopes))


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(authenticator: Authenticator) -> None:
    _, plain = authenticator.cookie(request(), "t0ken", 60)
    assert plain == b"tako_session=t0ken; Path=/; HttpOnly; SameSite=Lax; Max-Age=60"
    _, secure = authenticator.cookie(request(scheme="https"), "t0ken", 60)
    assert secure == b"__Host-tako_session=t0ken; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
