"""The queries of the site's settings."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core import ids
from tako.core.db import now
from tako.core.site.models import site_settings

# Not a setting: another value after each change of what processes keep in memory of the owner's page.
_REVISION = "revision"


async def stored(connection: AsyncConnection) -> dict[str, Any]:
    """What was chosen on the page, by key."""
    rows = await connection.execute(select(site_settings.c.key, site_settings.c.value))
    return {row.key: row.value for row in rows if row.key != _REVISION}


async def put(connection: AsyncConnection, key: str, value: object, principal_id: str | None) -> None:
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    row = insert(site_settings).values(key=key, value=value, updated_at=now(), updated_by=principal_id)
    columns = ("value", "updated_at", "updated_by")
    await connection.execute(
        row.on_conflict_do_update(index_elements=["key"], set_={name: row.excluded[name] for name in columns})
    )


async def mark_changed(connection: AsyncConnection, principal_id: str | None) -> None:
    """Make other processes read again what they keep in memory; part of the transaction that changes it."""
    await put(connection, _REVISION, ids.new("rev"), principal_id)


async def revision(connection: AsyncConnection) -> str | None:
    """Another value than before where something has changed."""
    query = select(site_settings.c.value).where(site_settings.c.key == _REVISION)
    return (await connection.execute(query)).scalar()
