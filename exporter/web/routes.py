"""`/metrics`, the status page, and the health endpoints. Nothing here asks a platform or waits for a run."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter import __version__
from exporter.difference import Difference
from exporter.exposition import Format
from exporter.snapshot import Entry, Key
from exporter.web.negotiation import negotiate, prefers_gzip
from exporter.web.pieces import PiecesResponse
from exporter.web.reload import reload_reply

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

    def page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]: ...

    async def gzip_page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]: ...

    def next_run_at(self, key: Key) -> datetime | None: ...

    def is_healthy(self) -> bool: ...

    def is_ready(self) -> bool: ...

    async def reload(self, *, dry_run: bool) -> Difference: ...


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
        try:
            keys = selected(view.snapshot, request.query_params)
        except LookupError as error:
            return PlainTextResponse(f"{error.args[0]}\n", 400, headers=SECURITY_HEADERS)
        form = negotiate(", ".join(request.headers.getlist("accept")))
        headers = {"Content-Type": form.value, "Vary": "Accept, Accept-Encoding"}
        if prefers_gzip(", ".join(request.headers.getlist("accept-encoding"))):
            return PiecesResponse(await view.gzip_page(form, keys), {**headers, "Content-Encoding": "gzip"})
        return PiecesResponse(view.page(form, keys), headers)

    async def status(request: Request) -> Response:
        page = template.render(version=__version__, telemetry_path=telemetry_path, rows=status_rows(view, time.time()))
        return HTMLResponse(page, headers=SECURITY_HEADERS)

    async def healthy(request: Request) -> Response:
        return _answer(view.is_healthy(), "healthy", "the scheduler's heartbeat stopped")

    async def ready(request: Request) -> Response:
        return _answer(view.is_ready(), "ready", "first runs are under way")

    async def reload(request: Request) -> Response:
        return await reload_reply(request, lambda dry_run: view.reload(dry_run=dry_run))

    return Starlette(
        routes=[
            Route("/", status),
            Route(telemetry_path, metrics),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            Route("/-/reload", reload, methods=["POST", "PUT"]),
        ]
    )


def selected(entries: Iterable[Entry], query: QueryParams) -> list[Key] | None:
    """Return the collectors that `target` and `collect[]` name, each repeatable, or None when neither is given.

    Raises LookupError with the known names for one that there is not.
    """
    targets, collectors = query.getlist("target"), query.getlist("collect[]")
    if not targets and not collectors:
        return None
    keys = [entry.key for entry in entries]
    _check_known("target", targets, [key.target for key in keys])
    _check_known("collect[]", collectors, [key.collector for key in keys])
    return [
        key
        for key in keys
        if (not targets or key.target in targets) and (not collectors or key.collector in collectors)
    ]


def _check_known(parameter: str, names: Iterable[str], known: Iterable[str]) -> None:
    known_names = sorted(set(known))
    for name in names:
        if name not in known_names:
            raise LookupError(f"{parameter}={name} names nothing here; there are: {', '.join(known_names)}")


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
