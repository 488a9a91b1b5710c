"""OpenTelemetry traces, sent by OTLP: from a request to the upstream, and to the stored end of its answer.

Loaded only where `otlp_endpoint` is set. Names follow the semantic conventions for HTTP and for generative AI. Nothing
that people or models wrote gets into a span, nor do error messages, which may quote it.
"""

import asyncio
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tako import __version__
from tako.chat.entries import Used
from tako.chat.generation import Generation, Outcome
from tako.chat.providers.base import UpstreamError
from tako.chat.watch import Trace
from tako.core.http import App, Receive, Scope, Send

_propagator = TraceContextTextMapPropagator()
# How long spans that nobody takes may hold up the end of a process, in seconds.
_PATIENCE = 3.0
_ID = re.compile(r"[a-z]{1,8}_[0-9a-f]{32}")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_FINISH = {"max_output_tokens": "length", "content_filter": "content_filter"}


@asynccontextmanager
async def opened(endpoint: str) -> AsyncIterator["Traces"]:
    """Traces to the OTLP receiver at `endpoint` (its base address, without /v1/traces), by a thread of their own. What
    is not sent yet is sent at the end."""
    resource = Resource.create(
        {
            "service.name": "tako",
            "service.version": __version__,
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_PATIENCE)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield Traces(provider.get_tracer("tako", __version__))
    finally:
        await asyncio.to_thread(provider.shutdown)


class Traces:
    """Where a process's spans come from."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def around(self, app: App) -> App:
        """The same application, with one span for each request to an API."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if not scope["path"].startswith(("/api/", "/v1/")):
                await app(scope, receive, send)
                return
            with self._request(scope):
                await app(scope, receive, send)

        return traced

    @contextmanager
    def _request(self, scope: Scope) -> Iterator[None]:
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        route = _ID.sub("{id}", scope["path"])
        with self._tracer.start_as_current_span(
            f"{method} {route}",
            context=_propagator.extract(
                {str(key, "latin-1"): str(value, "latin-1") for key, value in scope["headers"]}
            ),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.path": scope["path"], "url.scheme": scope["scheme"]},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            finally:
                status = scope.get("tako.status")  # none has gone out to a client that left
                span.set_attribute("tako.request_id", scope["tako.request_id"])
                if status == 404:
                    span.update_name(method)  # there may be as many wrong paths as visitors can think of
                else:
                    span.set_attribute("http.route", route)
                if status is not None:
                    span.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        _fail(span, str(status))

    def of(self, generation: Generation) -> Trace:
        """The trace of one response, which belongs to the request that asked for it."""
        return _Response(self._tracer, generation)


class _Response(Trace):
    """One span from the question to the stored end, with each call of the upstream and the last transaction in it."""

    def __init__(self, tracer: Tracer, generation: Generation) -> None:
        self._tracer = tracer
        response = generation.response
        self._asked = {"gen_ai.provider.name": generation.provider_name, "gen_ai.request.model": response.model}
        optional = {
            "gen_ai.conversation.id": response.conversation_id,
            "gen_ai.request.max_tokens": response.ask.get("max_output_tokens"),
            "gen_ai.request.temperature": response.ask.get("temperature"),
            "gen_ai.request.top_p": response.ask.get("top_p"),
        }
        self._generation = generation
        self._span = tracer.start_span(
            f"chat {response.model}",
            attributes={
                **self._asked,
                "gen_ai.operation.name": "chat",
                "gen_ai.response.id": response.id,
                "tako.purpose": response.purpose,
                **{key: value for key, value in optional.items() if value is not None},
            },
        )
        self._context = set_span_in_context(self._span)
        self._began = time.monotonic()

    @contextmanager
    def asking(self, attempt: int) -> Iterator[Mapping[str, str]]:
        span = self._tracer.start_span(
            "POST",
            self._context,
            SpanKind.CLIENT,
            {**self._asked, "http.request.method": "POST", "http.request.resend_count": attempt - 1},
        )
        headers: dict[str, str] = {}
        _propagator.inject(headers, set_span_in_context(span))
        with _ending(span):
            yield headers

    def first_token(self) -> None:
        self._span.set_attribute("gen_ai.response.time_to_first_chunk", time.monotonic() - self._began)

    @contextmanager
    def storing(self) -> Iterator[None]:
        with _ending(self._tracer.start_span("store end", self._context)):
            yield

    def ended(self, outcome: Outcome, bill: Used) -> None:
        finish = "stop" if outcome.status == "completed" else _FINISH.get(outcome.reason or "", outcome.status)
        self._span.set_attributes(
            {
                "gen_ai.response.finish_reasons": [finish],
                "gen_ai.usage.input_tokens": bill.input_tokens,
                "gen_ai.usage.output_tokens": bill.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": bill.cached_tokens,
                "gen_ai.usage.reasoning.output_tokens": bill.reasoning_tokens,
                "tako.attempts": self._generation.attempts,
            }
        )
        if outcome.status == "failed":
            _fail(self._span, outcome.error_code or "failed")
        self._span.end()

    def lost(self) -> None:
        _fail(self._span, "lost")
        self._span.end()


@contextmanager
def _ending(span: Span) -> Iterator[None]:
    """End it with the block; what breaks the block off is named, but not quoted."""
    try:
        yield
    except UpstreamError as error:
        _fail(span, error.code or "upstream_error")
        raise
    except Exception as error:
        _fail(span, type(error).__name__)
        raise
    finally:
        span.end()


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
