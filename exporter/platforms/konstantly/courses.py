"""Every course of a Konstantly site and how far its learners are: the list, then the assignments of each course."""

import dataclasses
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from msgspec import UNSET, Struct, field

from exporter.api.client import Client
from exporter.api.pagination import offset_list
from exporter.api.reply import Count, Percent
from exporter.api.unreadable import OrUnknown
from exporter.evidence import Basis, Evidence
from exporter.metrics import Family, Sample, info
from exporter.platform import Collector, Probe
from exporter.platforms.konstantly.details import read_details
from exporter.platforms.konstantly.settings import KonstantlySettings, sampled

LIST_ENDPOINT = "/courses"
ASSIGNMENTS_ENDPOINT = "/courses/{course}/assignments/users"
LIST_SOURCE = f"Source: GET {LIST_ENDPOINT}, by default at most 1 hour old."
ASSIGNMENTS_SOURCE = f"Source: GET {ASSIGNMENTS_ENDPOINT}, by default at most 1 hour old."

_ODD = "A course whose list cannot be read has no series; engagement_collector_unreadable_values counts it."

STATUSES = ("draft", "published")
STATES = ("not_started", "in_progress", "finished", "expired")

INFO = info(
    "konstantly_course_info",
    f"A course with its name, empty if it cannot be read: always 1. {LIST_SOURCE}",
    ("course", "name"),
)
CATALOG = Family("konstantly_catalog_courses", f"Courses by status draft or published. {LIST_SOURCE}", ("status",))
LEARNERS = Family(
    "konstantly_course_learners",
    "Assignments of the course to users, by state: finished, else expired, else in_progress (has started), else "
    "not_started. Who has it both directly and by a group counts twice, as the platform lists them. "
    f"{_ODD} {ASSIGNMENTS_SOURCE}",
    ("course", "state"),
)
PROGRESS_RATIO = Family(
    "konstantly_course_progress_ratio",
    f"Mean progress, 0 to 1, of the assignments of the course to users; absent without any. {ASSIGNMENTS_SOURCE}",
    ("course",),
)
RESULT_RATIO = Family(
    "konstantly_course_result_ratio",
    f"Mean result, 0 to 1, of the finished assignments of the course; absent without any. {ASSIGNMENTS_SOURCE}",
    ("course",),
)


class Course(Struct, gc=False, rename="camel"):
    id: int
    name: OrUnknown[str]
    is_draft: bool


class CoursesPage(Struct):
    records: list[Course] = field(name="courses")
    total: Count = field(name="totalCount")


class AssignedUser(Struct, gc=False):
    id: int | str


class Assignment(Struct, gc=False, rename="camel"):
    """A course assigned to a user, once by itself and once by each group; both values are in percent.

    Assignments have no id: what tells those of a user apart is when they were made and until when there is time.
    """

    user: AssignedUser
    progress_value: OrUnknown[Percent]
    result_value: OrUnknown[Percent]
    is_course_started: bool
    is_course_finished: bool
    is_expired: bool
    assigned_at: OrUnknown[Count | None] = None
    deadline_at: OrUnknown[Count | None] = None

    @property
    def key(self) -> Hashable:
        """What no other assignment of the course has."""
        return self.user.id, self.assigned_at, self.deadline_at

    @property
    def state(self) -> str:
        """One of STATES; a course finished after its deadline is finished."""
        if self.is_course_finished:
            return "finished"
        if self.is_expired:
            return "expired"
        return "in_progress" if self.is_course_started else "not_started"


class AssignmentsPage(Struct):
    records: list[Assignment] = field(name="assignments")
    total: Count = field(name="totalCount")


@dataclass(slots=True)
class Tally:
    """Running sums over the assignments of one course; a sum has the number of its values.

    Sums are exact, so that a mean depends on no order: the past adds up in another one than a poll.
    """

    learners: Counter[str] = dataclasses.field(default_factory=Counter)
    progresses: int = 0
    progress_percent: Fraction = Fraction()
    results: int = 0
    result_percent: Fraction = Fraction()

    def add(self, assignments: Iterable[Assignment]) -> None:
        """Add assignments."""
        for assignment in assignments:
            self.learners[assignment.state] += 1
            if assignment.progress_value is not UNSET:
                self.progresses += 1
                self.progress_percent += Fraction(assignment.progress_value)
            if assignment.is_course_finished and assignment.result_value is not UNSET:
                self.results += 1
                self.result_percent += Fraction(assignment.result_value)


def catalog_samples(courses: Sequence[Course]) -> list[Sample]:
    """Map the whole list."""
    statuses = Counter("draft" if course.is_draft else "published" for course in courses)
    return [CATALOG.sample(statuses[status], status=status) for status in STATUSES]


def course_samples(course: Course, tally: Tally) -> Iterator[Sample]:
    """Map a listed course and the sums over its assignments."""
    course_id = str(course.id)
    yield INFO.sample(1, course=course_id, name=course.name or "")
    for state in STATES:
        yield LEARNERS.sample(tally.learners[state], course=course_id, state=state)
    if tally.progresses:
        yield PROGRESS_RATIO.sample(float(tally.progress_percent / tally.progresses / 100), course=course_id)
    if tally.results:
        yield RESULT_RATIO.sample(float(tally.result_percent / tally.results / 100), course=course_id)


async def collect(client: Client, _settings: KonstantlySettings, _now: datetime) -> list[Sample]:
    """Read the list, then every course, drafts included: a course may go back to draft while it has learners."""
    courses = await offset_list(client, LIST_ENDPOINT, CoursesPage, lambda course: course.id)
    details = await read_details(client, LIST_ENDPOINT, courses, lambda course: _read(client, course))
    return catalog_samples(courses) + details


async def _read(client: Client, course: Course) -> Iterator[Sample]:
    tally = Tally()
    tally.add(
        await offset_list(
            client,
            ASSIGNMENTS_ENDPOINT,
            AssignmentsPage,
            lambda assignment: assignment.key,
            ids={"course": course.id},
        )
    )
    return course_samples(course, tally)


async def ask(client: Client, _settings: KonstantlySettings, _now: datetime) -> list[Sample]:
    """Read the first page of the list."""
    await client.get_as(CoursesPage, LIST_ENDPOINT)
    return []


COLLECTOR = Collector(
    name="courses",
    families=(CATALOG, INFO, LEARNERS, PROGRESS_RATIO, RESULT_RATIO),
    interval=timedelta(hours=1),
    collect=collect,
    probes=(Probe(LIST_ENDPOINT, ask),),
    planned_requests=lambda _: {LIST_ENDPOINT: 6, ASSIGNMENTS_ENDPOINT: 100},
    planned_series=lambda _: {CATALOG: 2, INFO: 100, LEARNERS: 400, PROGRESS_RATIO: 100, RESULT_RATIO: 100},
    enabled=False,
    bases=(
        sampled(LIST_ENDPOINT),
        Basis(
            ASSIGNMENTS_ENDPOINT,
            Evidence.INFERRED,
            "That `offset` pages this list too: the reference shows `totalCount` and no parameter. Where a page "
            "only repeats, the course has no series.",
            "a course with more than 20 assigned users",
        ),
    ),
)
