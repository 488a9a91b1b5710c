"""What an owner does with the accounts of others, on every database."""

import asyncio

import pytest

from tako.core.accounts import accounts as rules
from tako.core.accounts import owner, store
from tako.core.accounts.accounts import Accounts
from tako.core.accounts.owner import LastAdmin
from tako.core.accounts.principal import SCOPES, Principal
from tako.core.accounts.store import User
from tako.core.db import Database
from tako.core.errors import Conflict, Denied, Invalid, NotFound, Unauthenticated
from tests.core.accounts.test_accounts import HERE, PASSWORD, an_admin, invited, signed_up, works

NEW = "another horse"


async def as_stored(db: Database, user_id: str) -> User:
    async with db.read() as connection:
        return await store.user(connection, user_id)


async def test_who_is_enabled_again_signs_in_but_earlier_sessions_stay_ended(accounts: Accounts) -> None:
    admin, ann = await an_admin(accounts.db), await signed_up(accounts)
    _, session = await rules.sign_in(accounts, ann.email, PASSWORD, HERE)
    _, key = await rules.create_key(accounts.db, ann.id, "laptop", ["chat"], allowed=frozenset(SCOPES))
    await owner.disable(accounts.db, ann.id, by=admin)
    await owner.enable(accounts.db, ann.id, by=admin)
    assert not await works(accounts.db, session, key=False)
    assert not await works(accounts.db, key, key=True)
    await rules.sign_in(accounts, ann.email, PASSWORD, HERE)


async def test_the_last_admin_can_be_neither_disabled_nor_demoted(accounts: Accounts) -> None:
    admin = await an_admin(accounts.db)
    await signed_up(accounts)
    with pytest.raises(LastAdmin):
        await owner.disable(accounts.db, admin.id)
    with pytest.raises(LastAdmin):
        await owner.change(accounts.db, admin.id, {"admin": False}, by=admin)
    assert (await as_stored(accounts.db, admin.id)).admin
    assert (await as_stored(accounts.db, admin.id)).disabled_at is None


async def test_a_disabled_admin_does_not_count_as_one(accounts: Accounts) -> None:
    admin, other = await an_admin(accounts.db), await an_admin(accounts.db, "other@example.org")
    await owner.disable(accounts.db, other.id, by=admin)
    with pytest.raises(LastAdmin):
        await owner.change(accounts.db, admin.id, {"admin": False}, by=admin)


@pytest.mark.parametrize("verb", ["disable", "demote"])
async def test_two_admins_who_shut_each_other_out_at_once_leave_one(accounts: Accounts, verb: str) -> None:
    db = accounts.db
    ann, ben = await an_admin(db, "ann@example.org"), await an_admin(db, "ben@example.org")

    async def shut_out(by: Principal, victim: Principal) -> None:
        if verb == "disable":
            await owner.disable(db, victim.id, by=by)
        else:
            await owner.change(db, victim.id, {"admin": False}, by=by)

    outcomes = await asyncio.gather(shut_out(ann, ben), shut_out(ben, ann), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Denied", "NoneType"]
    async with db.write() as connection:
        assert len(await store.hold_admins(connection)) == 1


async def test_many_admins_who_all_resign_at_once_leave_one(accounts: Accounts) -> None:
    db = accounts.db
    admins = [await an_admin(db, f"admin{n}@example.org") for n in range(5)]
    resign = [owner.change(db, admin.id, {"admin": False}, by=admin) for admin in admins]
    outcomes = await asyncio.gather(*resign, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LastAdmin", *["User"] * 4]


async def test_who_is_no_admin_any_more_decides_nothing(accounts: Accounts) -> None:
    """Their request was let in a moment before."""
    db = accounts.db
    await an_admin(db)
    other, ann = await an_admin(db, "other@example.org"), await signed_up(accounts)
    await owner.change(db, other.id, {"admin": False})
    for act in (
        owner.disable(db, ann.id, by=other),
        owner.enable(db, ann.id, by=other),
        owner.change(db, other.id, {"admin": True}, by=other),
        owner.reset(db, ann.id, by=other),
        owner.invite(db, other, admin=True),
    ):
        with pytest.raises(Denied):
            await act


async def test_invitations_of_a_demoted_admin_are_void(accounts: Accounts) -> None:
    admin, other = await an_admin(accounts.db), await an_admin(accounts.db, "other@example.org")
    token = await invited(accounts.db, other, admin=True)
    await owner.change(accounts.db, other.id, {"admin": False}, by=admin)
    with pytest.raises(Denied):
        await signed_up(accounts, invite=token)


async def test_a_daily_limit_is_set_and_given_up_again(accounts: Accounts) -> None:
    admin, ann = await an_admin(accounts.db), await signed_up(accounts)
    for limit in (5, 0, None):
        assert (await owner.change(accounts.db, ann.id, {"daily_tokens": limit}, by=admin)).daily_tokens == limit
    assert (await owner.change(accounts.db, ann.id, {}, by=admin)).daily_tokens is None


async def test_a_reset_ends_the_old_password_at_once_and_its_link_sets_a_new_one_once(accounts: Accounts) -> None:
    admin, ann = await an_admin(accounts.db), await signed_up(accounts)
    _, session = await rules.sign_in(accounts, ann.email, PASSWORD, HERE)
    token, _ = await owner.reset(accounts.db, ann.id, by=admin)
    assert not await works(accounts.db, session, key=False)
    for password in (PASSWORD, ""):
        with pytest.raises(Unauthenticated):
            await rules.sign_in(accounts, ann.email, password, HERE)
    assert (await rules.set_password(accounts, token, NEW, HERE)).id == ann.id
    await rules.sign_in(accounts, ann.email, NEW, HERE)
    with pytest.raises(Denied):
        await rules.set_password(accounts, token, "a third horse", HERE)


async def test_two_who_use_one_reset_link_at_once_set_one_password(accounts: Accounts) -> None:
    admin, ann = await an_admin(accounts.db), await signed_up(accounts)
    token, _ = await owner.reset(accounts.db, ann.id, by=admin)
    uses = [rules.set_password(accounts, token, password, HERE) for password in (NEW, "a thief's horse")]
    outcomes = await asyncio.gather(*uses, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Denied", "User"]


async def test_only_the_newest_reset_link_works(accounts: Accounts) -> None:
    admin, ann = await an_admin(accounts.db), await signed_up(accounts)
    earlier, _ = await owner.reset(accounts.db, ann.id, by=admin)
    later, _ = await owner.reset(accounts.db, ann.id, by=admin)
    with pytest.raises(Denied):
        await rules.set_password(accounts, earlier, NEW, HERE)
    await rules.set_password(accounts, later, NEW, HERE)


async def test_a_weak_password_does_not_use_the_link_up(accounts: Accounts) -> None:
    admin, ann = await an_admin(accounts.db), await signed_up(accounts)
    token, _ = await owner.reset(accounts.db, ann.id, by=admin)
    with pytest.raises(Invalid):
        await rules.set_password(accounts, token, "short", HERE)
    await rules.set_password(accounts, token, NEW, HERE)


async def test_a_reset_link_ends_after_a_day(accounts: Accounts) -> None:
    ann = await signed_up(accounts)
    async with accounts.db.write() as connection:
        await store.add_reset(connection, ann.id, "old", -1)
    with pytest.raises(Denied):
        await rules.set_password(accounts, "old", NEW, HERE)


async def test_a_disabled_account_has_no_reset_link(accounts: Accounts) -> None:
    admin, ann = await an_admin(accounts.db), await signed_up(accounts)
    token, _ = await owner.reset(accounts.db, ann.id, by=admin)
    await owner.disable(accounts.db, ann.id, by=admin)
    with pytest.raises(Denied):
        await rules.set_password(accounts, token, NEW, HERE)
    with pytest.raises(Conflict):
        await owner.reset(accounts.db, ann.id, by=admin)


async def test_an_admin_can_neither_reset_nor_disable_themselves(accounts: Accounts) -> None:
    """Who loses the link would be locked out."""
    admin = await an_admin(accounts.db)
    await an_admin(accounts.db, "other@example.org")
    for act in (owner.reset(accounts.db, admin.id, by=admin), owner.disable(accounts.db, admin.id, by=admin)):
        with pytest.raises(Denied) as refused:
            await act
        assert refused.value.code == "own_account"


async def test_invitations_are_listed_until_they_are_used_or_taken_back(accounts: Accounts) -> None:
    db = accounts.db
    admin = await an_admin(db)
    used, _ = await owner.invite(db, admin, admin=False, note=" for Ann ")
    kept, token = await owner.invite(db, admin, admin=True)
    async with db.write() as connection:
        assert await store.list_invites(connection) == [kept, used]
        await store.void_invite(connection, used.id)
        assert await store.list_invites(connection) == [kept]
        with pytest.raises(NotFound):
            await store.void_invite(connection, used.id)
    assert (used.note, used.created_by, kept.admin) == ("for Ann", "owner@example.org", True)
    assert token not in str(kept)
    await signed_up(accounts, invite=token)
    async with db.read() as connection:
        assert await store.list_invites(connection) == []


async def test_the_setup_link_cannot_be_taken_back_as_an_invitation(accounts: Accounts) -> None:
    await rules.first_admin_link(accounts.db, "http://site.example")
    async with accounts.db.read() as connection:
        assert await store.list_invites(connection) == []


async def test_acts_on_nobody_are_told(accounts: Accounts) -> None:
    admin = await an_admin(accounts.db)
    for nobody in ("user_\x00", "user_" + "0" * 32):
        for act in (
            owner.disable(accounts.db, nobody, by=admin),
            owner.enable(accounts.db, nobody, by=admin),
            owner.change(accounts.db, nobody, {"admin": True}, by=admin),
            owner.reset(accounts.db, nobody, by=admin),
        ):
            with pytest.raises(NotFound):
                await act


async def test_users_are_found_by_any_part_of_their_address(accounts: Accounts) -> None:
    await an_admin(accounts.db)
    await signed_up(accounts)
    async with accounts.db.read() as connection:
        for search, found in (("ann", 1), ("ANN@", 1), ("example", 2), ("%", 0), ("_", 0), ("n@ex", 1), ("", 2)):
            assert len(await store.list_users(connection, limit=10, after=None, search=search)) == found, search


async def test_an_admins_key_for_chatting_decides_nothing(accounts: Accounts) -> None:
    admin = await an_admin(accounts.db)
    with pytest.raises(Denied):
        await owner.invite(accounts.db, Principal(admin.id, "api_key", frozenset({"chat"}), admin=True), admin=True)
