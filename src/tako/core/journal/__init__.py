"""The store of logs: append-only, numbered from 0 without gaps, committed before they are seen. Knows bytes and
numbers, nothing of what the entries mean.

    log.py      one running log in memory: its entries, who waits for more
    store.py    the few statements that keep entries in SQLite or PostgreSQL, and the rights to write them
    journal.py  group commit, the end of a log, and taking over what a dead process left
"""

from tako.core.journal.journal import Fenced, Journal, Left
from tako.core.journal.log import Log

__all__ = ["Fenced", "Journal", "Left", "Log"]
