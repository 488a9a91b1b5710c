"""Where the source's log stands when a snapshot is taken, so that nothing falls between the copy and what follows.

A position is right if everything in the log before it is visible to every read that comes later. What is after it will
be applied again, and applying is idempotent (whole rows by key, delete and insert), so a position may be too early,
never too late.

- MariaDB keeps the log's position with the snapshot: START TRANSACTION WITH CONSISTENT SNAPSHOT, then
  `binlog_snapshot_%`. Snapshot and position are the same instant.
- MySQL adds a transaction to `gtid_executed` after the engine has committed it, so the set read *before* the snapshot
  is always visible in it. The file and offset have no such order: a transaction is in the file before it is visible.
  Rotation waits for all that is prepared, so the beginning of the current file is right, and that is recorded.
  If the set is the same after the snapshot, nothing was committed in between: snapshot and set are one instant.
"""

import msgspec
from msgspec import Struct

from tako.ferry.errors import Blocked, SourceGone
from tako.ferry.source.binlog import events
from tako.ferry.source.connection import Source

TRIES = 20
XA_TRIES = 100  # tenths of a second


class Position(Struct, frozen=True):
    """`exact`: the snapshot holds just what is before this, not more. Empty strings: the server keeps no log."""

    gtid: str
    file: str
    offset: int
    exact: bool
    server_id: str


def begin(source: Source, *, insist: bool) -> Position:
    """Where somebody who follows the copy of a snapshot that is taken next has to begin reading.

    That is before the snapshot, by as much as XA transactions take: their rows are in the log where they are prepared,
    and are seen when they are committed. One that is prepared before the snapshot and committed after it would be in
    neither. So the position is read first, and then all that are prepared are waited for. If some stay so, it raises
    `Blocked`, or, if nobody insists on following, gives a position that says nothing.
    """
    if not int(source.value("SELECT @@log_bin")):
        return Position("", "", 0, True, identity(source))
    at = current(source)
    if not at.gtid and not source.is_mariadb:
        at = _rotated(source)
    waited_for = prepared(source)
    for _ in range(XA_TRIES):
        if not waited_for & prepared(source):
            break
        source.execute("DO SLEEP(0.1)")  # nobody says when one has ended
    else:
        if not insist:
            return Position("", "", 0, False, at.server_id)
        raise Blocked(
            f"An XA transaction of the source is prepared and neither committed nor rolled back: "
            f"{min(waited_for & prepared(source))}. End it (XA RECOVER shows it), then run the same command again."
        )
    # Without GTIDs, MySQL's file is ahead of what can be seen: its beginning is right (see `_mysql`).
    return at if at.gtid or source.is_mariadb else Position("", at.file, 4, False, at.server_id)


def _rotated(source: Source) -> Position:
    """A new file, where the user may have one: the beginning of the old one may be far back, with statements in it that
    the plan knows already."""
    try:
        source.execute("FLUSH BINARY LOGS")
    except SourceGone as error:
        if "denied" not in error.message:
            raise
    return current(source)


def prepared(source: Source) -> frozenset[str]:
    """XA transactions that wait for their end, by the names that the log has; none where the user may not see them."""
    try:
        found = source.rows("XA RECOVER")
    except SourceGone as error:
        if "XA_RECOVER_ADMIN" in error.message or "Access denied" in error.message:
            return frozenset()
        raise
    return frozenset(events.xid(_raw(name)[:first], _raw(name)[first:], kind) for kind, first, _, name in found)


def _raw(name: object) -> bytes:
    return name if isinstance(name, bytes) else str(name).encode()


def snapshot(source: Source, *, exact: bool = False) -> Position:
    """Open a transaction that reads one instant, and say where in the log that is.

    With `exact` it says so exactly, if need be with a lock on all tables for the moment of it.
    """
    source.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    if not int(source.value("SELECT @@log_bin")):
        source.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        return Position("", "", 0, True, identity(source))
    if source.is_mariadb:
        return _mariadb(source)
    at = _mysql(source)
    return _locked(source) if exact and not at.exact else at


def _locked(source: Source) -> Position:
    """No transaction can commit while the position and the snapshot are taken. Waits for long statements, 3 s."""
    source.execute("ROLLBACK")
    source.execute("SET SESSION lock_wait_timeout = 3")
    source.execute("FLUSH TABLES WITH READ LOCK")
    try:
        at = current(source)
        source.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    finally:
        source.execute("UNLOCK TABLES")
    return msgspec.structs.replace(at, exact=True)


def current(source: Source) -> Position:
    """Not before anything that was read until now."""
    if not int(source.value("SELECT @@log_bin")):
        return Position("", "", 0, False, identity(source))
    if source.is_mariadb:
        ((file, offset, *_),) = source.rows("SHOW MASTER STATUS")
        return Position(
            str(source.value("SELECT @@gtid_binlog_pos") or ""), str(file), int(offset), False, identity(source)
        )
    ((file, offset, gtid),) = source.rows(
        "SELECT local->>'$.binary_log_file', local->>'$.binary_log_position', local->>'$.gtid_executed' "
        "FROM performance_schema.log_status"
    )
    return Position("".join(str(gtid or "").split()), str(file), int(offset), False, identity(source))


def _mariadb(source: Source) -> Position:
    source.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    status = dict(source.rows("SHOW STATUS LIKE 'binlog_snapshot_%'"))
    file, offset = str(status["Binlog_snapshot_file"]), int(status["Binlog_snapshot_position"])
    gtid = source.value("SELECT BINLOG_GTID_POS(%s, %s)", (file, offset))
    return Position(str(gtid or ""), file, offset, True, identity(source))


def _mysql(source: Source) -> Position:
    for _ in range(TRIES):
        before = _log_status(source)
        source.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        if before[1] and _log_status(source)[1] == before[1]:
            return Position(before[1], before[0], 4, True, identity(source))
    return Position(before[1], before[0], 4, False, identity(source))


def _log_status(source: Source) -> tuple[str, str]:
    """The current file and the executed set, of one moment."""
    ((file, gtid),) = source.rows(
        "SELECT local->>'$.binary_log_file', local->>'$.gtid_executed' FROM performance_schema.log_status"
    )
    return str(file), "".join(str(gtid or "").split())


def lacking(source: Source, gtid: str) -> str:
    """Transactions of the set that this server never had. MariaDB looks for itself when it is asked for its log; MySQL
    misses only those with its own name."""
    if source.is_mariadb:
        return ""
    found = source.value("SELECT GTID_SUBTRACT(%s, @@global.gtid_executed)", [gtid])
    return "".join(str(found or "").split())


def identity(source: Source) -> str:
    """Which server this is: file names and offsets mean nothing on another one."""
    return str(source.value("SELECT @@server_id" if source.is_mariadb else "SELECT @@server_uuid"))
