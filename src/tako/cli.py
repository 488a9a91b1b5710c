"""The command line. Commands import what they need when they run, so that the small ones answer at once."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tako import __version__
from tako.core.errors import Misconfigured, NotFound, TakoError
from tako.settings import Loaded, describe, load

app = typer.Typer(
    help="Tako: the self-hosted back end of an independent site.", no_args_is_help=True, add_completion=False
)
user_app = typer.Typer(help="Accounts.", no_args_is_help=True)
token_app = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(user_app, name="user")
app.add_typer(token_app, name="token")

Data = Annotated[Path | None, typer.Option("--data", help="Folder for the database and all else that is kept.")]
Config = Annotated[Path | None, typer.Option("--config", help="Configuration file; by default tako.toml.")]
Email = Annotated[str, typer.Argument(help="The account's e-mail address.")]


def main() -> None:
    """Run a command; failures that somebody can act on are one line, not a traceback."""
    try:
        app()
    except TakoError as error:
        sys.stderr.write(f"tako: {error.message}\n")
        sys.exit(2 if isinstance(error, Misconfigured) else 1)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Serve the site until it is told to stop."""
    from tako import server

    sys.exit(server.serve(load({"host": host, "port": port, "data": data}, config=config)))


@app.command()
def config(
    data: Data = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show every setting with its value, where that comes from, and what it is for."""
    rows = describe(load({"data": data}, config=config))
    if as_json:
        typer.echo(json.dumps([dict(zip(("name", "value", "source", "help"), row, strict=True)) for row in rows]))
        return
    for name, value, source, help_text in rows:
        typer.echo(f"{name} = {value or '(none)'}  [{source}]\n    {help_text}")


@app.command()
def version() -> None:
    """Show the version."""
    typer.echo(__version__)


@app.command()
def backup(
    file: Annotated[
        Path | None, typer.Argument(help="Where to; by default in <data>/backups, named by the time.")
    ] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Copy the database while it is in use; the copy is checked before it gets its name."""
    from tako import backup as copies

    typer.echo(copies.make(load({"data": data}, config=config).settings, file))


@user_app.command("create")
def create_user(
    email: Email,
    admin: Annotated[bool, typer.Option("--admin", help="May do everything on this site.")] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Make an account; the password is asked for, or read from standard input."""
    from tako.core.accounts import accounts

    password = _password()
    loaded = load({"data": data}, config=config)
    user = _run(loaded, lambda db: accounts.create_user(db, email, password, admin=admin))
    typer.echo(f"{user.email} has an account{' as admin' if admin else ''}.")


@user_app.command("disable")
def disable_user(email: Email, data: Data = None, config: Config = None) -> None:
    """Take all access away: every session and API key ends."""
    from tako.core.accounts import accounts

    async def disable(db: Any) -> None:
        await accounts.disable(db, await _find(db, email))

    _run(load({"data": data}, config=config), disable)
    typer.echo(f"{email} is disabled.")


@user_app.command("reset")
def reset_user(email: Email, data: Data = None, config: Config = None) -> None:
    """Set a new password; every session ends."""
    from tako.core.accounts import accounts

    password = _password()

    async def reset(db: Any) -> None:
        await accounts.reset(db, await _find(db, email), password)

    _run(load({"data": data}, config=config), reset)
    typer.echo(f"{email} has a new password.")


@token_app.command("create")
def create_token(
    email: Email,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "command line",
    scope: Annotated[list[str] | None, typer.Option(help="chat, chat:read, account, admin; may be repeated.")] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Make an API key and print it, alone; it is not shown again."""
    from tako.core.accounts import accounts

    async def create(db: Any) -> str:
        user = await _find(db, email)
        _, key = await accounts.create_key(db, user.id, name, scope or ["chat"], admin=user.admin)
        return key

    typer.echo(_run(load({"data": data}, config=config), create))


async def _find(db: Any, email: str) -> Any:
    from tako.core.accounts import store

    async with db.read() as connection:
        user = await store.user_by_email(connection, email.strip().lower())
    if user is None:
        raise NotFound(f"There is no account {email}.")
    return user


def _run(loaded: Loaded, work: Any) -> Any:
    """Run `work(db)` on the site's database, whose schema is brought up to date first."""
    from tako import migrations
    from tako.core.db import Database

    async def all_of_it() -> Any:
        settings = loaded.settings
        settings.data.mkdir(parents=True, exist_ok=True)
        await migrations.upgrade(settings.database)
        async with Database(settings.database) as db:
            return await work(db)

    return asyncio.run(all_of_it())


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")
