"""The queries of the site's settings."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core.db import UPSERTS, now
from tako.core.site.models import site_settings


async def stored(connection: AsyncConnection) -> dict[str, Any]:
    """What was chosen on the page, by key."""
    rows = await connection.execute(select(site_settings.c.key, site_settings.c.value))
    return {row.key: row.value for row in rows}


async def put(connection: AsyncConnection, key: str, value: object, principal_id: str | None) -> None:
    row = UPSERTS[connection.dialect.name](site_settings).values(
        key=key, value=value, updated_at=now(), updated_by=principal_id
    )
    columns = ("value", "updated_at", "updated_by")
    await connection.execute(
        row.on_conflict_do_update(index_elements=["key"], set_={name: row.excluded[name] for name in columns})
    )
