"""Processes that serve one site together: one may take a single log of another."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("processes", sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))
