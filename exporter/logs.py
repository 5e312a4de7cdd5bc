"""Logging to stderr as logfmt or JSON; the libraries' own loggers come out in the same form."""

import logging
import sys

import structlog

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("logfmt", "json")
QUIET_LIBRARIES = ("httpx", "httpcore", "uvicorn", "asyncio")
"""httpx logs every URL with its query at level info; the others narrate what our own lines say better."""


def configure(level: str, form: str) -> None:
    """Set up logging for the process; `level` is one of LEVELS, `form` one of FORMATS."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.processors.LogfmtRenderer(key_order=["ts", "level", "event"])
    )
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
