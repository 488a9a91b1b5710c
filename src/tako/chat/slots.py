"""How many answers may be made at once, by user and by model, and who is next.

A slot is no thing of its own: it is held by each answer that runs and does not wait, and the lease of a process is the
lease of its answers. So a slot comes free with the end of its answer, also when whoever made it died and somebody else
ends it. The database says who waits; all processes of a site decide from it, one at a time.

The line is in the order of coming, and fair: each answer of one's own that one has already counts as if one had come a
minute later. So who asks much lets others by, and yet is never kept waiting for ever by those who come after.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field

from sqlalchemy import Delete, bindparam, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat.models import responses, waiting
from tako.core.db import now

# What each answer of one's own costs in the line, in microseconds.
MANNERS = 60_000_000
# Any number that nobody else locks in the site's database.
_LOCK = text("SELECT pg_advisory_xact_lock(7260533)")


@dataclass(frozen=True, slots=True)
class Waiting:
    """An answer that waits for a slot. `due` is the moment by which the line is ordered, in microseconds."""

    response_id: str
    principal_id: str
    model: str
    due: int


@dataclass(frozen=True, slots=True)
class Slots:
    """The most answers at once; 0 and models that are not named: no limit."""

    user: int = 0
    models: Mapping[str, int] = field(default_factory=dict)

    def limited(self, model: str) -> bool:
        """Whether an answer of this model may have to wait."""
        return bool(self.user or self.models.get(model))


@dataclass(slots=True)
class Line:
    """Who waits, the next first, and how many run."""

    waiting: list[Waiting]
    by_user: Counter[str]
    by_model: Counter[str]

    def come(self, response_id: str, principal_id: str, model: str, at: int) -> Waiting:
        """One more, at its place."""
        own = self.by_user[principal_id] + sum(one.principal_id == principal_id for one in self.waiting)
        one = Waiting(response_id, principal_id, model, at + MANNERS * own)
        self.waiting.append(one)
        self.waiting.sort(key=lambda one: (one.due, one.response_id))
        return one

    def next(self, slots: Slots) -> list[str]:
        """The answers that may begin now."""
        by_user, by_model = Counter(self.by_user), Counter(self.by_model)
        found = []
        for one in self.waiting:
            most = slots.models.get(one.model, 0)
            if (most and by_model[one.model] >= most) or (slots.user and by_user[one.principal_id] >= slots.user):
                continue
            by_user[one.principal_id] += 1
            by_model[one.model] += 1
            found.append(one.response_id)
        return found

    def begin(self, response_ids: Collection[str]) -> None:
        """These do not wait any more."""
        for one in self.waiting:
            if one.response_id in response_ids:
                self.by_user[one.principal_id] += 1
                self.by_model[one.model] += 1
        self.waiting = [one for one in self.waiting if one.response_id not in response_ids]

    def places(self) -> dict[str, int]:
        """By answer: how many of the same model come before it, plus one."""
        counts: Counter[str] = Counter()
        places = {}
        for one in self.waiting:
            counts[one.model] += 1
            places[one.response_id] = counts[one.model]
        return places


async def line(connection: AsyncConnection) -> Line:
    """As it is, and as it stays until the transaction ends."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_LOCK)
    return await look(connection)


async def look(connection: AsyncConnection) -> Line:
    """As it is now."""
    rows = (await connection.execute(_WAITING)).all()
    running = (await connection.execute(_RUNNING)).all()
    by_user: Counter[str] = Counter()
    by_model: Counter[str] = Counter()
    for principal_id, model, count in running:
        by_user[principal_id] += count
        by_model[model] += count
    return Line([Waiting(*row) for row in rows], by_user, by_model)


async def enter(connection: AsyncConnection, slots: Slots, response_id: str, principal_id: str, model: str) -> bool:
    """Within the transaction that stores the question: whether its answer has to wait."""
    if not slots.limited(model):
        return False
    now_running = await line(connection)
    # It is stored already, and counts as running until it waits.
    now_running.by_user[principal_id] -= 1
    now_running.by_model[model] -= 1
    one = now_running.come(response_id, principal_id, model, now())
    if response_id in now_running.next(slots):
        return False
    await connection.execute(insert(waiting).values(asdict(one)))
    return True


async def leave(connection: AsyncConnection, response_id: str) -> None:
    """It has a slot, or has ended without one."""
    await connection.execute(_LEAVE, {"id": response_id})


async def is_waiting(connection: AsyncConnection, response_id: str) -> bool:
    found = await connection.execute(select(waiting.c.response_id).where(waiting.c.response_id == response_id))
    return found.first() is not None


# Built once: every answer runs one of them.
_LEAVE: Delete = delete(waiting).where(waiting.c.response_id == bindparam("id"))
_WAITING = select(waiting.c.response_id, waiting.c.principal_id, waiting.c.model, waiting.c.due).order_by(
    waiting.c.due, waiting.c.response_id
)
_RUNNING = (
    select(responses.c.principal_id, responses.c.model, func.count())
    .where(
        responses.c.completed_at.is_(None),
        responses.c.purpose == "answer",
        responses.c.id.not_in(select(waiting.c.response_id)),
    )
    .group_by(responses.c.principal_id, responses.c.model)
)
