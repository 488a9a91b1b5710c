"""The rules of signing up, in and out, of invitations, keys and disabled accounts, on every database."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher

from tako.core.accounts import accounts as rules
from tako.core.accounts import owner, passwords, store
from tako.core.accounts.accounts import Accounts
from tako.core.accounts.limits import PER_ACCOUNT, PER_ADDRESS
from tako.core.accounts.principal import SCOPES, Principal, user_scopes
from tako.core.accounts.store import EmailTaken, User
from tako.core.db import Database, now
from tako.core.errors import Denied, Invalid, NotFound, TooMany, Unauthenticated
from tako.core.site.settings import Registration
from tests.core.conftest import with_registration

PASSWORD = "correct horse"
HERE = "198.51.100.7"


async def signed_up(accounts: Accounts, email: str = "ann@example.org", invite: str | None = None) -> User:
    return await rules.sign_up(accounts, email, PASSWORD, invite, HERE)


async def an_admin(db: Database, email: str = "owner@example.org") -> Principal:
    user = await owner.create_user(db, email, PASSWORD, admin=True)
    return Principal(user.id, "user", user_scopes(admin=True), admin=True)


async def invited(db: Database, by: Principal, *, admin: bool = False) -> str:
    return (await owner.invite(db, by, admin=admin))[1]


async def setup_token(db: Database) -> str:
    link = await rules.first_admin_link(db, "http://site.example")
    assert link is not None
    address, token = link.split("#token=")
    assert address == "http://site.example/setup"
    return token


async def works(db: Database, secret: str, *, key: bool) -> bool:
    async with db.read() as connection:
        return await store.credential(connection, secret, key=key) is not None


async def test_the_first_to_sign_up_is_no_admin(accounts: Accounts) -> None:
    assert not (await signed_up(accounts)).admin
    async with accounts.db.read() as connection:
        assert not await store.has_admin(connection)


async def test_an_email_has_one_account_however_it_is_written(accounts: Accounts) -> None:
    assert (await signed_up(accounts, " Ann@Example.ORG ")).email == "ann@example.org"
    with pytest.raises(EmailTaken):
        await signed_up(accounts, "ANN@example.org")


async def test_two_sign_up_with_one_email_at_once_and_one_wins(accounts: Accounts) -> None:
    outcomes = await asyncio.gather(signed_up(accounts), signed_up(accounts), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["EmailTaken", "User"]


@pytest.mark.parametrize(
    "email", ["", "ann", "@", "a@", "@b", "a b@c", "a@b@c", "a@b\x00c", "a@\ud800", "x" * 65 + "@b"]
)
async def test_what_is_no_email_address_is_refused(accounts: Accounts, email: str) -> None:
    with pytest.raises(Invalid) as refused:
        await signed_up(accounts, email)
    assert refused.value.param == "email"


@pytest.mark.parametrize("registration", ["invite", "closed"])
async def test_nobody_signs_up_uninvited_unless_registration_is_open(
    accounts: Accounts, registration: Registration
) -> None:
    with pytest.raises(Denied):
        await signed_up(with_registration(accounts, registration))


async def test_a_closed_site_takes_no_invitations_either(accounts: Accounts) -> None:
    token = await invited(accounts.db, await an_admin(accounts.db), admin=False)
    with pytest.raises(Denied):
        await signed_up(with_registration(accounts, "closed"), invite=token)


async def test_an_invitation_lets_one_person_in_once(accounts: Accounts) -> None:
    closed = with_registration(accounts, "invite")
    token = await invited(closed.db, await an_admin(accounts.db), admin=False)
    assert not (await signed_up(closed, "ann@example.org", token)).admin
    with pytest.raises(Denied) as refused:
        await signed_up(closed, "ben@example.org", token)
    assert refused.value.code == "invalid_invite"


async def test_an_admin_can_invite_an_admin(accounts: Accounts) -> None:
    token = await invited(accounts.db, await an_admin(accounts.db), admin=True)
    assert (await signed_up(accounts, invite=token)).admin


async def test_an_invitation_survives_a_sign_up_that_fails(accounts: Accounts) -> None:
    token = await invited(accounts.db, await an_admin(accounts.db), admin=False)
    with pytest.raises(EmailTaken):
        await signed_up(accounts, "owner@example.org", token)
    await signed_up(accounts, "ann@example.org", token)


async def test_only_admins_invite(accounts: Accounts) -> None:
    user = await signed_up(accounts)
    with pytest.raises(Denied):
        await invited(accounts.db, Principal(user.id, "user", user_scopes(admin=False)), admin=False)


async def test_invitations_of_a_disabled_admin_are_void(accounts: Accounts) -> None:
    admin = await an_admin(accounts.db)
    await an_admin(accounts.db, "other@example.org")
    token = await invited(accounts.db, admin, admin=True)
    await owner.disable(accounts.db, admin.id)
    with pytest.raises(Denied):
        await signed_up(accounts, invite=token)
    with pytest.raises(Denied):
        await invited(accounts.db, admin, admin=True)


async def test_an_invitation_ends_after_a_week(accounts: Accounts) -> None:
    admin = await an_admin(accounts.db)
    async with accounts.db.write() as connection:
        await store.add_invite(connection, "old", admin=False, created_by=admin.id, lifetime=-1)
    with pytest.raises(Denied):
        await signed_up(accounts, invite="old")


async def test_the_one_time_link_makes_the_first_admin_even_on_a_closed_site(accounts: Accounts) -> None:
    closed = with_registration(accounts, "closed")
    user = await rules.set_up(closed, "owner@example.org", PASSWORD, await setup_token(accounts.db), HERE)
    assert user.admin
    assert await rules.first_admin_link(accounts.db, "http://site.example") is None


async def test_two_at_once_use_the_one_time_link_only_one_wins(accounts: Accounts) -> None:
    token = await setup_token(accounts.db)
    outcomes = await asyncio.gather(
        *(rules.set_up(accounts, f"{name}@example.org", PASSWORD, token, HERE) for name in ("ann", "ben", "cleo")),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Denied", "Denied", "User"]
    async with accounts.db.read() as connection:
        assert len(await store.list_users(connection, limit=10, after=None)) == 1


async def test_each_start_makes_a_fresh_link_and_voids_the_earlier(accounts: Accounts) -> None:
    earlier, later = await setup_token(accounts.db), await setup_token(accounts.db)
    with pytest.raises(Denied):
        await rules.set_up(accounts, "owner@example.org", PASSWORD, earlier, HERE)
    await rules.set_up(accounts, "owner@example.org", PASSWORD, later, HERE)


async def test_an_admin_made_by_hand_voids_the_link(accounts: Accounts) -> None:
    token = await setup_token(accounts.db)
    await an_admin(accounts.db)
    with pytest.raises(Denied):
        await rules.set_up(accounts, "thief@example.org", PASSWORD, token, HERE)


async def test_an_ordinary_invitation_is_no_setup_link_and_the_other_way_round(accounts: Accounts) -> None:
    with pytest.raises(Denied):
        await signed_up(accounts, invite=await setup_token(accounts.db))
    invitation = await invited(accounts.db, await an_admin(accounts.db), admin=False)
    with pytest.raises(Denied):
        await rules.set_up(accounts, "thief@example.org", PASSWORD, invitation, HERE)


async def test_signing_in_gives_a_session_and_signing_out_ends_it(accounts: Accounts) -> None:
    await signed_up(accounts)
    user, token = await rules.sign_in(accounts, "Ann@example.org", PASSWORD, HERE)
    async with accounts.db.read() as connection:
        session = await store.credential(connection, token, key=False)
    assert session is not None
    await rules.sign_out(accounts, Principal(user.id, "user", frozenset(), session.id))
    assert not await works(accounts.db, token, key=False)


async def test_an_api_key_cannot_sign_itself_out(accounts: Accounts) -> None:
    user = await signed_up(accounts)
    key, secret = await rules.create_key(accounts.db, user.id, "laptop", ["chat"], allowed=frozenset(SCOPES))
    with pytest.raises(Invalid):
        await rules.sign_out(accounts, Principal(user.id, "api_key", frozenset(), key.id))
    assert await works(accounts.db, secret, key=True)


async def test_wrong_password_and_unknown_account_read_the_same(accounts: Accounts) -> None:
    await signed_up(accounts)
    said = []
    for email in ("ann@example.org", "nobody@example.org", "no address at all"):
        with pytest.raises(Unauthenticated) as refused:
            await rules.sign_in(accounts, email, "wrong horse", HERE)
        said.append((refused.value.message, refused.value.code))
    assert len(set(said)) == 1


async def test_two_hundred_guesses_sent_at_once_are_ten_guesses(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await signed_up(accounts)
    verified = 0

    async def counted(stored: str | None, password: str) -> bool:
        nonlocal verified
        verified += 1
        await asyncio.sleep(0.01)
        return False

    monkeypatch.setattr(passwords, "verify", counted)
    guesses = [rules.sign_in(accounts, "ann@example.org", f"guess {n}", f"203.0.113.{n}") for n in range(200)]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert verified == PER_ACCOUNT
    assert sum(isinstance(outcome, TooMany) for outcome in outcomes) == 200 - PER_ACCOUNT


async def test_the_right_password_does_not_open_a_locked_account(accounts: Accounts) -> None:
    await signed_up(accounts)
    for _ in range(PER_ACCOUNT):
        accounts.limit.attempt("203.0.113.1", "ann@example.org")
    with pytest.raises(TooMany):
        await rules.sign_in(accounts, "ann@example.org", PASSWORD, HERE)


async def test_trying_invitations_is_limited_per_address(accounts: Accounts) -> None:
    for _ in range(PER_ADDRESS - 1):
        accounts.limit.attempt(HERE)
    with pytest.raises(Denied):
        await signed_up(accounts, invite="a guess")
    with pytest.raises(TooMany):
        await signed_up(accounts, invite="another guess")


async def test_a_password_hashed_with_old_parameters_is_hashed_again(accounts: Accounts) -> None:
    user = await signed_up(accounts)
    async with accounts.db.write() as connection:
        await store.set_password(connection, user.id, PasswordHasher(time_cost=1, memory_cost=8192).hash(PASSWORD))
    signed_in = [rules.sign_in(accounts, "ann@example.org", PASSWORD, HERE) for _ in range(3)]
    assert len(await asyncio.gather(*signed_in)) == 3  # two of them find that the hash has changed meanwhile
    async with accounts.db.read() as connection:
        assert not passwords.is_outdated((await store.user(connection, user.id)).password_hash)


async def test_a_reset_while_somebody_signs_in_with_the_old_password_keeps_them_out(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verifying takes a tenth of a second, in which an owner may reset the password that was stolen."""
    user = await signed_up(accounts)
    verify = passwords.verify

    async def reset_meanwhile(stored: str | None, password: str) -> bool:
        right = await verify(stored, password)
        if right:
            await owner.set_password(accounts.db, user.id, "another horse")
        return right

    monkeypatch.setattr(passwords, "verify", reset_meanwhile)
    with pytest.raises(Unauthenticated):
        await rules.sign_in(accounts, "ann@example.org", PASSWORD, HERE)


async def test_a_reset_ends_all_sessions_but_no_keys(accounts: Accounts) -> None:
    user = await signed_up(accounts)
    _, token = await rules.sign_in(accounts, "ann@example.org", PASSWORD, HERE)
    _, key = await rules.create_key(accounts.db, user.id, "laptop", ["chat"], allowed=frozenset(SCOPES))
    await owner.set_password(accounts.db, user.id, "another horse")
    assert not await works(accounts.db, token, key=False)
    assert await works(accounts.db, key, key=True)
    await rules.sign_in(accounts, "ann@example.org", "another horse", HERE)


async def test_a_password_that_changes_while_another_change_is_made_counts(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two who know the old one, only the first may replace it: the thief or the owner, but never one unseen."""
    user = await signed_up(accounts)
    by = Principal(user.id, "user", frozenset(SCOPES), "sess_mine")
    verify = passwords.verify

    async def reset_meanwhile(stored: str | None, password: str) -> bool:
        right = await verify(stored, password)
        if right:
            await owner.set_password(accounts.db, user.id, "another horse")
        return right

    monkeypatch.setattr(passwords, "verify", reset_meanwhile)
    with pytest.raises(rules.WrongCurrentPassword):
        await rules.change_password(accounts, by, PASSWORD, "a thief's horse", HERE)
    monkeypatch.setattr(passwords, "verify", verify)
    await rules.sign_in(accounts, "ann@example.org", "another horse", HERE)


async def test_a_disabled_user_has_no_way_in(accounts: Accounts) -> None:
    user = await signed_up(accounts)
    _, token = await rules.sign_in(accounts, "ann@example.org", PASSWORD, HERE)
    _, key = await rules.create_key(accounts.db, user.id, "laptop", ["chat"], allowed=frozenset(SCOPES))
    await owner.disable(accounts.db, user.id)
    assert not await works(accounts.db, token, key=False)
    assert not await works(accounts.db, key, key=True)
    with pytest.raises(Unauthenticated):
        await rules.sign_in(accounts, "ann@example.org", PASSWORD, HERE)
    with pytest.raises(Denied):
        await rules.create_key(accounts.db, user.id, "laptop", ["chat"], allowed=frozenset(SCOPES))


@pytest.mark.parametrize("verb", ["disable", "reset"])
async def test_no_session_escapes_an_owner_who_comes_between_look_and_leap(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """The owner's transaction begins while the one that signs in has looked at the account and not yet written."""
    user = await signed_up(accounts)
    add_session = store.add_session
    acts: list[asyncio.Task[None]] = []

    async def interrupted(*arguments: Any) -> None:
        db = accounts.db
        act = owner.disable(db, user.id) if verb == "disable" else owner.set_password(db, user.id, "another horse")
        acts.append(asyncio.create_task(act))
        await asyncio.wait(acts, timeout=0.5)  # the owner waits for us, so this ends by time
        await add_session(*arguments)

    monkeypatch.setattr(store, "add_session", interrupted)
    _, token = await rules.sign_in(accounts, "ann@example.org", PASSWORD, HERE)
    await asyncio.gather(*acts)
    assert not await works(accounts.db, token, key=False)


async def test_a_key_is_stored_as_a_hash_and_shown_once(accounts: Accounts) -> None:
    user = await signed_up(accounts)
    key, secret = await rules.create_key(accounts.db, user.id, " laptop ", ["chat", "chat"], allowed={"chat"})
    assert len(secret) == len("sk-tako-") + 43
    assert secret.startswith("sk-tako-")
    assert (key.name, key.scopes) == ("laptop", "chat")
    async with accounts.db.read() as connection:
        assert await store.list_keys(connection, user.id) == [key]
    assert secret not in str(key)


@pytest.mark.parametrize(("allowed", "wanted"), [({"account"}, "chat"), ({"chat:read"}, "chat"), ({"chat"}, "admin")])
async def test_a_key_gets_no_scope_that_its_maker_has_not(accounts: Accounts, allowed: set[str], wanted: str) -> None:
    user = await signed_up(accounts)
    with pytest.raises(Denied) as refused:
        await rules.create_key(accounts.db, user.id, "laptop", [wanted], allowed=allowed)
    assert refused.value.code == "missing_scope"


async def test_who_may_chat_may_make_a_key_that_only_reads(accounts: Accounts) -> None:
    user = await signed_up(accounts)
    key, _ = await rules.create_key(accounts.db, user.id, "reader", ["chat:read"], allowed={"chat"})
    assert key.scopes == "chat:read"


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "two\nlines", "nul\x00"])
async def test_a_key_needs_a_name(accounts: Accounts, name: str) -> None:
    user = await signed_up(accounts)
    with pytest.raises(Invalid):
        await rules.create_key(accounts.db, user.id, name, ["chat"], allowed={"chat"})


async def test_a_key_can_expire(accounts: Accounts) -> None:
    user = await signed_up(accounts)
    _, old = await rules.create_key(accounts.db, user.id, "old", ["chat"], allowed={"chat"}, expires_at=now() - 1)
    _, new = await rules.create_key(accounts.db, user.id, "new", ["chat"], allowed={"chat"}, expires_at=now() + 10**9)
    assert not await works(accounts.db, old, key=True)
    assert await works(accounts.db, new, key=True)


async def test_an_expired_session_is_none(accounts: Accounts) -> None:
    user = await signed_up(replace(accounts, session_days=30))
    token = await rules.begin_session(replace(accounts, session_days=0), user)
    assert not await works(accounts.db, token, key=False)


async def test_what_was_revoked_since_is_told_with_one_statement(accounts: Accounts) -> None:
    user = await signed_up(accounts)
    kept, _ = await rules.create_key(accounts.db, user.id, "kept", ["chat"], allowed={"chat"})
    gone, _ = await rules.create_key(accounts.db, user.id, "gone", ["chat"], allowed={"chat"})
    await rules.begin_session(accounts, user)
    since = now()
    async with accounts.db.write() as connection:
        assert await store.revoked_since(connection, since) == []
        await store.revoke(connection, gone.id)
        await store.revoke_all(connection, user.id, keys=False)
        revoked = await store.revoked_since(connection, since)
        assert await store.revoked_since(connection, now() + 1) == []
    assert len(revoked) == 2
    assert gone.id in revoked
    assert kept.id not in revoked


async def test_purge_deletes_what_ended_long_ago_and_nothing_else(accounts: Accounts) -> None:
    user = await signed_up(accounts)
    key, secret = await rules.create_key(accounts.db, user.id, "kept", ["chat"], allowed={"chat"})
    await rules.create_key(accounts.db, user.id, "old", ["chat"], allowed={"chat"}, expires_at=now() - 10**9)
    token = await rules.begin_session(accounts, user)
    await rules.begin_session(replace(accounts, session_days=-1), user)
    await setup_token(accounts.db)
    async with accounts.db.write() as connection:
        assert await store.purge(connection, now() - 10**8) == 2
        assert await store.purge(connection, now() - 10**8) == 0
        assert await store.list_keys(connection, user.id) == [key]
    assert await works(accounts.db, secret, key=True)
    assert await works(accounts.db, token, key=False)


@pytest.mark.parametrize("user_id", ["nobody", "user_" + "0" * 32, "user_\x00", "key_" + "0" * 32])
async def test_unknown_and_impossible_ids_are_not_found(db: Database, user_id: str) -> None:
    async with db.read() as connection:
        with pytest.raises(NotFound):
            await store.user(connection, user_id)
        with pytest.raises(NotFound):
            await store.key_owner(connection, user_id)
