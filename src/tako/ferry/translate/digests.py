"""The two servers' SQL that makes one number of many rows, the same number for the same rows."""

from dataclasses import dataclass

from tako.ferry.plan import PlannedColumn, PlannedTable
from tako.ferry.translate.names import mysql, postgres
from tako.ferry.translate.types import Hash

NULL = "'~'"  # in no digest: they are numbers, dates, bits and hashes


@dataclass(frozen=True, slots=True)
class Digests:
    """SQL over one table of a plan."""

    table: PlannedTable
    schema: str
    hash: Hash

    @property
    def source_name(self) -> str:
        return mysql(self.table.source)

    @property
    def target_name(self) -> str:
        return f"{postgres(self.schema)}.{postgres(self.table.target)}"

    @property
    def digested(self) -> list[PlannedColumn]:
        return [c for c in self.table.columns if c.source_digest is not None and c.target_digest is not None]

    @property
    def by_value(self) -> list[PlannedColumn]:
        """Columns that only we can compare."""
        return [column for column in self.table.columns if column.source_digest is None or column.target_digest is None]

    def source_row(self) -> str:
        return self.hash.source(_joined([f"IFNULL({c.source_digest},{NULL})" for c in self.digested]))

    def target_row(self) -> str:
        return self.hash.target(_joined([f"coalesce({_target(c)},{NULL})" for c in self.digested]))

    def source_sum(self, where: str) -> str:
        value = "CAST(CONV(SUBSTR(h,1,15),16,10) AS UNSIGNED)"
        inner = f"SELECT {self.source_row()} AS h FROM {self.source_name} WHERE {where}"  # noqa: S608 (from the plan)
        return f"SELECT COUNT(*), COALESCE(SUM({value}),0) FROM ({inner}) AS x"  # noqa: S608

    def target_sum(self, where: str) -> str:
        value = "('x'||substr(h,1,15))::bit(60)::bigint"
        inner = f"SELECT {self.target_row()} AS h FROM {self.target_name} WHERE {where}"  # noqa: S608
        return f"SELECT count(*), coalesce(sum({value}),0) FROM ({inner}) AS x"  # noqa: S608

    def source_sums(self, buckets: int) -> str:
        """One line per bucket: its number, how many rows, their sum."""
        value = "CAST(CONV(SUBSTR(h,1,15),16,10) AS UNSIGNED)"
        inner = f"SELECT {self.source_row()} AS h, {self.source_bucket(buckets)} AS b FROM {self.source_name}"  # noqa: S608
        return f"SELECT b, COUNT(*), SUM({value}) FROM ({inner}) AS x GROUP BY b"  # noqa: S608

    def target_sums(self, buckets: int) -> str:
        value = "('x'||substr(h,1,15))::bit(60)::bigint"
        inner = f"SELECT {self.target_row()} AS h, {self.target_bucket(buckets)} AS b FROM {self.target_name}"  # noqa: S608
        return f"SELECT b, count(*), sum({value}) FROM ({inner}) AS x GROUP BY b"  # noqa: S608

    def source_bucket(self, buckets: int) -> str:
        digests = [f"IFNULL({column.source_digest},{NULL})" for column in self._bucket_columns()]
        return f"MOD(CAST(CONV(SUBSTR({self.hash.source(_joined(digests))},1,8),16,10) AS UNSIGNED),{buckets})"

    def target_bucket(self, buckets: int) -> str:
        digests = [f"coalesce({_target(column)},{NULL})" for column in self._bucket_columns()]
        return f"(('x'||substr({self.hash.target(_joined(digests))},1,8))::bit(32)::bigint%{buckets})"

    def source_keys(self, where: str) -> str:
        """Key, hash, and the values that only we can compare, of each row."""
        reads = [column.read for column in self.table.key_columns]
        reads += [self.source_row(), *(column.read for column in self.by_value)]
        return f"SELECT {', '.join(reads)} FROM {self.source_name} WHERE {where}"  # noqa: S608

    def target_keys(self, where: str) -> str:
        texts = [target_text(column) for column in self.table.key_columns]
        texts += [self.target_row(), *(target_text(column) for column in self.by_value)]
        return f"SELECT {', '.join(texts)} FROM {self.target_name} WHERE {where}"  # noqa: S608

    def _bucket_columns(self) -> list[PlannedColumn]:
        """The key's columns; without a key the whole row stands for itself."""
        return list(self.table.key_columns) or self.digested


def target_text(column: PlannedColumn) -> str:
    """A value as PostgreSQL prints it; a real as the double that the source prints."""
    name = postgres(column.target)
    return f"{name}::float8::text" if column.type == "real" else f"{name}::text"


def target_literal(value: str, column: PlannedColumn) -> str:
    """The source's text of a value, for PostgreSQL to compare with."""
    text = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{text}'::{column.type}"


def _target(column: PlannedColumn) -> str:
    return str(column.target_digest).replace("{c}", postgres(column.target))


def _joined(digests: list[str]) -> str:
    return f"CONCAT_WS(',',{','.join(digests)})" if digests else "''"
