"""Every setting, as data with its help. Read once; a flag beats a TAKO_* variable beats tako.toml beats the default.

Between the file and the default come a few that the owner's page may change while the site runs: `ON_THE_PAGE`.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from tako.core.errors import Misconfigured
from tako.core.words import nearest


def setting(default: Any, help: str, *, least: float = 0, most: float = 2**53) -> Any:
    """A field with its help text; `least` and `most` bound a number."""
    return field(default=default, metadata={"help": help, "least": least, "most": most})


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are in seconds, sizes in bytes."""

    host: str = setting("127.0.0.1", "Address to listen on.")
    port: int = setting(8000, "Port to listen on; 0 takes a free one.", most=65535)
    data: Path = setting(Path("data"), "Folder for the database and all else that is kept.")
    database_url: str | None = setting(None, "sqlite:///… or postgresql://…; by default tako.db in the data folder.")
    valkey_url: str | None = setting(
        None, "valkey://… beside PostgreSQL: it carries running answers between processes, instead of the database."
    )
    workers: int = setting(1, "Processes that serve; more than one need PostgreSQL.", least=1, most=256)
    public_url: str | None = setting(None, "The address that visitors type, where it is not the one listened on.")
    site_name: str = setting("Tako", "The name of the site.")
    registration: Literal["open", "invite", "closed"] = setting(
        "invite", "Who may sign up: anybody (open), who has an invitation (invite), nobody (closed)."
    )
    trusted_proxies: tuple[str, ...] = setting(
        (), "Proxies whose X-Forwarded-* headers count, as networks (10.0.0.0/8)."
    )
    shutdown_grace: float = setting(20.0, "How long running answers may go on after SIGTERM.")
    foreground_grace: float = setting(10.0, "How long a foreground answer outlives the connection that asked for it.")
    commit_interval: float = setting(0.002, "The least time between two commits of the journal.")
    lease: float = setting(6.0, "After this long without a sign of life a process counts as dead.", least=0.05)
    heartbeat: float = setting(
        20.0, "Between two heartbeats of a stream on which nothing happens.", least=0.05, most=20.0
    )
    stalled_reader: float = setting(60.0, "A reader that takes nothing for this long is dropped.", least=0.05)
    session_days: int = setting(30, "How long a sign-in lasts.", least=1, most=36_500)
    response_days: int = setting(30, "How long responses outside of conversations are kept.", most=36_500)
    unstored_grace: float = setting(60.0, "How long a response with store=false stays readable after its end.")
    next_version: Literal["off", "on"] = setting(
        "off", "Whether the page offers its next version, which a proxy gives to whoever has the cookie next-beta=1."
    )
    daily_tokens: int = setting(0, "Tokens per user and day (UTC); 0 for no limit.")
    title_model: str | None = setting(
        None, "The model that gives conversations their titles; by default the one that answered."
    )
    max_body_bytes: int = setting(4 * 2**20, "The largest request body.", least=1024)
    max_running: int = setting(1000, "Answers that may be made at once.", least=1)
    user_slots: int = setting(
        0, "Answers of one user that may be made at once; others wait for their turn; 0: no limit."
    )
    upstream_retries: int = setting(2, "How often an upstream is asked again that failed before its first token.")
    max_database_pages: int = setting(0, "Upper bound of an SQLite database in pages of 4 KiB; 0 for none.")
    ferry_plan: Path | None = setting(
        None, "The plan.json of a `tako ferry` that is at work; the owner's page then shows how far it is."
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "The least that is logged.")
    log_format: Literal["text", "json"] = setting("text", "Logs for people (text) or for machines (json).")
    metrics_token: str | None = setting(
        None, "Who sends it as a bearer token may read /metrics; without one there are no metrics."
    )
    otlp_endpoint: str | None = setting(
        None, "Where OpenTelemetry traces go by OTLP over HTTP, such as http://127.0.0.1:4318; none are made without."
    )
    providers: tuple[dict[str, Any], ...] = setting((), "OpenAI-compatible upstreams: [[providers]] in tako.toml.")
    local: dict[str, Any] = field(default_factory=dict, metadata={"help": "The built-in model: [local] in tako.toml."})

    @property
    def database(self) -> str:
        """The address of the database."""
        return self.database_url or f"sqlite:///{self.data / 'tako.db'}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where each came from: a flag, a variable, a file, or `default`."""

    settings: Settings
    sources: Mapping[str, str]


ON_THE_PAGE = ("site_name", "registration", "daily_tokens", "title_model")
_TABLES = ("providers", "local")
_ADDRESSES = ("database_url", "valkey_url")
_SECRETS = ("metrics_token",)
_SHORTEST_TOKEN = 16
# Read by `tako ferry` itself, in the server too.
_PASSWORDS = ("TAKO_FERRY_SOURCE_PASSWORD", "TAKO_FERRY_TARGET_PASSWORD")


def load(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, config: Path | None = None
) -> Loaded:
    """Read all sources. Raises `Misconfigured` naming the source and the key at fault."""
    flags = {key: value for key, value in (flags or {}).items() if value is not None}
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources = {known.name: "default" for known in fields(Settings)}
    path = _config_path(flags, environ, config)
    if path is not None:
        for key, value in _read(path).items():
            values[key] = _from_toml(path, key, value)
            sources[key] = str(path)
    for name, text in environ.items():
        if name.startswith("TAKO_") and name not in ("TAKO_CONFIG", *_PASSWORDS):
            key = name.removeprefix("TAKO_").lower()
            _check_known(key, f"the variable {name}", prefix="TAKO_")
            values[key] = _from_text(name, key, text)
            sources[key] = name
    for key, value in flags.items():
        flag = f"--{key.replace('_', '-')}"
        values[key] = _from_text(flag, key, value) if isinstance(value, str) else _bounded(flag, key, value)
        sources[key] = flag
    return Loaded(Settings(**values), sources)


def fixed(loaded: Loaded) -> dict[str, str]:
    """Where those settings are set that the page may change only where nothing else sets them."""
    return {key: loaded.sources[key] for key in ON_THE_PAGE if loaded.sources[key] != "default"}


@dataclass(frozen=True, slots=True)
class Described:
    """A setting for people to look at: secrets are masked, and of an upstream only its name is shown.

    `hidden` is what was chosen on the page, where something else wins.
    """

    name: str
    value: str | int | float | list[str] | dict[str, Any] | None
    source: str
    help: str
    hidden: str | int | None = None


def describe(loaded: Loaded, on_the_page: Mapping[str, Any] | None = None) -> list[Described]:
    """Every setting, in the order of `Settings`; `on_the_page` is what the site's database holds."""
    page = on_the_page or {}
    return [_described(loaded, known.name, str(known.metadata["help"]), page) for known in fields(Settings)]


def _described(loaded: Loaded, name: str, help: str, page: Mapping[str, Any]) -> Described:
    value, source = _public(name, getattr(loaded.settings, name)), loaded.sources[name]
    if name not in ON_THE_PAGE or name not in page:
        return Described(name, value, source, help)
    if source == "default":
        return Described(name, page[name], "page", help)
    return Described(name, value, source, help, hidden=page[name])


def _public(key: str, value: Any) -> Any:
    if key == "providers":
        return [str(table.get("name", "?")) for table in value]
    if key in _SECRETS and value is not None:
        return "***"
    if key in _ADDRESSES and value is not None:
        return _masked(value)
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def _masked(url: str) -> str:
    """An address without user and password. What follows the last @ is the host: a password may hold one too."""
    scheme, _, rest = url.partition("://")
    where = f"***@{rest.rpartition('@')[2]}" if "@" in rest else rest
    return re.sub(r"(password=)[^&]*", r"\1***", f"{scheme}://{where}")


def _config_path(flags: Mapping[str, Any], environ: Mapping[str, str], config: Path | None) -> Path | None:
    """The file that was named, which must be there; else tako.toml here or in the data folder, if there is one."""
    named = config or (Path(environ["TAKO_CONFIG"]) if environ.get("TAKO_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise Misconfigured(f"There is no configuration file {named}.")
        return named
    data = Path(flags.get("data") or environ.get("TAKO_DATA") or "data")
    return next((path for path in (Path("tako.toml"), data / "tako.toml") if path.is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}.") from error
    for key in table:
        _check_known(key, str(path))
    return table


def _check_known(key: str, where: str, prefix: str = "") -> None:
    known = [name.name for name in fields(Settings)]
    if prefix:
        known = [name for name in known if name not in _TABLES]
    if key not in known:
        shown = [f"{prefix}{name.upper()}" for name in known] if prefix else known
        raise Misconfigured(
            f"Unknown setting {key!r} in {where}.{nearest(prefix + key.upper() if prefix else key, shown)}"
        )


def _hint(key: str) -> Any:
    return get_type_hints(Settings)[key]


def _from_toml(path: Path, key: str, value: Any) -> Any:
    hint = _hint(key)
    where = f"{path}: {key}"
    if key == "providers":
        if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
            raise Misconfigured(f"{where} must be written as [[providers]] tables.")
        return tuple(value)
    if key == "local":
        if not isinstance(value, dict):
            raise Misconfigured(f"{where} must be written as a [local] table.")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise Misconfigured(f"{where} must be a list of strings.")
        return tuple(value)
    if hint in (int, float) and isinstance(value, bool):
        raise Misconfigured(f"{where} must be a number, not {value}.")
    if hint is int and isinstance(value, int):
        return _bounded(where, key, value)
    if hint is float and isinstance(value, int | float):
        return _bounded(where, key, float(value))
    if isinstance(value, str) and hint not in (int, float):
        return _from_text(where, key, value)
    raise Misconfigured(f"{where} must be {_words(hint)}, not {value!r}.")


def _from_text(where: str, key: str, text: str) -> Any:
    hint = _hint(key)
    if key in _TABLES:
        raise Misconfigured(f"{where}: set {key} in tako.toml.")
    if get_origin(hint) is Literal:
        if text not in get_args(hint):
            raise Misconfigured(f"{where} must be one of {', '.join(get_args(hint))}, not {text!r}.")
        return text
    if get_origin(hint) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if hint in (int, float):
        try:
            number = hint(text)
        except ValueError:
            raise Misconfigured(f"{where} must be {_words(hint)}, not {text!r}.") from None
        return _bounded(where, key, number)
    if key == "metrics_token" and 0 < len(text) < _SHORTEST_TOKEN:
        raise Misconfigured(f"{where} can be guessed; take at least {_SHORTEST_TOKEN} characters, at random.")
    if key == "otlp_endpoint" and text and re.match(r"https?://[^/\s]", text) is None:
        raise Misconfigured(f"{where} must look like http://127.0.0.1:4318, not {text!r}.")
    if key == "public_url" and text:
        return _web_address(where, text)
    if text == "" and type(None) in get_args(hint):
        return None
    return Path(text) if Path in (hint, *get_args(hint)) else text


def _bounded(where: str, key: str, value: Any) -> Any:
    bounds = Settings.__dataclass_fields__[key].metadata
    if isinstance(value, int | float) and not bounds["least"] <= value <= bounds["most"]:
        raise Misconfigured(f"{where} must be from {bounds['least']} to {bounds['most']}, not {value}.")
    return value


def _web_address(where: str, text: str) -> str:
    """Scheme and host, as a browser's Origin header writes them."""
    found = re.fullmatch(r"(https?://[^/?#@\s]+)/?", text, re.IGNORECASE)
    if found is None:
        raise Misconfigured(f"{where} must look like https://www.example.org, without a path, not {text!r}.")
    return found[1].lower()


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(get_args(hint))
    kind = next((kind for kind in get_args(hint) if kind is not type(None)), hint)
    return {int: "a whole number", float: "a number", Path: "a path"}.get(kind, "a string")
