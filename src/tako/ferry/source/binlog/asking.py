"""What the log does not say and only the source knows: asked for, once per value."""

from collections.abc import Callable

from tako.ferry.errors import Stopped
from tako.ferry.plan import PlannedColumn, PlannedTable
from tako.ferry.schema import Column
from tako.ferry.source import rows
from tako.ferry.source.binlog.tables import Charsets
from tako.ferry.source.connection import Source, quoted, told
from tako.ferry.translate.types import UNCONVERTED


class Asker:
    """A session of its own beside the log's, opened when it is needed and again when it is lost."""

    def __init__(self, connect: Callable[[], Source]) -> None:
        self._connect = connect
        self._source: Source | None = None

    def charsets(self) -> Charsets:
        source = self._session()
        collations = source.rows("SELECT id, character_set_name FROM information_schema.collations")
        widths = source.rows("SELECT character_set_name, maxlen FROM information_schema.character_sets")
        return Charsets(
            {int(id): _text(name) for id, name in collations if id is not None},
            {_text(name): int(width) for name, width in widths},
        )

    def read(self, planned: PlannedColumn, column: Column, data: bytes) -> bytes | None:
        """What the copy's expression makes of a value that the log has in the column's own character set."""
        charset = f"_{column.charset} " if column.charset else ""
        value = f"(SELECT {charset}X'{data.hex()}' AS {quoted(column.name)}) AS t"
        return self._one(f"SELECT {planned.read} FROM {value}")  # noqa: S608 (digits, and names from the plan)

    def labels(self, table: PlannedTable, column: Column, logged: tuple[bytes, ...]) -> Callable[[int], bytes]:
        """The text of an enum's number, or of a set's bits."""
        if logged and column.charset in UNCONVERTED:
            known: tuple[bytes, ...] = logged
        else:
            known = tuple(label.encode() for label in column.labels)
            if any("?" in label for label in column.labels):
                # The server shows its schema in three-byte UTF-8: "?" may stand for what does not fit.
                return lambda number: self._label_of_a_row(table, column, number)
        if column.base == "enum":
            return lambda number: known[number - 1] if number else b""
        return lambda bits: b",".join(label for n, label in enumerate(known) if bits >> n & 1)

    def _label_of_a_row(self, table: PlannedTable, column: Column, number: int) -> bytes:
        name = quoted(column.name)
        found = self._one(
            f"SELECT CONVERT({name} USING utf8mb4) FROM {quoted(table.source)} WHERE {name}+0={number:d} LIMIT 1"  # noqa: S608
        )
        if found is None:
            raise Stopped(
                f"A label of {table.source}.{column.name} (number {number}) cannot be read from the source's schema, "
                "and no row has it now. SET GLOBAL binlog_row_metadata = 'FULL' makes the log say it; for what is in "
                "the log already, copy anew.",
                place="",
                table=table.source,
            )
        return found

    def _one(self, sql: str) -> bytes | None:
        source = self._session()
        with told(source.address), source.connection.cursor() as cursor:
            decoders, source.connection.decoders = source.connection.decoders, {}
            try:
                cursor.execute(sql)
                row = cursor.fetchone()
            finally:
                source.connection.decoders = decoders
        value = row[0] if row else None
        return value.encode() if isinstance(value, str) else value

    def _session(self) -> Source:
        if self._source is None or not self._source.connection.open:
            self._source = self._connect()
            rows.raw(self._source)
        return self._source

    def close(self) -> None:
        if self._source is not None:
            self._source.close()


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
