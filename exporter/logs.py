"""Logging to stderr as logfmt or JSON; the libraries' own loggers come out in the same form."""

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from exporter.tracebacks import without_messages

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("logfmt", "json")
QUIET_LIBRARIES = ("httpx", "httpcore", "uvicorn", "asyncio")
"""httpx logs every URL with its query at level info; the others narrate what our own lines say better."""


def configure(level: str, form: str) -> None:
    """Set up logging for the process; `level` is one of LEVELS, `form` one of FORMATS."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.ExceptionRenderer(without_messages),
    ]
    renderer = structlog.processors.JSONRenderer() if form == "json" else logfmt
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel({"warn": "WARNING"}.get(level, level.upper()))
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)


def logfmt(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    """Render one line that any reader of logfmt takes apart again: time, level and event first.

    structlog's own renderer leaves a carriage return and other control characters as they are, and writes a line break
    in a value without blanks so that nobody can tell it from a backslash.
    """
    first = {key: event.pop(key) for key in ("ts", "level", "event") if key in event}
    return " ".join(f"{key}={_logfmt_value(value)}" for key, value in {**first, **event}.items())


def _logfmt_value(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text and text.isprintable() and not set(text) & set(' ="\\'):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
