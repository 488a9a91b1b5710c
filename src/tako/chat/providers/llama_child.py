"""The process that runs a GGUF model: llama.cpp's server on a loopback port. Started by `local`, ends with its parent.

Reads one line of JSON from standard input (so that the key is in no process list), and stays until that closes.
"""

import ctypes
import json
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # A Ctrl-C or `systemctl stop` reaches all processes; the answers that run here are to end within their grace.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    settings = json.loads(sys.stdin.readline())
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.ui = False
    params.api_keys = [settings["key"]]
    params.n_parallel = settings["parallel"]
    params.n_ctx = settings["context_tokens"] * settings["parallel"]
    params.endpoint_slots = False
    params.warmup = False
    if settings["threads"]:
        params.cpuparams.n_threads = settings["threads"]
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201  # the parent reads it
    threading.Event().wait()


def _end_with_parent() -> None:
    """Where the kernel does not do it for us."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
