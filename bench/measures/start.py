"""From starting the process to its first page, and the memory that it has then."""

import asyncio
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass

from bench import peers, servers, stack
from bench.readers import connect
from bench.run import Run, say
from bench.servers import NotStarted, Process, busy, clock
from bench.table import Line, Measured, at_most

_PAGE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# Until a server that has just started has done what it does then.
_SETTLED = 3.0
_TIMES = 3


@dataclass(frozen=True)
class Started:
    """Seconds to the first page, and bytes once it rests."""

    seconds: float
    memory: int
    foreign: float


async def start(port: int, served: Callable[[], AbstractContextManager[Process]]) -> Started:
    everything, began = busy(), clock()
    with served() as process:
        process.listening(port, peers.PATIENCE)
        reader = await connect(port)
        await reader.ask(_PAGE)
        seconds = clock() - began
        foreign = max(0.0, (busy() - everything - process.cpu()) / seconds)
        reader.close()
        await asyncio.sleep(_SETTLED)
        return Started(seconds, process.memory(), foreign)


async def starting(run: Run) -> Measured:
    """A Tako as it comes, with its own model, which no question has woken yet."""
    with ExitStack() as opened:
        _, upstream = opened.enter_context(servers.upstream(run.folder, ()))
        site = stack.Site.made(run.folder / "fresh", "")
        port = servers.free_port()
        runs = [await run.quiet("start", lambda: start(port, lambda: site.served(port))) for _ in range(_TIMES)]
        theirs = await _open_webui(run, upstream)
    seconds = statistics.median(each.seconds for each in runs)
    mib = statistics.median(each.memory for each in runs) / 2**20
    if isinstance(theirs, peers.Missing):
        peer = memory = str(theirs)
    else:
        peer, memory = f"{theirs.name} {theirs.seconds:.1f} s", f"{theirs.name} {theirs.memory / 2**20:,.0f} MiB"
    return Measured(
        (
            Line("cold start to the first page", peer, f"{seconds:.1f} s", at_most(seconds, 4, "under 4 s")),
            Line("idle memory, no model loaded", memory, f"{mib:.0f} MiB", at_most(mib, 150, "under 150 MiB")),
        ),
        {
            "runs": [asdict(each) for each in runs],
            peers.OPEN_WEBUI: None if isinstance(theirs, peers.Missing) else asdict(theirs),
        },
    )


@dataclass(frozen=True)
class _Theirs:
    name: str
    seconds: float
    memory: int


async def _open_webui(run: Run, upstream: int) -> _Theirs | peers.Missing:
    """Its second start: at the first one it makes its database."""
    if peers.OPEN_WEBUI in run.missing:
        return peers.Missing(peers.OPEN_WEBUI, run.missing[peers.OPEN_WEBUI])
    port = servers.free_port()
    try:
        with peers.open_webui_served(run.folder, port, upstream) as process:
            process.listening(port, peers.PATIENCE)
        say(f"  {peers.OPEN_WEBUI} again")
        done = await run.quiet(
            peers.OPEN_WEBUI, lambda: start(port, lambda: peers.open_webui_served(run.folder, port, upstream))
        )
    except NotStarted as error:
        say(f"!! {peers.OPEN_WEBUI} did not start: {error}")
        return peers.Missing(peers.OPEN_WEBUI, f"did not start: {str(error).splitlines()[-1]}")
    return _Theirs(peers.OPEN_WEBUI, done.seconds, done.memory)
