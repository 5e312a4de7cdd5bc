"""`/metrics`, the status page, and the health endpoints. Nothing here asks a platform or waits for a run."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter import __version__
from exporter.exposition import Format, negotiate
from exporter.snapshot import Entry, Key

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class View(Protocol):
    """What the pages need to know of the exporter."""

    @property
    def snapshot(self) -> Iterable[Entry]: ...

    def page(self, form: Format) -> bytes: ...

    def next_run_at(self, key: Key) -> datetime | None: ...

    def is_healthy(self) -> bool: ...

    def is_ready(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the status page; times are in words."""

    entry: Entry
    age: str
    next_run: str


def application(view: View, telemetry_path: str) -> Starlette:
    """Build the ASGI application."""
    environment = Environment(
        loader=PackageLoader("exporter.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("status.html")

    async def metrics(request: Request) -> Response:
        form = negotiate(request.headers.get("accept", ""))
        return Response(view.page(form), headers={"Content-Type": form.value, "Vary": "Accept"})

    async def status(request: Request) -> Response:
        page = template.render(version=__version__, telemetry_path=telemetry_path, rows=status_rows(view, time.time()))
        return HTMLResponse(page, headers=SECURITY_HEADERS)

    async def healthy(request: Request) -> Response:
        return _answer(view.is_healthy(), "healthy", "the scheduler's heartbeat stopped")

    async def ready(request: Request) -> Response:
        return _answer(view.is_ready(), "ready", "first runs are under way")

    return Starlette(
        routes=[
            Route("/", status),
            Route(telemetry_path, metrics),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
        ]
    )


def _answer(good: bool, yes: str, no: str) -> Response:
    return PlainTextResponse(f"{yes if good else no}\n", 200 if good else 503)


def status_rows(view: View, now: float) -> list[Row]:
    """Return a row per target and collector, in the order of the configuration."""
    rows = []
    for entry in view.snapshot:
        next_run_at = view.next_run_at(entry.key)
        rows.append(
            Row(
                entry,
                f"{span(now - entry.last_success_at)} ago" if entry.last_success_at is not None else "never",
                f"in {span((next_run_at - datetime.fromtimestamp(now, UTC)).total_seconds())}" if next_run_at else "",
            )
        )
    return rows


def span(seconds: float) -> str:
    """Say a length of time in words, in its largest unit, rounded down."""
    for unit, unit_seconds in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * unit_seconds:
            return f"{int(seconds // unit_seconds)} {unit}"
    return f"{max(0, int(seconds))} s"
