"""The tools, each run as its manual says, with the least help that makes it start; what help it got is in its title."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template

import psycopg
from psycopg import sql
from tests.support.postgres import binaries

from bench.ferry import data
from bench.ferry.measure import Ran, Servers

CACHE = Path(__file__).parents[2] / ".cache" / "bench"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Job:
    """What a tool has to do: copy a database of the source into a new database of the target."""

    servers: Servers
    source: str  # name of the database
    target: str  # address of the database
    folder: Path  # an empty one for the tool's own files

    @property
    def target_name(self) -> str:
        return self.target.partition("@/")[2].partition("?")[0]


@dataclass(frozen=True)
class Peer:
    """One line of the table."""

    title: str
    run: Callable[[Job], Ran]
    schema: str = "site"  # where its copy is found
    tenth: bool = False  # it is so slow that it gets a tenth of the rows


def pgloader(job: Job, *, help: str = "", prefetch: bool = True) -> Ran:
    options = ["include drop", "create tables", "create indexes", "reset sequences"]
    if prefetch:  # with its own default, its default heap of 1 GiB is not enough for rows of a kilobyte
        options.append("prefetch rows = 2000")
    command = f"""
LOAD DATABASE
  FROM mysql://root@127.0.0.1:{job.servers.source.port}/{job.source}
  INTO postgresql://postgres@unix:{job.servers.target.folder}:5432/{job.target_name}
  WITH {", ".join(options)}
  {help};
"""
    (job.folder / "site.load").write_text(command)
    return job.servers.run([_found("pgloader"), "site.load"], job.folder)


# Its defaults lose three of the four tables. These are the rules that a careful reader of its manual would end with.
PGLOADER_HELP = """
CAST type datetime to timestamp drop default drop not null using zero-dates-to-null,
     type timestamp to timestamptz drop default drop not null using zero-dates-to-null,
     type date to date drop default drop not null using zero-dates-to-null,
     type bit when (= 1 precision) to boolean drop typemod using bits-to-boolean,
     type bit to varbit drop typemod using bits-to-hex-bitstring,
     type time to interval drop typemod
"""


def pg_chameleon(job: Job) -> Ran:
    (job.folder / "out").mkdir()
    configuration = job.folder / ".pg_chameleon" / "configuration"
    configuration.mkdir(parents=True)
    settings = Template(Path(__file__).with_name("chameleon.yml").read_text()).substitute(
        source=job.source,
        port=job.servers.source.port,
        target=job.servers.target.folder,
        target_name=job.target_name,
        folder=job.folder,
    )
    (configuration / "default.yml").write_text(settings)
    for words in (["set_configuration_files"], ["create_replica_schema"], ["add_source", "--source", "mysql"]):
        ran = _chameleon(job, *words)
        if ran.code:
            return ran
    return _chameleon(job, "init_replica", "--source", "mysql", "--debug")


def pg_chameleon_follows(job: Job, until: Callable[[], bool]) -> Ran:
    return _chameleon(job, "start_replica", "--source", "mysql", "--debug", until=until)


def _chameleon(job: Job, *words: str, until: Callable[[], bool] | None = None) -> Ran:
    """It refuses to run as root, which a container is; so it is told that it does not."""
    chameleon = CACHE / "chameleon/bin/chameleon"
    start = f"import os, runpy; os.geteuid = lambda: 1; runpy.run_path({str(chameleon)!r}, run_name='__main__')"
    command = [str(CACHE / "chameleon/bin/python"), "-c", start, *words]
    return job.servers.run(command, job.folder, environment={"HOME": str(job.folder)}, until=until)


def duckdb(job: Job) -> Ran:
    python = CACHE / "duckdb/bin/python"
    words = [str(job.servers.source.port), job.source, str(job.servers.target.folder), job.target_name, *data.TABLES]
    return job.servers.run([str(python), str(Path(__file__).with_name("duckdb_copy.py")), *words], job.folder)


FERRY_RULES = """
preset = "gorm"

[target]
schema = "site"

[defaults]
zero_dates = "null"
invalid_dates = "null"
"""


def ferry(job: Job) -> Ran:
    """Plan first, which counts the zero dates and the flags; its cost is told beside the copy's."""
    (job.folder / "ferry.toml").write_text(FERRY_RULES)
    return tako(job, "plan", job.servers.source.url(job.source), job.target, "-c", "ferry.toml")


def tako(job: Job, *words: str) -> Ran:
    environment = {"PYTHONPATH": str(ROOT / "src")}
    return job.servers.run([sys.executable, "-m", "tako", "ferry", *words], job.folder, environment=environment)


def bare_copy(job: Job, ddl: dict[str, list[str]], files: Path) -> Ran:
    """The least that PostgreSQL does for the same rows: COPY from files into the same tables, and their keys."""
    with psycopg.connect(job.target) as connection:
        for statement in ddl["before"]:
            connection.execute(statement.encode())
    script = job.folder / "load.sql"
    lines = [f"\\copy site.{table} from '{files / table}.copy'" for table in data.TABLES]
    script.write_text("\n".join(["SET synchronous_commit = off;", *lines, *(f"{line};" for line in ddl["after"])]))
    return job.servers.run(
        [str(binaries() / "psql"), "-v", "ON_ERROR_STOP=1", "-q", "-f", str(script), job.target], job.folder
    )


def copy_out(target: str, schema: str, files: Path) -> None:
    """Files for `bare_copy`, out of a copy that is known to be right."""
    with psycopg.connect(target) as connection:
        for table in data.TABLES:
            query = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(schema, table))
            with open(files / f"{table}.copy", "wb") as file, connection.cursor().copy(query) as copy:
                for block in copy:
                    file.write(block)


def _found(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise SystemExit(f"The bench needs {program}. As root: apt-get install {program}")
    return found


def install() -> None:
    """The peers from PyPI, each in a virtual environment of its own."""
    uv = ROOT / ".venv/bin/uv"
    for name, packages in PACKAGES.items():
        if (CACHE / name / "installed").exists():
            continue
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, CACHE / name], check=True)
        python = CACHE / name / "bin/python"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
        (CACHE / name / "installed").touch()


PACKAGES = {
    "duckdb": [
        f"{name}==1.5.5"
        for name in ("duckdb", "duckdb-extensions", "duckdb-extension-mysql", "duckdb-extension-postgres")
    ],
    "asyncmy": ["asyncmy==0.2.18"],
    # pkg_resources, which it imports, left setuptools with version 75
    "chameleon": ["pg_chameleon==2.0.21", "setuptools<75", "mysql-replication==1.0.17"],
}
