"""Bytes kept by their hash, each owner's apart from all others' (a shared store would tell what others have)."""

import hashlib

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, String, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tako.core.db import UPSERTS, Micros, metadata, now

blobs = Table(
    "blobs",
    metadata,
    Column("owner_id", ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("type", String(100), nullable=False),
    Column("size", Micros, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros),
    Index("blobs_expires_at_ix", "expires_at"),
)


# Built once: every answer outside of a conversation runs it.
_PUT = {
    dialect: row.on_conflict_do_update(
        index_elements=["owner_id", "hash"], set_={"expires_at": row.excluded.expires_at}
    )
    for dialect, insert in UPSERTS.items()
    for row in [insert(blobs)]
}


async def put(
    connection: AsyncConnection, owner_id: str, data: bytes, media_type: str, *, expires_at: int | None = None
) -> str:
    """Keep `data` at least until `expires_at` (microseconds; None: for ever). Returns its SHA-256 in hex."""
    digest = hashlib.sha256(data).hexdigest()
    row = {
        "owner_id": owner_id,
        "hash": digest,
        "type": media_type,
        "size": len(data),
        "data": data,
        "created_at": now(),
        "expires_at": expires_at,
    }
    await connection.execute(_PUT[connection.dialect.name], row)
    return digest


async def get(connection: AsyncConnection, owner_id: str, digest: str) -> bytes | None:
    found = await connection.execute(select(blobs.c.data).where(blobs.c.owner_id == owner_id, blobs.c.hash == digest))
    row = found.first()
    return bytes(row.data) if row else None


async def purge(connection: AsyncConnection, before: int) -> int:
    """Delete what expired before `before` (microseconds). Returns how many."""
    return (await connection.execute(delete(blobs).where(blobs.c.expires_at < before))).rowcount
