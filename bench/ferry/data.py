"""The data set: a question site in three tables and a table of every type, as files that LOAD DATA and COPY both read.

The files are the truth that every tool's copy is compared with afterwards, so nothing in them is rendered by a server.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

SCHEMA = Path(__file__).with_name("schema.sql")
# What each column means, for the comparison. Columns that are not named here are text.
KINDS: dict[str, dict[str, str]] = {
    "users": {"id": "whole", "notify": "flag", "is_admin": "flag"}
    | dict.fromkeys(("created_at", "updated_at", "deleted_at"), "moment"),
    "questions": dict.fromkeys(("id", "user_id", "asker_user_id"), "whole")
    | dict.fromkeys(("is_private", "content_ok"), "flag")
    | dict.fromkeys(("created_at", "updated_at", "deleted_at"), "moment"),
    "censor_logs": {"id": "whole", "created_at": "moment", "pass": "flag", "raw_response": "json"},
    "wide": dict.fromkeys(("id", "ti", "tiu", "si", "mi", "miu", "i", "iu", "bi", "biu", "y"), "whole")
    | dict.fromkeys(("flag", "b1"), "flag")
    | dict.fromkeys(("bn", "vb", "bl"), "bytes")
    | dict.fromkeys(("dt", "dtm", "dt6", "ts", "ts3"), "moment")
    | dict.fromkeys(("tm", "tm3"), "length")
    | {"f": "float", "d": "double", "dc": "decimal", "b12": "bits", "js": "json"},
}
TABLES = tuple(KINDS)

WORDS = (
    *("提问箱", "请问", "为什么", "谢谢", "今天", "天气", "喜欢", "匿名", "回答", "的", "了", "日本語", "한국어", "٣"),
    *(
        "question",
        "box",
        "hello",
        "world",
        "é",
        "ñ",
        "😀",
        "🐱",
        "👨‍👩‍👧",
        '"quoted"',
        "it's",
        "<b>",
        "a/b",
        "100%",
        "NULL",
    ),
    *("\\", "\t", "\n", "\\N", "\\.", "\r"),
)
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
NULL = "\\N"


@dataclass(frozen=True)
class Size:
    """How many rows each table has: as many questions as asked for, the rest in proportion."""

    questions: int

    def of(self, table: str) -> int:
        return max(
            1,
            {"users": self.questions // 20, "censor_logs": self.questions // 2, "wide": self.questions // 10}.get(
                table, self.questions
            ),
        )

    @property
    def total(self) -> int:
        return sum(map(self.of, TABLES))


def write(folder: Path, size: Size, seed: int) -> int:
    """Writes `<table>.tsv` for every table. Returns their bytes."""
    jobs = [(table, folder, size, seed) for table in sorted(TABLES, key=size.of, reverse=True)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(_write, *zip(*jobs, strict=True)))


def _write(table: str, folder: Path, size: Size, seed: int) -> int:
    rnd = random.Random(f"{seed} {table}")
    path = folder / f"{table}.tsv"
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines("\t".join(row) + "\n" for row in _ROWS[table](rnd, size))
    return path.stat().st_size


def _text(rnd: random.Random, low: int, high: int) -> str:
    wanted, words, length = rnd.randint(low, high), [], 0
    while length < wanted:
        words.append(rnd.choice(WORDS))
        length += len(words[-1].encode()) + 1
    return " ".join(words).translate(ESCAPES)


def _texts(rnd: random.Random) -> tuple[list[str], list[str]]:
    """Long and short ones to choose from."""
    return [_text(rnd, 100, 300) for _ in range(5_000)], [_text(rnd, 20, 60) for _ in range(2_000)]


def _documents(rnd: random.Random, words: list[str]) -> list[str]:
    return [
        json.dumps(
            {
                "code": 0,
                "msg": rnd.choice(words),
                "labels": rnd.choices(["porn", "ad", "abuse"], k=rnd.randint(0, 4)),
                "score": round(rnd.random(), 6),
                "nested": {"a": [1, 2, {"b": None}]},
            },
            ensure_ascii=False,
        ).translate(ESCAPES)
        for _ in range(5_000)
    ]


def _moment(rnd: random.Random, fraction: str = "") -> str:
    n = rnd.getrandbits(31)
    return (
        f"{2019 + n % 8}-{1 + n // 8 % 12:02}-{1 + n // 96 % 28:02}"
        f" {n // 2688 % 24:02}:{n // 64512 % 60:02}:{n // 3870720 % 60:02}{fraction}"
    )


def _millis(rnd: random.Random) -> str:
    return _moment(rnd, f".{rnd.randrange(1000):03}")


def _users(rnd: random.Random, size: Size) -> Iterator[tuple[str, ...]]:
    long, short = _texts(rnd)
    for n in range(1, size.of("users") + 1):
        yield (
            str(n),
            _millis(rnd) if rnd.random() > 0.002 else "0000-00-00 00:00:00.000",
            _millis(rnd),
            NULL if rnd.random() < 0.95 else _millis(rnd),
            rnd.choice(short),
            hashlib.sha256(b"%d" % n).hexdigest(),
            f"u{n}@example.com",
            f"https://cdn.example.com/{n}.png",
            f"d{n}",
            rnd.choice(long),
            rnd.choice("01"),
            rnd.choice(("none", "register_only")),
            rnd.choice(("0", "0", "0", "1", NULL)),
        )


def _questions(rnd: random.Random, size: Size) -> Iterator[tuple[str, ...]]:
    long, _ = _texts(rnd)
    users = size.of("users")
    for n in range(1, size.of("questions") + 1):
        yield (
            str(n),
            _moment(rnd) if rnd.random() > 0.001 else "0000-00-00 00:00:00",
            _moment(rnd),
            NULL if rnd.random() < 0.9 else _moment(rnd),
            f"10.{n & 255}.{n >> 8 & 255}.{n >> 16 & 255}",
            str(rnd.randint(1, users)),
            rnd.choice(long),
            f"{n * 2654435761:016x}",
            NULL if rnd.random() < 0.4 else rnd.choice(long),
            NULL if rnd.random() < 0.7 else f"a{n}@example.com",
            NULL if rnd.random() < 0.6 else str(rnd.randint(1, users)),
            rnd.choice("01"),
            rnd.choice(("0", "1", NULL)),
        )


def _censor_logs(rnd: random.Random, size: Size) -> Iterator[tuple[str, ...]]:
    long, short = _texts(rnd)
    documents = _documents(rnd, short)
    for n in range(1, size.of("censor_logs") + 1):
        yield (
            str(n),
            _millis(rnd),
            rnd.choice(("qiniu", "aliyun")),
            rnd.choice(long),
            hashlib.md5(b"%d" % n, usedforsecurity=False).hexdigest(),
            rnd.choice("01"),
            rnd.choice(documents),
        )


def _wide(rnd: random.Random, size: Size) -> Iterator[tuple[str, ...]]:
    long, short = _texts(rnd)
    documents = _documents(rnd, short)

    def letters(low: int, high: int) -> str:
        return "".join(rnd.choices("abcdefghijklmnop", k=rnd.randint(low, high)))

    for n in range(1, size.of("wide") + 1):
        yield (
            str(n),
            str(rnd.randint(-128, 127)),
            str(rnd.randint(0, 255)),
            rnd.choice("01"),
            str(rnd.randint(-32768, 32767)),
            str(rnd.randint(-8388608, 8388607)),
            str(rnd.randint(0, 16777215)),
            str(rnd.randint(-(2**31), 2**31 - 1)),
            str(rnd.randint(0, 2**32 - 1)),
            str(rnd.randint(-(2**63), 2**63 - 1)),
            str(rnd.randint(0, 2**64 - 1)),
            f"{rnd.uniform(-1e5, 1e5):.3f}",
            repr(rnd.uniform(-1e9, 1e9)),
            f"{rnd.uniform(-1e9, 1e9):.6f}",
            rnd.choice("01"),
            str(rnd.randint(0, 4095)),
            letters(0, 10),
            rnd.choice(short),
            f"café {letters(8, 8)}",
            rnd.choice(long),
            letters(8, 8),
            letters(20, 20),
            letters(50, 50),
            rnd.choice(("red", "green", "blue")),
            rnd.choice(("a", "a,b", "b,c", "")),
            _moment(rnd)[:10],
            _moment(rnd),
            _moment(rnd, f".{rnd.randrange(1_000_000):06}"),
            _moment(rnd),
            _millis(rnd),
            f"{rnd.choice(('', '-'))}{rnd.randint(0, 838):02}:{rnd.randrange(60):02}:{rnd.randrange(60):02}",
            f"12:34:56.{rnd.randrange(1000):03}",
            str(rnd.randint(1970, 2099)),
            rnd.choice(documents),
        )


_ROWS: dict[str, Callable[[random.Random, Size], Iterator[tuple[str, ...]]]] = {
    "users": _users,
    "questions": _questions,
    "censor_logs": _censor_logs,
    "wide": _wide,
}
