"""The 360Learning API v2 of the demo organisation, with v1 beside it, written from the vendor's public reference.

Documented: paths, scopes, fields, page sizes, the `Link` header with a `next` token that carries the filters, the
filters of users and course statistics, the header `360-api-version`. Inferred: rows come in the order of their ids
and the token stands behind the last id given, so rows created during a walk are seen at its end; a missing version
header, a bad filter or token is a 400 with a flat code and message; users come with the deleted ones, attempts with
those never opened and those of deleted users and courses; drafts are not listed.
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from exporter.demo import learning360_v1
from exporter.demo.academy import Academy
from exporter.demo.attempts import Attempt
from exporter.demo.budget import Budget
from exporter.demo.catalogue import Course
from exporter.demo.learning360_access import (
    API_KEY,
    CLIENT_ID,
    CLIENT_SECRET,
    COMPANY_ID,
    SCOPES,
    Access,
    answer,
    refusal,
)
from exporter.demo.learning360_filters import Field, conditions, date_field, id_field
from exporter.demo.learning360_views import (
    attempt_view,
    classroom_view,
    course_view,
    enrollment_view,
    group_view,
    path_view,
    power_view,
    project_view,
    session_view,
    skill_view,
    user_view,
)
from exporter.demo.roster import Person
from exporter.demo.route import Route
from exporter.evidence import Evidence

__all__ = ["API_KEY", "CLIENT_ID", "CLIENT_SECRET", "COMPANY_ID", "SCOPES", "application"]

API_VERSION = "v2.0"


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


_RowT = TypeVar("_RowT", bound=_Identified)


def application(
    academy: Academy,
    now: Callable[[], datetime],
    *,
    page_size: int | None = None,
    scopes: Collection[str] = SCOPES,
    token_life_seconds: int = 3600,
    expires_in_as_string: bool = True,
    requests_per_second: int = 50,
    user_has_status: bool = True,
) -> Starlette:
    """Both versions of the API as one ASGI application.

    `page_size` replaces all documented page sizes. `user_has_status` false gives the users of v2 as they were in
    2025: with `deleted` in place of `status`.
    """
    budget = Budget(requests_per_second, 1, now)
    access = Access(now, scopes, token_life_seconds, expires_in_as_string, budget)
    listings = _listings(academy, user_has_status)
    return Starlette(
        routes=[
            Route("/api/v2/oauth2/token", access.token, Evidence.SAMPLE, methods=["POST"]),
            *(
                Route(
                    f"/api/v2{listing.path}",
                    _endpoint(listing, access, now, page_size or listing.page_size),
                    listing.evidence,
                )
                for listing in listings
            ),
            *learning360_v1.routes(academy, access, now),
        ],
        exception_handlers={HTTPException: _not_found},
    )


async def _not_found(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return refusal(error.status_code, "notFound" if error.status_code == 404 else "error", error.detail)


@dataclass(frozen=True, slots=True)
class _Listing(Generic[_RowT]):
    """A paginated GET: `rows(now, after)` gives the rows with ids above `after` in the order of their ids."""

    path: str
    scope: str
    page_size: int
    rows: Callable[[datetime, str], Iterable[_RowT]]
    view: Callable[[_RowT, datetime], dict[str, Any]]
    fields: Callable[[datetime], Mapping[str, Field[_RowT]]] = lambda _now: {}
    evidence: Evidence = Evidence.REFERENCE


def _listings(academy: Academy, user_has_status: bool) -> tuple[_Listing[Any], ...]:
    def user(person: Person, now: datetime) -> dict[str, Any]:
        return user_view(person, academy.last_login_at(person, now), now, user_has_status)

    return (
        _Listing("/users", "users:read", 500, _above(academy.people), user, _user_fields, Evidence.INFERRED),
        _Listing("/courses", "courses:read", 500, _above(_listed_courses(academy)), course_view),
        _Listing(
            "/courses/stats", "courseStats:read", 500, academy.attempts, attempt_view, _attempt_fields, Evidence.SAMPLE
        ),
        _Listing("/groups", "groups:read", 500, _above(academy.groups), group_view),
        _Listing("/paths", "paths:read", 200, _above(academy.paths), path_view),
        _Listing("/paths/sessions", "paths:read", 500, _above(academy.path_sessions), session_view),
        _Listing("/paths/stats", "pathStats:read", 2000, _above(academy.enrollments), enrollment_view),
        _Listing("/classrooms", "classrooms:read", 500, _above(academy.classrooms), classroom_view),
        _Listing("/skills", "skills:read", 500, _above(academy.skills), skill_view),
        _Listing("/skills/powers", "skillsPowers:read", 500, _above(academy.skill_powers), power_view),
        _Listing("/projects", "projects:read", 500, _above(academy.live_projects), project_view),
    )


def _above(rows: Callable[[datetime], Iterable[_RowT]]) -> Callable[[datetime, str], Iterator[_RowT]]:
    return lambda now, after: (row for row in rows(now) if row.id > after)


def _listed_courses(academy: Academy) -> Callable[[datetime], Iterator[Course]]:
    return lambda now: (course for course in academy.courses(now) if course.status(now) != "draft")


def _user_fields(now: datetime) -> Mapping[str, Field[Person]]:
    def status(person: Person) -> str:
        return person.status(now)

    return {"status": Field(status, frozenset({"eq", "ne"}), str)}


def _attempt_fields(_now: datetime) -> Mapping[str, Field[Attempt]]:
    return {
        "completedAt": date_field(lambda attempt: attempt.completed_at),
        "courseId": id_field(lambda attempt: attempt.course.id),
        "userId": id_field(lambda attempt: attempt.person.id),
    }


def _endpoint(
    listing: _Listing[Any], access: Access, now: Callable[[], datetime], page_size: int
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        refused = access.refuse_v2(request, listing.scope)
        if refused:
            return refused
        if request.headers.get("360-api-version") != API_VERSION:
            return _bad_request("missingApiVersion", f"The header 360-api-version must be {API_VERSION}")
        moment = now()
        try:
            after, query = _position(request)
            checks = conditions(parse_qsl(query), listing.fields(moment))
        except ValueError as error:
            return _bad_request("invalidParameter", str(error))
        rows = (row for row in listing.rows(moment, after) if all(check(row) for check in checks))
        page = list(islice(rows, page_size + 1))
        headers = _link(request, page[page_size - 1].id, query) if len(page) > page_size else None
        return answer([listing.view(row, moment) for row in page[:page_size]], headers=headers)

    return endpoint


def _bad_request(code: str, message: str) -> Response:
    """An error in the flat form of the guide, without `error` around it."""
    return answer({"code": code, "message": message}, 400)


def _position(request: Request) -> tuple[str, str]:
    """The id behind which the page begins and the query that the walk began with; ValueError for a bad token."""
    token = request.query_params.get("next")
    if token is None:
        return "", request.url.query
    padding = "=" * (-len(token) % 4)
    after, _, query = b64decode(token + padding, altchars=b"-_", validate=True).decode().partition("?")
    return after, query


def _link(request: Request, last_id: str, query: str) -> dict[str, str]:
    token = urlsafe_b64encode(f"{last_id}?{query}".encode()).decode().rstrip("=")
    return {"Link": f'<{request.url.replace(query=f"next={token}")}>; rel="next"'}
