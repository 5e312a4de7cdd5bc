"""The past of course attempts: states and rolling windows, out of the dates of every attempt.

An attempt carries no date of its creation, but its id is a MongoDB ObjectId, whose first four bytes are that second.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec import UNSET

from exporter.api.client import Client
from exporter.history import MS_PER_SECOND, Span, Steps, Told, counted
from exporter.metrics import Family
from exporter.platforms.learning360 import attempts
from exporter.platforms.learning360.attempts import OTHER, AttemptTotals, chosen_courses, course_info
from exporter.platforms.learning360.counting import Windows
from exporter.platforms.learning360.events import AHEAD_MS, NEVER_MS, Events, happened_ms, milliseconds
from exporter.platforms.learning360.lists import ATTEMPTS, COURSES, pages
from exporter.platforms.learning360.records import Attempt, Course
from exporter.platforms.learning360.settings import Learning360Settings


def object_id_ms(object_id: str) -> int | None:
    """Return the second at which the id was made, as Unix time; None if it is no ObjectId."""
    try:
        return int(object_id[:8], 16) * MS_PER_SECOND if len(bytes.fromhex(object_id)) == 12 else None
    except ValueError:
        return None


def is_told(attempt: Attempt, now_ms: int) -> bool:
    """True unless a date of the attempt cannot be read, or lies so far ahead that nobody knows what it stands for."""
    dates = (attempt.first_activity_at, attempt.completed_at)
    if UNSET in dates or (attempt.progress is UNSET and dates == (None, None)):
        return False
    return all(milliseconds(date) <= now_ms + AHEAD_MS for date in dates if isinstance(date, datetime))


@dataclass(slots=True)
class CoursePast:
    """When the attempts of a course were made, begun and completed, in Unix milliseconds; NEVER_MS if they were not.

    `undated` are those of which the platform tells that they were begun, and not when.
    """

    created_ms: "array[int]" = field(default_factory=lambda: array("q"))
    started_ms: "array[int]" = field(default_factory=lambda: array("q"))
    completed_ms: "array[int]" = field(default_factory=lambda: array("q"))
    undated: int = 0

    def add(self, attempt: Attempt, now_ms: int) -> None:
        """Keep the dates of an attempt that `is_told`; one made and begun in a second was made by beginning it."""
        started, completed = attempt.first_activity_at, attempt.completed_at
        started_ms = happened_ms(started, now_ms) if isinstance(started, datetime) else NEVER_MS
        completed_ms = happened_ms(completed, now_ms) if isinstance(completed, datetime) else NEVER_MS
        created_ms = object_id_ms(attempt.id)
        if created_ms is None or created_ms <= started_ms < created_ms + MS_PER_SECOND:
            created_ms = min(started_ms, completed_ms)
        self.created_ms.append(created_ms)
        self.started_ms.append(started_ms)
        self.completed_ms.append(completed_ms)
        if started_ms == NEVER_MS and (attempt.progress or completed_ms != NEVER_MS or created_ms == NEVER_MS):
            self.undated += 1

    def extend(self, other: "CoursePast") -> None:
        """Add the attempts of another course."""
        self.created_ms += other.created_ms
        self.started_ms += other.started_ms
        self.completed_ms += other.completed_ms
        self.undated += other.undated

    @property
    def since_ms(self) -> int:
        """When the course got its first attempt."""
        return min(self.created_ms, default=NEVER_MS)

    def listed(self, happened_ms: Iterable[int]) -> Iterator[int]:
        """Yield when each event was known: an attempt imported later than it happened was not there before."""
        return map(max, self.created_ms, happened_ms)


def attempt_steps(course: str, past: CoursePast) -> Iterator[Steps]:
    """Yield the attempts of a course by state."""
    completed_ms = array("q", past.listed(past.completed_ms))
    yield counted(attempts.COURSE_ATTEMPTS, (course, "completed"), past.since_ms, completed_ms)
    started_ms = array("q", past.listed(past.started_ms))
    left_ms = map(max, started_ms, completed_ms)
    yield counted(attempts.COURSE_ATTEMPTS, (course, "in_progress"), past.since_ms, started_ms, left_ms)
    opened_ms = map(min, started_ms, completed_ms)
    yield counted(attempts.COURSE_ATTEMPTS, (course, "not_started"), past.since_ms, past.created_ms, opened_ms)


def event_steps(family: Family, course: str, past: CoursePast, happened_ms: "array[int]") -> Iterator[Steps]:
    """Yield how many of the attempts' events lie in each rolling window."""
    events = Events()
    for listed, happened in zip(past.listed(happened_ms), happened_ms, strict=True):
        events.add(listed, happened, NEVER_MS)
    yield from events.steps(family, (course,), past.since_ms)


def info_steps(course: Course, past: CoursePast) -> Steps:
    """Return the present properties of a course, for as long as it has numbers."""
    sample = course_info(course)
    steps = Steps(sample.family, sample.labels)
    steps.set(past.since_ms, sample.value)
    return steps


def _with_own_series(courses: dict[str, CoursePast], chosen: Iterable[str]) -> dict[str, CoursePast]:
    """Return the chosen courses by id, and the others as one."""
    own = {course: courses[course] for course in sorted(chosen) if course in courses}
    others = [past for course, past in courses.items() if course not in own]
    if others:
        own[OTHER] = CoursePast()
        for past in others:
            own[OTHER].extend(past)
    return own


async def read_attempts(client: Client, settings: Learning360Settings, _span: Span, now: Callable[[], float]) -> Told:
    """Walk all attempts; the courses with series of their own are those that a poll would choose now."""
    now_seconds, untold = now(), 0
    now_ms = int(now_seconds * MS_PER_SECOND)
    totals = AttemptTotals(Windows.ending(datetime.fromtimestamp(now_seconds, UTC)))
    pasts: defaultdict[str, CoursePast] = defaultdict(CoursePast)
    async for page in pages(client, settings, ATTEMPTS):
        totals.add(page)
        for attempt in page:
            if is_told(attempt, now_ms):
                pasts[attempt.course_id].add(attempt, now_ms)
            else:
                untold += 1
    courses = _with_own_series(pasts, chosen_courses(totals.courses, settings.collectors.attempts.courses))
    infos = [
        info_steps(course, courses[course.id])
        async for page in pages(client, settings, COURSES)
        for course in page
        if course.id in courses
    ]
    past: dict[Family, Iterable[Steps]] = {
        attempts.COURSE_INFO: sorted(infos, key=lambda steps: steps.labels),
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
    left_out: list[str] = []
    if untold:
        left_out.append(f"{untold:,} attempts: a date of theirs cannot be read, or lies more than a day in the future")
    if undated := sum(one.undated for one in courses.values()):
        total = sum(len(one.created_ms) for one in courses.values())
        why = f"{undated:,} of {total:,} attempts were begun, and the platform does not tell when"
        left_out.append(f"{attempts.COURSE_ATTEMPTS.name}: {why}")
    else:
        past[attempts.COURSE_ATTEMPTS] = (
            steps for course, one in courses.items() for steps in attempt_steps(course, one)
        )
    return Told(past, left_out)
