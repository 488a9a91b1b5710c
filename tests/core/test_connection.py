"""What a reader's connection says of itself."""

import socket

from tako.core.connection import Connection


class Transport:
    """What is left of one whose socket was closed while somebody still held it."""

    def __init__(self, closed: socket.socket) -> None:
        self._socket = closed

    def get_extra_info(self, name: str) -> socket.socket:
        return self._socket

    def get_write_buffer_size(self) -> int:
        return 10


def test_a_connection_that_was_just_closed_has_nothing_unsent() -> None:
    """The wheel asks every reader: an error here would end the heartbeats of all of them."""
    with socket.socket() as closed:
        pass
    connection = object.__new__(Connection)
    connection.transport = Transport(closed)  # type: ignore[assignment]  # as much of one as is asked
    assert connection.unsent == 0


class Flow:
    write_paused = True


def test_a_connection_whose_client_takes_nothing_is_not_ready() -> None:
    """Else events would pile up for it, and the wheel would not see that it is stuck."""
    connection = object.__new__(Connection)
    connection.flow = Flow()  # type: ignore[assignment]  # as much of one as is asked
    assert not connection.ready
