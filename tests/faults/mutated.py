"""`tako` with one promise broken: `python -m tests.faults.mutated MUTANT serve …`."""

import sys

import pytest

from tako.cli import main
from tests.faults import mutants

getattr(mutants, sys.argv.pop(1))(pytest.MonkeyPatch())
main()
