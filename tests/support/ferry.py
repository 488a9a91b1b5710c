"""`tako ferry` as its users run it: a command of its own, with a plan in a folder."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.process import die_with_parent

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    def well(self) -> "Ran":
        """Itself, unless it failed."""
        assert self.code == 0, f"exit code {self.code}\n{self.out[-4000:]}\n{self.err[-4000:]}"
        return self

    def json(self) -> Any:
        return json.loads(self.out)

    def events(self) -> list[dict[str, Any]]:
        """The lines of `copy --json`."""
        return [json.loads(line) for line in self.out.splitlines()]


class Ferry:
    """A migration from one database to another, with the rules of a ferry.toml."""

    def __init__(
        self, folder: Path, source: str, target: str, rules: str = "", program: Sequence[str] = ("-m", "tako", "ferry")
    ) -> None:
        self.folder = folder
        self.program = program
        self.source = source
        self.target = target
        (folder / "ferry.toml").write_text(rules, encoding="utf-8")

    def plan(self) -> Ran:
        """Writes plan.json, which the other commands read."""
        return self.run("plan", self.source, self.target, "-c", "ferry.toml")

    def planned(self) -> Any:
        return json.loads((self.folder / "plan.json").read_text(encoding="utf-8"))

    def copy(self, *options: str) -> Ran:
        return self.run("copy", "--json", *options)

    def verify(self, *options: str) -> Ran:
        return self.run("verify", "--json", *options)

    def status(self) -> Ran:
        return self.run("status", "--json")

    def run(self, *arguments: str) -> Ran:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=600)
        return Ran(process.returncode, out, err)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """The command as a process that the test may kill."""
        return subprocess.Popen(
            [sys.executable, *self.program, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
