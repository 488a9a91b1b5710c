"""How many answers a model that an owner has added makes at once."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("provider_models", sa.Column("slots", sa.Integer(), nullable=False, server_default="0"))
