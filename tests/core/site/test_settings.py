"""What an admin chooses on the page counts at once and after a restart, except where configuration speaks."""

import asyncio

import pytest

from tako.core.accounts import owner
from tako.core.accounts.principal import Principal, user_scopes
from tako.core.db import Database
from tako.core.errors import Denied, Invalid
from tako.core.site.settings import Choices, FixedSetting, SiteSettings

CONFIGURED = Choices("Tako", "invite", 0, None)


@pytest.fixture
async def admin(db: Database) -> Principal:
    user = await owner.create_user(db, "owner@example.org", "correct horse", admin=True)
    return Principal(user.id, "user", user_scopes(admin=True), admin=True)


async def restarted(db: Database, fixed: dict[str, str] | None = None) -> SiteSettings:
    site = SiteSettings(db, CONFIGURED, fixed or {})
    await site.load()
    return site


async def test_without_a_choice_the_configuration_counts(db: Database) -> None:
    assert (await restarted(db)).current == CONFIGURED


async def test_a_choice_counts_at_once_and_after_a_restart(db: Database, admin: Principal) -> None:
    site = await restarted(db)
    wanted = {"site_name": "  章魚 🐙 ", "registration": "open", "daily_tokens": 5, "title_model": "small"}
    assert await site.change(admin, wanted) == Choices("章魚 🐙", "open", 5, "small")
    assert (await restarted(db)).current == site.current == Choices("章魚 🐙", "open", 5, "small")


async def test_a_choice_can_be_taken_back(db: Database, admin: Principal) -> None:
    site = await restarted(db)
    await site.change(admin, {"title_model": "small"})
    await site.change(admin, {"title_model": None})
    assert (await restarted(db)).current.title_model is None


async def test_what_is_configured_wins_and_says_where_it_is_set(db: Database, admin: Principal) -> None:
    site = await restarted(db, {"site_name": "tako.toml"})
    with pytest.raises(FixedSetting, match=r"site_name is set in tako\.toml"):
        await site.change(admin, {"site_name": "Mine", "daily_tokens": 5})
    assert site.current == CONFIGURED


async def test_a_form_that_sends_fixed_settings_unchanged_is_taken(db: Database, admin: Principal) -> None:
    site = await restarted(db, {"site_name": "tako.toml"})
    assert (await site.change(admin, {"site_name": "Tako", "daily_tokens": 5})).daily_tokens == 5


async def test_a_choice_that_configuration_hides_is_kept_for_later(db: Database, admin: Principal) -> None:
    await (await restarted(db)).change(admin, {"site_name": "Mine"})
    assert (await restarted(db, {"site_name": "TAKO_SITE_NAME"})).current.site_name == "Tako"
    assert (await restarted(db)).current.site_name == "Mine"


async def test_a_site_needs_a_name_on_one_line(db: Database, admin: Principal) -> None:
    site = await restarted(db)
    for name in ("", "   ", "x" * 61, "two\nlines", "nul\x00", "turned \u202e round", "half \ud800"):
        with pytest.raises(Invalid) as refused:
            await site.change(admin, {"site_name": name})
        assert refused.value.param == "site_name"
    assert (await restarted(db)).current == CONFIGURED


async def test_only_admins_choose(db: Database) -> None:
    user = Principal("user_1", "user", user_scopes(admin=False))
    with pytest.raises(Denied):
        await (await restarted(db)).change(user, {"site_name": "Mine"})


async def test_two_admins_choose_at_once_and_what_counts_is_what_is_stored(db: Database, admin: Principal) -> None:
    site = await restarted(db)
    await asyncio.gather(*(site.change(admin, {"site_name": f"Name {n}", "daily_tokens": n}) for n in range(1, 9)))
    assert site.current == (await restarted(db)).current
    assert site.current.site_name == f"Name {site.current.daily_tokens}"
