"""What is printed at the end: what was done, what came of it, and which mutants were noticed."""

from collections.abc import Mapping, Sequence

from tests.faults.play import Tally

# In the order in which one reads them.
COUNTS = (
    "rounds",
    "answers",
    "readers",
    "resumes",
    "readers that stopped reading",
    "connections that broke",
    "events read",
    "stops",
    "POSTs sent twice",
    "POSTs sent again",
    "faults that did not come about",
)


def table(tally: Tally, caught: Mapping[str, tuple[Sequence[int], str]]) -> str:
    """`caught` says of each mutant which promises it breaks, and by what it was found out; empty: it was not."""
    lines = ["", f"{'fault':<44}{'injected':>9}"]
    lines += [f"{name:<44}{count:>9}" for name, count in sorted(tally.faults.items())]
    lines += ["", f"{'':<44}{'count':>9}"]
    lines += [f"{name:<44}{tally.counts[name]:>9}" for name in COUNTS]
    lines += [f"{'violations':<44}{len(tally.violations):>9}"]
    if caught:
        lines += ["", f"{'promise':<9}{'broken by':<56}found out by"]
    for mutant, (promises, how) in sorted(caught.items(), key=lambda found: tuple(found[1][0])):
        numbers = ", ".join(map(str, promises))
        lines.append(f"{numbers:<9}{mutant.replace('_', ' '):<56}{how or 'NOTHING'}")
    return "\n".join(lines)
