"""A Valkey or Redis server, or a cluster of them: many commands in one write, and one channel that is heard.

What is here is what hints and echoes need, and no more: nothing is tried twice, no answer is waited for longer than a
second, and what fails is returned in the place of the reply, since whoever asks has PostgreSQL to turn to. (A general
client tries again, with pauses, and takes 24 µs a command in a write of 32 where this takes 6. Its parser is used.)
"""

import asyncio
import re
import ssl
from binascii import crc_hqx
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import hiredis

from tako.core.errors import Misconfigured

# How long a server may take to answer, in seconds.
_PATIENCE = 1.0
# How long one that did not is left alone, in seconds: meanwhile nobody waits for it.
_REST = 5.0
# After so many seconds of silence a channel's connection is asked whether it lives.
_PULSE = 1.0
_PORT = 6379
_SCHEMES = {"valkey": False, "redis": False, "valkeys": True, "rediss": True}
_SLOTS = 16384
# Refusals that say: not this server, and: not now. (OOM and the like concern one command only.)
_ELSEWHERE = ("MOVED", "ASK", "TRYAGAIN", "READONLY")
_LATER = ("CLUSTERDOWN", "LOADING", "MASTERDOWN")
_CHUNK = 65536
_MORE = object()

Command = tuple[str | bytes | int, ...]
# What the server answered: bytes, a number, None, or a list of these.
Reply = Any


class Failed(Exception):
    """A command that was not carried out, or nobody knows; its text says why."""


class Refused(Failed):
    """The server's own words."""


class Away(Failed):
    """The server does not answer."""


class Resting(Away):
    """It was not even asked."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to begin: `hosts` are one server, or some of a cluster's."""

    hosts: tuple[tuple[str, int], ...]
    user: str = ""
    password: str = ""
    database: int = 0
    tls: bool = False

    def __str__(self) -> str:
        return ",".join(f"{host}:{port}" for host, port in self.hosts)


def parse_url(url: str) -> Address:
    """`valkey://[[user]:password@]host[:port][,host[:port]…][/database]`; `valkeys://` is TLS, and `redis://` and
    `rediss://` are the same. Raises `Misconfigured`, which does not show the address: it may hold a password."""
    scheme, _, rest = url.partition("://")
    login, _, where = rest.rpartition("@")
    hosts, _, database = where.partition("/")
    found = [re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:\s]+)(?::(\d{1,5}))?", host) for host in hosts.split(",")]
    if scheme not in _SCHEMES or not all(found) or not re.fullmatch(r"\d{0,5}", database):
        raise Misconfigured("valkey_url must look like valkey://user:password@host:6379, or valkeys://… for TLS.")
    user, _, password = login.partition(":")
    return Address(
        hosts=tuple((one[1].strip("[]"), int(one[2] or _PORT)) for one in found if one is not None),
        user=unquote(user),
        password=unquote(password),
        database=int(database or 0),
        tls=_SCHEMES[scheme],
    )


class Valkey:
    """Made by `opened`. Connects when it is first needed, and again whenever that is needed."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._nodes = {where: _Node(address, *where) for where in address.hosts}
        self._slots: list[tuple[int, int, _Node]] = []
        self._searching = asyncio.Lock()

    def close(self) -> None:
        for node in self._nodes.values():
            node.close()

    async def run(self, commands: Sequence[Command]) -> list[Reply | Failed]:
        """Carry all of them out, in order as far as they go to the same server. Returns a reply for each; what failed
        has its `Failed` there. The first word behind a command's name is its key or channel."""
        replies: list[Reply | Failed] = [None] * len(commands)
        places: dict[_Node, list[int]] = {}
        try:
            if not self._slots:
                self._check_rest()
                await self._find_slots()
            for place, command in enumerate(commands):
                places.setdefault(self._node(str(command[1])), []).append(place)
        except Away as error:
            return [error] * len(commands)

        async def ask(node: _Node, places: Sequence[int]) -> None:
            answered = await node.run([commands[place] for place in places])
            for place, reply in zip(places, answered, strict=True):
                replies[place] = reply

        await asyncio.gather(*(ask(*one) for one in places.items()))
        if any(_moved(reply) for reply in replies):
            self._slots = []
        return replies

    @asynccontextmanager
    async def subscribed(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """What is published on the (sharded) channel from now on. Raises `Failed`, also out of the iterator: then
        something may have been missed."""
        try:
            await self._find_slots()
            node = self._node(channel)
            async with node.connected() as connection:
                (reply,) = await connection.ask([("SSUBSCRIBE", channel)])
                if isinstance(reply, Failed):
                    raise reply
                node.resting_until = 0.0  # it answers
                async with aclosing(_messages(connection)) as messages:
                    yield messages
        except Failed:
            self._slots = []
            raise

    async def _find_slots(self) -> None:
        """Which server has which keys. Raises `Away`."""
        async with self._searching:
            reasons: list[str] = []
            for node in sorted(self._nodes.values(), key=lambda node: node.resting_until):
                if self._slots:
                    return
                try:
                    # Not on the connection for commands: nobody else waits for a server that may be away.
                    async with node.connected() as connection:
                        (reply,) = await connection.ask([("CLUSTER", "SLOTS")])
                except Failed as error:
                    reasons.append(str(error))
                    continue
                # One that refuses is alone, or does not let us know of its cluster.
                self._slots = [(0, _SLOTS - 1, node)] if isinstance(reply, Failed) else self._map(node, reply)
            if not self._slots:
                self._rest()
                raise Away("; ".join(reasons) or "no server of the cluster has any keys")

    def _map(self, asked: "_Node", ranges: Iterable[Any]) -> "list[tuple[int, int, _Node]]":
        found: list[tuple[int, int, _Node]] = []
        for first, last, (host, port, *_), *_replicas in ranges:
            where = (host.decode() if host else asked.host, port)
            if where not in self._nodes:
                self._nodes[where] = _Node(self.address, *where)
            found.append((first, last, self._nodes[where]))
        return found

    def _node(self, key: str) -> "_Node":
        slot = crc_hqx(key.encode(), 0) % _SLOTS
        for first, last, node in self._slots:
            if first <= slot <= last:
                return node
        self._slots = []
        self._rest()
        raise Away("no server of the cluster has that part of the keys")

    def _rest(self) -> None:
        for node in self._nodes.values():
            node.rest()

    def _check_rest(self) -> None:
        if all(node.resting for node in self._nodes.values()):
            raise Resting("no server has answered a moment ago")


class _Node:
    """One server, with the connection for commands to it; one write at a time."""

    def __init__(self, address: Address, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.resting_until = 0.0
        self._address = address
        self._connection: _Connection | None = None
        self._turn = asyncio.Lock()

    async def run(self, commands: Sequence[Command]) -> list[Reply | Failed]:
        try:
            async with self._turn:
                if self.resting:
                    raise Resting(f"{self.host}:{self.port} has not answered a moment ago")
                if self._connection is None:
                    self._connection = await self._connect()
                try:
                    replies = await self._connection.ask(commands)
                except BaseException:
                    self.close()  # replies would be taken for those of later commands
                    raise
                if any(isinstance(reply, Refused) and str(reply).startswith(_LATER) for reply in replies):
                    self.rest()
                return replies
        except Failed as error:
            return [error] * len(commands)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["_Connection"]:
        """One more connection, however lately it did not answer. Raises `Failed`."""
        connection = await self._connect()
        try:
            yield connection
        finally:
            connection.close()

    @property
    def resting(self) -> bool:
        return asyncio.get_running_loop().time() < self.resting_until

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def rest(self) -> None:
        self.resting_until = asyncio.get_running_loop().time() + _REST

    async def _connect(self) -> "_Connection":
        context = ssl.create_default_context() if self._address.tls else None
        async with _in_time(self):
            connection = _Connection(self, *await asyncio.open_connection(self.host, self.port, ssl=context))
        try:
            for reply in await connection.ask(list(_greeting(self._address))):
                if isinstance(reply, Failed):
                    self.rest()
                    raise reply
        except BaseException:
            connection.close()
            raise
        return connection


def _greeting(address: Address) -> Iterable[Command]:
    if address.user:
        yield "AUTH", address.user, address.password
    elif address.password:
        yield "AUTH", address.password
    if address.database:
        yield "SELECT", address.database
    yield "PING", "tako"  # refused where a password is missing


class _Connection:
    """One connection, and the parser of what comes in on it."""

    def __init__(self, node: _Node, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._node = node
        self._reader = reader
        self._writer = writer
        self._parser = hiredis.Reader(protocolError=Away, replyError=Refused, notEnoughData=_MORE)

    async def ask(self, commands: Sequence[Command]) -> list[Reply | Failed]:
        """Raises `Away`; what the server refuses is in its place."""
        packed = [hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type]  # of any length
        async with _in_time(self._node):
            self._writer.write(b"".join(packed))
            await self._writer.drain()
            return [await self.read() for _ in commands]

    async def read(self) -> Reply | Failed:
        while (reply := self._parser.gets()) is _MORE:
            if not (received := await self._reader.read(_CHUNK)):
                raise Away("the connection was closed")
            self._parser.feed(received)
        return reply

    def close(self) -> None:
        self._writer.transport.abort()


async def _messages(connection: _Connection) -> AsyncGenerator[bytes]:
    while True:
        try:
            async with asyncio.timeout(_PULSE):
                reply = await connection.read()
        except TimeoutError:
            (reply,) = await connection.ask([("PING",)])  # or whatever else comes in
        except OSError as error:
            raise Away(str(error)) from error
        if not isinstance(reply, list) or reply[0] == b"sunsubscribe":
            raise Away("the channel is elsewhere now")
        if reply[0] == b"smessage":
            yield reply[2]


@asynccontextmanager
async def _in_time(node: _Node) -> AsyncIterator[None]:
    """Within `_PATIENCE`, or the server is `Away`, and rests."""
    try:
        async with asyncio.timeout(_PATIENCE):
            yield
    except TimeoutError:
        node.rest()
        raise Away(f"{node.host}:{node.port} does not answer") from None
    except OSError as error:
        node.rest()
        raise Away(f"{node.host}:{node.port}: {error.strerror or error}") from error


def _moved(reply: Reply | Failed) -> bool:
    """What was asked for may be elsewhere now. One that was not asked has not moved."""
    if isinstance(reply, Refused):
        return str(reply).startswith((*_ELSEWHERE, *_LATER))
    return isinstance(reply, Away) and not isinstance(reply, Resting)


@asynccontextmanager
async def opened(address: Address) -> AsyncIterator[Valkey]:
    """Connects to nothing yet."""
    valkey = Valkey(address)
    try:
        yield valkey
    finally:
        valkey.close()
