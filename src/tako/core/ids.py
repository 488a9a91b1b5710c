"""Prefixed UUIDv7 ids: sortable by creation, and their kind is visible in a log line."""

import re

from uuid_utils import uuid7

_SHAPE = re.compile(r"[a-z]{1,8}_[0-9a-f]{32}\Z")


def new(prefix: str) -> str:
    """A fresh id, e.g. ``resp_0192f3…``: the prefix, an underscore and a UUIDv7 (RFC 9562) in 32 hex digits."""
    return f"{prefix}_{uuid7().hex}"


def is_id(value: str, prefix: str = "") -> bool:
    """Whether `value` has the shape of an id, of that kind where one is named (it may still name nothing)."""
    return _SHAPE.match(value) is not None and (not prefix or value.startswith(prefix + "_"))
