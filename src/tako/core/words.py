"""Help for people who mistype."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that names the known word most like `word`, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(known)}."
