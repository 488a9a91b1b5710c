"""Alembic's entry: runs on the connection that `tako.migrations.upgrade` gives it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
