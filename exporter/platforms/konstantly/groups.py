"""Every group of a Konstantly site: the list, then one request per group."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import UNSET, Struct, field

from exporter.api.client import Client
from exporter.api.pagination import offset_list
from exporter.api.reply import Count
from exporter.api.unreadable import OrUnknown
from exporter.metrics import Family, Sample, info
from exporter.platform import Collector, Probe
from exporter.platforms.konstantly.details import read_details
from exporter.platforms.konstantly.settings import KonstantlySettings, sampled
from exporter.platforms.konstantly.statistics import ListedUser

LIST_ENDPOINT = "/groups"
STATISTICS_ENDPOINT = "/groups/{group}/statistics"
LIST_SOURCE = f"Source: GET {LIST_ENDPOINT}, by default at most 30 minutes old."
STATISTICS_SOURCE = f"Source: GET {STATISTICS_ENDPOINT}, by default at most 30 minutes old."

INFO = info(
    "konstantly_group_info",
    "A group with its name, empty if it cannot be read, and the id of its parent group, empty at the top: always 1. "
    f"{LIST_SOURCE}",
    ("group", "name", "parent"),
)
USERS = Family(
    "konstantly_group_users",
    f"Users of the group; groups do not add up, since a user may be in several. {LIST_SOURCE}",
    ("group",),
)
COURSES = Family("konstantly_group_courses", f"Courses assigned to the group. {LIST_SOURCE}", ("group",))
USERS_WITHOUT_ACTIVITY = Family(
    "konstantly_group_users_without_activity",
    f"Users of the group who started no course: length of the list that the API returned. {STATISTICS_SOURCE}",
    ("group",),
)
USERS_WITHOUT_RESULTS = Family(
    "konstantly_group_users_without_results",
    "Users of the group who completed no assessment (the site's total counts courses instead): "
    f"length of the list that the API returned. {STATISTICS_SOURCE}",
    ("group",),
)


class Group(Struct, gc=False, rename="camel"):
    id: int
    name: OrUnknown[str]
    users_count: OrUnknown[Count]
    courses_count: OrUnknown[Count]
    parent_id: OrUnknown[int | None] = None


class GroupsPage(Struct):
    records: list[Group] = field(name="groups")
    total: Count = field(name="totalCount")


class GroupStatistics(Struct, rename="camel"):
    users_without_activity: list[ListedUser]
    users_without_results: list[ListedUser]


def group_samples(group: Group, statistics: GroupStatistics) -> Iterator[Sample]:
    """Map a listed group and its statistics."""
    group_id = str(group.id)
    parent_id = str(group.parent_id) if isinstance(group.parent_id, int) else ""
    yield INFO.sample(1, group=group_id, name=group.name or "", parent=parent_id)
    if group.users_count is not UNSET:
        yield USERS.sample(group.users_count, group=group_id)
    if group.courses_count is not UNSET:
        yield COURSES.sample(group.courses_count, group=group_id)
    yield USERS_WITHOUT_ACTIVITY.sample(len(statistics.users_without_activity), group=group_id)
    yield USERS_WITHOUT_RESULTS.sample(len(statistics.users_without_results), group=group_id)


async def collect(client: Client, _settings: KonstantlySettings, _now: datetime) -> list[Sample]:
    """Read the whole list first: it would shift under a walk that waits for every group's statistics."""
    groups = await offset_list(client, LIST_ENDPOINT, GroupsPage, lambda group: group.id)
    return await read_details(client, LIST_ENDPOINT, groups, lambda group: _read(client, group))


async def _read(client: Client, group: Group) -> Iterator[Sample]:
    statistics = await client.get_as(GroupStatistics, STATISTICS_ENDPOINT, ids={"group": group.id})
    return group_samples(group, statistics)


async def ask(client: Client, _settings: KonstantlySettings, _now: datetime) -> list[Sample]:
    """Read the first page of the list."""
    await client.get_as(GroupsPage, LIST_ENDPOINT)
    return []


COLLECTOR = Collector(
    name="groups",
    families=(INFO, USERS, COURSES, USERS_WITHOUT_ACTIVITY, USERS_WITHOUT_RESULTS),
    interval=timedelta(minutes=30),
    collect=collect,
    probes=(Probe(LIST_ENDPOINT, ask),),
    planned_requests=lambda _: {LIST_ENDPOINT: 4, STATISTICS_ENDPOINT: 60},
    planned_series=lambda _: dict.fromkeys((INFO, USERS, COURSES, USERS_WITHOUT_ACTIVITY, USERS_WITHOUT_RESULTS), 60),
    bases=(sampled(LIST_ENDPOINT), sampled(STATISTICS_ENDPOINT)),
)
