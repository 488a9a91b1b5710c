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

from msgspec import Struct

from tako.ferry.source.connection import Source

TRIES = 20


class Position(Struct, frozen=True):
    """`exact`: the snapshot holds just what is before this, not more. Empty strings: the server keeps no log."""

    gtid: str
    file: str
    offset: int
    exact: bool
    server_id: str


def snapshot(source: Source) -> Position:
    """Open a transaction that reads one instant, and say where in the log that is."""
    source.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    if not int(source.value("SELECT @@log_bin")):
        source.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        return Position("", "", 0, True, _identity(source))
    return _mariadb(source) if source.is_mariadb else _mysql(source)


def current(source: Source) -> Position:
    """Not before anything that was read until now."""
    if not int(source.value("SELECT @@log_bin")):
        return Position("", "", 0, False, _identity(source))
    if source.is_mariadb:
        ((file, offset, *_),) = source.rows("SHOW MASTER STATUS")
        return Position(
            str(source.value("SELECT @@gtid_binlog_pos") or ""), str(file), int(offset), False, _identity(source)
        )
    ((file, offset, gtid),) = source.rows(
        "SELECT local->>'$.binary_log_file', local->>'$.binary_log_position', local->>'$.gtid_executed' "
        "FROM performance_schema.log_status"
    )
    return Position("".join(str(gtid or "").split()), str(file), int(offset), False, _identity(source))


def _mariadb(source: Source) -> Position:
    source.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    status = dict(source.rows("SHOW STATUS LIKE 'binlog_snapshot_%'"))
    file, offset = str(status["Binlog_snapshot_file"]), int(status["Binlog_snapshot_position"])
    gtid = source.value("SELECT BINLOG_GTID_POS(%s, %s)", (file, offset))
    return Position(str(gtid or ""), file, offset, True, _identity(source))


def _mysql(source: Source) -> Position:
    for _ in range(TRIES):
        before = _log_status(source)
        source.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        if before[1] and _log_status(source)[1] == before[1]:
            return Position(before[1], before[0], 4, True, _identity(source))
    return Position(before[1], before[0], 4, False, _identity(source))


def _log_status(source: Source) -> tuple[str, str]:
    """The current file and the executed set, of one moment."""
    ((file, gtid),) = source.rows(
        "SELECT local->>'$.binary_log_file', local->>'$.gtid_executed' FROM performance_schema.log_status"
    )
    return str(file), "".join(str(gtid or "").split())


def _identity(source: Source) -> str:
    return str(source.value("SELECT @@server_id" if source.is_mariadb else "SELECT @@server_uuid"))
