"""The command line. Commands import what they need when they run, so that the small ones answer at once."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tako import __version__
from tako.core.errors import Misconfigured, NotFound, TakoError, Unavailable
from tako.ferry.cli import app as ferry_app
from tako.settings import Loaded, describe, load

if TYPE_CHECKING:
    from tako.core.accounts.store import User
    from tako.core.db import Database

T = TypeVar("T")
Work = Callable[["Database"], Awaitable[T]]

app = typer.Typer(
    help="Tako: the self-hosted back end of an independent site.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
user_app = typer.Typer(help="Accounts.", no_args_is_help=True)
token_app = typer.Typer(help="API keys.", no_args_is_help=True)
db_app = typer.Typer(help="The site's database.", no_args_is_help=True)
app.add_typer(user_app, name="user")
app.add_typer(db_app, name="db")
app.add_typer(token_app, name="token")
app.add_typer(ferry_app, name="ferry")

Data = Annotated[Path | None, typer.Option("--data", help="Folder for the database and all else that is kept.")]
Config = Annotated[Path | None, typer.Option("--config", help="Configuration file; by default tako.toml.")]
Url = Annotated[str | None, typer.Option("--database-url", help="sqlite:///… or postgresql://…")]
Email = Annotated[str, typer.Argument(help="The account's e-mail address.")]


def main() -> None:
    """Run a command; failures that somebody can act on are one line, not a traceback."""
    try:
        app()
    except TakoError as error:
        # A driver's own words, quoted in a message, may be several lines.
        sys.stderr.write(f"tako: {' '.join(error.message.split())}\n")
        sys.exit(2 if isinstance(error, Misconfigured) else 1)


@app.callback()
def tako(context: typer.Context, data: Data = None, config: Config = None, database_url: Url = None) -> None:
    context.obj = {"data": data, "config": config, "database_url": database_url}


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve; more than one need PostgreSQL.")] = None,
    data: Data = None,
    config: Config = None,
    database_url: Url = None,
) -> None:
    """Serve the site until it is told to stop."""
    loaded = _load(context, data, config, database_url, host=host, port=port, workers=workers)
    from tako import server

    raise typer.Exit(server.serve(loaded))


@app.command("openapi")
def show_openapi() -> None:
    """Print the OpenAPI document of this release."""
    from tako import server

    document = json.dumps(asyncio.run(server.openapi()), indent=2, sort_keys=True, ensure_ascii=False)
    sys.stdout.write(f"{document}\n")


@app.command("config")
def show_config(
    context: typer.Context,
    data: Data = None,
    config: Config = None,
    database_url: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show every setting with its value, where that comes from, and what it is for."""
    loaded = _load(context, data, config, database_url)
    settings = describe(loaded, _on_the_page(loaded))
    if as_json:
        rows = [{"name": s.name, "value": s.value, "source": s.source, "help": s.help} for s in settings]
        typer.echo(json.dumps(rows, indent=2))
        return
    for s in settings:
        hidden = f"\n    On the page: {_written(s.hidden)}, which {s.source} overrides." if s.hidden is not None else ""
        typer.echo(f"{s.name} = {_written(s.value)}  [{s.source}]{hidden}\n    {s.help}")


@app.command()
def version() -> None:
    """Show the version."""
    typer.echo(__version__)


@app.command()
def backup(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="Where to; by default in <data>/backups, named by the time.")
    ] = None,
    data: Data = None,
    config: Config = None,
    database_url: Url = None,
) -> None:
    """Copy the database while it is in use; the copy is checked before it gets its name."""
    loaded = _load(context, data, config, database_url)
    from tako import backup as copies

    typer.echo(copies.make(loaded.settings, file))


@db_app.command("copy")
def copy_database(
    source: Annotated[str, typer.Argument(metavar="FROM", help="sqlite:///data/tako.db, or postgresql://…")],
    target: Annotated[str, typer.Argument(metavar="TO", help="postgresql://…, or sqlite:///…: a new database.")],
) -> None:
    """Copy a whole site into another database, and compare every row. Stop the site first; FROM stays as it is."""
    from sqlalchemy.exc import DBAPIError

    from tako import copy, server  # noqa: F401 (which knows the tables of all apps)

    try:
        asyncio.run(copy.run(source, target, lambda table, rows: typer.echo(f"{table}: {rows:,} rows, equal")))
    except DBAPIError as error:
        raise Unavailable(f"The database refused: {error.orig}") from error
    typer.echo("Everything is there. Set database_url (or TAKO_DATABASE_URL) to the new one and start the site.")


@user_app.command("create")
def create_user(
    context: typer.Context,
    email: Email,
    admin: Annotated[bool, typer.Option("--admin", help="May do everything on this site.")] = False,
    data: Data = None,
    config: Config = None,
    database_url: Url = None,
) -> None:
    """Make an account; the password is asked for, or read from standard input."""
    loaded = _load(context, data, config, database_url)
    from tako.core.accounts import accounts, owner

    accounts.normal_email(email)
    password = _password()
    user = _run(loaded, lambda db: owner.create_user(db, email, password, admin=admin), new=True)
    typer.echo(f"{user.email} has an account{' as admin' if admin else ''}.")


@user_app.command("disable")
def disable_user(
    context: typer.Context, email: Email, data: Data = None, config: Config = None, database_url: Url = None
) -> None:
    """Take all access away: every session and API key ends."""
    loaded = _load(context, data, config, database_url)
    from tako.core.accounts import owner

    async def disable(db: "Database") -> None:
        await owner.disable(db, (await _find(db, email)).id)

    _run(loaded, disable)
    typer.echo(f"{email} is disabled.")


@user_app.command("enable")
def enable_user(
    context: typer.Context, email: Email, data: Data = None, config: Config = None, database_url: Url = None
) -> None:
    """Let somebody who was disabled sign in again."""
    loaded = _load(context, data, config, database_url)
    from tako.core.accounts import owner

    async def enable(db: "Database") -> None:
        await owner.enable(db, (await _find(db, email)).id)

    _run(loaded, enable)
    typer.echo(f"{email} is enabled.")


@user_app.command("reset")
def reset_user(
    context: typer.Context, email: Email, data: Data = None, config: Config = None, database_url: Url = None
) -> None:
    """Set a new password; every session ends."""
    loaded = _load(context, data, config, database_url)
    from tako.core.accounts import owner

    password = _password()

    async def reset(db: "Database") -> None:
        await owner.set_password(db, (await _find(db, email)).id, password)

    _run(loaded, reset)
    typer.echo(f"{email} has a new password.")


@token_app.command("create")
def create_token(
    context: typer.Context,
    email: Email,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "command line",
    scope: Annotated[list[str] | None, typer.Option(help="chat, chat:read, account, admin; may be repeated.")] = None,
    data: Data = None,
    config: Config = None,
    database_url: Url = None,
) -> None:
    """Make an API key and print it, alone; it is not shown again."""
    loaded = _load(context, data, config, database_url)
    from tako.core.accounts import accounts
    from tako.core.accounts.principal import user_scopes

    async def create(db: "Database") -> str:
        user = await _find(db, email)
        _, key = await accounts.create_key(db, user.id, name, scope or ["chat"], allowed=user_scopes(admin=user.admin))
        return key

    typer.echo(_run(loaded, create))


def _load(
    context: typer.Context, data: Path | None, config: Path | None, database_url: str | None, **flags: Any
) -> Loaded:
    """The settings, with the options that stand before the command's name or behind it; the latter win."""
    before = context.obj
    flags |= {"data": data or before["data"], "database_url": database_url or before["database_url"]}
    return load(flags, config=config or before["config"])


async def _find(db: "Database", email: str) -> "User":
    from tako.core.accounts import accounts, store

    async with db.read() as connection:
        user = await store.user_by_email(connection, accounts.normal_email(email))
    if user is None:
        raise NotFound(f"There is no account {email}.")
    return user


def _on_the_page(loaded: Loaded) -> dict[str, Any]:
    """What an admin has chosen there. Nothing where there is no database as yet; one that does not answer is no reason
    not to show the rest."""
    from sqlalchemy.exc import DBAPIError

    from tako.core.db import Database, parse_url
    from tako.core.site import store

    async def read() -> dict[str, Any]:
        async with Database(loaded.settings.database) as db, db.read() as connection:
            return await store.stored(connection)

    try:
        url = parse_url(loaded.settings.database)
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
            return {}
        return asyncio.run(read())
    except (DBAPIError, TakoError) as error:
        why = " ".join(str(error).split())[:200]
        sys.stderr.write(f"tako: what was chosen on the page cannot be read, and is not shown: {why}\n")
        return {}


def _run(loaded: Loaded, work: Work[T], *, new: bool = False) -> T:
    """Run `work(db)` on the site's database, whose schema is brought up to date first; only `new` may make it."""
    from sqlalchemy.exc import DBAPIError

    from tako import migrations
    from tako.core.db import Database

    settings = loaded.settings

    async def all_of_it() -> T:
        async with Database(settings.database) as db:
            if db.dialect == "sqlite":
                _there(Path(str(db.url.database)), new=new)
            await migrations.upgrade(settings.database)
            return await work(db)

    try:
        return asyncio.run(all_of_it())
    except DBAPIError as error:
        raise Unavailable(f"The database refused: {error.orig}") from error


def _there(file: Path, *, new: bool) -> None:
    if not new and not file.is_file():
        raise Misconfigured(f"There is no database at {file}. Say where it is with --data or --database-url.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # it will hold password hashes
    except OSError as error:
        raise Misconfigured(f"The folder {file.parent} cannot be made: {error.strerror}.") from error


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _written(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "(none)"
    return "(none)" if value in (None, {}) else str(value)
