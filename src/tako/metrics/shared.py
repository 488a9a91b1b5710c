"""Workers of one machine that count together: whichever of them is scraped answers for all.

Each keeps its numbers in files of its own in one folder (prometheus-client's multiprocess mode), so that what a worker
has counted outlives it.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def count_together(folder: Path) -> Callable[[int], None]:
    """Make an empty `folder` the one of this process and of those that it forks; before prometheus-client is loaded,
    which looks once. Returns what is to be called with the process id of each worker that has ended."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
    os.environ[_VARIABLE] = str(folder)

    from prometheus_client.multiprocess import mark_process_dead

    return mark_process_dead


def folder() -> str | None:
    """Where this process counts together with others; None when it is alone."""
    return os.environ.get(_VARIABLE)
