"""The composition root: the only file that knows all apps. Opens the parts in order, closes them in reverse."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

import structlog
import uvicorn
import uvloop
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tako import __version__, migrations
from tako.chat import app as chat_app
from tako.chat import follow
from tako.chat.http import conversations as conversations_http
from tako.chat.http import owner as owner_http
from tako.chat.http.openapi import document
from tako.chat.http.page import conversations as page_http
from tako.chat.http.page.streams import PageStreams
from tako.chat.http.requests import invalid
from tako.chat.http.responses import ResponsesEndpoint
from tako.chat.owner import ledger
from tako.chat.providers.base import Provider
from tako.chat.providers.local import LocalProvider
from tako.chat.providers.openai import OpenAIProvider
from tako.chat.providers.settings import local_settings, provider_settings
from tako.chat.responses import Chat, Limits
from tako.chat.watch import Watch
from tako.core.accounts import http as accounts_http
from tako.core.accounts import owner_http as accounts_owner_http
from tako.core.accounts import store as accounts_store
from tako.core.accounts.accounts import Accounts, first_admin_link
from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.limits import SignInLimit
from tako.core.bus import SITE, Alone, Bus, reloading
from tako.core.chores import running
from tako.core.connection import Connection
from tako.core.db import Database, now, parse_url
from tako.core.errors import Invalid, Misconfigured, NotFound, TakoError
from tako.core.feed import Feed
from tako.core.http import App, Disconnected, Receive, Scope, Send, openai_error, problem, request_id, send_error
from tako.core.journal import Journal
from tako.core.logs import configure
from tako.core.pages import Pages
from tako.core.proxies import Proxies
from tako.core.site import http as site_http
from tako.core.site.settings import Choices, SiteSettings
from tako.core.sole import only_one
from tako.core.sse import Wheel
from tako.metrics import http as metrics_http
from tako.metrics.shared import count_together
from tako.settings import ON_THE_PAGE, Loaded, Settings, fixed
from tako.workers import supervise

if TYPE_CHECKING:
    from tako.core.journal.echo import Echoes
    from tako.metrics.prometheus import Metrics
    from tako.traces import Traces

_log = structlog.get_logger("tako.server")

# Revocations are looked for this much further back than the last look, for clocks and transactions that lag.
_REVOCATION_OVERLAP = 60_000_000
_KEEP_ENDED_CREDENTIALS = 30 * 86_400_000_000
_PURGE_EVERY = 3600.0
# Seconds that an idle connection stays open: longer than the 60 s of nginx and of browsers, so that none of them sends
# a request into a connection that is just being closed.
_KEEP_ALIVE = 75


def serve(loaded: Loaded) -> int:
    """Serve until told to stop. Returns the exit code of the process."""
    settings = loaded.settings
    configure(settings.log_level, settings.log_format)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if settings.workers > 1 and parse_url(settings.database).get_backend_name() == "sqlite":
        raise Misconfigured("Several workers need a PostgreSQL database: set database_url, or leave workers at 1.")
    _check_valkey(settings)
    with _listening(settings) as listener, only_one(settings.database):

        def work(number: int = 0) -> int:
            runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
            return runner.run(_serve(loaded, listener, announce=number == 0))

        return work() if settings.workers == 1 else supervise(settings.workers, work, _counting(settings, listener))


def _counting(settings: Settings, listener: socket.socket) -> Callable[[int], None]:
    """Workers count together, if at all. The port tells apart what two servers keep in one data folder."""
    if settings.metrics_token is None:
        return lambda process_id: None
    return count_together(settings.data / "metrics" / str(listener.getsockname()[1]))


def _check_valkey(settings: Settings) -> None:
    if settings.valkey_url is None:
        return
    if parse_url(settings.database).get_backend_name() == "sqlite":
        raise Misconfigured(
            "valkey_url is for sites on PostgreSQL: on SQLite one process serves the site, and has nobody to tell. "
            "Set database_url, or leave valkey_url out."
        )
    from tako.core.valkey import parse_url as parse_valkey_url  # which few sites need

    parse_valkey_url(settings.valkey_url)


async def _serve(loaded: Loaded, listener: socket.socket, *, announce: bool) -> int:
    settings = loaded.settings
    async with _opened(loaded) as site:
        _spare_the_collector()
        config = uvicorn.Config(
            site,
            http=Connection,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=_KEEP_ALIVE,
            backlog=4096,
        )
        server = _Server(config, site, settings.shutdown_grace)
        if announce:
            await _announce(settings, listener, site.db)
        await server.serve(sockets=[listener])
    return 0


def _spare_the_collector() -> None:
    """What is there now stays: the collector need not look at it again, nor come after every 700 new objects (together
    that is a sixteenth of the CPU of a busy server)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


class Streams(App, Protocol):
    """The streams of an app, as plain ASGI."""

    def serves(self, scope: Scope) -> bool:
        """Whether this request is for one of them."""


class Site:
    """The ASGI application: long-lived streams go straight to their endpoint, the rest through FastAPI."""

    def __init__(
        self,
        db: Database,
        chat: Chat,
        wheel: Wheel,
        api: FastAPI,
        responses: ResponsesEndpoint,
        streams: Sequence[Streams],
        traces: "Traces | None" = None,
    ) -> None:
        self.db = db
        self.chat = chat
        self.wheel = wheel
        self.api = api
        self._responses = responses
        self._streams = streams
        self._serve: App = traces.around(self._answer) if traces is not None else self._answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["tako.request_id"] = identifier = request_id(scope)
        started = False

        async def send_with_id(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                scope["tako.status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identifier.encode())]
            await send(message)

        try:
            if scope["path"] == "/v1/responses" or scope["path"].startswith("/v1/responses/"):
                await self._responses(scope, receive, send_with_id)
            else:
                serving = next((streams for streams in self._streams if streams.serves(scope)), self.api)
                await serving(scope, receive, send_with_id)
        except Disconnected:
            return
        except TakoError as error:
            if started:
                raise
            await send_error(scope, send_with_id, error)
        except Exception as error:
            if started:
                raise
            _log.error("request_failed", path=scope["path"], request_id=identifier, exc_info=error)
            await send_error(scope, send_with_id, _bug())


class _Server(uvicorn.Server):
    """uvicorn's server, which on SIGTERM first lets running answers end while they can still be read."""

    def __init__(self, config: uvicorn.Config, site: Site, grace: float) -> None:
        super().__init__(config)
        self._site = site
        self._grace = grace
        self._draining: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._draining is not None:
            super().handle_exit(sig, frame)
            return
        loop = asyncio.get_event_loop()
        self._draining = loop.create_task(self._drain(), name="drain")

    async def _drain(self) -> None:
        _log.info("stopping", running=len(self._site.chat.generations), grace_seconds=self._grace)
        await chat_app.drain(self._site.chat, self._grace)
        self._site.wheel.stop()
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


@asynccontextmanager
async def _opened(loaded: Loaded) -> AsyncIterator[Site]:
    """The site, with the schema up to date and all its parts open."""
    settings = loaded.settings
    await migrations.upgrade(settings.database)
    configured: list[Provider] = [OpenAIProvider(provider_settings(table)) for table in settings.providers]
    local = local_settings(settings.local, settings.data)
    if local.enabled:
        configured.append(LocalProvider(local, settings.data))
    every = min(settings.lease / 3, settings.heartbeat)
    async with (
        _looked_at(settings) as outside,
        Database(settings.database, max_pages=settings.max_database_pages, lease=settings.lease) as db,
        _bus(settings.valkey_url, db) as (bus, echoes),
        _site_settings(loaded, db, bus) as own,
        Journal(
            db,
            bus,
            echoes,
            interval=settings.commit_interval,
            lease=settings.lease,
            every=every,
            watch=outside.watch,
        ) as journal,
        Wheel(heartbeat=settings.heartbeat, stalled_after=settings.stalled_reader) as wheel,
        chat_app.opened(db, bus, journal, Feed(bus), configured, _chat_settings(settings, own), outside.watch) as chat,
    ):
        authenticator = Authenticator(db, Proxies(settings.trusted_proxies), settings.public_url)
        accounts = Accounts(db, own, settings.session_days, SignInLimit())
        tails = follow.Tails()
        endpoint = ResponsesEndpoint(
            chat, authenticator, wheel, tails, settings.foreground_grace, settings.max_body_bytes
        )
        page = PageStreams(chat, authenticator, wheel, tails, settings.max_body_bytes)
        async with running(revocations=_revoke(db, wheel, journal.every), purge=_purge(db, chat)):
            ferry = _ferry(settings, authenticator, wheel)
            api = _api(settings, accounts, chat, authenticator, outside.metrics, ferry)
            streams: list[Streams] = [page, ferry.feed] if ferry else [page]
            yield Site(db, chat, wheel, api, endpoint, streams, outside.traces)


async def openapi() -> dict[str, Any]:
    """The document at /openapi.json, of a site that is opened for it in a folder of its own and serves nobody."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder), ferry_plan=Path("plan.json"), local={"enabled": False})
        async with _opened(Loaded(settings, dict.fromkeys(ON_THE_PAGE, "default"))) as site:
            return site.api.openapi()


@asynccontextmanager
async def _bus(valkey_url: str | None, db: Database) -> "AsyncIterator[tuple[Bus, Echoes | None]]":
    """How this process tells others of its site that something has changed, and what of its logs."""
    if db.dialect == "sqlite":
        yield Alone(), None
        return
    from tako.core import postgres_bus  # psycopg, which a site on SQLite need not wait for

    async with postgres_bus.opened(db.url) as notifications:
        if valkey_url is None:
            yield notifications, None
            return
        from tako.core import valkey, valkey_bus
        from tako.core.journal.echo import Echoes

        async with (
            valkey.opened(valkey.parse_url(valkey_url)) as server,
            valkey_bus.opened(server, db, notifications) as bus,
        ):
            yield bus, Echoes(server, bus)


@asynccontextmanager
async def _site_settings(loaded: Loaded, db: Database, bus: Bus) -> AsyncIterator[SiteSettings]:
    """What the owner's page may change, as it stands."""
    chosen = Choices(**{key: getattr(loaded.settings, key) for key in ON_THE_PAGE})
    own = SiteSettings(db, chosen, fixed(loaded), bus)
    async with reloading(bus, SITE, own.load):
        yield own


def _chat_settings(settings: Settings, own: SiteSettings) -> chat_app.ChatSettings:
    limits = Limits(settings.max_running, settings.response_days, own, user_slots=settings.user_slots)
    return chat_app.ChatSettings(limits, settings.upstream_retries, settings.unstored_grace)


@dataclass(frozen=True, slots=True)
class _Outside:
    """Who looks at this process from outside."""

    watch: Watch
    metrics: "Metrics | None" = None
    traces: "Traces | None" = None


@asynccontextmanager
async def _looked_at(settings: Settings) -> AsyncIterator[_Outside]:
    """By nobody, unless the settings say so: only then are the libraries loaded."""
    async with contextlib.AsyncExitStack() as stack:
        traces = None
        if settings.otlp_endpoint is not None:
            traces = await stack.enter_async_context(_traces(settings.otlp_endpoint))
        trace = traces.of if traces is not None else None
        if settings.metrics_token is None:
            yield _Outside(Watch(trace), None, traces)
            return
        from tako.metrics.prometheus import Metrics

        metrics = Metrics(trace)
        yield _Outside(metrics, metrics, traces)


def _traces(endpoint: str) -> AbstractAsyncContextManager["Traces"]:
    try:
        from tako import traces
    except ImportError as error:
        raise Misconfigured(
            f"otlp_endpoint needs a package that is not installed ({error.name}): pip install 'tako[traces]', or, in a "
            "checkout, .venv/bin/uv sync --frozen --inexact --extra traces."
        ) from error
    return traces.opened(endpoint)


@dataclass(frozen=True, slots=True)
class _Ferry:
    """The place of the owner's page that shows a migration; `paths` are for the document at /openapi.json."""

    router: APIRouter
    feed: Streams
    paths: Mapping[str, Any]


def _ferry(settings: Settings, authenticator: Authenticator, wheel: Wheel) -> _Ferry | None:
    if settings.ferry_plan is None:
        return None
    from tako.ferry import http as ferry_http  # drivers and decoders, which other sites need not wait for
    from tako.ferry.watch import Watch as Migration

    watch = Migration(settings.ferry_plan)
    feed = ferry_http.FerryFeed(watch, authenticator, wheel)
    return _Ferry(ferry_http.router(watch, authenticator), feed, ferry_http.PATHS)


def _api(
    settings: Settings,
    accounts: Accounts,
    chat: Chat,
    authenticator: Authenticator,
    metrics: "Metrics | None",
    ferry: _Ferry | None,
) -> FastAPI:
    api = FastAPI(
        title="Tako",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )

    async def tokens_today(users: Sequence[str]) -> Mapping[str, int]:
        async with chat.db.read() as connection:
            return await ledger.tokens_on(connection, now(), users)

    api.include_router(
        site_http.router(
            accounts.site,
            authenticator,
            chat.catalog.has_real,
            chat.catalog.has,
            places=["ferry"] if ferry else [],
            next_version=settings.next_version == "on",
        )
    )
    api.include_router(accounts_http.router(accounts, authenticator))
    api.include_router(accounts_owner_http.router(accounts.db, authenticator, tokens_today))
    api.include_router(owner_http.router(chat, authenticator))
    api.include_router(conversations_http.router(chat, authenticator, max_body=settings.max_body_bytes))
    api.include_router(page_http.router(chat, authenticator, max_body=settings.max_body_bytes))
    if ferry:
        api.include_router(ferry.router)
    document(api, ferry.paths if ferry else {})

    @api.get("/healthz", tags=["operation"], summary="The process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @api.get("/readyz", tags=["operation"], summary="The process can take work")
    async def readyz() -> JSONResponse:
        problem_now = "stopping" if chat.draining else chat.journal.problem
        return JSONResponse(
            {"status": problem_now or "ok", "running": len(chat.generations)}, status_code=503 if problem_now else 200
        )

    api.include_router(metrics_http.router(metrics, settings.metrics_token))
    api.mount("/", Pages())

    @api.exception_handler(TakoError)
    async def expected(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, TakoError)  # noqa: S101  # what Starlette's types cannot say
        return _error_response(request, error)

    @api.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return _error_response(request, invalid(error.errors()))

    @api.exception_handler(HTTPException)
    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101
        kind = NotFound if error.status_code == 404 else Invalid
        mapped = kind(
            f"{error.detail}: {request.method} {request.url.path}", code="not_found" if kind is NotFound else None
        )
        mapped.status = error.status_code
        return _error_response(request, mapped)

    @api.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        _log.error(
            "request_failed", path=request.url.path, request_id=request.scope.get("tako.request_id"), exc_info=error
        )
        return _error_response(request, _bug())

    return api


def _bug() -> TakoError:
    return TakoError("An error inside this server; its log says more.", code="server_error")


def _error_response(request: Request, error: TakoError) -> JSONResponse:
    headers = {"x-should-retry": "false"} if error.status in (409, 422) else {}
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["retry-after"] = str(max(1, round(retry_after)))
    if request.url.path.startswith("/v1"):
        return JSONResponse(openai_error(error), error.status, headers)
    body = problem(error, request.scope.get("tako.request_id"))
    return JSONResponse(body, error.status, headers, media_type="application/problem+json")


async def _revoke(db: Database, wheel: Wheel, every: float) -> None:
    """See who was revoked, by whatever process, and who reads what is for admins only and is none any more: such
    readers end."""
    seen = now()
    while True:
        await asyncio.sleep(every)
        if not len(wheel):
            continue
        try:
            async with db.read() as connection:
                wheel.revoke(set(await accounts_store.revoked_since(connection, seen - _REVOCATION_OVERLAP)))
                if reading := wheel.admins():
                    wheel.demote(reading - await accounts_store.admins(connection))
        except TakoError as error:
            _log.warning("revocations_not_seen", reason=error.message)
        else:
            seen = now()


async def _purge(db: Database, chat: Chat) -> None:
    """Throw away what has ended long enough ago."""
    while True:
        try:
            await chat_app.purge(chat)
            async with db.write(patient=True) as connection:
                await accounts_store.purge(connection, now() - _KEEP_ENDED_CREDENTIALS)
        except TakoError as error:
            _log.warning("purge_failed", reason=error.message)
        await asyncio.sleep(_PURGE_EVERY)


async def _announce(settings: Settings, listener: socket.socket, db: Database) -> None:
    """Tell the person who started it where to go."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    address = settings.public_url or f"http://{shown}:{port}"
    lines = [f"Tako {__version__} is at {address}"]
    link = await first_admin_link(db, address)
    if link is not None:
        lines += [
            "",
            "Nobody has an account yet. This link makes the first one, an admin; it works once:",
            f"  {link}",
            "",
        ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise Misconfigured(
                f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}. "
                "Is Tako running already? Choose another port with --port."
            ) from error
        listener.listen(4096)
        listener.setblocking(False)
        yield listener
