"""`python -m bench.ferry`: makes the data set, runs every tool once, counts what each lost, prints the table."""

import argparse
import contextlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pymysql.constants import CLIENT
from pymysql.cursors import Cursor
from tests.support import mariadb, postgres
from tests.support.mysqld import Mysqld

from bench.ferry import data, losses, peers
from bench.ferry.data import Size
from bench.ferry.losses import Losses
from bench.ferry.measure import Cost, Ran, Servers
from bench.ferry.peers import Job

RESULTS = Path(__file__).with_name("results.json")
# A server as somebody would set it up who moves a gigabyte; the same for every tool.
SOURCE = (
    "--innodb-buffer-pool-size=2G",
    "--innodb-log-file-size=512M",
    "--max-allowed-packet=256M",
    "--default-time-zone=+00:00",
)
TARGET = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "maintenance_work_mem": "256MB",
    "synchronous_commit": "off",
}


@dataclass(frozen=True)
class Line:
    """One tool's line of the table."""

    title: str
    code: int
    cost: Cost
    lost: Losses

    def rendered(self) -> str:
        speed = round(self.lost.arrived / self.cost.wall, -2)
        cells = (
            self.title,
            f"{self.cost.wall:.1f}",
            f"{speed:,.0f}",
            f"{self.cost.source:.1f}",
            f"{self.cost.target:.1f}",
            f"{self.cost.tool:.1f}",
            f"{self.cost.memory:,.0f}",
            str(self.code),
            f"{self.lost.missing:,} of {self.lost.rows:,}",
            f"{self.lost.values:,}",
        )
        return f"| {' | '.join(cells)} |"


HEAD = """\
| tool | wall s | rows/s arrived | CPU source | CPU target | CPU tool | peak MiB | exit | rows lost | values wrong |
|---|---|---|---|---|---|---|---|---|---|"""


class Bench:
    """The servers, the data set, and the lines so far."""

    def __init__(self, servers: Servers, folder: Path, size: Size) -> None:
        self.servers = servers
        self.folder = folder
        self.size = size
        self.lines: list[Line] = []
        self.more: dict[str, Any] = {}

    def run(self, title: str, tool: Callable[[Job], Ran], *, schema: str = "site", source: str = "site") -> Job:
        """One tool into a new database, and what it lost."""
        job = self.job(source)
        ran = tool(job)
        self.tell(title, ran, job, schema, tenth=source != "site")
        return job

    def job(self, source: str = "site") -> Job:
        name = self.servers.target.new_database()
        return Job(self.servers, source, name, Path(tempfile.mkdtemp(prefix="tool-", dir=self.folder)))

    def tell(self, title: str, ran: Ran, job: Job, schema: str = "site", *, tenth: bool = False) -> None:
        until = {table: self.size.of(table) // 10 for table in data.TABLES} if tenth else None
        lost = losses.count(job.target, schema, self.folder, until=until)
        self.lines.append(Line(title, ran.code, ran.cost, lost))
        print(self.lines[-1].rendered(), f" {lost.said()}", flush=True)
        if ran.code:
            print("   " + "\n   ".join(ran.said.strip().splitlines()[-3:]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ferry", description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="questions; all tables together have 1.65 times as many"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--peers", default="all", help="`none`: only ferry and the bare COPY")
    given = parser.parse_args()
    peers.install()
    began = time.monotonic()
    with _servers() as servers, tempfile.TemporaryDirectory(prefix="bench-ferry-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        size = Size(given.rows)
        written = data.write(folder, size, given.seed)
        load(servers.source, folder, size)
        about = f"{size.total:,} rows, {written / 1e6:.0f} MB as text, loaded in {time.monotonic() - began:.0f} s"
        print(f"{platform.machine()}, {os.cpu_count()} cores; {about}\n\n{HEAD}", flush=True)
        bench = Bench(servers, folder, size)
        _run_ferry(bench)
        if given.peers != "none":
            _run_peers(bench)
        _save(bench, about)
        print(f"\n{_verification(bench)}\nAll of it took {time.monotonic() - began:.0f} s.")


def _run_ferry(bench: Bench) -> None:
    job = bench.job()
    plan = peers.ferry(job)
    _demand(plan, "ferry plan")
    copied = peers.tako(job, "copy", "plan.json", "--json")
    bench.tell("**tako ferry**", copied, job)
    verified = peers.tako(job, "verify", "plan.json", "--json")
    bench.more = {"plan": asdict(plan.cost), "verify": asdict(verified.cost), "verify_code": verified.code}
    ddl = json.loads((job.folder / "plan.json").read_text())["ddl"]
    peers.copy_out(job.target, "site", bench.folder)
    bench.run("bare COPY of the same rows, same keys", lambda floor: peers.bare_copy(floor, ddl, bench.folder))


def _run_peers(bench: Bench) -> None:
    bench.run("pgloader, its defaults", lambda job: peers.pgloader(job, prefetch=False))
    bench.run("pgloader, prefetch rows = 2000", peers.pgloader)
    bench.run("pgloader, with casts against its losses", lambda job: peers.pgloader(job, help=peers.PGLOADER_HELP))
    bench.run("DuckDB (mysql and postgres extensions)", peers.duckdb)
    bench.run("pg_chameleon, a tenth of the rows", peers.pg_chameleon, source="tenth")


def _verification(bench: Bench) -> str:
    said = [f"`tako ferry {name}`: {_split(Cost(**bench.more[name]))}" for name in ("plan", "verify")]
    return f"{'; '.join(said)}, exit code of verify {bench.more['verify_code']}."


def _split(cost: Cost) -> str:
    return f"{cost.wall:.1f} s (CPU source {cost.source:.1f}, target {cost.target:.1f}, tool {cost.tool:.1f})"


def _demand(ran: Ran, what: str) -> None:
    if ran.code:
        raise SystemExit(f"{what} failed: {ran.said}")


def _save(bench: Bench, about: str) -> None:
    found = {"about": about, "lines": [asdict(line) for line in bench.lines], **bench.more}
    RESULTS.write_text(json.dumps(found, indent=1))


@contextlib.contextmanager
def _servers() -> Iterator[Servers]:
    with mariadb.running(SOURCE) as source, postgres.running(TARGET) as target:
        yield Servers(source, target)


def load(source: Mysqld, folder: Path, size: Size) -> None:
    """Strictly, but for the zero dates: what the server cannot store as the file says shall fail here."""
    connection = source.connect(client_flag=CLIENT.MULTI_STATEMENTS)
    with contextlib.closing(connection), connection.cursor() as cursor:
        for database in ("site", "tenth"):
            cursor.execute(f"CREATE DATABASE {database}; USE {database}; {data.SCHEMA.read_text()}")
            while cursor.nextset():
                pass
        cursor.execute("SET sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES', unique_checks = 0, sql_log_bin = 0")
        for table, kinds in data.KINDS.items():
            _load_table(cursor, folder, table, kinds)
            cursor.execute(f"INSERT INTO tenth.{table} SELECT * FROM site.{table} WHERE id <= {size.of(table) // 10}")
            cursor.execute(f"ANALYZE TABLE site.{table}, tenth.{table}")


def _load_table(cursor: Cursor, folder: Path, table: str, kinds: dict[str, str]) -> None:
    cursor.execute(f"SHOW COLUMNS FROM site.{table}")
    columns = [str(row[0]) for row in cursor.fetchall()]
    numbers = [name for name in columns if kinds.get(name) in ("bits", "flag")]  # a bit takes digits for bytes
    read = ", ".join(f"@{name}" if name in numbers else name for name in columns)
    set_ = ", ".join(f"{name} = @{name} + 0" for name in numbers)
    cursor.execute(
        f"LOAD DATA INFILE '{folder / table}.tsv' INTO TABLE site.{table} CHARACTER SET utf8mb4"
        f" ({read}){f' SET {set_}' if set_ else ''}"
    )


if __name__ == "__main__":
    main()
