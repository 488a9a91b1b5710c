"""What can go wrong while a database moves. Every message says what to do next.

TakoError
├── Misconfigured
│   └── BadRules         ferry.toml or plan.json cannot be right
├── Conflict
│   ├── Refused          the plan has open questions; going on would lose data
│   ├── SourceChanged    the source's schema is no longer the planned one
│   ├── Blocked          rejected rows, or another ferry at work
│   └── Different        verify found differences
└── Unavailable
    ├── SourceGone       the source refused or went away
    └── TargetGone       the target refused or went away
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


class TargetGone(Unavailable):
    """The target refused, or went away."""
