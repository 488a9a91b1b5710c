"""`python -m bench.ferry.following`: decodes and applies a source's changes beside the peers; lag under load."""

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles

import psycopg
import pymysql
from pymysql.cursors import Cursor
from tests.support import mariadb, postgres
from tests.support.mysqld import Mysqld

from bench.ferry import data, peers
from bench.ferry.__main__ import SOURCE, TARGET, load
from bench.ferry.data import Size
from bench.ferry.measure import Ran, Servers
from bench.ferry.peers import CACHE, ROOT, Job

RESULTS = Path(__file__).with_name("following.json")
# Without the names of columns in the log pg_chameleon crashes.
METADATA = ("--binlog-row-metadata=FULL",)
TRANSACTION = 20  # rows that are changed together
PATIENCE = 120.0  # seconds that a tool gets to apply everything
FAR = 100_000_000  # ids that no row has
MARK = 900_000_000  # id of the row that is inserted last
STEADY = 5_000  # changes per second
STEADY_SECONDS = 30
APPLICATION = 200  # writes per second during verify and cutover
STOPPED = ("fence", "writers", "drain", "compare", "switch", "hook")  # the steps in which nothing can be written
PROBE = 0.25  # seconds between two rows whose way is timed


@dataclass(frozen=True)
class Place:
    file: str
    offset: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ferry.following", description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="questions; all tables together have 1.65 times as many"
    )
    parser.add_argument("--changes", type=int, default=200_000, help="rows that are changed; a tenth for pg_chameleon")
    given = parser.parse_args()
    peers.install()
    with (
        mariadb.running((*SOURCE, *METADATA)) as source,
        postgres.running(TARGET) as target,
        tempfile.TemporaryDirectory(prefix="bench-following-") as name,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        size = Size(given.rows)
        data.write(folder, size, 7)
        load(source, folder, size)
        servers = Servers(source, target)
        found = {"rows": size.total, **_site(servers, folder, given.changes)}
        RESULTS.write_text(json.dumps(found, indent=1))
        found |= _tenth(servers, folder, given.changes // 10)
        RESULTS.write_text(json.dumps(found, indent=1))


def _site(servers: Servers, folder: Path, changes: int) -> dict[str, object]:
    """Ferry copies, the site changes, everybody decodes that, ferry applies it, and goes on under a steady load."""
    job = Job(servers, "site", servers.target.new_database(), Path(tempfile.mkdtemp(dir=folder)))
    _demand(peers.ferry(job), "ferry plan")
    _demand(peers.tako(job, "copy", "plan.json", "--json"), "ferry copy")
    start = _place(servers.source)
    changed = _change(servers.source, "site", changes)
    end = _place(servers.source)
    found: dict[str, object] = {"changes": changed}
    print("| decoding | rows/s | CPU s of the reader | peak MiB | rows seen |\n|---|---|---|---|---|")
    for title, ran in _decoders(job, start, end, changed).items():
        seen, seconds = (int(ran.said.split()[-2]), float(ran.said.split()[-1])) if ran.code == 0 else (0, 1.0)
        found[title] = asdict(ran.cost) | {"seen": seen, "seconds": seconds}
        cost = ran.cost
        print(f"| {title} | {seen / seconds:,.0f} | {cost.tool:.1f} | {cost.memory:.0f} | {seen:,} of {changed:,} |")
        if ran.code:
            print(ran.said[-2000:])
    print(
        "\n| applying | changes/s | CPU source | CPU target | CPU tool | peak MiB | equal |"
        "\n|---|---|---|---|---|---|---|"
    )
    found["apply ferry"] = _applied("**tako ferry**", job, changed, lambda until: _follow(job, until))
    found["steady"] = _steady(job, changes)
    found["cutover"] = _cutover(job)
    return found


def _decoders(job: Job, start: Place, end: Place, changed: int) -> dict[str, Ran]:
    here = Path(__file__).parent
    port = str(job.servers.source.port)
    theirs = [port, start.file, str(start.offset), str(changed)]
    ours = [sys.executable, str(here / "decode_ferry.py"), start.file, str(start.offset), str(end.offset)]
    path = {"PYTHONPATH": str(ROOT / "src")}
    return {
        "**tako ferry**": job.servers.run(ours, job.folder, environment=path),
        "python-mysql-replication 1.0.17": job.servers.run(
            [str(CACHE / "chameleon/bin/python"), str(here / "decode_mysql_replication.py"), *theirs], job.folder
        ),
        "asyncmy 0.2.18": job.servers.run(
            [str(CACHE / "asyncmy/bin/python"), str(here / "decode_asyncmy.py"), *theirs], job.folder
        ),
    }


def _follow(job: Job, until: Callable[[], bool]) -> Ran:
    command = [sys.executable, "-m", "tako", "ferry", "follow", "plan.json", "--json"]
    return job.servers.run(command, job.folder, environment={"PYTHONPATH": str(ROOT / "src")}, until=until)


def _tenth(servers: Servers, folder: Path, changes: int) -> dict[str, object]:
    """pg_chameleon copies, the site changes, pg_chameleon applies that."""
    job = Job(servers, "tenth", servers.target.new_database(), Path(tempfile.mkdtemp(dir=folder)))
    with contextlib.closing(servers.source.connect("tenth")) as session, session.cursor() as cursor:
        cursor.execute("DROP TABLE wide")  # its copy of that one fails, and then it has none
    _demand(peers.pg_chameleon(job), "pg_chameleon init_replica")
    changed = _change(servers.source, "tenth", changes)
    return {
        "apply pg_chameleon": _applied(
            "pg_chameleon 2.0.21, a tenth", job, changed, lambda until: peers.pg_chameleon_follows(job, until)
        )
    }


def _applied(title: str, job: Job, changed: int, tool: Callable[[Callable[[], bool]], Ran]) -> dict[str, object]:
    with psycopg.connect(job.target, autocommit=True) as there:
        late = time.monotonic() + PATIENCE

        def marked() -> bool:
            there_is = there.execute("SELECT count(*) FROM site.questions WHERE id = %s", (MARK,)).fetchone() == (1,)
            return there_is or time.monotonic() > late

        ran = tool(marked)
        sums = _sums_there(there), _sums_here(job)
    cost = ran.cost
    print(
        f"| {title} | {changed / cost.wall:,.0f} | {cost.source:.1f} | {cost.target:.1f} | {cost.tool:.1f} "
        f"| {cost.memory:.0f} | {'yes' if sums[0] == sums[1] else sums} |",
        flush=True,
    )
    return asdict(cost) | {"changes": changed, "sums": sums}


def _sums_there(there: "psycopg.Connection[tuple[object, ...]]") -> list[int]:
    row = there.execute("SELECT count(*), sum(id), sum(char_length(content)) FROM site.questions").fetchone()
    return [int(str(value)) for value in row or ()]


def _sums_here(job: Job) -> list[int]:
    with contextlib.closing(job.servers.source.connect(job.source)) as session, session.cursor() as cursor:
        cursor.execute("SELECT count(*), sum(id), sum(char_length(content)) FROM questions")
        return [int(value) for value in cursor.fetchone() or ()]


def _place(source: Mysqld) -> Place:
    with contextlib.closing(source.connect()) as session, session.cursor() as cursor:
        cursor.execute("SHOW MASTER STATUS")
        file, offset, *_ = cursor.fetchone() or ("", 0)
        return Place(str(file), int(offset))


def _change(source: Mysqld, database: str, count: int) -> int:
    """Three parts inserts, six updates, one removals, in transactions of some rows. Returns how many rows."""
    parts = {"insert": 3 * count // 10, "update": 6 * count // 10, "delete": count // 10}
    with contextlib.closing(source.connect(database)) as session, session.cursor() as cursor:
        for what, part in parts.items():
            for first in range(1, part + 1, TRANSACTION):
                _transaction(cursor, what, first, min(first + TRANSACTION - 1, part), FAR)
        cursor.execute(f"INSERT INTO questions SELECT {MARK}, {_REST} FROM questions LIMIT 1")
    return sum(parts.values()) + 1


_REST = (
    "created_at, updated_at, deleted_at, from_ip, user_id, content, token, answer, receive_reply_email, "
    "asker_user_id, is_private, content_ok"
)


def _transaction(cursor: Cursor, what: str, first: int, last: int, shift: int) -> None:
    between = f"id BETWEEN {first} AND {last}"
    if what == "insert":
        cursor.execute(f"INSERT INTO questions SELECT id + {shift}, {_REST} FROM questions WHERE {between}")
    elif what == "update":
        cursor.execute(f"UPDATE questions SET content = concat(content, '!'), answer = 'said' WHERE {between}")
    else:
        cursor.execute(f"DELETE FROM questions WHERE {between}")


def _steady(job: Job, rows: int) -> dict[str, object]:
    """How late a row is, and what everybody costs, while the site changes so many rows per second."""
    over, ready = threading.Event(), threading.Event()
    late: list[float] = []
    written = [0]
    threads = [
        threading.Thread(target=_probe, args=(job, ready, over, late)),
        threading.Thread(target=_load_steadily, args=(job, rows, ready, over, written)),
    ]
    for thread in threads:
        thread.start()
    with psycopg.connect(job.target, autocommit=True) as there:

        def done() -> bool:
            if not ready.is_set() and there.execute("SELECT lag < 1 FROM ferry.streams").fetchone() == (True,):
                ready.set()
            return over.is_set()

        ran = _follow(job, done)
    for thread in threads:
        thread.join()
    p99 = quantiles(late, n=100)[98]
    cost = ran.cost
    print(
        f"\nAt {written[0] / STEADY_SECONDS:,.0f} changes/s for {STEADY_SECONDS} s a row arrived "
        f"{1000 * median(late):.0f} ms after its commit (p99 {1000 * p99:.0f} ms); CPU "
        f"source {cost.source:.1f} s, target {cost.target:.1f} s, "
        f"ferry {cost.tool:.1f} s; ferry's memory {cost.memory:.0f} MiB.\n",
        flush=True,
    )
    return asdict(cost) | {"written": written[0], "median": median(late), "p99": p99}


def _load_steadily(job: Job, rows: int, ready: threading.Event, over: threading.Event, written: list[int]) -> None:
    ready.wait()
    began = time.monotonic()
    with contextlib.closing(job.servers.source.connect(job.source)) as session, session.cursor() as cursor:
        n = 0
        while (passed := time.monotonic() - began) < STEADY_SECONDS:
            while written[0] < passed * STEADY:
                n += 1
                first = 1 + n * 7 * TRANSACTION % (rows // 2)
                written[0] += cursor.execute(
                    f"UPDATE questions SET answer = '{n}' WHERE id >= {first} ORDER BY id LIMIT {TRANSACTION}"
                )
            time.sleep(0.002)
    over.set()


def _probe(job: Job, ready: threading.Event, over: threading.Event, late: list[float]) -> None:
    ready.wait()
    with (
        contextlib.closing(job.servers.source.connect(job.source)) as session,
        session.cursor() as cursor,
        psycopg.connect(job.target, autocommit=True) as there,
    ):
        n = MARK
        while not over.wait(PROBE):
            n += 1
            cursor.execute(f"INSERT INTO questions SELECT {n}, {_REST} FROM questions LIMIT 1")
            committed = time.monotonic()
            while there.execute("SELECT count(*) FROM site.questions WHERE id = %s", (n,)).fetchone() != (1,):
                time.sleep(0.002)
            late.append(time.monotonic() - committed)


def _cutover(job: Job) -> dict[str, float]:
    """The seconds of each step, while an application writes that may not write to a read-only server."""
    over = threading.Event()
    application = threading.Thread(target=_application, args=(job, over))
    follower = threading.Thread(target=_follow, args=(job, over.is_set))
    application.start()
    follower.start()
    try:
        _demand(peers.tako(job, "verify", "plan.json", "--live", "--json"), "verify --live")
        ran = peers.tako(job, "cutover", "plan.json", "--json", "--hook", "true")
        _demand(ran, "cutover")
    finally:
        over.set()
        application.join()
        follower.join()
    events = [json.loads(line) for line in ran.said.splitlines() if line.startswith("{")]
    steps: dict[str, float] = {event["step"]: event["seconds"] for event in events if event["event"] == "cutover"}
    stopped = sum(steps[name] for name in STOPPED)
    each = ", ".join(f"{name} {seconds:.2f}" for name, seconds in steps.items())
    print(f"Cutover: nothing could be written for {stopped:.2f} s ({each}).")
    return steps | {"stopped": stopped}


def _application(job: Job, over: threading.Event) -> None:
    with contextlib.closing(job.servers.source.connect()) as session, session.cursor() as cursor:
        cursor.execute("CREATE USER app@localhost")
        cursor.execute(f"GRANT ALL ON {job.source}.* TO app@localhost")
    socket = str(job.servers.source.socket)
    mine = pymysql.connect(unix_socket=socket, user="app", database=job.source, autocommit=True)
    with contextlib.closing(mine), mine.cursor() as cursor, contextlib.suppress(pymysql.err.OperationalError):
        n = 0
        while not over.wait(1 / APPLICATION):
            n += 1
            cursor.execute(f"UPDATE questions SET answer = '{n}' WHERE id = {1 + n * 7 % 100_000}")


def _demand(ran: Ran, what: str) -> None:
    if ran.code:
        raise SystemExit(f"{what} failed: {ran.said}")


if __name__ == "__main__":
    main()
