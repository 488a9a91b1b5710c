"""What can go wrong while a database moves. Every message says what to do next.

TakoError
├── Misconfigured
│   └── BadRules         ferry.toml or plan.json cannot be right
├── Conflict
│   ├── Refused          the plan has open questions; going on would lose data
│   ├── SourceChanged    the source's schema is no longer the planned one
│   ├── Blocked          rejected rows, or another ferry at work
│   ├── Different        verify found differences
│   ├── Stopped          the log holds what cannot be followed
│   └── NeedsResync      the log does not reach back to where we were
└── Unavailable
    ├── SourceGone       the source refused or went away
    │   └── SnapshotLost     a table was emptied or altered under a snapshot
    ├── TargetGone       the target refused or went away
    │   └── Deadlocked       it ended one of two that waited for each other
    └── Damaged          bytes of the log that are not what was written
"""

from tako.core.errors import Conflict, Misconfigured, Unavailable


class BadRules(Misconfigured):
    """ferry.toml, plan.json or an address cannot be right."""


class Refused(Conflict):
    """The plan has open questions; to go on would lose data."""


class SourceChanged(Conflict):
    """The source's schema is no longer the one that was planned."""


class Blocked(Conflict):
    """Somebody has to decide first, or another ferry is at work."""


class Different(Conflict):
    """Source and target hold different rows."""


class SourceGone(Unavailable):
    """The source refused, or went away."""


class SnapshotLost(SourceGone):
    """TRUNCATE or ALTER took a table from under the snapshot that it was being read by; a new one has it."""


class TargetGone(Unavailable):
    """The target refused, or went away. `reason` is what it said, for whoever gave no command."""

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


class Deadlocked(TargetGone):
    """This session and another one waited for each other, and the target has taken back what this one did."""


class Stopped(Conflict):
    """Something in the source's log cannot be followed: `place` is where, `statement` what, the message what to do.

    `table` is the table that it concerns, if it concerns one that the plan does not know.
    """

    def __init__(self, message: str, *, place: str, statement: str = "", table: str = "") -> None:
        super().__init__(message)
        self.place = place
        self.statement = statement
        self.table = table


class NeedsResync(Conflict):
    """The source has thrown away the part of its log that comes next: only a new copy helps."""


class Damaged(Unavailable):
    """Bytes of the log are cut, changed, or do not mean what they must."""
