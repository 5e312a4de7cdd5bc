"""The past of a 360Learning platform, out of the dates of attempts, path sessions, enrollments and classrooms."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import UNSET

from exporter.api.client import Client
from exporter.api.unreadable import OrUnknown
from exporter.history import ALWAYS_MS, MS_PER_SECOND, Fidelity, Known, Span, Told, counted
from exporter.platform import History, no_history
from exporter.platforms.learning360 import attempts, catalogue, paths, users
from exporter.platforms.learning360.attempt_history import read_attempts
from exporter.platforms.learning360.events import NEVER_MS, Events, happened_ms, milliseconds
from exporter.platforms.learning360.lists import (
    CLASSROOMS,
    PATH_SESSIONS,
    PATH_STATS,
    Listing,
    pages,
)
from exporter.platforms.learning360.records import Classroom, Instant, PathSession, PathStat
from exporter.platforms.learning360.settings import Learning360Settings


class DatedSession(PathSession, kw_only=True, rename="camel"):
    """A path session with what only its history needs."""

    created_at: OrUnknown[Instant]


class DatedClassroom(Classroom, kw_only=True, rename="camel"):
    """A classroom with what only its history needs."""

    created_at: OrUnknown[Instant | None] = None


DATED_SESSIONS = Listing(PATH_SESSIONS.endpoint, PATH_SESSIONS.scope, list[DatedSession])
DATED_CLASSROOMS = Listing(CLASSROOMS.endpoint, CLASSROOMS.scope, list[DatedClassroom])


async def read_sessions(client: Client, settings: Learning360Settings, _span: Span, _now: Callable[[], float]) -> Told:
    """Read all path sessions. API v1 does not say when they were made."""
    if settings.api_version == "v1":
        return Told({}, [f"{paths.PATH_SESSIONS_BY_PHASE.name}: API v1 does not tell when a session was made"])
    made_ms, opened_ms, ended_ms = array("q"), array("q"), array("q")
    async for page in pages(client, settings, DATED_SESSIONS):
        for session in page:
            if session.created_at is UNSET or session.start_date is UNSET or session.end_date is UNSET:
                continue
            made_ms.append(milliseconds(session.created_at))
            opened_ms.append(max(milliseconds(session.start_date), made_ms[-1]))
            ended_ms.append(max(milliseconds(session.end_date), opened_ms[-1]) if session.end_date else NEVER_MS)
    phases = {"ended": (ended_ms, ()), "open": (opened_ms, ended_ms), "upcoming": (made_ms, opened_ms)}
    family = paths.PATH_SESSIONS_BY_PHASE
    return Told({family: [counted(family, (phase,), ALWAYS_MS, *periods) for phase, periods in phases.items()]})


@dataclass(slots=True)
class EnrollmentPast:
    """When enrollments were made and completed, and when they were due without being completed."""

    made: Events = field(default_factory=Events)
    completed: Events = field(default_factory=Events)
    overdue_ms: "array[int]" = field(default_factory=lambda: array("q"))
    settled_ms: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, stat: PathStat, now_ms: int) -> None:
        """Keep the dates of an enrollment; it is overdue from a moment after its due date.

        One is left out of which nobody knows when it was made or ended.
        """
        ended_at = stat.ended_at
        if stat.enrolled_at is UNSET or ended_at is UNSET:
            return
        completed_at = stat.completed_at
        made_ms = happened_ms(stat.enrolled_at, now_ms)
        gone_ms = min(milliseconds(ended_at), now_ms) if ended_at else NEVER_MS
        completed_ms = happened_ms(completed_at, now_ms) if isinstance(completed_at, datetime) else NEVER_MS
        self.made.add(made_ms, made_ms, gone_ms)
        self.completed.add(max(made_ms, completed_ms), completed_ms, gone_ms)
        if isinstance(stat.due_date, datetime) and stat.completed_at is not UNSET:
            overdue_ms = max(milliseconds(stat.due_date) + 1, made_ms)
            self.overdue_ms.append(overdue_ms)
            done_ms = min(completed_ms, now_ms) if stat.completed_at else NEVER_MS
            self.settled_ms.append(max(overdue_ms, min(done_ms, gone_ms)))


async def read_enrollments(
    client: Client, settings: Learning360Settings, _span: Span, now: Callable[[], float]
) -> Told:
    """Walk all enrollments. API v1 lists only those that have not ended, most without dates."""
    if settings.api_version == "v1":
        return Told({}, ["path_stats: API v1 does not tell when an enrollment was made or ended"])
    past, now_ms = EnrollmentPast(), int(now() * MS_PER_SECOND)
    async for page in pages(client, settings, PATH_STATS):
        for stat in page:
            past.add(stat, now_ms)
    overdue = counted(paths.PATH_ENROLLMENTS_OVERDUE, (), ALWAYS_MS, past.overdue_ms, past.settled_ms)
    return Told(
        {
            paths.PATH_ENROLLMENTS_OVERDUE: [overdue],
            paths.PATH_ENROLLMENTS_STARTED: past.made.steps(paths.PATH_ENROLLMENTS_STARTED, (), ALWAYS_MS),
            paths.PATH_COMPLETIONS: past.completed.steps(paths.PATH_COMPLETIONS, (), ALWAYS_MS),
        }
    )


async def read_classrooms(
    client: Client, settings: Learning360Settings, _span: Span, _now: Callable[[], float]
) -> Told:
    """Read all classrooms; the API may leave out when one was made."""
    dates = [room.created_at async for page in pages(client, settings, DATED_CLASSROOMS) for room in page]
    made_ms = [milliseconds(date) for date in dates if isinstance(date, datetime)]
    if undated := len(dates) - len(made_ms):
        return Told({}, [f"{catalogue.CLASSROOMS_HELD.name}: {undated:,} of {len(dates):,} classrooms have no date"])
    return Told({catalogue.CLASSROOMS_HELD: [counted(catalogue.CLASSROOMS_HELD, (), ALWAYS_MS, made_ms)]})


_LAST_ACTIVITY = "only the latest activity of an attempt survives"
_SUM = "the API tells the sum of now only"
_STATUS = "the API does not date changes of status"
_V2 = "not with API v1"
_COURSES = "the courses with series of their own are those of now"

HISTORIES = (
    no_history(users.USERS_COLLECTOR, "the API tells the last login only, and dates neither accounts nor activations"),
    no_history(catalogue.COURSES_COLLECTOR, _STATUS),
    no_history(catalogue.GROUPS_COLLECTOR, "the API does not date groups"),
    History(
        ("attempts",),
        (
            Known(attempts.ACTIVE_LEARNERS, Fidelity.UNKNOWN, _LAST_ACTIVITY),
            Known(attempts.COURSE_INFO, Fidelity.PRESENT),
            Known(attempts.COURSE_ATTEMPTS, Fidelity.EXCEPT_DELETED, f"{_COURSES}; ids tell when attempts were made"),
            Known(attempts.COURSE_ATTEMPTS_STARTED, Fidelity.EXCEPT_DELETED, _COURSES),
            Known(attempts.COURSE_COMPLETIONS, Fidelity.EXCEPT_DELETED, _COURSES),
            Known(attempts.COURSE_ACTIVE_LEARNERS, Fidelity.UNKNOWN, _LAST_ACTIVITY),
            Known(attempts.COURSE_TIME_SPENT, Fidelity.UNKNOWN, _SUM),
            Known(attempts.COURSE_ATTEMPTS_SCORED, Fidelity.UNKNOWN, "the API does not date a score"),
            Known(attempts.COURSE_SCORE_RATIO, Fidelity.UNKNOWN, "the API does not date a score"),
        ),
        read_attempts,
    ),
    History(
        ("paths",),
        (
            Known(paths.PATHS_BY_STATUS, Fidelity.UNKNOWN, _STATUS),
            Known(paths.PATH_SESSIONS_BY_PHASE, Fidelity.EXCEPT_DELETED, f"by the dates of now; {_V2}"),
        ),
        read_sessions,
    ),
    History(
        ("path_stats",),
        (
            Known(paths.PATH_ENROLLMENTS, Fidelity.UNKNOWN, _STATUS),
            Known(paths.PATH_ENROLLMENTS_OVERDUE, Fidelity.EXCEPT_DELETED, f"by the due dates of now; {_V2}"),
            Known(paths.PATH_ENROLLMENTS_STARTED, Fidelity.EXCEPT_DELETED, _V2),
            Known(paths.PATH_COMPLETIONS, Fidelity.EXCEPT_DELETED, _V2),
        ),
        read_enrollments,
    ),
    History(
        ("classrooms",),
        (Known(catalogue.CLASSROOMS_HELD, Fidelity.EXCEPT_DELETED, "where the platform dates every classroom"),),
        read_classrooms,
    ),
    no_history(catalogue.SKILLS_COLLECTOR, _STATUS),
    no_history(catalogue.PROJECTS_COLLECTOR, _STATUS),
)
