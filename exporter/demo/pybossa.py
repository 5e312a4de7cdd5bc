"""A copy of the statistics side of a PYBOSSA 4 server over the crowdsourcing half of the demo organisation.

Site pages that turn into JSON on request, lists under `/api` paged by `last_id`, those of tasks and task runs
without filters, rate limits per endpoint and client, and the queue depths for an administrator's key (`ADMIN_KEY`);
`MEMBER_KEY` is that of an ordinary account. A wrong key counts as none, as on the real server. Inferred: a list is
ordered by id, and a key does not narrow `/api/category`, since categories have no owner.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from exporter.demo.crowd import CATEGORIES, Category, Crowd, Project, is_published
from exporter.demo.pybossa_rows import Row, task_rows, task_run_rows
from exporter.demo.pybossa_statistics import (
    global_statistics,
    locations,
    naive_iso,
    project_info,
    project_statistics,
    site_statistics,
)
from exporter.demo.route import Route
from exporter.evidence import Evidence

ADMIN_KEY = "0b5e0d9a-5a0e-4a51-9f5e-d0d0c0ffee01"
MEMBER_KEY = "0b5e0d9a-5a0e-4a51-9f5e-d0d0c0ffee02"

_ADMINISTRATOR_ID = 1
_USERS_BY_KEY = {ADMIN_KEY: _ADMINISTRATOR_ID, MEMBER_KEY: 2}
_WINDOW_SECONDS = 900
_DEFAULT_LIMIT = 20
_MAXIMUM_LIMIT = 100
_NOT_COLUMNS = frozenset({"limit", "offset", "last_id", "api_key", "all", "response_format"})
_OWNER_COLUMNS = ("published", "allow_anonymous_contributors")
_EXCEPTIONS = {
    401: "Unauthorized",
    404: "NotFound",
    405: "MethodNotAllowed",
    415: "AttributeError",
    429: "TooManyRequests",
}

Endpoint = Callable[[Request], Awaitable[Response]]


def application(
    crowd: Crowd,
    now: Callable[[], datetime],
    *,
    rate_limit: int = 300,
    locs: Literal["absent", "list", "string"] = "absent",
) -> Starlette:
    """The server of the crowd, whose `now` is aware and UTC.

    `rate_limit` is the number of requests in 900 seconds of which the last is already refused. `locs` is how
    `/stats/` sends the locations of contributors: not at all (since v2.9.3), as a list, or as a list in a string.
    """
    server = _Server(crowd, now, rate_limit, locs)
    app = Starlette(
        routes=[
            Route("/stats", _add_slash, Evidence.RECORDING),
            Route("/stats/", server.stats, Evidence.RECORDING),
            Route("/admin/rq/queues.json", server.queues, Evidence.RECORDING),
            Route("/api/globalstats", server.limited("globalstats", server.globalstats), Evidence.RECORDING),
            Route("/api/projectstats", server.limited("projectstats", server.projectstats), Evidence.RECORDING),
            Route("/api/project", server.limited("project", server.project), Evidence.RECORDING),
            Route("/api/favorites", server.limited("favorites", server.favorites), Evidence.REFERENCE),
            Route("/api/category", server.limited("category", server.category), Evidence.RECORDING),
            Route("/api/task", server.limited("task", server.rows(task_rows)), Evidence.RECORDING),
            Route("/api/taskrun", server.limited("taskrun", server.rows(task_run_rows)), Evidence.RECORDING),
        ],
        exception_handlers={HTTPException: _error},
    )
    # A real server answers 404 to a slash too many under /api.
    app.router.redirect_slashes = False
    return app


@dataclass(frozen=True, slots=True)
class _Server:
    crowd: Crowd
    now: Callable[[], datetime]
    rate_limit: int
    locs: Literal["absent", "list", "string"]
    windows: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """Endpoint name and client address to the end of the last window (epoch seconds) and the requests in it."""

    async def stats(self, request: Request) -> Response:
        if not _wants_json(request):
            return HTMLResponse("<!doctype html><title>Global Statistics</title><h1>Statistics</h1>")
        reply = site_statistics(self.crowd, self.now())
        if self.locs != "absent":
            places = locations(self.crowd, self.now())
            reply["locs"] = places if self.locs == "list" else json.dumps(places)
        return JSONResponse(reply)

    async def globalstats(self, _: Request) -> Response:
        return JSONResponse(global_statistics(self.crowd, self.now()))

    async def projectstats(self, request: Request) -> Response:
        owners = {project.id: project.owner_id for project in self.crowd.projects(self.now())}
        rows = [
            {**row, **_links(request, "projectstats", row["id"], parent=("project", row["project_id"]))}
            for row in project_statistics(self.crowd, self.now())
            if _is_asked_for(request, owners[row["project_id"]])
        ]
        return JSONResponse(_page(request, rows))

    async def project(self, request: Request) -> Response:
        rows = [
            _project_row(request, project, self.now())
            for project in self.crowd.projects(self.now())
            if _is_asked_for(request, project.owner_id)
        ]
        return JSONResponse([_shown(request, row) for row in _page(request, rows) if _may_see(request, row)])

    async def category(self, request: Request) -> Response:
        return JSONResponse(_page(request, [_category_row(request, category) for category in CATEGORIES]))

    async def favorites(self, request: Request) -> Response:
        if _caller_id(request) is None:
            raise HTTPException(401, "401 Unauthorized")
        return JSONResponse([])

    def rows(self, page: Callable[[Crowd, datetime, int, int, Callable[[Project], bool]], list[Row]]) -> Endpoint:
        """The endpoint of a list too long to be made for every page of it."""

        async def endpoint(request: Request) -> Response:
            after_id = _whole_number(request.query_params.get("last_id", "0"), 0)
            return JSONResponse(
                page(
                    self.crowd,
                    self.now(),
                    after_id,
                    _limit(request),
                    lambda project: _is_asked_for(request, project.owner_id),
                )
            )

        return endpoint

    async def queues(self, request: Request) -> Response:
        if _caller_id(request) != _ADMINISTRATOR_ID:
            return HTMLResponse("<!doctype html><h1>Unauthorized</h1>", status_code=401)
        depths = self.crowd.queues(self.now())
        return JSONResponse(
            {"queues": [{"count": depth, "name": name, "url": f"/admin/rq/{name}"} for name, depth in depths.items()]}
        )

    def limited(self, name: str, endpoint: Endpoint) -> Endpoint:
        """The endpoint with rate limit headers, and a 429 in its place when the window is used up."""

        async def guarded(request: Request) -> Response:
            remaining, reset = self._take(name, request.client.host if request.client else "")
            headers = {
                "X-RateLimit-Limit": str(self.rate_limit),
                "X-RateLimit-Remaining": str(remaining),
                "X-RateLimit-Reset": str(reset),
            }
            if remaining == 0:
                return _failure(request, 429, "429 Too Many Requests: the window is used up.", headers)
            try:
                response = await endpoint(request)
            except HTTPException as error:
                return _failure(request, error.status_code, error.detail, headers)
            response.headers.update(headers)
            return response

        return guarded

    def _take(self, name: str, client: str) -> tuple[int, int]:
        """Count a request; what remains in the window, and its end in epoch seconds."""
        reset = (int(self.now().timestamp()) // _WINDOW_SECONDS + 1) * _WINDOW_SECONDS
        last_reset, used = self.windows.get((name, client), (reset, 0))
        used = used + 1 if last_reset == reset else 1
        self.windows[name, client] = (reset, used)
        return max(self.rate_limit - used, 0), reset


async def _add_slash(_: Request) -> Response:
    return RedirectResponse("/stats/", status_code=308)


def _wants_json(request: Request) -> bool:
    return (
        request.headers.get("Content-Type") == "application/json"
        or request.query_params.get("response_format") == "json"
    )


def _caller_id(request: Request) -> int | None:
    """The account of a valid key; the header wins over the query."""
    key = request.headers.get("Authorization") or request.query_params.get("api_key", "")
    return _USERS_BY_KEY.get(key)


def _is_asked_for(request: Request, owner_id: int) -> bool:
    """With a valid key a list is about the caller's own projects, unless it asks for all of them."""
    caller_id = _caller_id(request)
    return caller_id in (None, owner_id) or request.query_params.get("all") == "1"


def _may_see(request: Request, row: dict[str, Any]) -> bool:
    return bool(row["published"]) or _is_owner(request, row)


def _shown(request: Request, row: dict[str, Any]) -> dict[str, Any]:
    if _is_owner(request, row):
        return row
    return {key: value for key, value in row.items() if key not in _OWNER_COLUMNS}


def _is_owner(request: Request, row: dict[str, Any]) -> bool:
    return _caller_id(request) in (_ADMINISTRATOR_ID, row["owner_id"])


def _page(request: Request, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that every column in the query agrees with, from `last_id` or `offset` on, up to `limit`.

    Raises HTTPException 415 for a key that is not a column.
    """
    query = request.query_params
    filters = {key: value.lower().split(",") for key, value in query.items() if key not in _NOT_COLUMNS}
    for column in filters:
        if rows and column not in rows[0]:
            raise HTTPException(415, f"type object has no attribute {column!r}")
    matching = [
        row
        for row in rows
        if all(str(row[column]).lower() in accepted for column, accepted in filters.items())
        and row["id"] > _whole_number(query.get("last_id", "0"), 0)
    ]
    offset = _whole_number(query.get("offset", "0"), 0)
    return matching[offset : offset + _limit(request)]


def _limit(request: Request) -> int:
    return min(_whole_number(request.query_params.get("limit", ""), _DEFAULT_LIMIT), _MAXIMUM_LIMIT)


def _whole_number(text: str, default: int) -> int:
    return int(text) if text.isdecimal() else default


def _project_row(request: Request, project: Project, now: datetime) -> dict[str, Any]:
    return {
        "id": project.id,
        "created": naive_iso(project.created_at),
        "updated": naive_iso(project.created_at),
        "name": project.name,
        "short_name": project.short_name,
        "description": f"About {project.name}",
        "long_description": "",
        "featured": project.featured,
        "owner_id": project.owner_id,
        "category_id": project.category.id,
        "info": project_info(project),
        "owners_ids": [project.owner_id],
        "published": is_published(project, now),
        "allow_anonymous_contributors": True,
        **_links(request, "project", project.id, parent=("category", project.category.id)),
    }


def _category_row(request: Request, category: Category) -> dict[str, Any]:
    return {
        "id": category.id,
        "name": category.name,
        "short_name": category.short_name,
        "description": f"{category.name} projects",
        "created": "2020-01-01T08:00:00.000001",
        "info": {},
        "link": _link(request, "self", "category", category.id),
    }


def _links(request: Request, name: str, key: int, *, parent: tuple[str, int]) -> dict[str, Any]:
    relation = "parent" if parent[0] == "project" else parent[0]
    return {
        "links": [_link(request, relation, *parent)],
        "link": _link(request, "self", name, key),
    }


def _link(request: Request, relation: str, name: str, key: int) -> str:
    return f"<link rel='{relation}' title='{name}' href='{request.base_url}api/{name}/{key}'/>"


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette hands this handler nothing else
    if request.url.path.startswith("/api/"):
        return _failure(request, error.status_code, error.detail, {})
    if _wants_json(request) and error.status_code == 404:
        reply = {"code": 404, "description": error.detail, "template": "404.html"}
        return JSONResponse(reply, status_code=404)
    return HTMLResponse(f"<!doctype html><h1>{error.detail}</h1>", status_code=error.status_code)


def _failure(request: Request, status_code: int, message: str, headers: dict[str, str]) -> Response:
    reply = {
        "action": request.method,
        "status": "failed",
        "status_code": status_code,
        "target": request.url.path.split("/")[2],
        "exception_cls": _EXCEPTIONS[status_code],
        "exception_msg": message,
    }
    return JSONResponse(reply, status_code=status_code, headers=headers)
