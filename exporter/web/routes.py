"""The table of endpoints. Nothing here asks a platform or waits for a run."""

from collections.abc import Collection, Iterable
from typing import Protocol

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.config import Config
from exporter.difference import Difference
from exporter.exposition import Format
from exporter.snapshot import Entry, Key
from exporter.web.negotiation import negotiate, prefers_gzip
from exporter.web.pieces import PiecesResponse
from exporter.web.redacted_config import redacted_yaml
from exporter.web.reload import is_foreign, reload_reply
from exporter.web.reports import Reports
from exporter.web.security_headers import SECURITY_HEADERS
from exporter.web.service_discovery import asked_url, target_groups
from exporter.web.status import Observation, Observed, status
from exporter.web.status_page import StatusPage


class View(Observed, Protocol):
    """What the endpoints need to know of the exporter."""

    def page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]: ...

    async def gzip_page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]: ...

    def is_healthy(self) -> bool: ...

    def is_ready(self) -> bool: ...

    async def reload(self, *, dry_run: bool) -> Difference: ...


def application(view: View, telemetry_path: str, external_url: str = "") -> Starlette:
    """Build the ASGI application."""
    page = StatusPage(telemetry_path)
    reports = Reports(view)

    async def metrics(request: Request) -> Response:
        keys = selected(view.snapshot, request.query_params)
        form = negotiate(", ".join(request.headers.getlist("accept")))
        headers = {"Content-Type": form.value, "Vary": "Accept, Accept-Encoding"}
        if prefers_gzip(", ".join(request.headers.getlist("accept-encoding"))):
            return PiecesResponse(await view.gzip_page(form, keys), {**headers, "Content-Encoding": "gzip"})
        return PiecesResponse(view.page(form, keys), headers)

    async def status_page(request: Request) -> Response:
        names = selected_targets(view.config, request.query_params)
        refreshing = request.query_params.get("refresh") != "off"

        def html(seen: Observation) -> bytes:
            return page.render(status(seen, names), names, refreshing=refreshing).encode()

        body = await reports.written(("page", names, refreshing), html)
        return PiecesResponse([body], {**page.headers, "Content-Type": "text/html; charset=utf-8"})

    async def api_status(request: Request) -> Response:
        names = selected_targets(view.config, request.query_params)
        return _json(await reports.written(("status", names), lambda seen: _encoded(status(seen, names))))

    async def config(request: Request) -> Response:
        text = await reports.written("config", lambda seen: redacted_yaml(seen.config).encode())
        return PiecesResponse([text], {**SECURITY_HEADERS, "Content-Type": "text/plain; charset=utf-8"})

    async def service_discovery(request: Request) -> Response:
        # a proxy may have changed what the request says of its address, so the external URL comes first
        try:
            url = external_url.rstrip("/") or asked_url(
                request.scope["scheme"], request.headers.get("host", ""), request.scope.get("root_path", "")
            )
        except ValueError as error:
            raise _bad_request(str(error)) from None
        return _json(
            await reports.written(
                ("sd", url), lambda seen: _encoded(target_groups(seen.config, seen.entries, url + telemetry_path))
            )
        )

    async def healthy(request: Request) -> Response:
        return _answer(view.is_healthy(), "healthy", "the scheduler's heartbeat stopped")

    async def ready(request: Request) -> Response:
        return _answer(view.is_ready(), "ready", "first runs are under way")

    async def reload(request: Request) -> Response:
        if is_foreign(request.headers, external_url):
            raise HTTPException(403, "a page of another site may not reload the configuration\n", SECURITY_HEADERS)
        return await reload_reply(request, lambda dry_run: view.reload(dry_run=dry_run))

    endpoints = Starlette(
        routes=[
            Route("/", status_page),
            Route(telemetry_path, metrics),
            Route("/api/status", api_status),
            Route("/config", config),
            Route("/sd", service_discovery),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            Route("/-/reload", reload, methods=["POST", "PUT"]),
        ]
    )
    endpoints.router.redirect_slashes = False  # it would send the client to whatever its Host header says
    return endpoints


def selected(entries: Iterable[Entry], query: QueryParams) -> list[Key] | None:
    """Return the collectors that `target` and `collect[]` name, each repeatable, or None when neither is given.

    Raises HTTPException (400) with the known names for one that there is not.
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


def selected_targets(config: Config, query: QueryParams) -> tuple[str, ...]:
    """Return the names of targets that `target` gives, none for all. Raises HTTPException (400) as `selected` does."""
    names = tuple(query.getlist("target"))
    _check_known("target", names, [target.settings.name for target in config.targets])
    return names


def _check_known(parameter: str, names: Iterable[str], known: Iterable[str]) -> None:
    known_names = sorted(set(known))
    for name in names:
        if name not in known_names:
            raise _bad_request(f"{parameter}={name} names nothing here; there are: {', '.join(known_names)}")


def _bad_request(message: str) -> HTTPException:
    return HTTPException(400, f"{message}\n", SECURITY_HEADERS)


def _answer(good: bool, yes: str, no: str) -> Response:
    return PlainTextResponse(f"{yes if good else no}\n", 200 if good else 503, SECURITY_HEADERS)


def _encoded(document: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def _json(body: bytes) -> Response:
    return PiecesResponse([body], {**SECURITY_HEADERS, "Content-Type": "application/json"})
