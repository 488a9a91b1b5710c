"""The fold: what a log becomes when it ends. From it alone every entry, and so every event, is rebuilt.

It keeps each part's text once, the order in which parts grew as runs of (part, length in code points), and all
other entries as they were, each with the number of runs before it.
"""

from collections.abc import Iterable, Iterator

import msgspec

from tako.chat.entries import AnyEntry, Appended, Created, decode, encode


class Fold(msgspec.Struct, array_like=True, frozen=True):
    """`texts[p]` is the whole text of part p; `runs` is flat: part, length, part, length, …"""

    version: int
    texts: list[str]
    runs: list[int]
    others: list[tuple[int, msgspec.Raw]]

    def entries(self) -> Iterator[AnyEntry]:
        """The log as it was, entry by entry."""
        taken = [0] * len(self.texts)
        others = iter(self.others)
        due, raw = next(others, (-1, msgspec.Raw()))
        for i in range(0, len(self.runs) + 2, 2):
            while due == i // 2:
                yield decode(raw)
                due, raw = next(others, (-1, msgspec.Raw()))
            if i < len(self.runs):
                part, length = self.runs[i], self.runs[i + 1]
                start = taken[part]
                taken[part] = start + length
                yield Appended(part, self.texts[part][start : start + length])

    def created(self) -> Created:
        entry = decode(self.others[0][1])
        if not isinstance(entry, Created):
            raise TypeError("a log begins with what created it")
        return entry


def fold(entries: Iterable[bytes]) -> Fold:
    """Fold a whole log."""
    texts: list[list[str]] = []
    runs: list[int] = []
    others: list[tuple[int, msgspec.Raw]] = []
    for raw in entries:
        entry = decode(raw)
        if isinstance(entry, Appended):
            while len(texts) <= entry.part:
                texts.append([])
            texts[entry.part].append(entry.text)
            runs += (entry.part, len(entry.text))
        else:
            others.append((len(runs) // 2, msgspec.Raw(raw)))
    return Fold(1, ["".join(pieces) for pieces in texts], runs, others)


def dump(value: Fold) -> bytes:
    return encode(value)


load = msgspec.msgpack.Decoder(Fold).decode
