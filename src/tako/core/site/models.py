"""What was chosen on the owner's page."""

from sqlalchemy import JSON, Column, ForeignKey, String, Table

from tako.core.db import Micros, metadata

site_settings = Table(
    "site_settings",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("updated_at", Micros, nullable=False),
    Column("updated_by", ForeignKey("principals.id", ondelete="SET NULL")),
)
