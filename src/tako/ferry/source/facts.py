"""What a plan has to know of a source besides its schema: counts of awkward values, and how it keeps its log."""

from collections.abc import Iterator, Mapping, Sequence

import pymysql

from tako.ferry.source.connection import Source, quoted
from tako.ferry.translate.checks import Count

COPY_RATE = 10_000_000  # bytes per second that even a small server copies; to compare with what the log is kept for
AT_ONCE = 200  # sums in one statement


def has_md5(source: Source) -> bool:
    """MySQL has no MD5() from 9.6 on, unless a component brings it back."""
    try:
        with source.connection.cursor() as cursor:
            cursor.execute("SELECT MD5('')")
    except pymysql.err.OperationalError as error:
        if error.args[0] == 1305:  # no such function
            return False
        raise
    return True


def count(source: Source, table: str, counts: Sequence[Count]) -> Mapping[tuple[str, str], int]:
    """Read the table once and count all of it."""
    found: dict[tuple[str, str], int] = {}
    for start in range(0, len(counts), AT_ONCE):
        part = counts[start : start + AT_ONCE]
        sums = ", ".join(count.sql for count in part)
        (row,) = source.rows(f"SELECT {sums} FROM {quoted(table)}")  # noqa: S608 (quoted names and our words)
        found |= {(count.column, count.code): int(value) for count, value in zip(part, row, strict=True)}
    return found


def without_identity(source: Source, table: str, key: Sequence[str]) -> int:
    """Rows whose key is NULL or another row's too, as the source compares."""
    columns = ", ".join(map(quoted, key))
    empty = " OR ".join(f"{quoted(name)} IS NULL" for name in key)
    found = source.rows(
        f"SELECT COALESCE(SUM(n), 0) FROM (SELECT COUNT(*) AS n, MAX({empty}) AS e FROM {quoted(table)} "  # noqa: S608 (quoted names)
        f"GROUP BY {columns} HAVING n > 1 OR e) AS x"
    )
    return int(found[0][0])


def default_of(source: Source, table: str, column: str) -> str | None:
    """The default as a row would get it; None if the table has no row to ask for it."""
    sql = f"SELECT DEFAULT({quoted(column)}) FROM {quoted(table)} LIMIT 1"  # noqa: S608 (quoted names)
    found = source.value(sql)
    return None if found is None else str(found)


def log_risks(source: Source, size: int) -> Iterator[tuple[str, str]]:
    """What would keep somebody from following the source after the copy."""
    variables = {str(name).lower(): str(value) for name, value in source.rows("SHOW GLOBAL VARIABLES LIKE '%log%'")}
    if variables.get("log_bin", "OFF") not in ("ON", "1"):
        yield "no_log", "The source keeps no binary log: the copy cannot be followed; stop writing while you copy."
        return
    if variables.get("binlog_format", "ROW") != "ROW":
        yield (
            "log_format",
            f"binlog_format is {variables['binlog_format']}; to follow, SET GLOBAL binlog_format = 'ROW';",
        )
    if variables.get("binlog_row_image", "FULL") != "FULL":
        yield (
            "log_image",
            f"binlog_row_image is {variables['binlog_row_image']}; to follow, SET GLOBAL binlog_row_image = 'FULL';",
        )
    if variables.get("binlog_row_value_options"):
        yield "log_json", "binlog_row_value_options is set; to follow, SET GLOBAL binlog_row_value_options = '';"
    yield from _retention(variables, size)
    if not int(source.value("SELECT @@server_id") or 0):
        yield "server_id", "server_id is 0; to follow, give the source one."
    yield from _replicas(source)


def logs_cascades(source: Source) -> bool:
    """Whether rows that a foreign key changes are in the log, as MySQL does it from 9.6 on unless InnoDB does it."""
    if source.is_mariadb or source.version.number < (9, 6, 0):
        return False
    return not int(source.value("SELECT @@global.innodb_native_foreign_keys"))


def _replicas(source: Source) -> Iterator[tuple[str, str]]:
    """Who follows already: another one with the same server id would throw it out."""
    try:
        with source.connection.cursor() as cursor:
            cursor.execute("SHOW SLAVE HOSTS" if source.is_mariadb else "SHOW REPLICAS")
            found = [str(row[0]) for row in cursor.fetchall()]
    except pymysql.err.OperationalError as error:
        yield "replicas", f"Whether the source has replicas could not be read: {error.args[-1]}."
        return
    if found:
        yield (
            "replicas",
            f"The source has replicas with the server ids {', '.join(found)}; to follow, take another one.",
        )


def _retention(variables: Mapping[str, str], size: int) -> Iterator[tuple[str, str]]:
    seconds = int(float(variables.get("binlog_expire_logs_seconds") or 0))
    seconds = seconds or int(float(variables.get("expire_logs_days") or 0) * 86_400)
    estimated = size // COPY_RATE
    if seconds and seconds < 4 * estimated:
        yield (
            "log_retention",
            f"The source keeps its log for {seconds} s, the copy may take {estimated} s: keep the log longer.",
        )
