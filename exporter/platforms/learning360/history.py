"""The past of a 360Learning platform, out of the dates of attempts, path sessions, enrollments and classrooms.

An attempt carries no date of its creation, but its id is a MongoDB ObjectId, whose first four bytes are that second.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec import UNSET

from exporter.api.client import Client
from exporter.history import ALWAYS_MS, MS_PER_SECOND, Fidelity, Known, Past, Span, Steps, counted
from exporter.metrics import Family
from exporter.platform import History, no_history
from exporter.platforms.learning360 import attempts, catalogue, paths, users
from exporter.platforms.learning360.attempts import OTHER, AttemptTotals, chosen_courses, course_info
from exporter.platforms.learning360.counting import Windows
from exporter.platforms.learning360.lists import (
    ATTEMPTS,
    CLASSROOMS,
    COURSES,
    PATH_SESSIONS,
    PATH_STATS,
    Listing,
    pages,
)
from exporter.platforms.learning360.records import Attempt, Classroom, Course, Instant, PathSession, PathStat
from exporter.platforms.learning360.settings import Learning360Settings

WINDOWS_MS = {"24h": 86_400_000, "30d": 30 * 86_400_000, "7d": 7 * 86_400_000}
"""Lengths of the rolling windows, which hold what happened exactly so long ago too, in the order of labels."""

NEVER_MS = 2**62


class DatedSession(PathSession, kw_only=True, rename="camel"):
    """A path session with what only its history needs."""

    created_at: Instant


class DatedClassroom(Classroom, kw_only=True, rename="camel"):
    """A classroom with what only its history needs."""

    created_at: Instant | None = None


DATED_SESSIONS = Listing(PATH_SESSIONS.endpoint, list[DatedSession])
DATED_CLASSROOMS = Listing(CLASSROOMS.endpoint, list[DatedClassroom])


def milliseconds(moment: datetime) -> int:
    """Return Unix time."""
    return round(moment.timestamp() * MS_PER_SECOND)


def object_id_ms(object_id: str) -> int | None:
    """Return the second at which the id was made, as Unix time; None if it is no ObjectId."""
    try:
        return int(object_id[:8], 16) * MS_PER_SECOND if len(bytes.fromhex(object_id)) == 12 else None
    except ValueError:
        return None


Period = tuple[int, int, int]
"""When a thing was listed first, when it happened, and when it left the list, each in Unix milliseconds."""


def rolling(family: Family, labels: tuple[str, ...], since_ms: int, periods: Sequence[Period]) -> Iterator[Steps]:
    """Count in each rolling window what had happened in it, from when it was listed until it was not any more."""
    begins = [listed_ms for listed_ms, _, _ in periods]
    for window, length_ms in WINDOWS_MS.items():
        ends = [
            max(listed_ms, min(happened_ms + length_ms + 1, gone_ms)) for listed_ms, happened_ms, gone_ms in periods
        ]
        yield counted(family, (*labels, window), since_ms, begins, ends)


@dataclass(slots=True)
class CoursePast:
    """When the attempts of a course were made, begun and completed, in Unix milliseconds; NEVER_MS if they were not.

    `is_undated` when the platform tells of an attempt that it is in progress, and not since when.
    """

    created_ms: "array[int]" = field(default_factory=lambda: array("q"))
    started_ms: "array[int]" = field(default_factory=lambda: array("q"))
    completed_ms: "array[int]" = field(default_factory=lambda: array("q"))
    is_undated: bool = False

    def add(self, attempt: Attempt) -> None:
        """Keep the dates of an attempt; one made and begun in the same second was made by beginning it."""
        started_ms = milliseconds(attempt.first_activity_at) if attempt.first_activity_at else NEVER_MS
        completed_ms = milliseconds(attempt.completed_at) if attempt.completed_at else NEVER_MS
        created_ms = object_id_ms(attempt.id)
        if created_ms is None or created_ms <= started_ms < created_ms + MS_PER_SECOND:
            created_ms = min(started_ms, completed_ms)
        self.created_ms.append(created_ms)
        self.started_ms.append(started_ms)
        self.completed_ms.append(completed_ms)
        if started_ms == NEVER_MS and (attempt.progress or completed_ms != NEVER_MS or created_ms == NEVER_MS):
            self.is_undated = True

    def extend(self, other: "CoursePast") -> None:
        """Add the attempts of another course."""
        self.created_ms += other.created_ms
        self.started_ms += other.started_ms
        self.completed_ms += other.completed_ms
        self.is_undated = self.is_undated or other.is_undated

    @property
    def since_ms(self) -> int:
        """When the course got its first attempt."""
        return min(self.created_ms)

    def listed(self, happened_ms: Iterable[int]) -> Iterator[int]:
        """Yield when each event was known: an attempt imported later than it happened was not there before."""
        return map(max, self.created_ms, happened_ms)


def attempt_steps(course: str, past: CoursePast) -> Iterator[Steps]:
    """Yield the attempts of a course by state, completed alone when some attempt is not dated."""
    completed_ms = list(past.listed(past.completed_ms))
    yield counted(attempts.COURSE_ATTEMPTS, (course, "completed"), past.since_ms, completed_ms)
    if not past.is_undated:
        started_ms = list(past.listed(past.started_ms))
        left_ms = map(max, started_ms, completed_ms)
        yield counted(attempts.COURSE_ATTEMPTS, (course, "in_progress"), past.since_ms, started_ms, left_ms)
        opened_ms = map(min, started_ms, completed_ms)
        yield counted(attempts.COURSE_ATTEMPTS, (course, "not_started"), past.since_ms, past.created_ms, opened_ms)


def event_steps(family: Family, course: str, past: CoursePast, happened_ms: "array[int]") -> Iterator[Steps]:
    """Yield how many of the attempts' events lie in each rolling window."""
    periods = [
        (listed, happened, NEVER_MS) for listed, happened in zip(past.listed(happened_ms), happened_ms, strict=True)
    ]
    yield from rolling(family, (course,), past.since_ms, periods)


def info_steps(course: Course, past: CoursePast) -> Steps:
    """Return the present properties of a course, for as long as it has numbers."""
    sample = course_info(course)
    steps = Steps(sample.family, sample.labels)
    steps.set(past.since_ms, sample.value)
    return steps


def _with_own_series(courses: dict[str, CoursePast], chosen: Iterable[str]) -> dict[str, CoursePast]:
    """Return the chosen courses by id, and the others as one."""
    own = {course: courses[course] for course in sorted(chosen)}
    others = [past for course, past in courses.items() if course not in own]
    if others:
        own[OTHER] = CoursePast()
        for past in others:
            own[OTHER].extend(past)
    return own


async def read_attempts(
    client: Client, settings: Learning360Settings, _span: Span, now: Callable[[], float]
) -> tuple[Past, Sequence[str]]:
    """Walk all attempts; the courses with series of their own are those that a poll would choose now."""
    totals = AttemptTotals(Windows.ending(datetime.fromtimestamp(now(), UTC)))
    pasts: defaultdict[str, CoursePast] = defaultdict(CoursePast)
    async for page in pages(client, settings, ATTEMPTS):
        totals.add(page)
        for attempt in page:
            pasts[attempt.course_id].add(attempt)
    courses = _with_own_series(pasts, chosen_courses(totals.courses, settings.collectors.attempts.courses))
    infos = [
        info_steps(course, courses[course.id])
        async for page in pages(client, settings, COURSES)
        for course in page
        if course.id in courses
    ]
    past: Past = {
        attempts.COURSE_INFO: sorted(infos, key=lambda steps: steps.labels),
        attempts.COURSE_ATTEMPTS: (steps for course, one in courses.items() for steps in attempt_steps(course, one)),
        attempts.COURSE_ATTEMPTS_STARTED: (
            steps
            for course, one in courses.items()
            for steps in event_steps(attempts.COURSE_ATTEMPTS_STARTED, course, one, one.started_ms)
        ),
        attempts.COURSE_COMPLETIONS: (
            steps
            for course, one in courses.items()
            for steps in event_steps(attempts.COURSE_COMPLETIONS, course, one, one.completed_ms)
        ),
    }
    undated = [course for course, one in courses.items() if one.is_undated]
    return past, [f"{attempts.COURSE_ATTEMPTS.name} of course {one}: an attempt has no date" for one in undated]


async def read_sessions(
    client: Client, settings: Learning360Settings, _span: Span, _now: Callable[[], float]
) -> tuple[Past, Sequence[str]]:
    """Read all path sessions. API v1 does not say when they were made."""
    if settings.api_version == "v1":
        return {}, [f"{paths.PATH_SESSIONS_BY_PHASE.name}: API v1 does not tell when a session was made"]
    made_ms, opened_ms, ended_ms = array("q"), array("q"), array("q")
    async for page in pages(client, settings, DATED_SESSIONS):
        for session in page:
            made_ms.append(milliseconds(session.created_at))
            opened_ms.append(max(milliseconds(session.start_date), made_ms[-1]))
            ended_ms.append(max(milliseconds(session.end_date), opened_ms[-1]) if session.end_date else NEVER_MS)
    phases = {"ended": (ended_ms, ()), "open": (opened_ms, ended_ms), "upcoming": (made_ms, opened_ms)}
    family = paths.PATH_SESSIONS_BY_PHASE
    return {family: [counted(family, (phase,), ALWAYS_MS, *periods) for phase, periods in phases.items()]}, ()


@dataclass(slots=True)
class EnrollmentPast:
    """When enrollments were made, completed, due without being completed, and ended; all in Unix milliseconds."""

    made: list[Period] = field(default_factory=list)
    completed: list[Period] = field(default_factory=list)
    overdue_ms: "array[int]" = field(default_factory=lambda: array("q"))
    settled_ms: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, stat: PathStat) -> None:
        """Keep the dates of an enrollment; it is overdue from a moment after its due date."""
        if stat.enrolled_at is UNSET:
            return
        made_ms = milliseconds(stat.enrolled_at)
        gone_ms = milliseconds(stat.unenrolled_at) if stat.unenrolled_at else NEVER_MS
        completed_ms = milliseconds(stat.completed_at) if stat.completed_at else NEVER_MS
        self.made.append((made_ms, made_ms, gone_ms))
        if completed_ms < gone_ms:
            self.completed.append((max(made_ms, completed_ms), completed_ms, gone_ms))
        if stat.due_date is not None:
            overdue_ms = max(milliseconds(stat.due_date) + 1, made_ms)
            self.overdue_ms.append(overdue_ms)
            self.settled_ms.append(max(overdue_ms, min(completed_ms, gone_ms)))


async def read_enrollments(
    client: Client, settings: Learning360Settings, _span: Span, _now: Callable[[], float]
) -> tuple[Past, Sequence[str]]:
    """Walk all enrollments. API v1 lists only those that have not ended, most without dates."""
    if settings.api_version == "v1":
        return {}, ["path_stats: API v1 does not tell when an enrollment was made or ended"]
    past = EnrollmentPast()
    async for page in pages(client, settings, PATH_STATS):
        for stat in page:
            past.add(stat)
    overdue = counted(paths.PATH_ENROLLMENTS_OVERDUE, (), ALWAYS_MS, past.overdue_ms, past.settled_ms)
    return {
        paths.PATH_ENROLLMENTS_OVERDUE: [overdue],
        paths.PATH_ENROLLMENTS_STARTED: rolling(paths.PATH_ENROLLMENTS_STARTED, (), ALWAYS_MS, past.made),
        paths.PATH_COMPLETIONS: rolling(paths.PATH_COMPLETIONS, (), ALWAYS_MS, past.completed),
    }, ()


async def read_classrooms(
    client: Client, settings: Learning360Settings, _span: Span, _now: Callable[[], float]
) -> tuple[Past, Sequence[str]]:
    """Read all classrooms; the API may leave out when one was made."""
    dates = [room.created_at async for page in pages(client, settings, DATED_CLASSROOMS) for room in page]
    if None in dates:
        return {}, [f"{catalogue.CLASSROOMS_HELD.name}: the platform does not date every classroom"]
    made_ms = [milliseconds(date) for date in dates if date is not None]
    return {catalogue.CLASSROOMS_HELD: [counted(catalogue.CLASSROOMS_HELD, (), ALWAYS_MS, made_ms)]}, ()


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
