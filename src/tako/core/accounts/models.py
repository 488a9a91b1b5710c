"""Who may ask: principals, and the things that prove who somebody is."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, String, Table

from tako.core.db import Micros, metadata

principals = Table(
    "principals",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("kind", String(16), nullable=False),  # user, guest, system
    Column("created_at", Micros, nullable=False),
    Column("disabled_at", Micros),
)

users = Table(
    "users",
    metadata,
    Column("id", ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),  # folded to lower case
    Column("password_hash", String(255), nullable=False),  # argon2id, PHC string
    Column("admin", Boolean, nullable=False),
    Column("daily_tokens", Micros),  # null: the site's default
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("principal_id", ForeignKey("principals.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
    Column("revoked_at", Micros),
    Index("sessions_revoked_at_ix", "revoked_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("principal_id", ForeignKey("principals.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("hint", String(24), nullable=False),  # the first and last characters, to tell keys apart
    Column("scopes", String(255), nullable=False),  # space-separated
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros),
    Column("revoked_at", Micros),
    Index("api_keys_revoked_at_ix", "revoked_at"),
)

invites = Table(
    "invites",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("note", String(100), nullable=False),  # whom it is for
    Column("admin", Boolean, nullable=False),
    Column("created_by", ForeignKey("principals.id", ondelete="CASCADE")),  # null: the first start made it
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
    Column("used_at", Micros),
)

# Links that let somebody set a new password, once.
resets = Table(
    "resets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
    Column("used_at", Micros),
)
