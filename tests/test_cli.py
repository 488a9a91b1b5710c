"""The command line: one line for every mistake, and nothing on standard output but what was asked for."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tako import __version__

pytestmark = pytest.mark.slow
PASSWORD = "correct horse\n"


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tako(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TAKO_")}
        return subprocess.run(
            [sys.executable, "-m", "tako", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=clean | environment,
            timeout=60,
        )

    def succeeds(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        run = self.tako(*arguments, stdin=stdin, **environment)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def fails(self, *arguments: str, code: int = 1, stdin: str = "", **environment: str) -> str:
        run = self.tako(*arguments, stdin=stdin, **environment)
        assert run.returncode == code, run.stderr
        assert run.stdout == ""
        assert "Traceback" not in run.stderr
        assert len(run.stderr.splitlines()) == 1
        return run.stderr

    def rows(self, query: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.folder / "data" / "tako.db")
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="session")
def with_ann(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a site that has one account."""
    shell = Shell(tmp_path_factory.mktemp("with-ann"))
    shell.succeeds("user", "create", "ann@example.org", stdin=PASSWORD)
    return shell.folder / "data"


@pytest.fixture
def anns(shell: Shell, with_ann: Path) -> Shell:
    """One of a copy of that site."""
    shutil.copytree(with_ann, shell.folder / "data")
    return shell


def test_version_is_told_without_loading_the_server(shell: Shell) -> None:
    assert shell.succeeds("version") == f"{__version__}\n"
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, tako.cli; print(*sys.modules)"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"sqlalchemy", "fastapi", "uvicorn", "alembic", "structlog", "tako.server", "tako.core.db"} & set(loaded)


def test_a_site_on_sqlite_does_not_wait_for_what_others_need() -> None:
    """Drivers take long to load."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, tako.server; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"psycopg", "hiredis"} & set(loaded)


def test_an_admin_is_made_from_standard_input_and_gets_a_key_alone_on_standard_output(shell: Shell) -> None:
    shell.succeeds("user", "create", "Owner@Example.org", "--admin", stdin=PASSWORD)
    assert shell.rows("SELECT email, admin FROM users") == [("owner@example.org", 1)]
    key = shell.succeeds(
        "token", "create", "owner@example.org", "--name", "laptop", "--scope", "chat", "--scope", "admin"
    )
    assert re.fullmatch(r"sk-tako-[\w-]{43}\n", key)
    assert shell.rows("SELECT name, scopes FROM api_keys") == [("laptop", "chat admin")]


def test_accounts_made_by_hand_are_no_admins_unless_told(anns: Shell) -> None:
    assert anns.rows("SELECT admin FROM users") == [(0,)]
    assert "'admin'" in anns.fails("token", "create", "ann@example.org", "--scope", "admin")


def test_disabling_and_resetting(anns: Shell) -> None:
    anns.succeeds("token", "create", "ann@example.org")
    (before,) = anns.rows("SELECT password_hash FROM users")
    anns.succeeds("user", "reset", "ann@example.org", stdin="another horse\n")
    assert anns.rows("SELECT password_hash FROM users") != [before]
    anns.succeeds("user", "disable", "ann@example.org")
    assert anns.rows("SELECT count(*) FROM api_keys WHERE revoked_at IS NULL") == [(0,)]
    assert "disabled" in anns.fails("token", "create", "ann@example.org")
    anns.succeeds("user", "enable", "ann@example.org")
    anns.succeeds("token", "create", "ann@example.org")


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["user", "create", "no address"], PASSWORD, "e-mail"),
        (["user", "create", "new@example.org"], "short\n", "8 characters"),
        (["user", "create", "new@example.org"], "", "8 characters"),
        (["user", "create", "ann@example.org"], PASSWORD, "already"),
        (["user", "disable", "nobody@example.org"], "", "nobody@example.org"),
        (["user", "reset", "nobody@example.org"], PASSWORD, "nobody@example.org"),
        (["token", "create", "ann@example.org", "--scope", "all"], "", "chat, chat:read, account, admin"),
        (["token", "create", "nobody@example.org"], "", "nobody@example.org"),
    ],
)
def test_mistakes_are_one_readable_line(anns: Shell, arguments: list[str], stdin: str, said: str) -> None:
    assert said in anns.fails(*arguments, stdin=stdin)


def test_a_wrong_data_folder_is_told_and_not_made(shell: Shell) -> None:
    assert "--data" in shell.fails("user", "disable", "ann@example.org", "--data", "elsewhere", code=2)
    assert not (shell.folder / "elsewhere").exists()


def test_a_data_folder_that_cannot_be_made_is_told(shell: Shell) -> None:
    (shell.folder / "file").write_text("")
    assert "cannot be made" in shell.fails(
        "user", "create", "ann@example.org", "--data", "file/data", stdin=PASSWORD, code=2
    )


def test_a_database_that_is_none_is_told(shell: Shell) -> None:
    (shell.folder / "data").mkdir()
    (shell.folder / "data" / "tako.db").write_text("no database at all, but long enough to look at" * 100)
    assert "not a database" in shell.fails("user", "create", "ann@example.org", stdin=PASSWORD)


@pytest.mark.parametrize("before", [True, False])
def test_data_and_config_may_stand_before_or_behind_the_command(shell: Shell, before: bool) -> None:
    (shell.folder / "my.toml").write_text('site_name = "Kitchen"')
    options = ["--data", "there", "--config", "my.toml"]
    shown = shell.succeeds(*([*options, "config"] if before else ["config", *options]))
    assert "site_name = Kitchen  [my.toml]" in shown
    assert "data = there  [--data]" in shown


def test_config_shows_every_setting_but_no_secret(shell: Shell) -> None:
    shown = shell.succeeds("config", "--json", TAKO_DATABASE_URL="postgresql://tako:s3cret@db/tako")
    assert "s3cret" not in shown
    assert '"source": "TAKO_DATABASE_URL"' in shown
    assert "s3cret" not in shell.succeeds("config", TAKO_VALKEY_URL="valkey://:s3cret@a,b/1")
    assert '"value": 8000' in shown


def test_valkey_without_postgresql_is_told(shell: Shell) -> None:
    assert "on SQLite one process serves the site" in shell.fails(
        "serve", "--port", "0", TAKO_VALKEY_URL="valkey://cache", code=2
    )


def test_a_wrong_address_of_valkey_is_told_without_the_password(shell: Shell) -> None:
    told = shell.fails(
        *("serve", "--port", "0"),
        code=2,
        TAKO_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        TAKO_VALKEY_URL="http://:s3cret@cache",
    )
    assert "valkey_url must look like" in told
    assert "s3cret" not in told


def test_misconfiguration_ends_with_code_2(shell: Shell) -> None:
    assert "'TAKO_PORT'" in shell.fails("config", TAKO_PROT="1", code=2)
    assert "missing.toml" in shell.fails("config", "--config", "missing.toml", code=2)


def test_a_backup_is_a_whole_database(anns: Shell) -> None:
    made = Path(anns.succeeds("backup", "copies/tako.db").strip())
    copy = sqlite3.connect(anns.folder / made)
    try:
        assert copy.execute("SELECT email FROM users").fetchall() == [("ann@example.org",)]
    finally:
        copy.close()
    assert "There is no database" in anns.fails("backup", "--data", "elsewhere")


def test_a_site_on_postgresql_is_told_how_to_back_up(shell: Shell) -> None:
    run = shell.tako("backup", "--database-url", "postgresql://tako:s3cret@db/tako")
    assert run.returncode != 0
    assert "pg_dump" in run.stderr
    assert "s3cret" not in run.stderr


def test_accounts_on_every_database(shell: Shell, database_url: str) -> None:
    shell.succeeds("user", "create", "ann@example.org", "--database-url", database_url, stdin=PASSWORD)
    assert shell.succeeds("token", "create", "ann@example.org", TAKO_DATABASE_URL=database_url).startswith("sk-tako-")


def test_a_database_that_does_not_answer_is_told(shell: Shell) -> None:
    said = shell.fails(
        "user", "disable", "a@example.org", "--database-url", "postgresql://tako:s3cret@127.0.0.1:1/tako", code=2
    )
    assert "database" in said
    assert "s3cret" not in said
