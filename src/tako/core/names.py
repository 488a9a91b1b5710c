"""Names that people give to things: one line, of a bounded length, without characters that only confuse."""

import re

from tako.core.errors import Invalid

# Control characters, halves of surrogate pairs, and the marks that turn the direction of what stands around them.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def normal(name: str, param: str, *, least: int = 1, most: int) -> str:
    """Trimmed. Raises `Invalid`, which names `param` as the field at fault."""
    name = name.strip()
    if not least <= len(name) <= most or _UNFIT.search(name):
        raise Invalid(
            f"{param} needs {least} to {most} characters, on one line, without control characters.",
            code="invalid_value",
            param=param,
        )
    return name
