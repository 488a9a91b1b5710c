"""How busy the source is."""

from tako.ferry.source.connection import Source


def running(source: Source) -> int:
    """Threads that do something right now, ours included."""
    rows = source.rows("SHOW GLOBAL STATUS LIKE 'Threads_running'")
    return int(rows[0][1]) if rows else 0
