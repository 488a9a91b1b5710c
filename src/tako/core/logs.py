"""Structured logs on stderr that never hold what people wrote, nor what opens their doors."""

import logging
import re
import sys
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRET_KEYS = re.compile(r"password|token|authorization|cookie|secret|api_key|text|content", re.IGNORECASE)
_COUNTS = (int, float, bool, type(None))  # `input_tokens=5` tells no secret
_KEYS = r"sk-[\w-]{8,}"
_URL_PASSWORDS = r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
# What SQLAlchemy and pydantic add to their messages: the very values that they could not take.
_VALUES_IN_ERRORS = r"(?<=\[parameters: ).*(?=\])|(?<=input_value=).*?(?=, input_type=)|(?<=DETAIL: ).*"
_SECRETS = re.compile(f"{_KEYS}|{_URL_PASSWORDS}|{_VALUES_IN_ERRORS}")


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Mask values under telling names, however deep, and what looks like a secret within other values."""
    for key, value in event.items():
        event[key] = _scrubbed(value) if key == "event" else _masked(key, value)
    return event


def _masked(key: object, value: Any) -> Any:
    if _SECRET_KEYS.search(str(key)) and not isinstance(value, _COUNTS):
        return "***"
    return _scrubbed(value)


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRETS.sub("***", value)
    if isinstance(value, dict):
        return {key: _masked(key, entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_scrubbed(entry) for entry in value]
    return value


def _redact_traceback(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Tracebacks become text last of all, so they are read once more."""
    if "exception" in event:
        event["exception"] = _scrubbed(event["exception"])
    return event


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Set up structlog, and the standard library's logging through the same processors."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact_traceback,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("alembic", "asyncio", "uvicorn.error", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
