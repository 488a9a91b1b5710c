"""What a transaction of the source did, in the order in which it did it."""

import msgspec
from msgspec import Struct

from tako.ferry.plan import PlannedTable
from tako.ferry.schema import Table


class Rows(Struct, frozen=True, gc=False, tag=True):
    """Rows of one table. `gone` are keys of rows as they were, `keys` of rows as they are, with their `lines`.

    `before` has the lines of rows as they were, for tables where their keys do not suffice; else it is empty.
    `unchecked`: foreign keys were switched off, so nothing was cascaded.
    """

    table: str
    gone: list[bytes]
    before: list[bytes]
    keys: list[bytes]
    lines: list[bytes]
    unchecked: bool = False

    @property
    def count(self) -> int:
        return max(len(self.gone), len(self.lines))

    @property
    def size(self) -> int:
        return sum(map(len, self.lines)) + sum(map(len, self.gone)) + sum(map(len, self.before)) + 100


class Truncated(Struct, frozen=True, tag=True):
    table: str

    @property
    def count(self) -> int:
        return 1

    @property
    def size(self) -> int:
        return 100


class Amended(Struct, frozen=True, tag=True):
    """A table is another one from here on. `columns` are names of those that are new."""

    table: Table
    planned: PlannedTable
    columns: tuple[str, ...]
    statement: str

    @property
    def count(self) -> int:
        return 1

    @property
    def size(self) -> int:
        return 10_000


Change = Rows | Truncated | Amended
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Change).decode
