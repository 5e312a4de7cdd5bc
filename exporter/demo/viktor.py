"""A copy of VIKTOR's REST API over the engineering half of the demo organisation.

Statistics, workspaces, apps and the count of audit events, with a personal access token of an organisation
administrator (`TOKEN`) and one of an ordinary member (`MEMBER_TOKEN`), who is refused the statistics.

Inferred, since the documents are silent: a list answers 20 rows unless `limit` asks otherwise, and never more
than its maximum; archived and development workspaces and archived apps are listed on request only; an unknown
`org_domain` or event type is a 400; a range of audit events ends before `end_date`; the bodies of 401, 403
and 404 hold a `detail`. How the statistics count is said in `viktor_statistics`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from exporter.demo.engineering import AUDIT_EVENT_TYPES, App, AuditEvent, Engineering, Workspace
from exporter.demo.route import Route
from exporter.demo.viktor_statistics import developers_statistics, users_statistics, workspaces_statistics
from exporter.evidence import Evidence

TOKEN = "vktrpat_demo-organisation-administrator"  # noqa: S105 - made up, opens the demo only
MEMBER_TOKEN = "vktrpat_demo-member"  # noqa: S105 - made up, opens the demo only
ORG_DOMAIN = "bridges"

_DEFAULT_LIMIT = 20
_STATISTICS = {
    "users": users_statistics,
    "developers": developers_statistics,
    "workspaces": workspaces_statistics,
}


class _BadRequestError(Exception):
    """A query that does not pass validation; `errors` maps a field to its complaints."""

    def __init__(self, **errors: list[str]) -> None:
        super().__init__()
        self.errors = errors


def application(
    engineering: Engineering,
    now: Callable[[], datetime],
    *,
    maximum_limit: int = 100,
    nested_results: bool = False,
    members_as_object: bool = False,
) -> Starlette:
    """The API of the organisation, whose `now` is aware and UTC.

    `nested_results` wraps the workspaces as the older documentation shows, `results` within `results`;
    `members_as_object` gives `total_users` and `monthly_active_users` of the workspaces as the schema types
    them: one object, the newest row.
    """
    api = _Api(engineering, now, maximum_limit, nested_results, members_as_object)
    return Starlette(
        routes=[
            Route("/api/statistics/", api.statistics, Evidence.INFERRED),
            Route("/api/statistics/details/audit_events/", api.audit_events, Evidence.REFERENCE),
            Route("/api/workspaces/", api.workspaces, Evidence.INFERRED),
            Route("/api/apps/", api.apps, Evidence.REFERENCE),
        ],
        exception_handlers={HTTPException: _detail, _BadRequestError: _field_errors},
    )


@dataclass(frozen=True, slots=True)
class _Api:
    engineering: Engineering
    now: Callable[[], datetime]
    maximum_limit: int
    nested_results: bool
    members_as_object: bool

    async def statistics(self, request: Request) -> Response:
        _require_administrator(request)
        stats_type = _required(request, "stats_type")
        if stats_type not in _STATISTICS:
            raise _BadRequestError(stats_type=[f'"{stats_type}" is not a valid choice.'])
        since, until = _range(request, "start", "end")
        if request.query_params.get("org_domain", ORG_DOMAIN) != ORG_DOMAIN:
            raise _BadRequestError(org_domain=["Unknown organisation."])
        scope = _STATISTICS[stats_type](self.engineering, since, min(until, self.now()))
        if stats_type == "workspaces" and self.members_as_object:
            for member in ("total_users", "monthly_active_users"):
                scope[member] = max(scope[member], key=_time_of, default={})
        return JSONResponse({stats_type: scope})

    async def audit_events(self, request: Request) -> Response:
        _require_administrator(request)
        since, until = _range(request, "start_date", "end_date")
        event_type = _required(request, "event_type")
        if event_type not in AUDIT_EVENT_TYPES:
            raise _BadRequestError(event_type=[f'"{event_type}" is not a valid choice.'])
        last = min(until - timedelta(microseconds=1), self.now())
        events = [e for e in self.engineering.audit_events(since, last) if e.event_type == event_type]
        return JSONResponse(self._page(request, [_audit_row(number, e) for number, e in enumerate(events)]))

    async def workspaces(self, request: Request) -> Response:
        is_administrator = _caller(request) == TOKEN
        now = self.now()
        archived_too = is_administrator and _flag(request, "include_archived")
        development_too = is_administrator and _flag(request, "include_development")
        rows = [
            _workspace_row(workspace, now)
            for workspace in reversed(self.engineering.workspaces(now))
            if (archived_too or not _is_past(workspace.archived_at, now))
            and (development_too or workspace.type != "DEVELOPMENT")
        ]
        page = self._page(request, rows)
        return JSONResponse({"results": page} if self.nested_results else page)

    async def apps(self, request: Request) -> Response:
        archived_too = _caller(request) == TOKEN and _flag(request, "include_archived")
        now = self.now()
        rows = [
            _app_row(app, now)
            for app in reversed(self.engineering.apps(now))
            if archived_too or not _is_past(app.archived_at, now)
        ]
        return JSONResponse(self._page(request, rows))

    def _page(self, request: Request, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        limit = min(_whole_number(request, "limit", _DEFAULT_LIMIT) or _DEFAULT_LIMIT, self.maximum_limit)
        offset = _whole_number(request, "offset", 0)
        after, before = offset + limit, max(offset - limit, 0)
        return {
            "count": len(rows),
            "next": _page_url(request, limit, after) if after < len(rows) else None,
            "previous": _page_url(request, limit, before) if offset > 0 else None,
            "results": rows[offset:after],
        }


def _caller(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or token not in (TOKEN, MEMBER_TOKEN):
        raise HTTPException(401, "Authentication is missing or wrong.")
    return token


def _require_administrator(request: Request) -> None:
    if _caller(request) != TOKEN:
        raise HTTPException(403, "This needs an administrator of the organisation.")


def _required(request: Request, field: str) -> str:
    value = request.query_params.get(field)
    if not value:
        raise _BadRequestError(**{field: ["This field is required."]})
    return value


def _range(request: Request, first_field: str, last_field: str) -> tuple[datetime, datetime]:
    since, until = _moment(request, first_field), _moment(request, last_field)
    if since > until:
        raise _BadRequestError(non_field_errors=["The range ends before it begins."])
    return since, until


def _moment(request: Request, field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_required(request, field))
    except ValueError:
        raise _BadRequestError(**{field: ["This is not a date-time."]}) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _flag(request: Request, field: str) -> bool:
    return request.query_params.get(field, "").lower() in ("true", "1")


def _whole_number(request: Request, field: str, default: int) -> int:
    text = request.query_params.get(field, str(default))
    if not text.isdecimal():
        raise _BadRequestError(**{field: ["A valid whole number is required."]})
    return int(text)


def _page_url(request: Request, limit: int, offset: int) -> str:
    return str(request.url.include_query_params(limit=limit, offset=offset))


def _time_of(row: dict[str, int]) -> tuple[int, int, int]:
    return (row["year"], row["month"], row.get("day", 0))


def _is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _workspace_row(workspace: Workspace, now: datetime) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "name": workspace.name,
        "slug": None,
        "description": "",
        "created_at": _iso(workspace.created_at),
        "updated_at": _iso(workspace.created_at),
        "visibility": workspace.visibility,
        "type": workspace.type,
        "is_archived": _is_past(workspace.archived_at, now),
        "app": {"id": workspace.app_id},
        "labels": [],
    }


def _app_row(app: App, now: datetime) -> dict[str, Any]:
    return {
        "id": app.id,
        "name": app.name,
        "readable_name": app.name.replace("-", " ").capitalize(),
        "is_public": False,
        "is_verified": True,
        "is_archived": _is_past(app.archived_at, now),
        "created_at": _iso(app.created_at),
        "maintainers": [501],
        "latest_published_app_version": (
            {"id": 1000 + app.id, "status": "PUBLISHED", "app_type": "editor"}
            if _is_past(app.published_at, now)
            else None
        ),
        "org_domain": ORG_DOMAIN,
        "org_name": "Bridges",
        "labels": [],
    }


def _audit_row(number: int, event: AuditEvent) -> dict[str, Any]:
    person, workspace = event.person, event.workspace
    return {
        "row_id": f"{event.at:%Y-%m-%d}-{person.id}-{number}",
        "timestamp": _iso(event.at),
        "event_type": event.event_type,
        "user": {"id": person.id, "name": person.name, "email": person.email},
        "workspace": None if workspace is None else {"id": workspace.id, "name": workspace.name},
    }


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def _detail(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette hands this handler nothing else
    return JSONResponse({"detail": error.detail}, status_code=error.status_code)


async def _field_errors(_: Request, error: Exception) -> Response:
    assert isinstance(error, _BadRequestError)  # noqa: S101 - Starlette hands this handler nothing else
    return JSONResponse(error.errors, status_code=400)
