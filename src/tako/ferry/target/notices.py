"""What is told of a migration, heard without a thread: for a server that shows it while it goes on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from tako.ferry.target.connection import CHANNEL, arguments, told, without_password


class Notices:
    """A session that hears what `Target.tell` tells."""

    def __init__(self, connection: "psycopg.AsyncConnection[tuple[Any, ...]]", shown: str) -> None:
        self._connection = connection
        self._shown = shown

    async def next(self, patience: float | None) -> bool:
        """Wait until something was told, which everything that was told meanwhile belongs to. False if nothing was
        within `patience` seconds. Raises `TargetGone`."""
        with told(self._shown):
            heard = [notice async for notice in self._connection.notifies(timeout=patience, stop_after=1)]
            async for _ in self._connection.notifies(timeout=0):
                pass
        return bool(heard)


@asynccontextmanager
async def listening(url: str, patience: int) -> AsyncIterator[Notices]:
    """For the time of the block. Raises `TargetGone`, also when the server says nothing for `patience` seconds."""
    shown = without_password(url)
    with told(shown):
        connection = await psycopg.AsyncConnection.connect(url, **arguments(url, patience))  # type: ignore[arg-type]
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}".encode())
            yield Notices(connection, shown)
