"""What a store of entries does, and the statements on processes and logs that are the same in both databases."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ColumnElement, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core import ids
from tako.core.db import now
from tako.core.journal.models import journal_entries, logs, processes

# Built once: every answer runs them.
_CREATE = insert(logs)
_FINISH = update(logs).where(
    logs.c.id == bindparam("log"),
    logs.c.epoch == bindparam("owned_epoch"),
    logs.c.process_id == bindparam("owner"),
    logs.c.ended_at.is_(None),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One entry on its way to the database."""

    log_id: str
    epoch: int
    n: int
    entry: bytes


@dataclass(frozen=True, slots=True)
class Sign:
    """A process's latest sign of life. `fenced`: it may write no more."""

    process_id: str
    beat: int
    fenced: bool


@dataclass(frozen=True, slots=True)
class Seized:
    """A log's new epoch, and who had it until now."""

    epoch: int
    owner: str


class Store(Protocol):
    """Where entries are kept while their log runs. One contract suite runs on both implementations."""

    async def open(self, process_id: str) -> None:
        """Get ready to append as that process."""

    async def append(self, rows: Sequence[Row]) -> set[str]:
        """Commit all rows, or none. Returns the ids of logs that this process no longer owns: theirs were left out.

        Safe to call again with the same rows when the outcome of the first call is unknown.
        """

    async def discard(self, connection: AsyncConnection, log_id: str) -> None:
        """Within the transaction that ends a log: its entries are folded elsewhere and need not be kept."""

    async def discarded(self, log_id: str) -> None:
        """After that transaction."""

    async def close(self) -> None: ...


async def register(connection: AsyncConnection) -> str:
    """Begin an incarnation of this process; its id is what it owns logs by."""
    process_id = ids.new("proc")
    name = f"{socket.gethostname()}:{os.getpid()}"
    await connection.execute(insert(processes).values(id=process_id, name=name, started_at=now(), beat=0))
    return process_id


async def leave(connection: AsyncConnection, process_id: str) -> None:
    """This process writes no more: whoever finds a log of it running may have it at once."""
    await connection.execute(
        update(processes).where(processes.c.id == process_id, processes.c.fenced_at.is_(None)).values(fenced_at=now())
    )


async def abandon(connection: AsyncConnection, log_ids: Sequence[str], process_id: str) -> None:
    """These logs of that process are a dead one's from now on, which never lived."""
    nobody = await register(connection)
    await leave(connection, nobody)
    await _adopt(connection, nobody, logs.c.id.in_(log_ids) & (logs.c.process_id == process_id))


async def beat(connection: AsyncConnection, process_id: str) -> list[Sign]:
    """Renew the lease, unless somebody has fenced this process, and see the others': all that may still write, and
    those that may not and have left logs running. Ours is among the first while we have our lease."""
    renewed = (
        update(processes)
        .where(processes.c.id == process_id, processes.c.fenced_at.is_(None))
        .values(beat=processes.c.beat + 1)
        .returning(processes.c.id)
        .cte("renewed")
    )
    owners = select(logs.c.process_id).where(logs.c.ended_at.is_(None))
    signs = select(processes.c.id, processes.c.beat, processes.c.fenced_at.is_not(None).label("fenced")).where(
        or_(processes.c.fenced_at.is_(None), processes.c.id.in_(owners))
    )
    return [Sign(*row) for row in await connection.execute(signs.add_cte(renewed))]


async def create(connection: AsyncConnection, log_id: str, process_id: str) -> int:
    """A new log, owned by that process. Returns its epoch."""
    await connection.execute(_CREATE, {"id": log_id, "process_id": process_id, "epoch": 1})
    return 1


async def finish(connection: AsyncConnection, log_id: str, epoch: int, process_id: str) -> bool:
    """Mark the end, if the log is still that owner's; False when it is not."""
    owned = {"log": log_id, "owned_epoch": epoch, "owner": process_id}
    ended = await connection.execute(_FINISH, {**owned, "ended_at": now()})
    return ended.rowcount == 1


async def holds(connection: AsyncConnection, log_id: str, epoch: int) -> bool:
    """Whether a log runs and has had no other owner since that epoch; so it stays until the transaction ends."""
    held = select(logs.c.id).where(logs.c.id == log_id, logs.c.epoch == epoch, logs.c.ended_at.is_(None))
    return (await connection.execute(held.with_for_update(read=True))).first() is not None


async def take_over_all(connection: AsyncConnection, process_id: str) -> dict[str, int]:
    """Make every running log ours, as the only serving process: {log id: new epoch}."""
    others = processes.c.id != process_id
    await connection.execute(update(processes).where(others, processes.c.fenced_at.is_(None)).values(fenced_at=now()))
    return await _adopt(connection, process_id, logs.c.process_id != process_id)


async def take_over(connection: AsyncConnection, process_id: str, dead: Sign) -> dict[str, int]:
    """Make the running logs of a process ours whose last sign of life was that one: {log id: new epoch}. None are,
    when it has given another since, or somebody else was faster.

    The dead one is fenced FIRST; only a later statement may read what it wrote (see `PostgresStore`).
    """
    fenced = await connection.execute(
        update(processes)
        .where(
            processes.c.id == dead.process_id, or_(processes.c.fenced_at.is_not(None), processes.c.beat == dead.beat)
        )
        .values(fenced_at=now())
    )
    if not fenced.rowcount:
        return {}
    return await _adopt(connection, process_id, logs.c.process_id == dead.process_id)


async def _adopt(connection: AsyncConnection, process_id: str, which: ColumnElement[bool]) -> dict[str, int]:
    adopted = await connection.execute(
        update(logs)
        .where(which, logs.c.ended_at.is_(None))
        .values(process_id=process_id, epoch=logs.c.epoch + 1)
        .returning(logs.c.id, logs.c.epoch)
    )
    return {row.id: row.epoch for row in adopted}


async def seize(connection: AsyncConnection, log_id: str, process_id: str) -> Seized | None:
    """Make one running log ours, whoever has it; None when it runs no more.

    Its owner goes on with its other logs: it only has to look anew which ones those are (see `PostgresStore`).
    """
    while True:
        found = (
            await connection.execute(select(logs.c.process_id).where(logs.c.id == log_id, logs.c.ended_at.is_(None)))
        ).first()
        if found is None:
            return None
        await connection.execute(
            update(processes).where(processes.c.id == found.process_id).values(revision=processes.c.revision + 1)
        )
        epochs = await _adopt(connection, process_id, (logs.c.id == log_id) & (logs.c.process_id == found.process_id))
        if log_id in epochs:
            return Seized(epochs[log_id], found.process_id)


async def owned(connection: AsyncConnection, process_id: str) -> dict[str, int]:
    """The running logs of that process: {log id: epoch}."""
    rows = await connection.execute(
        select(logs.c.id, logs.c.epoch).where(logs.c.process_id == process_id, logs.c.ended_at.is_(None))
    )
    return {row.id: row.epoch for row in rows}


async def taken(connection: AsyncConnection, log_ids: Sequence[str], process_id: str) -> set[str]:
    """Those of them that are somebody else's."""
    rows = await connection.execute(select(logs.c.id).where(logs.c.id.in_(log_ids), logs.c.process_id != process_id))
    return set(rows.scalars())


async def tails(connection: AsyncConnection, log_ids: Sequence[str]) -> dict[str, dict[int, bytes]]:
    """The entries of running logs: {log id: {n: entry}}. One pass over the table (SQLite has no index on it)."""
    wanted = set(log_ids)
    found: dict[str, dict[int, bytes]] = {log_id: {} for log_id in wanted}
    rows = await connection.execute(select(journal_entries).where(journal_entries.c.log_id.in_(list(found))))
    for log_id, n, entry in rows:
        found[log_id][n] = bytes(entry)
    return found


async def sweep(connection: AsyncConnection) -> None:
    """Forget entries of logs that have ended, and fenced processes that own nothing (at start, before any append)."""
    running = select(logs.c.id).where(logs.c.ended_at.is_(None))
    await connection.execute(delete(journal_entries).where(journal_entries.c.log_id.not_in(running)))
