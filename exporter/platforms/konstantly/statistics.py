"""Totals of a Konstantly site, from one request."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import UNSET, Struct

from exporter.api.client import Client
from exporter.api.reply import Count, Percent
from exporter.api.unreadable import OrUnknown
from exporter.metrics import Family, Sample
from exporter.platform import Collector, Probe
from exporter.platforms.konstantly.settings import KonstantlySettings, sampled

ENDPOINT = "/statistics"
SOURCE = f"Source: GET {ENDPOINT}, by default at most 15 minutes old."

MAX_RANK = 10
COURSE_STATUSES = ("draft", "published")

USERS = Family("konstantly_users", f"Users of the site. {SOURCE}")
COURSES = Family("konstantly_courses", f"Courses of the site. {SOURCE}")
GROUPS = Family("konstantly_groups", f"Groups of the site. {SOURCE}")
COURSE_ASSIGNMENTS = Family("konstantly_course_assignments", f"Assignments of courses, not distinct courses. {SOURCE}")
USERS_WITHOUT_ACTIVITY = Family(
    "konstantly_users_without_activity",
    f"Users who started no course: length of the list that the API returned. {SOURCE}",
)
USERS_WITHOUT_RESULTS = Family(
    "konstantly_users_without_results",
    f"Users who completed no course: length of the list that the API returned. {SOURCE}",
)
UNASSIGNED_COURSES = Family(
    "konstantly_unassigned_courses",
    f"Courses assigned to nobody, by status draft or published, in the list that the API returned. {SOURCE}",
    ("status",),
)
LEADERS = Family("konstantly_leaders", f"Top performers: length of the list that the API returned. {SOURCE}")
LEADER_COMPLETED_COURSES = Family(
    "konstantly_leader_completed_courses",
    f"Courses that the top performer of the rank completed; ranks in the API's order, at most {MAX_RANK}. {SOURCE}",
    ("rank",),
)
LEADER_RESULT_RATIO = Family(
    "konstantly_leader_result_ratio",
    f"Average result, 0 to 1, of the top performer of the rank; at most {MAX_RANK} ranks. {SOURCE}",
    ("rank",),
)


class ListedUser(Struct, gc=False):
    """A user in a list of which only the length counts: nothing of the person is decoded."""


class Totals(Struct, rename="camel"):
    courses_count: Count
    assigned_courses_count: Count
    groups_count: Count
    users_count: Count


class Leader(Struct, gc=False, rename="camel"):
    """A top performer, without who it is; `result_value` is in percent."""

    courses_count: OrUnknown[Count]
    result_value: OrUnknown[Percent]


class UnassignedCourse(Struct, gc=False, rename="camel"):
    is_draft: bool


class Statistics(Struct, rename="camel"):
    """The reply."""

    statistics: Totals
    users_without_activity: list[ListedUser]
    users_without_results: list[ListedUser]
    leaders: list[Leader]
    unassigned_courses: list[UnassignedCourse]


def statistics_samples(reply: Statistics) -> list[Sample]:
    """Map the reply of a whole site."""
    totals = reply.statistics
    unassigned = Counter("draft" if course.is_draft else "published" for course in reply.unassigned_courses)
    return [
        USERS.sample(totals.users_count),
        COURSES.sample(totals.courses_count),
        GROUPS.sample(totals.groups_count),
        COURSE_ASSIGNMENTS.sample(totals.assigned_courses_count),
        USERS_WITHOUT_ACTIVITY.sample(len(reply.users_without_activity)),
        USERS_WITHOUT_RESULTS.sample(len(reply.users_without_results)),
        *(UNASSIGNED_COURSES.sample(unassigned[status], status=status) for status in COURSE_STATUSES),
        LEADERS.sample(len(reply.leaders)),
        *leader_samples(reply.leaders[:MAX_RANK]),
    ]


def leader_samples(leaders: Sequence[Leader]) -> Iterator[Sample]:
    """Yield up to two samples per leader, ranked by position."""
    for rank, leader in enumerate(leaders, start=1):
        if leader.courses_count is not UNSET:
            yield LEADER_COMPLETED_COURSES.sample(leader.courses_count, rank=str(rank))
        if leader.result_value is not UNSET:
            yield LEADER_RESULT_RATIO.sample(leader.result_value / 100, rank=str(rank))


async def collect(client: Client, _settings: KonstantlySettings, _now: datetime) -> list[Sample]:
    """Read the totals and map them."""
    return statistics_samples(await client.get_as(Statistics, ENDPOINT))


COLLECTOR = Collector(
    name="statistics",
    families=(
        USERS,
        COURSES,
        GROUPS,
        COURSE_ASSIGNMENTS,
        USERS_WITHOUT_ACTIVITY,
        USERS_WITHOUT_RESULTS,
        UNASSIGNED_COURSES,
        LEADERS,
        LEADER_COMPLETED_COURSES,
        LEADER_RESULT_RATIO,
    ),
    interval=timedelta(minutes=15),
    collect=collect,
    probes=(Probe(ENDPOINT, collect),),
    planned_requests=lambda _: {ENDPOINT: 1},
    planned_series=lambda _: {
        **dict.fromkeys((USERS, COURSES, GROUPS, COURSE_ASSIGNMENTS, USERS_WITHOUT_ACTIVITY, USERS_WITHOUT_RESULTS), 1),
        UNASSIGNED_COURSES: len(COURSE_STATUSES),
        LEADERS: 1,
        LEADER_COMPLETED_COURSES: MAX_RANK,
        LEADER_RESULT_RATIO: MAX_RANK,
    },
    bases=(sampled(ENDPOINT),),
)
