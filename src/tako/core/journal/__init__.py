"""The store of logs: append-only, numbered from 0 without gaps, committed before they are seen. Knows bytes and
numbers, nothing of what the entries mean.

    log.py        one running log in memory: its entries, who waits for more
    store.py      what a store of entries does, and the rights to write them; sqlite.py and postgres.py are the two
    journal.py    group commit, the end of a log, and taking over what a dead process left
    lease.py      who is dead
    following.py  the logs that other processes write
    echo.py       their newest entries in Valkey, where there is one
    watch.py      what is told to whoever counts from outside
"""

from tako.core.journal.journal import Fenced, Journal, Left
from tako.core.journal.log import Log

__all__ = ["Fenced", "Journal", "Left", "Log"]
