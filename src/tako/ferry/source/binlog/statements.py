"""What a statement in the log does to the tables that are followed, as far as its words tell.

This is no parser of SQL. It knows the few statements that can be followed by heart, those that touch no rows, and takes
everything else that could concern the followed database for a reason to stop.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Kind = Literal[
    "begin", "commit", "rollback", "savepoint", "rollback to", "xa", "nothing", "truncate", "columns", "indexes", "stop"
]

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[\s][^\n]*|--$|\#[^\n]*|/\*(?![!M]).*?\*/|/\*!\d*|/\*M!\d*|\*/)
    |(?P<quoted>`(?:[^`]|``)*`)
    |(?P<text>'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*")
    |(?P<word>[\w$@\u0080-\U0010ffff\udc80-\udcff]+)
    |(?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ROWS = frozenset(
    {"insert", "update", "delete", "replace", "load", "with", "call", "do", "merge", "import", "handler", "select"}
)
_HARMLESS = frozenset(
    {"grant", "revoke", "set", "flush", "analyze", "optimize", "repair", "check", "install", "uninstall", "lock"}
    | {"unlock", "kill", "reset", "purge", "change", "start", "stop", "cache", "release", "shutdown", "binlog"}
)
# What CREATE, ALTER and DROP may be about without a row of a table changing.
_OTHER_THINGS = frozenset(
    {"view", "trigger", "procedure", "function", "event", "user", "role", "server", "tablespace", "logfile", "resource"}
    | {"package", "sequence", "library", "spatial_reference_system", "undo"}
)
_THINGS = _OTHER_THINGS | {"table", "database", "schema", "index"}
# Clauses of ALTER TABLE that change neither columns nor rows.
_IDLE_CLAUSES = re.compile(
    r"(engine\s*=?\s*innodb|comment\s*=?.*|auto_increment\s*=?\s*\d+|force|algorithm\s*=?.*|lock\s*=?.*|"
    r"row_format\s*=?.*|stats_\w+\s*=?.*|key_block_size\s*=?.*|(enable|disable) keys|order by .*|nowait|wait \d+|"
    r"alter (index|key) \S+ (in)?visible|alter (index|key) \S+ (not )?ignored|(without|with) validation)",
    re.DOTALL,
)
_INDEX_CLAUSES = re.compile(
    r"(add (unique |fulltext |spatial )?(index|key)\b.*|add (unique|fulltext|spatial)\b.*|drop (index|key) .*|"
    r"add constraint (\S+ )?unique\b.*|rename (index|key) .*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    kind: str

    @property
    def word(self) -> str:
        """In lower case, if it is a word and no quoted name."""
        return self.text.lower() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        return self.text[1:-1].replace("``", "`") if self.kind == "quoted" else self.text


@dataclass(frozen=True, slots=True)
class Added:
    """A column that ALTER TABLE adds. `after` is None at the end, empty in front; `type` as it stands there."""

    name: str
    type: str
    after: str | None


@dataclass(frozen=True, slots=True)
class Meaning:
    """`tables` are (database, table) in lower case, the database that of the session if none is named.

    `name` is that of a savepoint or of an XA transaction, `verb` what becomes of the latter.
    """

    kind: Kind
    tables: tuple[tuple[str, str], ...] = ()
    name: str = ""
    verb: str = ""
    added: tuple[Added, ...] = ()
    makes_table: bool = False
    only_if_missing: bool = False


NOTHING = Meaning("nothing")


def meaning(sql: str, database: str) -> Meaning:
    """What `sql` does, in a session whose database is `database`."""
    short = _short(sql)
    if short is not None:
        return short
    tokens = tokens_of(sql)
    first = tokens[0].word if tokens else ""
    if first in _HARMLESS:
        return NOTHING
    if first == "truncate":
        return Meaning("truncate", tuple(_names(tokens[1:], database)[:1]))
    if first == "rename" and len(tokens) > 1 and tokens[1].word in ("table", "tables"):
        return Meaning("stop", tuple(_names(tokens[2:], database)), makes_table=True)
    if first == "rename":
        return NOTHING  # a user
    if first in ("create", "alter", "drop"):
        return _definition(tokens, database)
    return Meaning("stop", tuple(_mentioned(tokens, database)))


def _short(sql: str) -> Meaning | None:
    """The statements around rows, of which there are as many as there are transactions."""
    if sql == "BEGIN" or sql == "START TRANSACTION":
        return Meaning("begin")
    if sql == "COMMIT":
        return Meaning("commit")
    if sql == "ROLLBACK":
        return Meaning("rollback")
    if found := re.fullmatch(r"SAVEPOINT\s+`?(.*?)`?", sql, re.DOTALL | re.IGNORECASE):
        return Meaning("savepoint", name=found[1].lower())
    if found := re.fullmatch(r"ROLLBACK TO\s+(?:SAVEPOINT\s+)?`?(.*?)`?", sql, re.DOTALL | re.IGNORECASE):
        return Meaning("rollback to", name=found[1].lower())
    if found := re.fullmatch(r"XA (START|END|PREPARE|COMMIT|ROLLBACK)\s+(\S*?)(?: ONE PHASE)?\s*", sql):
        return Meaning("xa", name=_xid(found[2]), verb=found[1].lower())
    return None


def _xid(said: str) -> str:
    first, second, kind = [*said.split(","), "X''", "1"][:3] if said.count(",") < 2 else said.split(",")
    return f"{first[0]}{first[1:].lower()},{second[0]}{second[1:].lower()},{kind}"


def tokens_of(sql: str) -> list[Token]:
    """Words, names, texts and signs; comments are gone, what stands in executable ones is there."""
    return [Token(found.group(), str(found.lastgroup)) for found in _TOKEN.finditer(sql) if found.lastgroup != "space"]


def _definition(tokens: Sequence[Token], database: str) -> Meaning:
    verb = tokens[0].word
    at = next((n for n, token in enumerate(tokens) if n and token.word in _THINGS), None)
    if at is None:
        return Meaning("stop", tuple(_mentioned(tokens, database)))
    thing = tokens[at].word
    if thing in _OTHER_THINGS:
        return NOTHING
    if thing in ("database", "schema"):
        names = [token.name.lower() for token in tokens[at + 1 :] if token.word not in ("if", "exists", "not")]
        return Meaning("stop", ((names[0], ""),)) if verb == "drop" and names else NOTHING
    if any(token.word == "temporary" for token in tokens[:at]):
        return NOTHING
    if thing == "index":
        on = next((n for n, token in enumerate(tokens) if n > at and token.word == "on"), None)
        return Meaning("indexes", tuple(_names(tokens[on + 1 :], database)[:1])) if on else Meaning("stop")
    names_ = _names(tokens[at + 1 :], database)
    if verb == "alter":
        return _alteration(tokens[at + 1 :], names_[:1])
    if verb == "drop":
        return Meaning("stop", tuple(names_))
    cautious = [token.word for token in tokens[at + 1 : at + 4]] == ["if", "not", "exists"]
    return Meaning("stop", tuple(names_[:1]), makes_table=True, only_if_missing=cautious)


def _names(tokens: Sequence[Token], database: str) -> list[tuple[str, str]]:
    """Names of tables from there on: a, b.c TO d, …"""
    found = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.word in ("if", "exists", "not", "table", "only", "to", "wait", "nowait") or token.text == ",":
            at += 1
            continue
        if token.kind not in ("word", "quoted"):
            break
        if at + 2 < len(tokens) and tokens[at + 1].text == ".":
            found.append((token.name.lower(), tokens[at + 2].name.lower()))
            at += 3
        else:
            found.append((database.lower(), token.name.lower()))
            at += 1
        if at < len(tokens) and tokens[at].text != "," and tokens[at].word != "to":
            break
    return found


def _mentioned(tokens: Sequence[Token], database: str) -> Iterator[tuple[str, str]]:
    """Databases that a statement could be about: the session's, and everything that stands before a point."""
    yield database.lower(), ""
    for token, following in pairwise(tokens):
        if following.text == "." and token.kind in ("word", "quoted"):
            yield token.name.lower(), ""


def _alteration(tokens: Sequence[Token], names: list[tuple[str, str]]) -> Meaning:
    tables = tuple(names)
    at = next((n + 1 for n, token in enumerate(tokens) if names and token.name.lower() == names[0][1]), None)
    if at is None:
        return Meaning("stop", tables)
    kinds = set()
    added: list[Added] = []
    for clause in _clauses(tokens[at:]):
        said = " ".join(token.name if token.kind == "quoted" else token.text.lower() for token in clause)
        if (columns := _added(clause)) is not None:
            kinds.add("columns")
            added += columns
        elif _IDLE_CLAUSES.fullmatch(said):
            kinds.add("nothing")
        elif _INDEX_CLAUSES.fullmatch(said) and not said.startswith("add primary"):
            kinds.add("indexes")
        else:
            return Meaning("stop", tables)
    if "columns" in kinds:
        return Meaning("columns", tables, added=tuple(added))
    return Meaning("indexes" if "indexes" in kinds else "nothing", tables)


def _clauses(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Parted at the commas that stand in no parentheses."""
    depth = 0
    clause: list[Token] = []
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            yield clause
            clause = []
        elif token.text != ";":
            clause.append(token)
    if clause:
        yield clause


def _added(clause: Sequence[Token]) -> list[Added] | None:
    """Columns that may be NULL and are NULL in all rows that are there: nothing else can be followed."""
    words = [token.word for token in clause]
    if not words or words[0] != "add":
        return None
    at = 2 if words[1:2] == ["column"] else 1
    if words[at : at + 3] == ["if", "not", "exists"]:
        return None
    if (
        at == 1
        and words[1:2]
        and words[1]
        in (
            *(
                "index",
                "key",
                "unique",
                "fulltext",
                "spatial",
                "constraint",
                "primary",
                "foreign",
                "check",
                "partition",
            ),
            *("period", "system"),
        )
    ):
        return None
    if at < len(clause) and clause[at].text == "(":
        parts = [_one_added(part) for part in _clauses(clause[at + 1 : -1])]
        return None if any(part is None for part in parts) else [part for part in parts if part is not None]
    one = _one_added(clause[at:])
    return None if one is None else [one]


_PLAIN_REST = re.compile(
    r"(unsigned |zerofill |character set (=? ?)\S+ |charset \S+ |collate (=? ?)\S+ |null |default null |comment '.*?' |"
    r"invisible |visible )*(?P<where>first |after .+ )?",
    re.DOTALL,
)


def _one_added(tokens: Sequence[Token]) -> Added | None:
    if len(tokens) < 2 or tokens[0].kind not in ("word", "quoted") or not tokens[1].word:
        return None
    at = 2
    type = tokens[1].word
    if at < len(tokens) and tokens[at].text == "(":
        close = next((n for n, token in enumerate(tokens) if n > at and token.text == ")"), None)
        if close is None:
            return None
        type += "(" + ",".join(token.text for token in tokens[at + 1 : close] if token.text != ",") + ")"
        at = close + 1
    rest = "".join(f"{token.name if token.kind == 'quoted' else _lower(token)} " for token in tokens[at:])
    found = _PLAIN_REST.fullmatch(rest)
    if found is None:
        return None
    where = found["where"]
    after = None if where is None else "" if where == "first " else tokens[-1].name
    return Added(tokens[0].name, type, after)


def _lower(token: Token) -> str:
    return token.text if token.kind == "text" else token.text.lower()
