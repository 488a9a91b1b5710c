"""What the site's answers have cost, by day, model and user."""

from sqlalchemy import insert, update

from tako.chat.models import ledger as table
from tako.chat.owner import ledger
from tako.chat.owner.ledger import DAYS, NOTHING, Sum
from tako.chat.quota import DAY
from tako.chat.responses import Chat
from tako.core.accounts.principal import Principal
from tako.core.db import now
from tests.chat.owner.conftest import ask, ended, person
from tests.support.upstream import Finish, Say, Upstream


async def bill(chat: Chat, n: int, principal_id: str, at: int, tokens: tuple[int, int], model: str = "fixed") -> None:
    async with chat.db.write() as connection:
        await connection.execute(
            insert(table).values(
                response_id=f"resp_{n}",
                principal_id=principal_id,
                model=model,
                provider="file",
                input_tokens=tokens[0],
                output_tokens=tokens[1],
                cached_tokens=0,
                reasoning_tokens=0,
                estimated=False,
                attempts=1,
                created_at=at,
            )
        )


async def test_without_answers_there_are_thirty_empty_days(chat: Chat) -> None:
    async with chat.db.read() as connection:
        usage = await ledger.usage(connection, at=100 * DAY + 5)
    assert [day for day, _ in usage.days] == list(range(71, 101))
    assert {total for _, total in usage.days} == {NOTHING}
    assert (usage.models, usage.users) == ((), ())


async def test_days_models_and_users_are_summed_and_what_is_older_is_not(chat: Chat, admin: Principal) -> None:
    today = 1000
    ann = await person(chat.db, "ann@example.org")
    await bill(chat, 1, ann.id, today * DAY, (1, 10))
    await bill(chat, 2, ann.id, today * DAY + DAY - 1, (2, 20), model="other")
    await bill(chat, 3, admin.id, (today - 1) * DAY, (300, 3000))
    await bill(chat, 4, "user_gone", (today - DAYS + 1) * DAY, (4, 40))
    await bill(chat, 5, ann.id, (today - DAYS + 1) * DAY - 1, (5, 50))
    async with chat.db.read() as connection:
        usage = await ledger.usage(connection, at=today * DAY + 77)
    assert [total for _, total in usage.days if total != NOTHING] == [Sum(1, 4, 40), Sum(1, 300, 3000), Sum(2, 3, 30)]
    assert [(line.of, line.today, line.month) for line in usage.models] == [
        ("fixed", Sum(1, 1, 10), Sum(3, 305, 3050)),
        ("other", Sum(1, 2, 20), Sum(1, 2, 20)),
    ]
    assert [(line.label, line.today, line.month) for line in usage.users] == [
        ("owner@example.org", NOTHING, Sum(1, 300, 3000)),
        (None, NOTHING, Sum(1, 4, 40)),
        ("ann@example.org", Sum(2, 3, 30), Sum(2, 3, 30)),
    ]


async def test_an_answer_is_in_the_report_and_among_todays_tokens_when_it_ends(
    chat: Chat, admin: Principal, upstream: Upstream
) -> None:
    upstream.script = [Say("hello"), Finish(usage=(7, 11))]
    await ended(chat, admin, await ask(chat, admin, "fixed"))
    async with chat.db.read() as connection:
        usage = await ledger.usage(connection, now())
        tokens = await ledger.tokens_on(connection, now(), [admin.id, "user_gone"])
    assert [(line.of, line.month) for line in usage.models] == [("fixed", Sum(1, 7, 11))]
    assert tokens == {admin.id: 18}


async def test_sums_of_many_tokens_do_not_overflow(chat: Chat, admin: Principal) -> None:
    for n in range(3):
        await bill(chat, n, admin.id, 5 * DAY, (2**31 - 1, 2**31 - 1))
    async with chat.db.write() as connection:
        await connection.execute(update(table).values(output_tokens=2**31 - 1))
        usage = await ledger.usage(connection, 5 * DAY)
    assert usage.days[-1][1] == Sum(3, 3 * (2**31 - 1), 3 * (2**31 - 1))
