"""Background tasks with an owner: they run while a block runs, and end with it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

_log = structlog.get_logger("tako.chores")


@asynccontextmanager
async def running(**chores: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Tasks named by the keywords, which go on until the block is left."""
    tasks = [asyncio.create_task(chore, name=name) for name, chore in chores.items()]
    for task in tasks:
        task.add_done_callback(_died)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _died(chore: "asyncio.Task[None]") -> None:
    """A bug: no chore ends by itself. What is being answered goes on, and the log says what is missing from now on."""
    if not chore.cancelled():
        _log.error("chore_died", chore=chore.get_name(), exc_info=chore.exception(), next_step="restart the server")
