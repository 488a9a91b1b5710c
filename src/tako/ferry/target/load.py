"""Puts lines of COPY text into a table; what PostgreSQL refuses is found, repaired if a rule says so, or rejected."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from tako.ferry.target.connection import Target, first_line, told
from tako.ferry.translate.names import postgres

# What is wrong with a row, not with the server: data (22), integrity (23), and an index entry that is too large (54).
REFUSALS = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)


@dataclass(frozen=True, slots=True)
class Refusal:
    line: bytes
    sqlstate: str
    error: str


class Table:
    """Where lines go. `repair` makes another line of one that was refused, or returns it as it is."""

    def __init__(
        self, target: Target, schema: str, name: str, columns: Sequence[str], repair: Callable[[bytes], bytes]
    ) -> None:
        self._target = target
        self.repair = repair
        self.name = f"{postgres(schema)}.{postgres(name)}"
        self._copy = f"COPY {self.name} ({', '.join(map(postgres, columns))}) FROM STDIN".encode()

    def put(self, text: bytes) -> list[Refusal]:
        """Within a transaction: all lines but the refused ones are there afterwards. Halves find a refused line."""
        error = self._try(text)
        if error is None:
            return []
        lines = [line + b"\n" for line in text.split(b"\n")[:-1]]
        if len(lines) > 1:
            middle = len(lines) // 2
            return self.put(b"".join(lines[:middle])) + self.put(b"".join(lines[middle:]))
        repaired = self.repair(text)
        if repaired != text:
            error = self._try(repaired)
            if error is None:
                return []
        return [Refusal(text, error.sqlstate or "", first_line(error))]

    def _try(self, text: bytes) -> psycopg.Error | None:
        with told(self._target.shown):
            try:
                with self._target.connection.transaction(), self._target.connection.cursor().copy(self._copy) as copy:
                    copy.write(text)
            except REFUSALS as error:
                return error
        return None
