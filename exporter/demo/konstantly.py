"""The Konstantly API of the demo organisation, under /openapi/v1, written from the vendor's public reference.

Documented: paths, fields, `offset` and `totalCount`, 20 a page, the `X-API-KEY` header, the `X-RateLimit-*`
headers, Unix seconds with 0 for what has not happened, the body of a 400. Inferred, because the reference does not
say: all errors have the body of the 400 without `errors`; a wrong key is a 401; the rate limit is per site and
fixed minute; lists in the statistics are complete; counts include banned users; a group's counts are of its direct
members; "without results" means the same for a group as for the site; a course without assignments to users is
unassigned; users are sorted by name, everything else by id; the assignments of a course come in one piece.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from exporter.demo.academy import Academy
from exporter.demo.budget import Budget
from exporter.demo.catalogue import Course
from exporter.demo.obligations import Assignment
from exporter.demo.roster import Group, Person
from exporter.demo.route import Route
from exporter.evidence import Evidence

API_KEY = "demo-konstantly-key"
BASE_PATH = "/openapi/v1"
PAGE_SIZE = 20

Json = dict[str, Any]


def application(
    academy: Academy,
    now: Callable[[], datetime],
    *,
    requests_per_minute: int = 100,
    role_as_string: bool = False,
) -> Starlette:
    """The site's API as an ASGI application; `role_as_string` is the form of `role` in the reference's field table."""
    site = _Site(academy, now, role_as_string)
    budget = Budget(requests_per_minute, 60, now)
    endpoints: dict[str, tuple[Callable[[Request], Json], Evidence]] = {
        "/statistics": (site.statistics, Evidence.SAMPLE),
        "/groups": (site.groups, Evidence.SAMPLE),
        "/groups/{number:int}/statistics": (site.group_statistics, Evidence.SAMPLE),
        "/courses": (site.courses, Evidence.SAMPLE),
        "/courses/{number:int}/assignments/users": (site.course_assignments, Evidence.INFERRED),
        "/users": (site.users, Evidence.SAMPLE),
    }
    return Starlette(
        routes=[
            Route(BASE_PATH + path, _guarded(answer, budget), evidence)
            for path, (answer, evidence) in endpoints.items()
        ],
        exception_handlers={HTTPException: _error},
    )


def _guarded(answer: Callable[[Request], Json], budget: Budget) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that checks the key, then the budget, then answers."""

    async def endpoint(request: Request) -> Response:
        if request.headers.get("x-api-key") != API_KEY:
            raise HTTPException(401, "Invalid API key")
        if not budget.take():
            raise HTTPException(429, "Too many requests", budget.headers())
        return Response(msgspec.json.encode(answer(request)), 200, budget.headers(), "application/json")

    return endpoint


async def _error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    body: Json = {"status": error.status_code, "message": error.detail}
    if error.status_code == 400:
        body = {"status": 400, "message": "Validation failed", "errors": {error.detail: ["must be a number"]}}
    return Response(msgspec.json.encode(body), error.status_code, error.headers, "application/json")


@dataclass(frozen=True, slots=True)
class _Site:
    """The answers of the endpoints, each computed from the academy as it is now."""

    academy: Academy
    now: Callable[[], datetime]
    role_as_string: bool

    def statistics(self, _request: Request) -> Json:
        now = self.now()
        courses, assignments = self.academy.site_courses(now), self.academy.site_assignments(now)
        users = self.academy.site_users(now)
        assigned = {assignment.course.site_id for assignment in assignments}
        counts = {
            "coursesCount": len(courses),
            "assignedCoursesCount": len(assignments),
            "groupsCount": len(self.academy.site_groups(now)),
            "usersCount": len(users),
        }
        unassigned = [_course_view(course, now) for course in courses if course.site_id not in assigned]
        return {
            "statistics": counts,
            **self._standing(users, assignments, now),
            "unassignedCourses": unassigned,
        }

    def groups(self, request: Request) -> Json:
        now = self.now()
        users, assignments = self.academy.site_users(now), self.academy.site_assignments(now)
        groups = [_group_view(group, users, assignments) for group in self.academy.site_groups(now)]
        return _page("groups", groups, request, PAGE_SIZE)

    def group_statistics(self, request: Request) -> Json:
        now = self.now()
        group = self._find_group(request, now)
        assignments = self.academy.site_assignments(now)
        members = [user for user in self.academy.site_users(now) if user.group.number == group.number]
        return {
            "group": _group_view(group, members, assignments),
            **self._standing(members, assignments, now),
        }

    def courses(self, request: Request) -> Json:
        now = self.now()
        courses = [_course_view(course, now) for course in self.academy.site_courses(now)]
        return _page("courses", courses, request, PAGE_SIZE)

    def course_assignments(self, request: Request) -> Json:
        now = self.now()
        rows = [
            _assignment_view(assignment, now) | {"user": self._short_user(assignment.person)}
            for assignment in self._assignments_of(self._find_course(request, now), now)
        ]
        return {"assignments": rows, "totalCount": len(rows)}

    def users(self, request: Request) -> Json:
        now = self.now()
        mail = request.query_params.get("query", "").lower()
        found = [user for user in self.academy.site_users(now) if mail in user.mail]
        found.sort(key=lambda user: (user.first_name, user.last_name, user.site_id))
        views = [self._user(user, now) | {"attributes": {}} for user in found]
        return _page("users", views, request, PAGE_SIZE)

    def _standing(self, users: Sequence[Person], assignments: Sequence[Assignment], now: datetime) -> Json:
        """The lists that the statistics of the site and of a group have in common; leaders best first."""
        started = {assignment.person.number for assignment in assignments if assignment.is_started(now)}
        results: dict[int, list[int]] = {user.number: [] for user in users}
        for assignment in assignments:
            if assignment.is_finished(now) and assignment.person.number in results:
                results[assignment.person.number].append(assignment.result_percent)
        leaders = [
            {
                "coursesCount": len(results[user.number]),
                "resultValue": round(sum(results[user.number]) / len(results[user.number])),
                "user": self._short_user(user),
            }
            for user in users
            if results[user.number]
        ]
        leaders.sort(key=lambda leader: (leader["coursesCount"], leader["resultValue"]), reverse=True)
        return {
            "usersWithoutActivity": [self._user(user, now) for user in users if user.number not in started],
            "usersWithoutResults": [self._user(user, now) for user in users if not results[user.number]],
            "leaders": leaders,
        }

    def _assignments_of(self, course: Course, now: datetime) -> list[Assignment]:
        return [one for one in self.academy.site_assignments(now) if one.course.site_id == course.site_id]

    def _find_group(self, request: Request, now: datetime) -> Group:
        for group in self.academy.site_groups(now):
            if _group_id(group) == request.path_params["number"]:
                return group
        raise HTTPException(404, "Group not found")

    def _find_course(self, request: Request, now: datetime) -> Course:
        for course in self.academy.site_courses(now):
            if course.site_id == request.path_params["number"]:
                return course
        raise HTTPException(404, "Course not found")

    def _role(self, person: Person) -> str | Json:
        return person.role if self.role_as_string else {"alias": person.role}

    def _short_user(self, person: Person) -> Json:
        name = f"{person.first_name} {person.last_name}"
        return {"id": person.site_id, "name": name, "email": person.mail, "role": self._role(person)}

    def _user(self, person: Person, now: datetime) -> Json:
        return self._short_user(person) | {
            "language": person.language,
            "occupation": person.job,
            "timezone": person.time_zone,
            "isBanned": person.has_left(now),
            "fromApi": person.number % 3 == 0,
            "image": None,
        }


def _page(key: str, rows: Sequence[Json], request: Request, size: int) -> Json:
    offset = _number(request, "offset", 0)
    return {key: rows[offset : offset + size], "totalCount": len(rows)}


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal():
        raise HTTPException(400, name)
    return int(text)


def _seconds(moment: datetime | None, now: datetime | None = None) -> int:
    """Unix seconds, 0 for none; with `now`, 0 as well for what is still to come."""
    if moment is None or (now is not None and moment > now):
        return 0
    return int(moment.timestamp())


def _group_id(group: Group) -> int:
    return group.number + 1


def _group_view(group: Group, users: Sequence[Person], assignments: Sequence[Assignment]) -> Json:
    members = {user.number for user in users if user.group.number == group.number}
    courses = {assignment.course.site_id for assignment in assignments if assignment.person.number in members}
    return {
        "id": _group_id(group),
        "parentId": _group_id(group.parent) if group.parent else None,
        "name": group.name,
        "usersCount": len(members),
        "coursesCount": len(courses),
        "image": None,
        "attributes": {},
    }


def _course_view(course: Course, now: datetime) -> Json:
    return {
        "id": course.site_id,
        "name": course.name,
        "annotation": f"{course.duration_minutes} minutes",
        "isDraft": course.status(now) == "draft",
        "createdAt": _seconds(course.created_at),
        "updatedAt": _seconds(course.modified_at(now)),
        "publishedAt": _seconds(course.published_at, now),
        "image": None,
    }


def _assignment_view(assignment: Assignment, now: datetime) -> Json:
    return {
        "assignedAt": _seconds(assignment.created_at),
        "startedAt": _seconds(assignment.started_at, now),
        "deadlineAt": _seconds(assignment.deadline_at),
        "finishedAt": _seconds(assignment.finished_at, now),
        "progressValue": assignment.progress_percent(now),
        "resultValue": assignment.result_percent if assignment.is_finished(now) else 0,
        "isCourseStarted": assignment.is_started(now),
        "isCourseFinished": assignment.is_finished(now),
        "isExpired": assignment.is_expired(now),
    }
