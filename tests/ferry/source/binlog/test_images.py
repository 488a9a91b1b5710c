"""What the log says of a row is, byte for byte, the text that the copy reads of it: for every type, at its edges."""

import contextlib
from collections.abc import Iterator
from itertools import chain

import pytest

from tako.ferry.changes import Rows
from tako.ferry.plan import PlannedTable
from tako.ferry.source import chunks, position, rows
from tako.ferry.source.binlog import asking, decoding, events, stream
from tako.ferry.source.binlog.decoding import Decoders
from tests.ferry.edge import database
from tests.ferry.edge.test_values import MORE_RULES, RULES, hostile
from tests.ferry.moving import Move
from tests.support.mysqld import Mysqld
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

SCRIPTS = ["types.sql", "texts.sql", "large.sql", "keys.sql", "names.sql", "own"]
CASTS = """
[types]
enum = { cast = "enum-to-text" }
set = { cast = "set-to-array" }
geometry = { cast = "geometry-to-wkb" }
point = { cast = "geometry-to-wkb" }
"binary(16)" = { cast = "binary-to-uuid" }
timestamp = { cast = "timestamp-to-timestamp" }
json = { cast = "json-to-text" }
"bit(9)" = { cast = "bit-to-bigint" }
"tinyint(3)" = { cast = "to-text" }
"int(10)" = { cast = "to-text" }
year = { cast = "to-text" }
"tinyint(2)" = { cast = "nonzero-to-boolean" }
"""


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_log_gives_the_text_that_the_copy_reads(source: Mysqld, target: Postgres, script: str) -> None:
    script = f"{source.name.lower()}.sql" if script == "own" else script
    move, log = logged(source, target, script, RULES + MORE_RULES.get(script, ""))
    compared(move, log)


def test_by_other_casts_too(source: Mysqld, target: Postgres) -> None:
    move, log = logged(source, target, "types.sql", RULES + MORE_RULES["types.sql"] + CASTS)
    compared(move, log)


def test_whatever_the_sessions_of_the_source_begin_with(source: Mysqld, target: Postgres) -> None:
    with hostile(source):
        move, log = logged(source, target, "types.sql", RULES + MORE_RULES["types.sql"])
        compared(move, log)


def logged(source: Mysqld, target: Postgres, script: str, rules: str) -> tuple[Move, stream.From]:
    """A planned database, and where the log stood before it was made."""
    with contextlib.closing(source.connect()) as admin, admin.cursor() as cursor:
        cursor.execute("FLUSH BINARY LOGS")
    move = Move(source, "mysql", target.new_database())
    with move.source() as opened:
        at = position.current(opened)
    move.database = database.make(source, script)
    move.plan(rules)
    assert move.risks() == {}
    return move, stream.From("", at.file, at.offset)


def compared(move: Move, log: stream.From) -> None:
    assert move.made is not None
    found = of_the_log(move, log)
    for table in move.made.tables:
        copied, streamed = set(of_the_copy(move, table)), set(found[table.source])
        names = [column.source for column in table.copied]
        pairs = zip(sorted(copied - streamed), sorted(streamed - copied), strict=True)
        fields = [zip(names, mine.split(b"\t"), its.split(b"\t"), strict=True) for mine, its in pairs]
        assert [pair for pair in chain(*fields) if pair[1] != pair[2]] == [], table.source


def of_the_copy(move: Move, table: PlannedTable) -> list[bytes]:
    with move.source() as opened:
        rows.raw(opened)
        query = chunks.select_columns(table, table.copied)
        forms = [column.form for column in table.copied]
        return [line for block in rows.read(opened, query, forms) for line in block.text.split(b"\n")[:-1]]


def of_the_log(move: Move, log: stream.From) -> dict[str, list[bytes]]:
    """Lines by table, as they were inserted."""
    assert move.made is not None
    found: dict[str, list[bytes]] = {table.source: [] for table in move.made.tables}
    for change in changes_of(move, log):
        assert change.gone == []
        found[change.table] += [line.removesuffix(b"\n") for line in change.lines]
    return found


def changes_of(move: Move, log: stream.From) -> Iterator[Rows]:
    made = move.made
    assert made is not None
    asker = asking.Asker(move.source)
    schemas = {table.name: table for table in made.schema.tables}
    planned = {table.source: table for table in made.tables}
    decoders = Decoders(
        made.source.database,
        decoding.followed(schemas, planned, frozenset()),
        made.rules,
        asker.charsets(),
        asker.read,
        asker.labels,
    )
    with contextlib.closing(asker), move.source() as opened:
        for event in stream.read(opened, log):
            if event.type in events.HEARTBEATS:
                return
            if event.type == events.TABLE_MAP:
                decoders.map(event)
            elif event.type in events.ROWS and (change := decoders.rows(event)) is not None:
                yield change
