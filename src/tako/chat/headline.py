"""What a title is: one line of plain text, at most ten Chinese characters or six words, whoever wrote it."""

import re
import unicodedata

# Ten characters of a script without spaces weigh as much as six words of one with them.
LIMIT = 30
_CHARACTER = 3
_WORD = 5
# The longest word that is shown; what is longer is an address or a key.
_LONGEST_WORD = 24

# Scripts written without spaces, with their punctuation: kana and CJK ideographs. (Hangul is written with spaces.)
_DENSE = (
    "\u3001-\u303f\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff9f\U00020000-\U0003ffff"
)
_UNITS = re.compile(rf"[{_DENSE}]|[^\s{_DENSE}]+")
_MARKDOWN = re.compile(r"^\s*(?:[#>*+-]+|\d+[.)])\s+|(?<!\w)[*_~]+|[*_~]+(?!\w)|`+")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_LABEL = re.compile(
    r"^(?:title|chat title|conversation title|标题|標題|对话标题|會話標題|タイトル)\s*[:：]\s*", re.IGNORECASE
)
_QUOTES = "\"'“”‘’«»‹›「」『』《》〈〉【】"
_TRAILING = " .,;:!?…。，；：！？、-–—"


def of_question(text: str) -> str:
    """The beginning of a question, for as long as no model has made a title; never empty for a text that shows."""
    line = next((cleaned for line in text.splitlines() if (cleaned := _clean(line))), "")
    return _shortened(line) or "…"


def of_model(text: str) -> str | None:
    """What a model gave as a title; None when it rambles or says nothing."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if not lines or len(lines) > 2:
        return None
    title = _clean(lines[0])
    if not title or _weight(title) > 2 * LIMIT:
        return None
    return _shortened(title) or None


def _clean(line: str) -> str:
    """`line` without markdown, quotes around it, a label before it, and what no eye sees."""
    visible = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in line)
    visible = "".join(c for c in visible if unicodedata.category(c) not in ("Cf", "Cs", "Co", "Cn") or c == "\u200d")
    plain = _MARKDOWN.sub("", _LINK.sub(r"\1", visible))
    plain = " ".join(plain.split())
    while (bare := _LABEL.sub("", plain.strip(_QUOTES + " ")).rstrip(_TRAILING)) != plain:
        plain = bare
    return plain


def _weight(title: str) -> int:
    return sum(map(_weight_of, _UNITS.findall(title)))


def _weight_of(unit: str) -> int:
    return _CHARACTER if re.match(f"[{_DENSE}]", unit) else _WORD


def _shortened(title: str) -> str:
    """As many whole units from the beginning as fit."""
    weight = 0
    end = 0
    for unit in _UNITS.finditer(title):
        weight += _weight_of(unit[0])
        if weight > LIMIT:
            break
        end = unit.end()
        if end - unit.start() > _LONGEST_WORD:
            end = unit.start() + _LONGEST_WORD
            break
    return title[:end].rstrip(_TRAILING)
