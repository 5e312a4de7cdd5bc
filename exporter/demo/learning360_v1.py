"""The deprecated 360Learning API v1 of the demo organisation: every list is one array without pages.

From the vendor's samples of v1 in the migration guides: the rows of users, courses, groups, paths and path sessions,
attempts grouped by course and user, and the object with the statistics of a path session, where `score` and
`completedAt` are null until the path is completed and deleted users are marked. From the reference: drafts among the
courses, 404 for an unknown session. Inferred: users are those not deleted, or only the deleted with `deleted=true`;
paths come as an array; a session without an end has a null `endDate`; the `...Before` and `...After` filters of the
attempts are `<` and `>=`, and a course or user left without an attempt is not listed; a user who was taken out of a
session is not in its statistics.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from exporter.demo.academy import Academy
from exporter.demo.attempts import Attempt
from exporter.demo.catalogue import Course, Path, PathSession
from exporter.demo.learning360_access import Access, answer
from exporter.demo.learning360_filters import iso, parse_date
from exporter.demo.obligations import Enrollment
from exporter.demo.roster import Group, Person
from exporter.demo.route import Route
from exporter.evidence import Evidence

Row = dict[str, Any]

_DATE_FILTERS: dict[str, Callable[[Attempt], datetime | None]] = {
    "completedAt": lambda attempt: attempt.completed_at,
    "firstActivityAt": lambda attempt: attempt.first_activity_at,
    "lastActivityAt": lambda attempt: attempt.last_activity_at,
}


def routes(academy: Academy, access: Access, now: Callable[[], datetime]) -> list[Route]:
    """The routes below /api/v1."""
    api = _Api(academy, now)
    answers = {
        "/users": (api.users, Evidence.SAMPLE),
        "/courses": (api.courses, Evidence.SAMPLE),
        "/courses/stats": (api.course_stats, Evidence.SAMPLE),
        "/groups": (api.groups, Evidence.SAMPLE),
        "/paths": (api.paths, Evidence.INFERRED),
        "/paths/sessions": (api.path_sessions, Evidence.SAMPLE),
        "/paths/sessions/{session}/stats/users": (api.session_stats, Evidence.INFERRED),
    }
    return [Route(f"/api/v1{path}", _guarded(one, access), evidence) for path, (one, evidence) in answers.items()]


def _guarded(one: Callable[[Request], Response], access: Access) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return access.refuse_v1(request) or one(request)

    return endpoint


@dataclass(frozen=True, slots=True)
class _Api:
    """The answers of the endpoints, each made from the academy as it is now."""

    academy: Academy
    now: Callable[[], datetime]

    def users(self, request: Request) -> Response:
        now = self.now()
        wants_deleted = request.query_params.get("deleted") == "true"
        people = [person for person in self.academy.people(now) if person.has_left(now) == wants_deleted]
        return answer([_user_view(person) for person in people])

    def courses(self, _request: Request) -> Response:
        now = self.now()
        return answer([_course_view(course, now) for course in self.academy.courses(now)])

    def groups(self, _request: Request) -> Response:
        return answer([_group_view(group) for group in self.academy.groups(self.now())])

    def paths(self, _request: Request) -> Response:
        now = self.now()
        sessions = self.academy.path_sessions(now)
        return answer([_path_view(path, sessions) for path in self.academy.paths(now)])

    def path_sessions(self, _request: Request) -> Response:
        return answer([_session_view(session) for session in self.academy.path_sessions(self.now())])

    def session_stats(self, request: Request) -> Response:
        now = self.now()
        session_id = request.path_params["session"]
        session = next((one for one in self.academy.path_sessions(now) if one.id == session_id), None)
        if session is None:
            return answer({"error": "session_not_found"}, 404)
        enrollments = (one for one in self.academy.enrollments(now) if one.session.id == session_id)
        return answer(_session_stats_view(session, [one for one in enrollments if not one.is_unenrolled(now)], now))

    def course_stats(self, request: Request) -> Response:
        try:
            checks = _date_checks(request)
        except ValueError as error:
            return answer({"error": f"invalid date: {error}"}, 400)
        by_course: defaultdict[str, list[Attempt]] = defaultdict(list)
        for attempt in self.academy.attempts(self.now()):
            if all(check(attempt) for check in checks):
                by_course[attempt.course.id].append(attempt)
        return StreamingResponse(_chunks(list(by_course.values())), media_type="application/json")


def _date_checks(request: Request) -> list[Callable[[Attempt], bool]]:
    """One predicate per date filter of the query; ValueError for what is no date."""
    return [
        _date_check(value, parse_date(request.query_params[name + edge]), edge == "After")
        for name, value in _DATE_FILTERS.items()
        for edge in ("After", "Before")
        if name + edge in request.query_params
    ]


def _date_check(value: Callable[[Attempt], datetime | None], limit: str, is_after: bool) -> Callable[[Attempt], bool]:
    def check(attempt: Attempt) -> bool:
        moment = value(attempt)
        return moment is not None and (iso(moment) >= limit) == is_after

    return check


async def _chunks(groups: Sequence[Sequence[Attempt]]) -> AsyncIterator[bytes]:
    """The array of courses, a course at a time, so that other requests are answered in between."""
    for index, attempts in enumerate(groups):
        yield (b"," if index else b"[") + msgspec.json.encode(_course_stats_view(attempts))
    yield b"]" if groups else b"[]"


def _course_stats_view(attempts: Sequence[Attempt]) -> Row:
    """The attempts of one course, at least one, grouped by user."""
    by_user: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_user[attempt.person.id].append(attempt)
    course = attempts[0].course
    stats = [
        {
            "attempts": [_attempt_view(attempt) for attempt in own],
            "user": {"_id": own[0].person.id, "mail": own[0].person.mail},
        }
        for own in by_user.values()
    ]
    return {"course": {"_id": course.id, "name": course.name}, "stats": stats}


def _attempt_view(attempt: Attempt) -> Row:
    row: Row = {"_id": attempt.id, "progress": attempt.progress, "globalTime": attempt.time_spent_ms}
    if attempt.score is not None:
        row["score"] = attempt.score
    if attempt.first_activity_at and attempt.last_activity_at:
        row["firstActivity"] = iso(attempt.first_activity_at)
        row["lastActivity"] = iso(attempt.last_activity_at)
    if attempt.completed_at:
        row["completedAt"] = iso(attempt.completed_at)
    if attempt.path_session:
        row["path"] = attempt.path_session.path.id
        row["pathSession"] = attempt.path_session.id
    return row


def _user_view(person: Person) -> Row:
    return {
        "_id": person.id,
        "mail": person.mail,
        "firstName": person.first_name,
        "lastName": person.last_name,
        "custom": f"STAFF-{person.number}",
        "primaryGroupId": person.group.id,
    }


def _course_view(course: Course, now: datetime) -> Row:
    return {
        "_id": course.id,
        "author": course.author.mail,
        "coAuthors": [],
        "creationDate": iso(course.created_at),
        "modificationDate": iso(course.modified_at(now)),
        "name": course.name,
        "description": "",
        "status": course.status(now),
        "group": course.group.id,
        "groupName": course.group.name,
        "lang": course.author.language,
        "courseDuration": course.duration_minutes,
        "translationsLangs": [],
    }


def _group_view(group: Group) -> Row:
    row: Row = {"_id": group.id, "name": group.name, "public": group.public, "custom": f"Unit {group.number}"}
    return row | ({"parent": group.parent.id} if group.parent else {})


def _path_view(path: Path, sessions: Sequence[PathSession]) -> Row:
    return {
        "_id": path.id,
        "authorId": path.author.id,
        "createdAt": iso(path.created_at),
        "groupId": path.group.id,
        "modifiedAt": iso(path.created_at),
        "name": path.name,
        "sessionIds": [session.id for session in sessions if session.path.id == path.id],
        "steps": [{"_id": course.id, "title": course.name, "type": "course"} for course in path.courses],
    }


def _session_view(session: PathSession) -> Row:
    return {
        "sessionId": session.id,
        "sessionName": session.name,
        "sessionOwnerGroup": session.path.group.id,
        "pathId": session.path.id,
        "startDate": iso(session.start_at),
        "endDate": iso(session.end_at) if session.end_at else None,
    }


def _session_stats_view(session: PathSession, enrollments: Sequence[Enrollment], now: datetime) -> Row:
    return {
        "sessionId": session.id,
        "sessionName": session.name,
        "pathName": session.path.name,
        "pathId": session.path.id,
        "usersStats": [_user_stat_view(one, now) for one in enrollments],
    }


def _user_stat_view(enrollment: Enrollment, now: datetime) -> Row:
    is_started, is_completed = enrollment.is_started(now), enrollment.is_completed(now)
    person = enrollment.person
    return {
        "_id": person.id,
        "deleted": person.has_left(now),
        "firstName": person.first_name,
        "lastName": person.last_name,
        "mail": person.mail,
        "totalTimeSpentInSeconds": 900.5 if is_started else 0.0,
        "progress": 100 if is_completed else 50 if is_started else 0,
        "score": enrollment.score if is_completed else None,
        "completedAt": iso(enrollment.judged_at) if is_completed and enrollment.judged_at else None,
        "detailedStatus": {"type": enrollment.status(now)},
    }
