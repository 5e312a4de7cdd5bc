"""Course attempts of 360Learning: active learners, and the numbers of the courses that matter most.

A platform has up to millions of attempts and no way to ask for the changed ones only, so all are walked through and
added up page by page. Beside the totals, what is kept are a few bytes for each attempt active in the last 30 days.
"""

import asyncio
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from msgspec import UNSET

from exporter.api.client import Client
from exporter.metrics import Family, Sample, info
from exporter.platform import Collector
from exporter.platforms.learning360 import evidence
from exporter.platforms.learning360.counting import OUTSIDE, WINDOWS, Windows, by_window, no_counts
from exporter.platforms.learning360.lists import ATTEMPTS, COURSES, pages, probe
from exporter.platforms.learning360.records import Attempt, Course
from exporter.platforms.learning360.settings import CourseChoice, Learning360Settings

OTHER = "other"
"""Label value of the courses that have no series of their own."""

_STATS = "From /courses/stats; by default up to 1 h old."
_WINDOW = "the rolling window before the poll"
_COURSE = ("course",)
_COURSE_WINDOW = ("course", "window")

ACTIVE_LEARNERS = Family(
    "learning360_active_learners",
    f"Distinct users whose newest activity in any course lies in {_WINDOW} (DAU, WAU, MAU). {_STATS}",
    ("window",),
)
COURSE_INFO = info(
    "learning360_course_info",
    "A course that has series of its own; API v1 tells no type (empty), and a name that cannot be read is empty. From "
    "/courses; by default up to 1 h old.",
    ("course", "name", "type"),
)
COURSE_ATTEMPTS = Family(
    "learning360_course_attempts",
    "Attempts (plays of a course by a user): completed have a completion date, whatever their progress; not_started "
    f"have neither that nor a first activity, and progress 0; in_progress are all others. {_STATS}",
    ("course", "state"),
)
COURSE_ATTEMPTS_STARTED = Family(
    "learning360_course_attempts_started", f"Attempts whose first activity lies in {_WINDOW}. {_STATS}", _COURSE_WINDOW
)
COURSE_COMPLETIONS = Family(
    "learning360_course_completions", f"Attempts completed in {_WINDOW}. {_STATS}", _COURSE_WINDOW
)
COURSE_ACTIVE_LEARNERS = Family(
    "learning360_course_active_learners",
    "Distinct users whose newest activity in the course lies in the rolling window before the poll; courses share "
    f"users, so do not add up. {_STATS}",
    _COURSE_WINDOW,
)
COURSE_TIME_SPENT = Family(
    "learning360_course_time_spent_seconds",
    f"Time spent in all attempts so far, as the platform measures it: an upper estimate. {_STATS}",
    _COURSE,
)
COURSE_ATTEMPTS_SCORED = Family("learning360_course_attempts_scored", f"Attempts that have a score. {_STATS}", _COURSE)
COURSE_SCORE_RATIO = Family(
    "learning360_course_score_ratio",
    f"Mean score of the attempts that have one, 0 to 1; absent without any. {_STATS}",
    _COURSE,
)


@dataclass(slots=True)
class CourseTotals:
    """What is added up for a course, or for several; lists are by narrowest window.

    `activities` has an entry for each attempt active in the last 30 days: the learner's number times 4, plus the
    position of the narrowest window. That is 4 bytes, where sets of learners per course would take ten times as much.
    """

    not_started: int = 0
    in_progress: int = 0
    completed: int = 0
    started: list[int] = field(default_factory=no_counts)
    completions: list[int] = field(default_factory=no_counts)
    activities: "array[int]" = field(default_factory=lambda: array("I"))
    time_spent_ms: float = 0.0
    scored: int = 0
    score_sum: float = 0.0

    @property
    def attempts(self) -> int:
        return self.not_started + self.in_progress + self.completed


@dataclass(slots=True)
class AttemptTotals:
    """What is added up over all pages: per course id, and a number for each user id active in the last 30 days."""

    windows: Windows
    courses: dict[str, CourseTotals] = field(default_factory=dict)
    learners: dict[str, int] = field(default_factory=dict)

    def add(self, attempts: Sequence[Attempt]) -> None:
        """Count the attempts of a page; one with an unreadable value is in no number that depends on it."""
        courses, learners, narrowest = self.courses, self.learners, self.windows.narrowest
        for attempt in attempts:
            course = courses.get(attempt.course_id)
            if course is None:
                course = courses[attempt.course_id] = CourseTotals()
            started_at, completed_at = attempt.first_activity_at, attempt.completed_at
            active_at = attempt.last_activity_at
            progress, score, time_spent_ms = attempt.progress, attempt.score, attempt.time_spent
            if isinstance(completed_at, datetime):
                course.completed += 1
                course.completions[narrowest(completed_at)] += 1
            elif completed_at is None:
                if isinstance(started_at, datetime) or progress:
                    course.in_progress += 1
                elif started_at is None and progress is not UNSET:
                    course.not_started += 1
            if isinstance(started_at, datetime):
                course.started[narrowest(started_at)] += 1
            if isinstance(active_at, datetime) and (window := narrowest(active_at)) != OUTSIDE:
                course.activities.append(learners.setdefault(attempt.user_id, len(learners)) << 2 | window)
            if time_spent_ms is not UNSET:
                course.time_spent_ms += time_spent_ms
            if score is not None and score is not UNSET:
                course.scored += 1
                course.score_sum += score


def chosen_courses(courses: dict[str, CourseTotals], choice: CourseChoice) -> list[str]:
    """Return the ids of the courses with series of their own: the listed ones, else those with most recent attempts."""
    if choice.ids is not None:
        return list(dict.fromkeys(choice.ids))
    ranked = sorted(courses, key=lambda course: (-len(courses[course].activities), -courses[course].attempts, course))
    return ranked[: choice.top]


def added_up(courses: Iterable[CourseTotals]) -> CourseTotals:
    """Add up several courses; a learner of two of them stays one learner."""
    total = CourseTotals()
    for course in courses:
        total.not_started += course.not_started
        total.in_progress += course.in_progress
        total.completed += course.completed
        total.started = [one + other for one, other in zip(total.started, course.started, strict=True)]
        total.completions = [one + other for one, other in zip(total.completions, course.completions, strict=True)]
        total.activities += course.activities
        total.time_spent_ms += course.time_spent_ms
        total.scored += course.scored
        total.score_sum += course.score_sum
    return total


def distinct_learners(activities: Iterable[int]) -> list[int]:
    """Count learners by the narrowest window with an activity of theirs; see `CourseTotals.activities`."""
    narrowest: dict[int, int] = {}
    for activity in activities:
        learner, window = activity >> 2, activity & 3
        if window < narrowest.get(learner, OUTSIDE):
            narrowest[learner] = window
    counts = no_counts()
    for window in narrowest.values():
        counts[window] += 1
    return counts


def course_samples(course: str, totals: CourseTotals) -> list[Sample]:
    """Map the totals of a course, or of the others."""
    samples = [
        COURSE_ATTEMPTS.sample(totals.not_started, course=course, state="not_started"),
        COURSE_ATTEMPTS.sample(totals.in_progress, course=course, state="in_progress"),
        COURSE_ATTEMPTS.sample(totals.completed, course=course, state="completed"),
        COURSE_TIME_SPENT.sample(totals.time_spent_ms / 1000, course=course),
        COURSE_ATTEMPTS_SCORED.sample(totals.scored, course=course),
    ]
    for family, counts in (
        (COURSE_ATTEMPTS_STARTED, totals.started),
        (COURSE_COMPLETIONS, totals.completions),
        (COURSE_ACTIVE_LEARNERS, distinct_learners(totals.activities)),
    ):
        samples += [family.sample(number, course=course, window=window) for window, number in by_window(counts)]
    if totals.scored:
        samples.append(COURSE_SCORE_RATIO.sample(totals.score_sum / totals.scored / 100, course=course))
    return samples


def attempt_samples(courses: dict[str, CourseTotals], chosen: Sequence[str]) -> list[Sample]:
    """Map everything but names; courses that are not `chosen` are added up, so that sums over courses are the whole.

    A chosen course without totals is one that nobody knows, and has no series.
    """
    learners = distinct_learners(chain.from_iterable(course.activities for course in courses.values()))
    samples = [ACTIVE_LEARNERS.sample(number, window=window) for window, number in by_window(learners)]
    own = set(chosen)
    for course in chosen:
        if course in courses:
            samples += course_samples(course, courses[course])
    others = [totals for course, totals in courses.items() if course not in own]
    if others:
        samples += course_samples(OTHER, added_up(others))
    return samples


def course_info(course: Course) -> Sample:
    """Map the properties of a course."""
    return COURSE_INFO.sample(1, course=course.id, name=course.name or "", type=course.type)


async def collect_attempts(client: Client, settings: Learning360Settings, now: datetime) -> list[Sample]:
    """Read all attempts, then the names of the chosen courses; one that /courses does not know has no info.

    One that nobody has begun yet has zeros as soon as /courses knows it.
    """
    totals = AttemptTotals(Windows.ending(now))
    async for attempts in pages(client, settings, ATTEMPTS):
        totals.add(attempts)
    chosen = chosen_courses(totals.courses, settings.collectors.attempts.courses)
    own = set(chosen)
    listed = [course async for page in pages(client, settings, COURSES) for course in page if course.id in own]
    for course in listed:
        totals.courses.setdefault(course.id, CourseTotals())
    # off the event loop, since counting the learners of a million attempts takes a second
    samples = await asyncio.to_thread(attempt_samples, totals.courses, chosen)
    return samples + [course_info(course) for course in listed]


def planned_series(settings: Learning360Settings) -> dict[Family, int]:
    """Return the size of every family with 1,000 courses."""
    choice = settings.collectors.attempts.courses
    named = min(len(choice.ids) if choice.ids else choice.top, 1_000)
    shown = min(named + 1, 1_000)
    return {
        ACTIVE_LEARNERS: len(WINDOWS),
        COURSE_ATTEMPTS: shown * 3,
        COURSE_TIME_SPENT: shown,
        COURSE_ATTEMPTS_SCORED: shown,
        COURSE_ATTEMPTS_STARTED: shown * len(WINDOWS),
        COURSE_COMPLETIONS: shown * len(WINDOWS),
        COURSE_ACTIVE_LEARNERS: shown * len(WINDOWS),
        COURSE_SCORE_RATIO: shown,
        COURSE_INFO: named,
    }


ATTEMPTS_COLLECTOR = Collector(
    "attempts",
    (
        ACTIVE_LEARNERS,
        COURSE_INFO,
        COURSE_ATTEMPTS,
        COURSE_ATTEMPTS_STARTED,
        COURSE_COMPLETIONS,
        COURSE_ACTIVE_LEARNERS,
        COURSE_TIME_SPENT,
        COURSE_ATTEMPTS_SCORED,
        COURSE_SCORE_RATIO,
    ),
    timedelta(hours=1),
    collect_attempts,
    (probe(ATTEMPTS), probe(COURSES)),
    planned_requests=lambda settings: (
        {ATTEMPTS.endpoint: 400, COURSES.endpoint: 2}
        if settings.api_version == "v2"
        else {ATTEMPTS.endpoint: 1, COURSES.endpoint: 1}
    ),
    planned_series=planned_series,
    bases=(*evidence.ATTEMPTS, *evidence.COURSES),
)
