"""Play rounds at sites on PostgreSQL and on SQLite, and with mutants: `python -m tests.faults --help`."""

import argparse
import asyncio
import itertools
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults import faults
from tests.faults.mutants import MUTANTS, Mutant
from tests.faults.play import FAULTS, Tally, play
from tests.faults.stage import Services, services, stage
from tests.faults.table import table

# Seeds of a site: so many in a row are played at the same one. Every third site is on SQLite.
ROW = 6
# How long a mutant's round may take to come to rest, in seconds: many of them never do.
PATIENCE = 15.0
# Rounds after which a mutant counts as not noticed.
TRIES = 3


async def site(folder: Path, both: Services, seeds: range, tally: Tally, until: float) -> None:
    """The rounds with those seeds at one site, as far as there is time."""
    on_sqlite = seeds.start // ROW % 3 == 2
    deck = faults.ON_SQLITE if on_sqlite else faults.ON_POSTGRES
    async with stage(folder / f"seed-{seeds.start}", None if on_sqlite else both) as scene:
        for seed in seeds:
            if time.monotonic() > until:
                return
            dealt = faults.dealt(deck, seed, FAULTS)
            before = len(tally.violations)
            await play(scene, seed, tally, dealt, deck=deck)
            print(f"seed {seed} on {'SQLite' if on_sqlite else 'PostgreSQL'}: {', '.join(dealt)}", flush=True)
            for violation in tally.violations[before:]:
                print(f"  {violation}", flush=True)


async def noticed(folder: Path, both: Services, mutant: Mutant) -> str:
    """By what the judge finds a mutant out; empty when it does not."""
    deck = faults.ON_POSTGRES
    for seed in range(TRIES):
        tally = Tally()
        async with stage(folder / f"{mutant.name}-{seed}", both, mutant.name, mutant.settings) as scene:
            if not await play(scene, seed, tally, mutant.faults, deck=deck, patience=PATIENCE):
                return _short(tally.violations[0])
    return ""


def _short(violation: str) -> str:
    """Without the round and the answer it was in, and without what lists all of it."""
    return re.sub(r"^seed .*?\): |seed \d+, question \d+: |(?<=end|ice|nts):? \[.*| instead of \[.*", "", violation)


async def mutants(folder: Path, both: Services) -> dict[str, tuple[Sequence[int], str]]:
    caught = {}
    for mutant in MUTANTS:
        how = await noticed(folder, both, mutant)
        caught[mutant.name] = (mutant.promises, how)
        print(f"{mutant.name}: {how or 'NOT NOTICED'}", flush=True)
    return caught


def main() -> int:
    given = _arguments()
    until = time.monotonic() + given.minutes * 60
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    with services() as both:
        caught = asyncio.run(mutants(folder, both)) if given.seed is None else {}
        rows = itertools.count(0, ROW) if given.seed is None else (given.seed,)
        for first in rows:
            if time.monotonic() > until or tally.violations:
                break
            seeds = range(first, first + (ROW if given.seed is None else given.rounds))
            asyncio.run(site(folder, both, seeds, tally, until))
    print(table(tally, caught))
    if tally.violations or not all(how for _, how in caught.values()):
        print(f"\nThe servers' logs are in {folder}.")
        return 1
    shutil.rmtree(folder)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.5, help="no round begins later than this")
    parser.add_argument("--seed", type=int, help="only the rounds from this one on, without the mutants")
    parser.add_argument("--rounds", type=int, default=1, help="how many, with --seed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
