"""The settings that an admin may change on the page: from configuration where it speaks, else from the database.

What a flag, a variable or tako.toml says wins, and the page can only show it: were it the other way round, an edited
file would do nothing, and nobody would see why. What was chosen on the page before stays stored, and counts again once
the file is silent; `tako config` shows both.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import structlog

from tako.core import names
from tako.core.accounts.principal import Principal, authorize
from tako.core.bus import SITE, Alone, Bus
from tako.core.db import Database
from tako.core.errors import Conflict
from tako.core.site import store

_log = structlog.get_logger("tako.site")

Registration = Literal["open", "invite", "closed"]
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Choices:
    """`daily_tokens` is for users without a limit of their own, 0 for none; `title_model` None takes the model of the
    conversation."""

    site_name: str
    registration: Registration
    daily_tokens: int
    title_model: str | None


KEYS = tuple(Choices.__dataclass_fields__)


class FixedSetting(Conflict):
    """It is set where the page cannot change it."""


class SiteSettings:
    """The choices that count now. `configured` is what they are without the page; `fixed` says for each key that the
    page cannot change where it is set (a flag, a variable, a file)."""

    def __init__(self, db: Database, configured: Choices, fixed: Mapping[str, str], bus: Bus | None = None) -> None:
        self.current = configured
        self.fixed = fixed
        self.db = db
        self.bus = bus or Alone()
        self._configured = configured
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """Read what was chosen on the page."""
        async with self._changing:
            await self._load()

    async def change(self, principal: Principal, changes: Mapping[str, Any]) -> Choices:
        """Set what differs. Raises `Denied`, `FixedSetting`, `Invalid`."""
        authorize(principal, "admin")
        if "site_name" in changes:
            changes = {**changes, "site_name": names.normal(changes["site_name"], "site_name", most=LONGEST_NAME)}
        async with self._changing:
            before = asdict(self.current)
            changes = {key: value for key, value in changes.items() if before[key] != value}
            for key in changes:
                if key in self.fixed:
                    raise FixedSetting(
                        f"{key} is set in {self.fixed[key]}, which wins; change it there and restart.",
                        code="fixed_setting",
                        param=key,
                    )
            if changes:
                async with self.db.write() as connection:
                    for key, value in changes.items():
                        await store.put(connection, key, value, principal.id)
                _log.info("site_changed", keys=sorted(changes), by=principal.id)
                await self._load()
                self.bus.tell(SITE, principal.id)
        return self.current

    async def _load(self) -> None:
        async with self.db.read() as connection:
            stored = await store.stored(connection)
        free = {key: value for key, value in stored.items() if key in KEYS and key not in self.fixed}
        self.current = replace(self._configured, **free)
