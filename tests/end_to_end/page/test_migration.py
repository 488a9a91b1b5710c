"""A migration before the owner's eyes: a real `tako ferry`, and a page that nobody reloads."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from tests.conftest import Site
from tests.support.ferry import Ferry
from tests.support.migration import Migration
from tests.support.mysqld import Mysqld
from tests.support.page import set_up
from tests.support.postgres import Postgres

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.timeout(200),
    pytest.mark.asyncio(loop_scope="session"),
]

SITE = (
    "CREATE TABLE posts (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, body varchar(200) NOT NULL)",
    "INSERT INTO posts (body) SELECT CONCAT('post ', seq, REPEAT('.', 150)) FROM seq_1_to_6000",
    "ANALYZE TABLE posts",
)
# Small pieces with a pause after each: the copy takes two seconds, and is seen on its way.
RULES = "[target]\nschema = 'site'\n[copy]\nchunk_bytes = 65536\nmax_mb_per_s = 0.5\n"


@pytest.fixture
def ferry(tmp_path: Path, mariadb_server: Mysqld, postgres: Postgres) -> Ferry:
    name = mariadb_server.new_database()
    with contextlib.closing(mariadb_server.connect(name)) as connection, connection.cursor() as cursor:
        for statement in SITE:
            cursor.execute(statement)
    return Ferry(tmp_path, mariadb_server.url(name), postgres.new_database(), RULES)


@pytest_asyncio.fixture(loop_scope="session")
async def tab(serve: Callable[..., Site], context: BrowserContext, tmp_path: Path) -> AsyncIterator[Page]:
    """The owner's, where a migration is to be seen."""
    site = serve(f'ferry_plan = "{tmp_path / "plan.json"}"')
    await site.server.start()
    await set_up(context, site.server)
    tab = await context.new_page()
    await tab.goto(f"{site.server.url}/owner/models")
    await tab.get_by_role("link", name="Migration").click()
    await expect(tab.get_by_role("heading", name="There is no plan yet.")).to_be_visible()
    yield tab


async def test_it_moves_without_a_reload_and_is_the_same_after_one(
    tab: Page, ferry: Ferry, mariadb_server: Mysqld
) -> None:
    """From the plan, through the copy, to the seconds in which nothing could be written."""
    (await asyncio.to_thread(ferry.plan)).well()
    await tab.reload()
    await expect(tab.get_by_role("heading", name="The plan is made.")).to_be_visible()
    await tab.evaluate("window.stays = true")
    with ferry.start("run", ferry.source, ferry.target, "--json") as process:
        try:
            bar = tab.get_by_role("progressbar", name="Progress of posts")
            await expect(bar).to_be_visible()
            await expect(tab.locator("[aria-current=step]")).to_have_text("2Copying")
            seen = await bar.get_attribute("aria-valuenow")
            await expect(bar).not_to_have_attribute("aria-valuenow", seen or "")
            await expect(tab.get_by_role("heading", name="What is written to the source")).to_be_visible()
            await expect(tab.get_by_text("6,000 rows")).to_be_visible()
            await expect(tab.locator(".checks .open")).to_have_count(1)
            await expect(tab.locator(".checks .open")).to_contain_text("tako ferry verify --live")
            assert await tab.evaluate("window.stays") is True

            await tab.reload()
            await expect(tab.locator("[aria-current=step]")).to_have_text("3Following")
            await expect(tab.get_by_text("6,000 rows")).to_be_visible()
            await tab.evaluate("window.stays = true")
            (await asyncio.to_thread(ferry.verify, "--live")).well()
            await expect(tab.get_by_role("heading", name="Nothing is in the way")).to_be_visible()
            (await asyncio.to_thread(ferry.run, "cutover")).well()
            await expect(tab.get_by_text("Nothing could be written for")).to_be_visible()
            await expect(tab.get_by_role("row", name="Stop writes to the source")).to_be_visible()
            assert await tab.evaluate("window.stays") is True
        finally:
            process.send_signal(signal.SIGKILL)
            with contextlib.closing(mariadb_server.connect()) as connection, connection.cursor() as cursor:
                cursor.execute("SET GLOBAL read_only = OFF")
    await tab.reload()
    await expect(tab.get_by_role("heading", name="The site is on PostgreSQL.")).to_be_visible()


async def test_the_last_that_was_seen_stays_with_a_notice_while_the_target_is_away(
    tab: Page, tmp_path: Path, postgres: Postgres
) -> None:
    """Through a reload, too; and the command of what helps is copied, not typed."""
    with Migration(tmp_path, postgres.new_database()) as moving:
        await stays(tab, moving)


async def test_who_is_silent_at_work_is_not_taken_for_gone(tab: Page, tmp_path: Path, postgres: Postgres) -> None:
    """Indexes take minutes, and nobody says meanwhile how far behind the stream is: a second ferry would not help."""
    with Migration(tmp_path, postgres.new_database()) as moving:
        moving.answer()
        moving.begin()
        moving.copy_the_rest()
        moving.follow(0.2, 310)
        moving.target.execute("UPDATE ferry.streams SET heard_at = now() - interval '1 hour'")
        await tab.reload()
        await expect(tab.get_by_role("heading", name="Ferry is at work.")).to_be_visible()
        await expect(tab.get_by_text("tako ferry follow")).to_have_count(0)
        moving.fall_silent()
        await expect(tab.get_by_role("heading", name="Nobody follows the source now.")).to_be_visible()
        await expect(tab.get_by_text("tako ferry follow")).to_have_count(2)


async def stays(tab: Page, moving: Migration) -> None:
    moving.answer()
    moving.begin()
    moving.copy("users", 1000)
    await tab.reload()
    await expect(tab.get_by_text("1,000 of about 310,400 rows")).to_be_visible()
    moving.deny()
    await expect(tab.get_by_text("The target does not answer.")).to_be_visible()
    await tab.reload()
    await expect(tab.get_by_text("The target does not answer.")).to_be_visible()
    await expect(tab.get_by_text("1,000 of about 310,400 rows")).to_be_visible()
    moving.admit()
    await expect(tab.get_by_text("The target does not answer.")).to_be_hidden()
    await expect(tab.get_by_role("heading", name="Nobody is copying now.")).to_be_visible()
    await tab.locator(".now").get_by_role("button", name="Copy").click()
    copied = await tab.evaluate("navigator.clipboard.readText()")
    assert copied == f"tako ferry run mysql://ferry@db.example.org:3306/nekobox '{moving.url}' -o {moving.file}"
