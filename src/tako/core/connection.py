"""The server's HTTP protocol, with the two things that a long-lived reader needs to know about its connection."""

import fcntl
import sys
import termios
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tako.core.http import Scope


class Connection(HttpToolsProtocol):
    """uvicorn's protocol that tells when the client has gone, and lets a stuck one be dropped.

    ASGI has neither: the first would cost a waiting task for each reader, and a plain close waits for
    a client that takes nothing.
    """

    on_lost: Callable[[], None] | None = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)["extensions"] = {"tako.connection": self}

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()

    @property
    def lost(self) -> bool:
        return self.transport.is_closing()

    @property
    def unsent(self) -> int:
        """Bytes that the client has not taken yet, here and in the kernel, which tells us of free space only when a
        third of its own buffer, up to megabytes, is empty."""
        descriptor = self.transport.get_extra_info("socket").fileno()
        if descriptor < 0:
            return 0  # it was closed a moment ago
        queued = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
        return int(self.transport.get_write_buffer_size()) + int.from_bytes(queued, sys.byteorder)

    @property
    def ready(self) -> bool:
        """The client has taken most of what came before."""
        return not (self.flow.write_paused or self.transport.is_closing())

    def write_events(self, events: bytes) -> None:
        """Write whole events into the chunked response that is being sent, past the task that sends it: that need not
        wake for them. Only while `ready`."""
        self.transport.write(b"%x\r\n%b\r\n" % (len(events), events))

    def abort(self) -> None:
        """Drop the connection and whatever is still buffered for it."""
        self.transport.abort()


def connection(scope: Scope) -> Connection:
    return cast(Connection, scope["extensions"]["tako.connection"])
