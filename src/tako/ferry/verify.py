"""Compares source and target: a checksum per piece on both servers, then row by row where they differ.

The servers hash the same text for the same value (`translate.types`), so a piece costs two numbers on the network. What
has no common text (jsonb out of MariaDB's JSON) is compared by value here, as is every row whose hashes differ: a
difference is only what PostgreSQL would call one. Pieces are ranges of the key's first column if both servers order it
the same; else they are the remainders of a hash of the key, and each server reads its table once.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from tako.ferry import copy
from tako.ferry.errors import Blocked
from tako.ferry.plan import Plan, PlannedTable
from tako.ferry.source import Source, chunks, position, rows
from tako.ferry.source.connection import quoted
from tako.ferry.source.position import Position
from tako.ferry.target import Target, following, mend, state
from tako.ferry.target.apply import PIECE as NEIGHBOURS
from tako.ferry.target.apply import WHOLE, ranged
from tako.ferry.target.load import Table
from tako.ferry.translate import values
from tako.ferry.translate.digests import Digests, target_literal
from tako.ferry.translate.names import postgres
from tako.ferry.translate.types import Hash

Say = Callable[[dict[str, object]], None]
Key = tuple[str, ...]
Canonical = tuple[object, ...]

PIECE = 20_000  # rows
BUCKET = 100_000  # rows; each bucket that differs is read with a scan of the table
AT_ONCE = 100  # rows that are fetched to be compared
SHOWN = 20  # differences that are named
SETTLINGS = 5  # times that a row which differs is looked at again while the source is followed
RUN = 20  # pieces of neighbouring keys that are compared with one sum


@dataclass(frozen=True, slots=True)
class Piece:
    """A condition for each server that both read as the same rows."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Difference:
    """`what`: `missing` in the target, `extra` there, or `different` in `columns`."""

    table: str
    key: Key
    what: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unlike:
    """A difference, and what both sides had."""

    difference: Difference
    source: list[bytes | None] | None
    target: list[bytes | None] | None


@dataclass(slots=True)
class Result:
    """Of one table. `accepted` rows are missing because somebody gave them up by name."""

    table: str
    rows: int = 0
    pieces: int = 0
    different: int = 0
    repaired: int = 0
    accepted: int = 0
    moving: int = 0
    """Rows that changed whenever they were looked at; the cutover will compare them."""
    shown: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return self.different == self.repaired


def run(
    plan: Plan,
    connect: Callable[[], Source],
    target: Target,
    say: Say,
    *,
    repair: bool = False,
    passed: Callable[[Position], None] | None = None,
) -> list[Result]:
    """Compare every table of a finished copy; with `repair`, make the target's rows what the source's are.

    With `passed` the source may be written to meanwhile, and is followed by somebody else: it waits until everything up
    to a position has been applied. A row differs then only if the source has not changed it while it was looked at.
    """
    state.prepare(target)
    following.prepare(target)
    active = state.active(target, plan.target.schema)
    if active is None or active[0] != plan.hash:
        raise Blocked("This plan has not been copied: run `tako ferry copy` first.")
    if active[1] == "copying":
        raise Blocked(
            "The copy is not finished: run `tako ferry copy` until it says so, or let `tako ferry run` go on until it "
            "is consistent and has made its indexes; then verify."
        )
    given_up = {(r.table, r.key) for r in state.rejects(target, plan.hash) if r.accepted and r.key is not None}
    results = []
    with ExitStack() as stack:
        source, pool = stack.enter_context(connect()), stack.enter_context(ThreadPoolExecutor(1, "ferry-source"))
        settle = None
        if passed is None:
            stack.enter_context(state.locked(target, plan.target.schema))
        else:
            settle = _settling(stack.enter_context(connect()), passed)
        rows.raw(source)
        for table in plan.tables:
            stream = following.read(target, plan.hash)
            comparison = _Comparison(plan, table, source, target, pool, given_up, repair, settle)
            results.append(comparison.run())
            if stream is not None and results[-1].equal:
                following.compared(target, plan.hash, table.source, stream.batch)
            say(
                {
                    "event": "verified",
                    "table": table.source,
                    "rows": results[-1].rows,
                    "different": results[-1].different,
                }
            )
        state.verified(
            target,
            plan.hash,
            [(r.table, r.rows, r.pieces, r.different, r.repaired) for r in results],
            equal=all(result.equal for result in results),
        )
    return results


def _settling(source: Source, passed: Callable[[Position], None]) -> Callable[[], None]:
    """Waits until what the source has now is in the target."""
    return lambda: passed(position.current(source))


def touched(plan: Plan, connect: Callable[[], Source], target: Target) -> list[Result]:
    """Compare what was applied since it was last compared. The source must be still."""
    given_up = {(r.table, r.key) for r in state.rejects(target, plan.hash) if r.accepted and r.key is not None}
    results = []
    with connect() as source, ThreadPoolExecutor(1, "ferry-source") as pool:
        rows.raw(source)
        for table in plan.tables:
            pieces = following.touched(target, plan.hash, table.source)
            if pieces:
                comparison = _Comparison(plan, table, source, target, pool, given_up, False, None)
                results.append(comparison.pieces(pieces))
    return results


def mended(
    plan: Plan, tables: Sequence[PlannedTable], source: Source, target: Target, beat: Callable[[], None]
) -> list[Result]:
    """Make the rows of these tables what they are in the source's open snapshot. Nobody else may change the target.

    `beat` is called between pieces. Tables without a key are compared only.
    """
    given_up = {(r.table, r.key) for r in state.rejects(target, plan.hash) if r.key is not None}
    rows.raw(source)
    with ThreadPoolExecutor(1, "ferry-source") as pool:
        return [_Comparison(plan, t, source, target, pool, given_up, True, None, beat).run() for t in tables]


class _Comparison:
    """One table on both servers."""

    def __init__(
        self,
        plan: Plan,
        table: PlannedTable,
        source: Source,
        target: Target,
        pool: ThreadPoolExecutor,
        given_up: set[tuple[str, Key]],
        repair: bool,
        settle: Callable[[], None] | None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._plan = plan
        self._table = table
        self._source = source
        self._target = target
        self._pool = pool
        self._given_up = given_up
        self._repair = repair
        self._settle = settle
        self._beat = beat
        self._sql = Digests(table, plan.target.schema, Hash(plan.digest))
        self._result = Result(table.source)

    def run(self) -> Result:
        if not self._table.key:
            self._without_key()
        elif self._table.key_columns[0].ordered and self._table.key_columns[0].key:
            self._by_ranges()
        else:
            self._by_buckets()
        return self._result

    def pieces(self, touched: Sequence[str]) -> Result:
        """Only these: numbers of neighbouring keys, keys, or all of it (`target.apply`)."""
        if WHOLE in touched:
            return self.run()
        first = self._table.key_columns[0]
        if ranged(self._table):
            for low, high in _runs(sorted(map(int, touched))):
                source = f"{quoted(first.source)} BETWEEN {low} AND {high}"
                self._compare(Piece(source, f"{postgres(first.target)} BETWEEN {low} AND {high}"))
            return self._result
        keys = [tuple((v or b"").decode("latin1") for v in values.fields(p.encode("latin1"))) for p in touched]
        for start in range(0, len(keys), AT_ONCE):
            self._judge(keys[start : start + AT_ONCE])
        self._result.rows = len(keys)
        return self._result

    def _by_ranges(self) -> None:
        for piece in self._ranges():
            self._compare(piece)

    def _compare(self, piece: Piece) -> None:
        self._beat()
        self._result.pieces += 1
        ours, theirs = self._both(self._sql.source_sum(piece.source), self._sql.target_sum(piece.target))
        self._result.rows += int(str(ours[0][0]))
        if ours != theirs or self._sql.by_value:
            self._differ(piece)

    def _by_buckets(self) -> None:
        """Texts: the servers' collations disagree about what is between two of them."""
        buckets = self._table.rows // BUCKET + 1
        ours, theirs = self._both(self._sql.source_sums(buckets), self._sql.target_sums(buckets))
        here = {bucket: rest for bucket, *rest in ours}
        there = {bucket: rest for bucket, *rest in theirs}
        self._result.pieces = buckets
        self._result.rows = sum(int(str(count)) for count, _ in here.values())
        for bucket in sorted(here.keys() | there.keys()):
            if here.get(bucket) != there.get(bucket) or self._sql.by_value:
                source = f"{self._sql.source_bucket(buckets)}={bucket}"
                self._differ(Piece(source, f"{self._sql.target_bucket(buckets)}={bucket}"))

    def _without_key(self) -> None:
        """Rows can only be counted, not named."""
        self._result.pieces = 1
        looks = [self._both(self._sql.source_sum("TRUE"), self._sql.target_sum("TRUE"))]
        while self._settle and looks[-1][0] != looks[-1][1] and len(looks) <= SETTLINGS:
            self._settle()
            looks.append(self._both(self._sql.source_sum("TRUE"), self._sql.target_sum("TRUE")))
        ours, theirs = looks[-1]
        if ours != theirs and any(look != looks[-1] for look in looks[1:]):
            self._result.moving = 1
            return
        self._result.rows = int(str(ours[0][0]))
        if ours != theirs:
            self._result.different = max(1, abs(int(str(ours[0][0])) - int(str(theirs[0][0]))))
            self._result.shown.append(Difference(self._table.source, (), "different"))

    def _both(self, source: str, target: str) -> tuple[list[list[int]], list[list[int]]]:
        """Ask both servers at once."""
        theirs = self._pool.submit(self._source.rows, source)
        found = self._target.rows(target)
        return _numbers(theirs.result()), _numbers(found)

    def _ranges(self) -> Iterator[Piece]:
        """Of about `PIECE` rows of the source each; the first and the last have no end, so that extra rows are seen."""
        column = self._table.key_columns[0]
        ours, theirs = quoted(column.source), postgres(column.target)
        low = Piece("TRUE", "TRUE")
        while True:
            query = (
                f"SELECT {column.read} FROM {quoted(self._table.source)} WHERE {low.source} "  # noqa: S608 (from the plan)
                f"ORDER BY {ours} LIMIT 1 OFFSET {PIECE - 1}"
            )
            found = [block.last()[0] for block in rows.read(self._source, query, [column.form])]
            if not found:
                yield low
                return
            value = values.value(found[0]) or b""
            source, target = values.source_literal(value, column.key), target_literal(value.decode(), column)
            yield Piece(f"{low.source} AND {ours} <= {source}", f"{low.target} AND {theirs} <= {target}")
            low = Piece(f"{ours} > {source}", f"{theirs} > {target}")

    def _differ(self, piece: Piece) -> None:
        """Row by row: first by hash and fingerprint, then those that seem to differ by value."""
        ours = dict(self._source_rows(piece))
        keys: dict[Canonical, Key] = {}
        for canonical, (key, digest) in self._target_rows(piece):
            if canonical in ours and ours[canonical][1] == digest:
                del ours[canonical]
            else:
                keys[canonical] = key
        keys |= {canonical: key for canonical, (key, _) in ours.items()}
        suspects = list(keys.values())
        for start in range(0, len(suspects), AT_ONCE):
            self._beat()
            self._judge(suspects[start : start + AT_ONCE])

    def _source_rows(self, piece: Piece) -> Iterator[tuple[Canonical, tuple[Key, object]]]:
        forms = [column.form for column in self._table.key_columns]
        forms += ["text", *(column.form for column in self._sql.by_value)]
        for block in rows.read(self._source, self._sql.source_keys(piece.source), forms):
            for line in block.text.split(b"\n")[:-1]:
                yield self._identified(line, repair=True)

    def _target_rows(self, piece: Piece) -> Iterator[tuple[Canonical, tuple[Key, object]]]:
        for line in self._target.lines(self._sql.target_keys(piece.target)):
            yield self._identified(line, repair=False)

    def _identified(self, line: bytes, *, repair: bool) -> tuple[Canonical, tuple[Key, object]]:
        columns = self._table.key_columns
        fields = values.fields(line)
        key = [field or b"" for field in fields[: len(columns)]]
        canonical = tuple(values.canonical(value, c.compare) for value, c in zip(key, columns, strict=True))
        prints: list[object] = [fields[len(columns)]]
        for value, column in zip(fields[len(columns) + 1 :], self._sql.by_value, strict=True):
            prints.append(values.fingerprint(values.repaired(value, column) if repair else value, column.compare))
        return canonical, (tuple(value.decode("latin1") for value in key), tuple(prints))

    def _judge(self, keys: Sequence[Key]) -> None:
        """The whole rows of both sides: what differs is counted, named, and with `repair` mended."""
        differing = self._lasting(keys) if self._settle else self._compared(keys)
        found = [difference for difference in differing if not self._is_given_up(difference)]
        if not found:
            return
        self._result.different += len(found)
        self._result.shown += found[: SHOWN - len(self._result.shown)]
        if self._repair:
            left = self._mended([difference.key for difference in found])
            self._result.repaired += len(found) - left

    def _settled(self) -> None:
        if self._settle is not None:
            self._settle()

    def _lasting(self, keys: Sequence[Key]) -> list[Difference]:
        """Rows that differ in every look, and whose two sides stayed as they were through all of them.

        A row that only read the same before and after may have changed twice between, and the target shows the middle.
        """
        left = list(self._unlike(keys))
        looks: list[dict[Key, _Unlike]] = []
        for _ in range(SETTLINGS):
            if not left:
                return []
            self._settled()
            looks.append(self._unlike(left))
            left = list(looks[-1])
        lasting = [key for key in left if all(look.get(key) == looks[0].get(key) for look in looks)]
        self._result.moving += len(left) - len(lasting)
        return [looks[-1][key].difference for key in lasting]

    def _is_given_up(self, difference: Difference) -> bool:
        given_up = difference.what == "missing" and (self._table.source, difference.key) in self._given_up
        self._result.accepted += given_up
        return given_up

    def _compared(self, keys: Sequence[Key]) -> list[Difference]:
        return [unlike.difference for unlike in self._unlike(keys).values()]

    def _unlike(self, keys: Sequence[Key]) -> "dict[Key, _Unlike]":
        """Those of the rows that are not the same on both sides."""
        ours = self._whole(self._source_lines(keys, self._table.columns))
        theirs = self._whole(
            self._target.lines(mend.rows(self._target, self._plan.target.schema, self._table, _utf8(keys)))
        )
        found = {}
        for canonical in ours.keys() | theirs.keys():
            key, source = ours.get(canonical, ((), None))
            other, target = theirs.get(canonical, ((), None))
            columns: tuple[str, ...] = ()
            if source is None or target is None:
                what = "missing" if target is None else "extra"
            else:
                what, columns = "different", self._unequal(source, target)
            if source is None or target is None or columns:
                difference = Difference(self._table.source, key or other, what, columns)
                found[difference.key] = _Unlike(difference, source, target)
        return found

    def _unequal(self, source: list[bytes | None], target: list[bytes | None]) -> tuple[str, ...]:
        return tuple(
            column.source
            for column, a, b in zip(self._table.columns, source, target, strict=True)
            if not (values.equal(a, b, column.compare) or values.equal(values.repaired(a, column), b, column.compare))
        )

    def _source_lines(self, keys: Sequence[Key], columns: Sequence[object]) -> Iterator[bytes]:
        chosen = [column for column in self._table.columns if column in columns]
        literals = [
            [values.equal_literal(v.encode("latin1"), c) for c, v in zip(self._table.key_columns, key, strict=True)]
            for key in keys
        ]
        query = f"{chunks.select_columns(self._table, chosen)} WHERE {chunks.one_of(self._table, literals)}"
        for block in rows.read(self._source, query, [column.form for column in chosen]):
            yield from block.text.split(b"\n")[:-1]

    def _whole(self, lines: Iterator[bytes]) -> dict[Canonical, tuple[Key, list[bytes | None]]]:
        places = [self._table.columns.index(column) for column in self._table.key_columns]
        found = {}
        for line in lines:
            fields = values.fields(line)
            key = [fields[place] or b"" for place in places]
            canonical = tuple(
                values.canonical(value, c.compare) for value, c in zip(key, self._table.key_columns, strict=True)
            )
            found[canonical] = (tuple(value.decode("latin1") for value in key), fields)
        return found

    def _mended(self, keys: Sequence[Key]) -> int:
        """Returns how many rows differ still."""
        schema, table = self._plan.target.schema, self._table
        into = Table(self._target, schema, table.target, [c.target for c in table.copied], copy.repairs(table))
        lines = list(self._source_lines(keys, table.copied))
        there = b"".join(line + b"\n" for line in lines)
        gone = [d.key for d in self._compared(keys) if d.what == "extra"]
        if not mend.replace(self._target, schema, table, into, _utf8(gone), there):
            return len(keys)
        return len(self._compared(keys))


def _runs(pieces: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and the last key of pieces that follow each other."""
    start = 0
    for n, piece in enumerate(pieces):
        last = n + 1 == len(pieces)
        if last or pieces[n + 1] != piece + 1 or n + 1 - start == RUN:
            yield pieces[start] * NEIGHBOURS, piece * NEIGHBOURS + NEIGHBOURS - 1
            start = n + 1


def _utf8(keys: Sequence[Key]) -> list[Key]:
    """Keys are kept byte for byte, as latin1; SQL wants the text."""
    return [tuple(value.encode("latin1").decode() for value in key) for key in keys]


def _numbers(found: Sequence[Sequence[object]]) -> list[list[int]]:
    """Both servers' counts and sums are whole numbers, whatever the drivers make of them."""
    return [[int(str(_text(value))) for value in row] for row in found]


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value
