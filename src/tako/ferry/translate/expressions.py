"""Defaults, checks and generated columns: translated if every token is known to mean the same, else not at all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tako.ferry.schema import Default
from tako.ferry.translate.names import literal

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<name>`(?:[^`]|``)+`)
      | (?:_utf8mb[34]|_latin1)?\s*(?P<text>'(?:[^'\\]|''|\\.)*')
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<word>[A-Za-z_][A-Za-z_0-9]*)
      | (?P<sign><=(?!>)|>=|<>|!=|<(?!=)|>|=|\+|-|\*|\(|\)|,|%)
    )""",
    re.VERBOSE,
)
_WORDS = frozenset({"and", "or", "not", "is", "null", "in", "between", "case", "when", "then", "else", "end"})
_FUNCTIONS = {
    "coalesce": "coalesce",
    "ifnull": "coalesce",
    "nullif": "nullif",
    "lower": "lower",
    "upper": "upper",
    "abs": "abs",
    "char_length": "char_length",
    "length": "octet_length",
    "concat": "",  # of a NULL it is NULL, as || is
}
_NOW = re.compile(r"(?:current_timestamp|now|localtimestamp|localtime)(?:\((\d?)\))?", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_BITS = re.compile(r"b'([01]*)'")


def translated(expression: str, names: Mapping[str, str]) -> str | None:
    """The same condition or value for PostgreSQL, `names` giving its columns, or None if a token is not known.

    `/` is not known (MySQL divides integers into fractions), nor is LIKE (case), nor IF, casts and dates.
    """
    parts: list[str] = []
    stack: list[str] = []
    at = 0
    text = expression.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            return None
        at = found.end()
        part = _token(found, text[at:].lstrip()[:1], names, stack)
        if part is None:
            return None
        parts.append(part)
    return " ".join(part for part in parts if part) if not stack else None


def _token(found: re.Match[str], following: str, names: Mapping[str, str], stack: list[str]) -> str | None:
    kind = found.lastgroup
    token = found[str(kind)]
    if kind == "name":
        return names.get(token[1:-1].replace("``", "`"))
    if kind == "text":
        from_quotes = re.sub(r"''|\\(.)", lambda part: part[1] or "'", token[1:-1], flags=re.DOTALL)
        return literal(from_quotes)
    if kind == "number":
        return token
    if kind == "word":
        return _word(token.lower(), following, stack)
    return _sign(token, stack)


def _word(word: str, following: str, stack: list[str]) -> str | None:
    if word in _WORDS:
        return word.upper()
    if following == "(" and word in _FUNCTIONS:
        stack.append(f"{word}?")
        return _FUNCTIONS[word]
    return None


def _sign(sign: str, stack: list[str]) -> str | None:
    if sign == "(":
        if stack and stack[-1].endswith("?"):
            stack[-1] = stack[-1][:-1]
        else:
            stack.append("")
    elif sign == ")":
        if not stack:
            return None
        stack.pop()
    elif sign == "," and stack and stack[-1] == "concat":
        return "||"
    return "<>" if sign == "!=" else sign


@dataclass(frozen=True, slots=True)
class DefaultSql:
    """`sql` None: there is no default afterwards; `problem` then says why, if that is a change."""

    sql: str | None
    problem: str = field(default="")


def default(default: Default | None, type: str, names: Mapping[str, str]) -> DefaultSql:
    """A column's default as SQL of the target."""
    if default is None:
        return DefaultSql(None)
    if default.kind == "literal":
        return _literal(default.text, type)
    bare = default.text.strip()
    while bare.startswith("(") and bare.endswith(")"):
        bare = bare[1:-1].strip()
    if now := _NOW.fullmatch(bare):
        digits = f"({now[1]})" if now[1] else "(0)"
        return DefaultSql(f"CURRENT_TIMESTAMP{digits}" if type.startswith("timestamptz") else f"LOCALTIMESTAMP{digits}")
    if re.fullmatch(r"uuid\(\)?", bare, re.IGNORECASE) or bare.lower() == "uuid(":
        return DefaultSql("gen_random_uuid()" if type == "uuid" else "gen_random_uuid()::text")
    if re.fullmatch(r"(curdate\(?\)?|current_date(\(\)?)?)", bare, re.IGNORECASE):
        return DefaultSql("CURRENT_DATE")
    sql = translated(default.text, names)
    if sql is None:
        return DefaultSql(None, f"its default {default.text} is an expression that ferry does not know")
    return DefaultSql(f"({sql})")


def _literal(text: str, type: str) -> DefaultSql:
    base = type.split("(")[0]
    if bits := _BITS.fullmatch(text):
        text = str(int(bits[1] or "0", 2)) if base in ("boolean", "bigint") else bits[1]
    if base == "boolean":
        return DefaultSql("true" if text not in ("0", "") else "false")
    if base == "bit":
        width = int(type.split("(")[1].rstrip(")"))
        return DefaultSql(f"B'{text.rjust(width, '0')}'")
    if base in ("smallint", "integer", "bigint", "numeric", "real", "double precision") and _NUMBER.fullmatch(text):
        return DefaultSql(text)
    if base in ("date", "timestamp", "timestamptz") and re.match(r"0000|\d{4}-00|\d{4}-\d\d-00", text):
        return DefaultSql(None, f"its default {text} is no date in PostgreSQL")
    if base == "bytea":
        return DefaultSql(f"'\\x{text.encode('latin1').hex()}'::bytea")
    if base == "text[]":
        return DefaultSql(literal("{" + ",".join(f'"{label}"' for label in text.split(",") if label) + "}"))
    return DefaultSql(literal(text))
