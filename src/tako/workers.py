"""Several serving processes on one machine: a parent that holds the address, and starts anew whoever dies.

The parent imports the product before it forks, so that its workers share that memory, and never runs an event loop. It
keeps the listening socket: while a worker starts anew, connections wait for the others instead of being refused.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable

import structlog

_log = structlog.get_logger("tako.workers")

_PR_SET_PDEATHSIG = 1
_WATCHED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
# What the command line returns for what only a person can mend.
_MISCONFIGURED = 2
# Between two starts of one worker at least, in seconds.
_PAUSE = 1.0
_AN_HOUR = 3600.0


def supervise(count: int, work: Callable[[int], int], ended: Callable[[int], None]) -> int:
    """Run `work(n)` in `count` processes until told to stop, by SIGTERM or SIGINT, which all of them are told. One that
    ends is started again, unless it says that the configuration is wrong; `ended` is told its process id. Returns the
    exit code; in a worker, what `work` does."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    running: dict[int, int] = {}
    due = dict.fromkeys(range(count), 0.0)
    result = 0
    stopping = False
    while running or (due and not stopping):
        for number, at in list(due.items()):
            if at <= time.monotonic() and not stopping:
                if not (pid := _fork()):
                    return work(number)
                del due[number]
                running[pid] = number
        patience = max(0.0, min(due.values()) - time.monotonic()) if due else _AN_HOUR
        told = signal.sigtimedwait(_WATCHED, patience)
        for pid, code in _ended():
            number = running.pop(pid)
            ended(pid)
            due[number] = time.monotonic() + _PAUSE
            if code == _MISCONFIGURED:
                result = code
            elif not stopping:
                _log.warning("worker_ended", worker=number, exit_code=code, next_step="it is started again")
        if result or (told is not None and told.si_signo != signal.SIGCHLD):
            stopping = True
            _tell(running)
    return result


def _fork() -> int:
    """0 in the worker, which gets signals as any process does, and is told to stop when its parent dies."""
    parent = os.getpid()
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    if os.getppid() != parent:
        os._exit(1)
    return 0


def _tell(running: dict[int, int]) -> None:
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _ended() -> list[tuple[int, int]]:
    """The workers that have ended since, with their exit codes; one that a signal ended has its number, negative."""
    ended: list[tuple[int, int]] = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            ended.append((pid, os.waitstatus_to_exitcode(status)))
    return ended
