"""A round: a crowd at a site, a few faults meanwhile, and the judgement; all that is chosen comes from one seed."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.faults import faults, judge
from tests.faults.crowd import Crowd
from tests.faults.faults import Fault, Missed
from tests.faults.stage import UPSTREAM_FAULTS, Stage

# Of each round.
FAULTS = 2
# How long everything may take to come to rest when the last fault is over, in seconds.
PATIENCE = 45.0


@dataclass
class Tally:
    """What came of some rounds."""

    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


async def play(
    stage: Stage,
    seed: int,
    tally: Tally,
    dealt: Sequence[str],
    *,
    deck: Mapping[str, Fault],
    patience: float = PATIENCE,
) -> bool:
    """One round with these faults of the deck. Returns whether all that was promised held."""
    name = f"seed {seed}"
    source = Random(name)
    crowd = Crowd(stage, name, source, span=1.5 + 1.5 * len(dealt))
    hung_up = faults.HANGS_UP in dealt
    living = asyncio.create_task(crowd.live(), name="crowd")
    for card in dealt:
        await asyncio.sleep(source.uniform(0.3, 1.0))
        try:
            async with deck[card](stage, source):
                await asyncio.sleep(source.uniform(0.1, 1.5))
            tally.faults[card] += 1
        except Missed:
            tally.counts["faults that did not come about"] += 1
    left = await _lived(stage, living, crowd, patience)
    judged = [] if left else await judge.problems_of_the_round(stage, crowd, hung_up=hung_up, patience=patience)
    found = [*stage.wrong, *left, *judged]
    tally.violations += [f"{name} ({', '.join(dealt)}): {problem}" for problem in found]
    _count(tally, crowd)
    return not found


async def _lived(stage: Stage, living: "asyncio.Task[None]", crowd: Crowd, patience: float) -> list[str]:
    """Until the crowd has gone home, or sees something wrong; what keeps it when patience is at its end."""
    trouble = asyncio.create_task(stage.trouble.wait())
    await asyncio.wait([living, trouble], timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    trouble.cancel()
    if living.done():
        living.result()
        return []
    living.cancel()
    await asyncio.wait([living, trouble])
    waiting = [str(reader) for reader in crowd.readers if not reader.ended]
    return [f"{len(waiting)} readers have not come to an end: {waiting[:3]}" if waiting else "a stop is not obeyed"]


def _count(tally: Tally, crowd: Crowd) -> None:
    tally.counts += crowd.counts
    tally.counts["rounds"] += 1
    tally.counts["answers"] += len(crowd.answers)
    tally.counts["readers"] += len(crowd.readers)
    tally.counts["events read"] += sum(len(reader.seen) for reader in crowd.readers)
    for manner in UPSTREAM_FAULTS:
        tally.faults[f"upstream {manner}"] += sum(answer.manner == manner for answer in crowd.answers)
