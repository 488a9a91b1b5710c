"""Tables of the journal. `journal_entries` holds running logs only: what ends is folded elsewhere."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from tako.core.db import Micros, metadata

processes = Table(
    "processes",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(255), nullable=False),  # host:pid, for people
    Column("started_at", Micros, nullable=False),
    Column("beat", Micros, nullable=False),  # grows with every heartbeat; observers count on their own clock
    Column("fenced_at", Micros),  # set by whoever takes its logs over: it may write no more
    Column("revision", BigInteger, nullable=False, server_default="0"),  # grows when somebody takes one of its logs
)

logs = Table(
    "logs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("process_id", ForeignKey("processes.id")),  # null: nobody's turn yet
    Column("epoch", Integer, nullable=False),  # grows with every owner
    Column("ended_at", Micros),
)
Index(
    "logs_running_ix",
    logs.c.process_id,
    sqlite_where=logs.c.ended_at.is_(None),
    postgresql_where=logs.c.ended_at.is_(None),
)

# SQLite has no index here on purpose: only recovery reads it, and a (log, n) key made it write 25 times as much.
journal_entries = Table(
    "journal_entries",
    metadata,
    Column("log_id", String(40), nullable=False),
    Column("n", Integer, nullable=False),
    Column("entry", LargeBinary, nullable=False),
)
Index("journal_entries_log_n_key", journal_entries.c.log_id, journal_entries.c.n, unique=True).ddl_if(
    dialect="postgresql"
)
