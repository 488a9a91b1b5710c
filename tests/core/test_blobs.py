"""Bytes by their hash, on both databases."""

from sqlalchemy import insert

from tako.core import blobs
from tako.core.accounts.models import principals
from tako.core.db import Database


async def owners(db: Database, *names: str) -> None:
    async with db.write() as connection:
        for name in names:
            await connection.execute(insert(principals).values(id=name, kind="user", created_at=0))


async def test_the_same_bytes_are_kept_once_and_for_each_owner_apart(db: Database) -> None:
    """A store that is shared would tell what others have."""
    await owners(db, "user_ann", "user_ben")
    async with db.write() as connection:
        first = await blobs.put(connection, "user_ann", b"\0octopus", "text/plain")
        again = await blobs.put(connection, "user_ann", b"\0octopus", "text/plain")
        assert first == again
        assert await blobs.get(connection, "user_ann", first) == b"\0octopus"
        assert await blobs.get(connection, "user_ben", first) is None


async def test_what_is_kept_again_lives_as_long_as_it_is_wanted_now(db: Database) -> None:
    """And what nobody wants any more goes, of all owners."""
    await owners(db, "user_ann", "user_ben")
    async with db.write() as connection:
        digest = await blobs.put(connection, "user_ann", b"a", "text/plain", expires_at=100)
        await blobs.put(connection, "user_ann", b"a", "text/plain", expires_at=300)
        await blobs.put(connection, "user_ben", b"b", "text/plain", expires_at=100)
        await blobs.put(connection, "user_ben", b"for ever", "text/plain")
        assert await blobs.purge(connection, 200) == 1
        assert await blobs.get(connection, "user_ann", digest) == b"a"
        assert await blobs.purge(connection, 301) == 1
