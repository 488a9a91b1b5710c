"""The migrations make the schema that the code was written for."""

from typing import Any

from sqlalchemy import Connection, inspect

from tako import migrations, server  # noqa: F401  # which knows the tables of all apps
from tako.core.db import Database, metadata
from tests.support.postgres import Postgres


def described(connection: Connection) -> dict[str, Any]:
    """All tables as the database itself describes them."""
    inspector = inspect(connection)
    found: dict[str, Any] = {}
    for table in inspector.get_table_names():
        if table != "alembic_version":
            columns = inspector.get_columns(table)
            found[table] = {
                "columns": [(c["name"], repr(c["type"]), c["nullable"], c["default"]) for c in columns],
                "primary key": inspector.get_pk_constraint(table),
                "foreign keys": sorted(inspector.get_foreign_keys(table), key=str),
                "unique": sorted(inspector.get_unique_constraints(table), key=str),
                "indexes": sorted(map(_index, inspector.get_indexes(table))),
                "checks": sorted(inspector.get_check_constraints(table), key=str),
            }
    return found


def _index(index: Any) -> str:
    where = sorted(f"{name}: {value}" for name, value in index["dialect_options"].items())
    return f"{index['name']} {index['column_names']} unique={bool(index['unique'])} {where}"


async def test_the_migrated_schema_is_that_of_the_models(db: Database, request: Any, tmp_path_factory: Any) -> None:
    """Column by column, index by index, partial ones included."""
    if db.dialect == "sqlite":
        fresh = f"sqlite:///{tmp_path_factory.mktemp('fresh') / 'fresh.db'}"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        fresh = server.new_database()
    async with Database(fresh) as other, other.write() as connection:
        await connection.run_sync(metadata.create_all)
        wanted = await connection.run_sync(described)
    async with db.read() as connection:
        migrated = await connection.run_sync(described)
    assert sorted(migrated) == sorted(wanted)
    for table in wanted:
        assert migrated[table] == wanted[table], table


async def test_upgrading_twice_changes_nothing(db: Database) -> None:
    """Every start asks for it."""
    await migrations.upgrade(db.url.render_as_string(hide_password=False))
    async with db.read() as connection:
        assert "conversations" in await connection.run_sync(described)
