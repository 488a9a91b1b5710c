"""Sets of transactions that a server has executed, as each kind of server writes them."""

import re
from collections.abc import Iterator
from typing import Protocol

from tako.core.errors import Invalid

Interval = tuple[int, int]
"""First and last number, both included."""
_SOURCE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TAG = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_TAGGED = 1  # of the two formats of a set on the wire, the one with tags


class BadGtid(Invalid):
    """A text that is no set of transactions of this server."""


class GtidSet(Protocol):
    """Which transactions are done. Mutable, because one is added for every transaction of the source."""

    def add(self, gtid: str) -> None:
        """Raises `BadGtid`."""

    def holds(self, other: str) -> bool:
        """Whether all of the other set is in this one."""

    def __str__(self) -> str: ...


def parse(text: str, *, mariadb: bool) -> "GtidSet":
    """Raises `BadGtid`."""
    return MariadbSet(text) if mariadb else MysqlSet(text)


class MysqlSet:
    """`uuid:1-5:7:tag:1-2`: numbers per source and tag (MySQL 8.3 and later have tags)."""

    def __init__(self, text: str = "") -> None:
        self._done: dict[tuple[str, str], list[Interval]] = {}
        for source, tag, interval in _parts(text):
            self._put((source, tag), interval)

    def add(self, gtid: str) -> None:
        for source, tag, interval in _parts(gtid):
            self._put((source, tag), interval)

    def holds(self, other: str) -> bool:
        return all(self._holds((source, tag), interval) for source, tag, interval in _parts(other))

    def encoded(self) -> bytes:
        """As COM_BINLOG_DUMP_GTID takes it (sql/rpl_gtid_set.cc, Gtid_set::encode). Ends are exclusive there."""
        tagged = any(tag for _, tag in self._done)
        count = len(self._done)
        head = _TAGGED << 56 | count << 8 | _TAGGED if tagged else count
        parts = [head.to_bytes(8, "little")]
        for (source, tag), intervals in sorted(self._done.items()):
            parts.append(bytes.fromhex(source.replace("-", "")))
            if tagged:
                parts.append(bytes((len(tag) << 1,)) + tag.encode())
            parts.append(len(intervals).to_bytes(8, "little"))
            parts += [n.to_bytes(8, "little") for first, last in intervals for n in (first, last + 1)]
        return b"".join(parts)

    def __str__(self) -> str:
        said: dict[str, str] = {}
        for (source, tag), intervals in sorted(self._done.items()):
            numbers = ":".join(f"{first}-{last}" if last > first else str(first) for first, last in intervals)
            said[source] = said.get(source, source) + (f":{tag}" if tag else "") + f":{numbers}"
        return ",".join(said.values())

    def _put(self, key: tuple[str, str], interval: Interval) -> None:
        intervals = self._done.setdefault(key, [])
        if intervals and interval[0] == intervals[-1][1] + 1:  # the next one, nearly always
            intervals[-1] = (intervals[-1][0], interval[1])
            return
        merged: list[Interval] = []
        for first, last in sorted([*intervals, interval]):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        self._done[key] = merged

    def _holds(self, key: tuple[str, str], interval: Interval) -> bool:
        return any(first <= interval[0] and interval[1] <= last for first, last in self._done.get(key, ()))


class MariadbSet:
    """`domain-server-number`, one per domain: all up to that number is done."""

    def __init__(self, text: str = "") -> None:
        self._done: dict[int, tuple[int, int]] = {}
        for domain, server, number in _triples(text):
            self._done[domain] = (server, number)

    def add(self, gtid: str) -> None:
        for domain, server, number in _triples(gtid):
            self._done[domain] = (server, number)

    def holds(self, other: str) -> bool:
        return all(self._done.get(domain, (0, 0))[1] >= number for domain, _, number in _triples(other))

    def __str__(self) -> str:
        return ",".join(f"{domain}-{server}-{number}" for domain, (server, number) in sorted(self._done.items()))


def _parts(text: str) -> Iterator[tuple[str, str, Interval]]:
    for group in filter(None, "".join(text.split()).lower().split(",")):
        source, *rest = group.split(":")
        if not _SOURCE.fullmatch(source):
            raise BadGtid(f"{text!r} is no set of MySQL's transactions.")
        tag = ""
        for part in rest:
            if _TAG.fullmatch(part):
                tag = part
                continue
            yield source, tag, _interval(part, text)


def _interval(part: str, text: str) -> Interval:
    first, _, last = part.partition("-")
    if not first.isdecimal() or (last and not last.isdecimal()):
        raise BadGtid(f"{text!r} is no set of MySQL's transactions.")
    return int(first), int(last or first)


def _triples(text: str) -> Iterator[tuple[int, int, int]]:
    for part in filter(None, "".join(text.split()).split(",")):
        numbers = part.split("-")
        if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
            raise BadGtid(f"{text!r} is no position of MariaDB's.")
        yield int(numbers[0]), int(numbers[1]), int(numbers[2])
