"""The schema's history. Alembic is imported only when the database is not at the newest revision: it costs a second."""

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tako.core.db import Database
from tako.core.errors import Misconfigured, Unavailable

HEAD = "0004"
# "tako" in ASCII: advisory locks are named by numbers, which all programs of a database share.
_LOCK = 0x74616B6F


async def upgrade(database_url: str) -> None:
    """Bring the schema to `HEAD`; cheap when it is there. Raises `Misconfigured` where that cannot be."""
    async with Database(database_url) as db:
        try:
            async with db.read() as connection:
                current = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
        except Unavailable as error:
            said = " ".join(str(getattr(error.__cause__, "orig", error.message)).split())
            raise Misconfigured(f"The database does not answer: {said} Check database_url.") from error
        except DBAPIError:
            current = None  # an empty database has no such table
        if current == HEAD:
            return
        if current is not None and current > HEAD:
            raise Misconfigured(
                f"This database was used by a newer release (schema {current}, this release knows {HEAD}). "
                "Install that release again, or restore a backup."
            )
        await _run(db)


async def _run(db: Database) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import Connection

    def migrate(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with db.write() as connection:
        if db.dialect == "postgresql":  # several processes may start at once; the others then find it done
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(migrate)
