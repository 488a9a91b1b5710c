"""What counting for Prometheus costs, alone and shared by workers: `python -m bench.counters`.

One commit is counted by two histograms, whatever number of entries it holds; an answer tells the rest a few times.
"""

import subprocess
import sys
import tempfile
import timeit
from pathlib import Path

from tako.metrics import shared

_COMMITS = 200_000
_RUNS = 5
# `make bench` has 300 streams of 50 chunks a second in commits that start 2 ms apart at the earliest.
_ENTRIES_OF_A_COMMIT = 30


def _measure(kind: str) -> None:
    from tako.metrics.prometheus import Metrics

    metrics = Metrics()
    metrics.registered("proc_bench")
    seconds = min(timeit.repeat(lambda: metrics.committed(30, 0.002), number=_COMMITS, repeat=_RUNS)) / _COMMITS
    sys.stdout.write(
        f"{kind}: {seconds * 1e6:.2f} µs a commit, {seconds * 1e9 / _ENTRIES_OF_A_COMMIT:.0f} ns a chunk "
        f"at {_ENTRIES_OF_A_COMMIT} entries a commit\n"
    )


def main() -> None:
    """Each kind in a process of its own: the library decides once which it is."""
    if len(sys.argv) > 1:
        _measure(sys.argv[1])
        return
    for kind in ("in memory", "shared by workers"):
        with tempfile.TemporaryDirectory() as folder:
            if kind != "in memory":
                shared.count_together(Path(folder) / "metrics")  # by a variable, which the child inherits
            subprocess.run([sys.executable, "-m", "bench.counters", kind], check=True)


if __name__ == "__main__":
    main()
