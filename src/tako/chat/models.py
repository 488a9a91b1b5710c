"""Tables of the chat. A message stores its parent only; its siblings and children are derived."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from tako.core.db import Micros, metadata

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("principal_id", ForeignKey("principals.id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("title_wanted", Boolean, nullable=False),  # a model is to make one; until then it is cut from the question
    Column("version", Integer, nullable=False),  # grows with every change that a list or an open page shows
    Column("metadata", JSON, nullable=False),
    Column("leaf_id", String(40)),  # the message that the next post follows; no key, since messages refer back here
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    Column("deleted_at", Micros),
    Index("conversations_principal_id_updated_at_ix", "principal_id", "updated_at"),
)
Index(
    "conversations_title_wanted_ix",
    conversations.c.id,
    sqlite_where=conversations.c.title_wanted.is_(True),
    postgresql_where=conversations.c.title_wanted.is_(True),
)

messages = Table(
    "messages",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("conversation_id", ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("parent_id", ForeignKey("messages.id", ondelete="CASCADE"), index=True),
    Column("role", String(16), nullable=False),
    Column("model", String(200)),
    Column("status", String(16), nullable=False),
    Column("token_count", Integer),  # of this message alone
    Column("reason", String(64)),  # why it is incomplete or cancelled
    Column("error", JSON(none_as_null=True)),  # why it failed: code and message
    Column("created_at", Micros, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("message_id", ForeignKey("messages.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("type", String(32), nullable=False),
    Column("content", JSON, nullable=False),
    Column("text", Text, nullable=False),  # what people read and search
    Column("deleted_at", Micros),
)

responses = Table(
    "responses",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("principal_id", ForeignKey("principals.id", ondelete="CASCADE"), nullable=False),
    Column("conversation_id", ForeignKey("conversations.id", ondelete="CASCADE"), index=True),
    Column("message_id", ForeignKey("messages.id", ondelete="CASCADE"), index=True),
    Column("previous_response_id", String(40)),
    Column("purpose", String(16), nullable=False),  # answer, title
    Column("status", String(16), nullable=False),
    Column("background", Boolean, nullable=False),
    Column("store", Boolean, nullable=False),
    Column("wire", Integer, nullable=False),
    Column("model", String(200), nullable=False),
    Column("ask", JSON, nullable=False),  # what the provider is asked besides the history: see chat.responses.Ask
    Column("input_hash", String(64)),  # the blob with its input items, where no conversation holds them
    Column("created", LargeBinary, nullable=False),  # entry 0 of its log
    Column("fold", LargeBinary),  # the whole log, once it has ended
    Column("usage", JSON),
    Column("reserved_tokens", Integer, nullable=False),
    Column("input_tokens", Integer, nullable=False),  # as counted or estimated when it was asked for
    Column("idempotency_key", String(255)),
    Column("request_hash", String(64)),
    Column("created_at", Micros, nullable=False),
    Column("completed_at", Micros),
    Column("expires_at", Micros),
    Column("deleted_at", Micros),
    Index("responses_idempotency_key", "principal_id", "idempotency_key", unique=True),
    Index("responses_expires_at_ix", "expires_at"),
)
Index(
    "responses_running_ix",
    responses.c.conversation_id,
    sqlite_where=responses.c.completed_at.is_(None),
    postgresql_where=responses.c.completed_at.is_(None),
)

# Answers that wait for a slot: more were asked for than a user or a model may have at once.
waiting = Table(
    "waiting",
    metadata,
    Column("response_id", ForeignKey("responses.id", ondelete="CASCADE"), primary_key=True),
    Column("principal_id", String(40), nullable=False),
    Column("model", String(200), nullable=False),
    Column("due", Micros, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("response_id", ForeignKey("responses.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("provider", String(100), nullable=False),
    Column("upstream_id", String(200)),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("started_at", Micros, nullable=False),
    Column("ended_at", Micros),
    Column("outcome", String(64)),  # an ending, an error code, or "lost" when its process died
)

# Append-only: one row per response, summing its attempts. It outlives what it bills.
ledger = Table(
    "ledger",
    metadata,
    Column("response_id", String(40), primary_key=True),
    Column("principal_id", String(40), nullable=False),
    Column("model", String(200), nullable=False),
    Column("provider", String(100), nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("reasoning_tokens", Integer, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Micros, nullable=False),
    Index("ledger_principal_id_created_at_ix", "principal_id", "created_at"),
    Index("ledger_created_at_ix", "created_at"),
)

# Tokens of one principal on one day (UTC, days since 1970): reserved when asked, settled at the end.
quotas = Table(
    "quotas",
    metadata,
    Column("principal_id", ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("used", Micros, nullable=False),
    Column("reserved", Micros, nullable=False),
)

# Upstreams that were added on the owner's page; those of tako.toml are not here.
providers = Table(
    "providers",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),  # a preset
    Column("base_url", String(500), nullable=False),
    Column("api_key", String(500)),  # as it is: see docs/models.md
    Column("created_at", Micros, nullable=False),
)

# What those upstreams answer with.
provider_models = Table(
    "provider_models",
    metadata,
    Column("id", String(200), primary_key=True),  # what clients send
    Column("provider_id", ForeignKey("providers.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("upstream_model", String(200), nullable=False),
    Column("name", String(100), nullable=False),
    Column("context_tokens", Integer, nullable=False),
    Column("max_output_tokens", Integer, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("slots", Integer, nullable=False, server_default="0"),  # answers at once; 0 for no limit
)

# How a model is offered, wherever it was configured; a model without a row is offered to everybody.
offers = Table(
    "offers",
    metadata,
    Column("model_id", String(200), primary_key=True),
    Column("position", Integer),  # null: after those that have one
    Column("enabled", Boolean, nullable=False),
    Column("admins_only", Boolean, nullable=False),
)
