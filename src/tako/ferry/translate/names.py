"""Identifiers: what MySQL allows and PostgreSQL folds, cuts or shares between tables."""

import hashlib
from collections import Counter
from collections.abc import Iterable

LONGEST = 63  # bytes; PostgreSQL cuts what is longer, without a word


def mysql(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def postgres(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as PostgreSQL reads it, whatever standard_conforming_strings says."""
    if "\\" in text:
        return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + text.replace("'", "''") + "'"


def folded(name: str, how: str) -> str:
    return name.lower() if how == "lower" else name


def fitting(name: str) -> str:
    """The name itself, or its beginning and a hash of all of it."""
    if len(name.encode()) <= LONGEST:
        return name
    tail = "_" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return name.encode()[: LONGEST - len(tail)].decode(errors="ignore") + tail


def collisions(names: Iterable[str]) -> list[str]:
    """Names that would be the same one in PostgreSQL."""
    counted = Counter(name.encode()[:LONGEST] for name in names)
    return sorted(name.decode(errors="replace") for name, times in counted.items() if times > 1)
