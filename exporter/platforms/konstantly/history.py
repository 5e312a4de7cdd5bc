"""The past of a Konstantly site, out of the dates of its courses and of their assignments to users.

Nothing else is dated: accounts, groups and their members are known as they are now only.
"""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby

from msgspec import UNSET, Struct, UnsetType, field

from exporter.api.client import Client
from exporter.api.pagination import children, offset_list
from exporter.api.reply import Count
from exporter.api.unreadable import OrUnknown
from exporter.history import (
    ALWAYS_MS,
    MS_PER_SECOND,
    Fidelity,
    Known,
    Span,
    Steps,
    Told,
    by_family,
    counted,
    disagreeing,
    stepped,
)
from exporter.metrics import Family, Sample
from exporter.platform import History, no_history
from exporter.platforms.konstantly import courses, groups, statistics, users
from exporter.platforms.konstantly.courses import Assignment, Course, Tally, catalog_samples, course_samples
from exporter.platforms.konstantly.settings import KonstantlySettings
from exporter.platforms.konstantly.statistics import Statistics, statistics_samples

COURSE_FAMILIES = (courses.INFO, courses.LEARNERS, courses.RESULT_RATIO)
"""What is known of the past of a course."""

_PUBLISHED = "a course that went back to draft in between counts by its latest publication"
_RANKING = "the platform alone knows how it ranks"
_NOT_DATED = "the API dates neither accounts nor groups nor who is in them"


NEVER_SECONDS = 2**40
"""Stands for when nobody knows: in no past that is told, so that the dates do not lead to the present value."""


class DatedCourse(Course, kw_only=True, rename="camel"):
    """A course with what only its history needs; dates are Unix seconds, 0 or null for what has not happened."""

    created: OrUnknown[Count] = field(name="createdAt")
    published_at: OrUnknown[Count | None] = None

    @property
    def created_at(self) -> int:
        """When it was made."""
        return NEVER_SECONDS if self.created is UNSET else self.created

    @property
    def published_ms(self) -> int | None:
        """When it was published, not before it was made."""
        return (
            max(self.published_at, self.created_at) * MS_PER_SECOND
            if isinstance(self.published_at, int) and self.published_at
            else None
        )


class DatedAssignment(Assignment, kw_only=True, rename="camel"):
    """An assignment with what only its history needs; dates are Unix seconds, 0 or null for what has not happened."""

    started_at: OrUnknown[Count | None] = None
    finished_at: OrUnknown[Count | None] = None

    @property
    def made_at(self) -> int:
        """When it was made."""
        return self.assigned_at if isinstance(self.assigned_at, int) else NEVER_SECONDS

    def state_at(self, second: int) -> str:
        """Return one of STATES, as a poll at the time would have."""
        is_finished = 0 < (self.finished_at or 0) <= second
        is_expired = 0 < (self.deadline_at or 0) <= second
        is_started = 0 < (self.started_at or 0) <= second
        return Assignment(self.user, 0, 0, is_started, is_finished, is_expired).state

    def changes(self) -> Iterator[int]:
        """Yield the seconds at which the state may have changed, the first when the assignment was made."""
        yield self.made_at
        for second in sorted({self.started_at or 0, self.deadline_at or 0, self.finished_at or 0}):
            if second > self.made_at:
                yield second


class CoursesPage(Struct):
    records: list[DatedCourse] = field(name="courses")
    total: Count = field(name="totalCount")


class AssignmentsPage(Struct):
    records: list[DatedAssignment] = field(name="assignments")
    total: Count = field(name="totalCount")


def course_steps(course: DatedCourse, assignments: Iterable[DatedAssignment]) -> list[Steps]:
    """Follow a course from its making: a snapshot at every change, mapped as a poll would have mapped it.

    Only the result of an assignment is known of the past, since it is that of its end; the progress is not.
    """
    changes: list[tuple[int, str, str, float | UnsetType]] = []
    for assignment in assignments:
        before = ""
        for second in assignment.changes():
            state = assignment.state_at(second)
            changes.append((second, before, state, assignment.result_value))
            before = state
    changes.sort(key=lambda change: change[0])
    tally = Tally()
    snapshots = [(course.created_at * MS_PER_SECOND, _known_samples(course, tally))]
    for second, group in groupby(changes, key=lambda change: change[0]):
        for _, before, state, result_percent in group:
            tally.learners[before] -= before != ""
            tally.learners[state] += 1
            if state == "finished" != before and result_percent is not UNSET:
                tally.results += 1
                tally.result_percent += Fraction(result_percent)
        snapshots.append((max(second, course.created_at) * MS_PER_SECOND, _known_samples(course, tally)))
    return stepped(snapshots)


def _known_samples(course: Course, tally: Tally) -> list[Sample]:
    return [sample for sample in course_samples(course, tally) if sample.family in COURSE_FAMILIES]


def catalog_steps(listed: Sequence[DatedCourse]) -> list[Steps]:
    """Count the courses by status."""
    created = [course.created_at * MS_PER_SECOND for course in listed]
    published = [course.published_ms for course in listed if course.published_ms is not None]
    return [
        counted(courses.CATALOG, ("draft",), ALWAYS_MS, created, published),
        counted(courses.CATALOG, ("published",), ALWAYS_MS, published),
    ]


def statistics_steps(listed: Sequence[DatedCourse], assigned_at: Mapping[int, Sequence[int]]) -> list[Steps]:
    """Count courses, assignments and courses without any; `assigned_at` has Unix seconds by course id."""
    unassigned: dict[str, tuple[list[int], list[int]]] = {status: ([], []) for status in statistics.COURSE_STATUSES}
    for course in listed:
        first_ms = min(assigned_at[course.id], default=math.inf) * MS_PER_SECOND
        published_ms = course.published_ms or math.inf
        periods = (("draft", course.created_at * MS_PER_SECOND, published_ms), ("published", published_ms, math.inf))
        for status, begin_ms, end_ms in periods:
            if begin_ms < first_ms:
                begins, ends = unassigned[status]
                begins.append(int(begin_ms))
                if min(end_ms, first_ms) < math.inf:
                    ends.append(int(min(end_ms, first_ms)))
    assigned_ms = [second * MS_PER_SECOND for seconds in assigned_at.values() for second in seconds]
    return [
        counted(statistics.COURSES, (), ALWAYS_MS, [course.created_at * MS_PER_SECOND for course in listed]),
        counted(statistics.COURSE_ASSIGNMENTS, (), ALWAYS_MS, assigned_ms),
        *(
            counted(statistics.UNASSIGNED_COURSES, (status,), ALWAYS_MS, *periods)
            for status, periods in unassigned.items()
        ),
    ]


async def read_courses(client: Client, _settings: KonstantlySettings, _span: Span, now: Callable[[], float]) -> Told:
    """Read the totals, the list of courses, and the assignments of every course.

    A family is left out if its dates do not lead to what the platform says of the present, of a single course even:
    without that course, its whole past would seem to happen when the scrapes begin.
    """
    totals_ms = int(now() * MS_PER_SECOND)
    totals = await client.get_as(Statistics, statistics.ENDPOINT)
    listed_ms = int(now() * MS_PER_SECOND)
    listed = await offset_list(client, courses.LIST_ENDPOINT, CoursesPage, lambda course: course.id)
    series: list[Steps] = []
    wrong: Counter[Family] = Counter()
    # one that vanished since it was listed is told of nothing but the list
    assigned_at: dict[int, Sequence[int]] = {course.id: () for course in listed}
    async for course, assignments in children(client, listed, lambda course: _assignments(client, course)):
        assigned_at[course.id] = array("q", [assignment.made_at for assignment in assignments])
        tally = Tally()
        tally.add(assignments)
        steps = course_steps(course, assignments)
        wrong.update(disagreeing(COURSE_FAMILIES, steps, course_samples(course, tally), int(now() * MS_PER_SECOND)))
        series += steps
    left_out = [
        f"{family.name}: the dates of {number:,} of {len(listed):,} courses do not lead to their present values"
        for family, number in wrong.items()
    ]
    for steps, live, live_ms in (
        (catalog_steps(listed), catalog_samples(listed), listed_ms),
        (statistics_steps(listed, assigned_at), statistics_samples(totals), totals_ms),
    ):
        contradicted = disagreeing({one.family for one in steps}, steps, live, live_ms)
        wrong.update(contradicted)
        left_out += [f"{family.name}: its dates do not lead to its present value" for family in contradicted]
        series += steps
    families = (*statistics.COLLECTOR.families, *courses.COLLECTOR.families)
    return Told(by_family((one for one in series if one.family not in wrong), families), sorted(left_out))


async def _assignments(client: Client, course: DatedCourse) -> tuple[DatedCourse, list[DatedAssignment]]:
    return course, await offset_list(
        client,
        courses.ASSIGNMENTS_ENDPOINT,
        AssignmentsPage,
        lambda assignment: assignment.key,
        ids={"course": course.id},
    )


HISTORIES = (
    History(
        ("statistics", "courses"),
        (
            Known(statistics.USERS, Fidelity.UNKNOWN, _NOT_DATED),
            Known(statistics.COURSES, Fidelity.EXCEPT_DELETED),
            Known(statistics.GROUPS, Fidelity.UNKNOWN, _NOT_DATED),
            Known(statistics.COURSE_ASSIGNMENTS, Fidelity.EXCEPT_DELETED),
            Known(statistics.USERS_WITHOUT_ACTIVITY, Fidelity.UNKNOWN, _NOT_DATED),
            Known(statistics.USERS_WITHOUT_RESULTS, Fidelity.UNKNOWN, _NOT_DATED),
            Known(statistics.UNASSIGNED_COURSES, Fidelity.EXCEPT_DELETED, _PUBLISHED),
            Known(statistics.LEADERS, Fidelity.UNKNOWN, _RANKING),
            Known(statistics.LEADER_COMPLETED_COURSES, Fidelity.UNKNOWN, _RANKING),
            Known(statistics.LEADER_RESULT_RATIO, Fidelity.UNKNOWN, _RANKING),
            Known(courses.CATALOG, Fidelity.EXCEPT_DELETED, _PUBLISHED),
            Known(courses.INFO, Fidelity.PRESENT),
            Known(courses.LEARNERS, Fidelity.EXCEPT_DELETED, "by the deadlines of now"),
            Known(courses.PROGRESS_RATIO, Fidelity.UNKNOWN, "the API tells the progress of now only"),
            Known(courses.RESULT_RATIO, Fidelity.EXCEPT_DELETED, "a result that was corrected counts as it is now"),
        ),
        read_courses,
    ),
    no_history(groups.COLLECTOR, _NOT_DATED),
    no_history(users.COLLECTOR, _NOT_DATED),
)
