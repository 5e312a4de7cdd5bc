"""The workspaces of a VIKTOR environment: how many there are, and how many users each has and had active."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, get_args

import msgspec
from msgspec import Struct, field

from exporter.api.client import Client
from exporter.api.pagination import offset_list
from exporter.api.reply import MAX_COUNT, Count
from exporter.api.run import current_run
from exporter.api.unreadable import OrUnknown, UnreadableValue
from exporter.errors import InvalidResponseError
from exporter.evidence import Basis, Evidence
from exporter.metrics import Family, Sample, info
from exporter.platform import Collector, Probe
from exporter.platforms.viktor.settings import ADMIN, PAGE_LIMIT, ViktorSettings, WorkspaceType
from exporter.platforms.viktor.statistics import (
    CALENDAR,
    ENDPOINT,
    NEWEST_POINT,
    REFERENCE,
    SOURCE,
    WINDOW_START,
    Day,
    Month,
    Period,
    month_windows,
    newest_day,
    newest_point_samples,
    read_statistics,
    statistics_params,
    window_start_samples,
)

LIST_ENDPOINT = "/api/workspaces/"
LIST_SOURCE = f"Source: GET {LIST_ENDPOINT}, by default at most 30 minutes old."
LIST_PARAMS: Mapping[str, str | int] = {"limit": PAGE_LIMIT, "include_development": "true", "include_archived": "true"}

KNOWN_TYPES: tuple[str, ...] = get_args(WorkspaceType)

WORKSPACES = Family(
    "viktor_workspaces",
    f"Workspaces that the token can list, by type, archived ones included; empty for a type not given. {LIST_SOURCE}",
    ("type",),
)
INFO = info(
    "viktor_workspace_info",
    "A listed workspace that has series of its own, with its name, type and visibility, empty if one is not told or "
    f"cannot be read: always 1. {LIST_SOURCE}",
    ("workspace", "name", "type", "visibility"),
)
USERS = Family(
    "viktor_workspace_users", f"Users of the workspace: the newest row of total_users. {SOURCE}", ("workspace",)
)
MONTHLY_ACTIVE_USERS = Family(
    "viktor_workspace_monthly_active_users",
    "Distinct users who were active in the workspace during the calendar month; this_month is still filling. "
    f"Workspaces do not add up. {SOURCE}",
    ("workspace", "window"),
)
DAILY_ACTIVE_USERS = Family(
    "viktor_workspace_daily_active_users",
    "Daily logins of the workspace, one per user and day, added up over the calendar month; "
    f"this_month is still filling. {SOURCE}",
    ("workspace", "window"),
)

Row = dict[str, Any]
"""A period (`year`, `month` and maybe `day`) and, under the id of each workspace in digits, its count."""

Rows = list[Row] | Row


class DailyActive(Struct):
    per_month: Rows


class WorkspaceStatistics(Struct):
    total_users: Rows
    monthly_active_users: Rows
    daily_active_users: DailyActive


class WorkspacesReply(Struct):
    workspaces: WorkspaceStatistics


class Workspace(Struct):
    id: int
    name: OrUnknown[str]
    type: str | None = None
    visibility: OrUnknown[str | None] = None


W = TypeVar("W", bound=Workspace)


class NestedWorkspaces(Struct, Generic[W]):
    results: list[W]


class WorkspacesPage(Struct, Generic[W]):
    results: list[W] | NestedWorkspaces[W]
    total: Count = field(name="count")

    @property
    def records(self) -> list[W]:
        """The page's workspaces, out of whichever of the two documented forms."""
        return self.results if isinstance(self.results, list) else self.results.results


Counts = Mapping[Period, Mapping[str, int]]
"""Counts by workspace id, by period."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What the rows say: users by day, active users and daily logins by month."""

    users: Counts
    monthly: Counts
    daily: Counts


def counts_by_period(rows: Rows, member: str, of: type[Day] | type[Month]) -> Counts:
    """Return counts by workspace id, by period; a count of null is left out like a missing one.

    So is one that cannot be read, of which the run takes note. `member` names the rows within `workspaces`. Raises
    InvalidResponseError for a row without its period.
    """
    counts: dict[Period, dict[str, int]] = {}
    given = 0
    unreadable: list[UnreadableValue] = []
    for position, row in enumerate(_listed(rows)):
        try:
            known = counts.setdefault(msgspec.convert(row, of).period, {})
        except msgspec.ValidationError as error:
            raise InvalidResponseError(f"GET {ENDPOINT}: {error} in a row of workspaces.{member}") from None
        for workspace_id, count in row.items():
            if workspace_id.isdecimal() and count is not None:
                given += 1
                if type(count) is int and 0 <= count <= MAX_COUNT:
                    known[workspace_id] = count
                else:
                    place = f"$.workspaces.{member}[{position}][{workspace_id}]"
                    unreadable.append(UnreadableValue(place, "", is_label=False))
    current_run().take_note(ENDPOINT, ENDPOINT, given, unreadable)
    return counts


def _listed(rows: Rows) -> list[Row]:
    """Accept a single row without its list; an object without keys is no row."""
    if isinstance(rows, list):
        return rows
    return [rows] if rows else []


def type_samples(types: Counter[str]) -> list[Sample]:
    """Map how many workspaces the whole list has by type, under an empty one those without a type."""
    # as long as some workspace's type is not known, no type is known to have no workspace
    known = () if "" in types else KNOWN_TYPES
    return [WORKSPACES.sample(types[name], type=name) for name in sorted({*types, *known})]


def activity_of(statistics: WorkspaceStatistics) -> Activity:
    """Read the pivoted rows."""
    return Activity(
        counts_by_period(statistics.total_users, "total_users", Day),
        counts_by_period(statistics.monthly_active_users, "monthly_active_users", Month),
        counts_by_period(statistics.daily_active_users.per_month, "daily_active_users.per_month", Month),
    )


def activity_samples(activity: Activity, hidden: Collection[str], now: datetime) -> Iterator[Sample]:
    """Map to a sample per workspace and window, without the workspaces `hidden` by id."""
    if newest := newest_day(activity.users, now):
        for workspace_id, count in activity.users[newest].items():
            if workspace_id not in hidden:
                yield USERS.sample(count, workspace=workspace_id)
    active = [
        *_month_samples(MONTHLY_ACTIVE_USERS, activity.monthly, hidden, now),
        *_month_samples(DAILY_ACTIVE_USERS, activity.daily, hidden, now),
    ]
    yield from active
    yield from window_start_samples(active, now)
    yield from newest_point_samples("workspaces", activity.users, now)


def _month_samples(family: Family, counts: Counts, hidden: Collection[str], now: datetime) -> Iterator[Sample]:
    for name, window in month_windows(now).items():
        for period in window.periods:
            for workspace_id, count in counts.get(period, {}).items():
                if workspace_id not in hidden:
                    yield family.sample(count, window.ends_at, workspace=workspace_id, window=name)


def workspace_samples(
    workspaces: Collection[Workspace], activity: Activity, types: Collection[str], now: datetime
) -> list[Sample]:
    """Map the list and the statistics; `types` are the known types whose workspaces have series of their own."""
    hidden_types = set(KNOWN_TYPES) - set(types)
    hidden = {str(workspace.id) for workspace in workspaces if workspace.type in hidden_types}
    samples = list(activity_samples(activity, hidden, now))
    shown = {sample.labels[0] for sample in samples if sample.family.labels[0] == "workspace"}
    infos = [
        INFO.sample(
            1,
            workspace=str(workspace.id),
            name=workspace.name or "",
            type=workspace.type or "",
            visibility=workspace.visibility or "",
        )
        for workspace in workspaces
        if str(workspace.id) in shown
    ]
    return type_samples(Counter(workspace.type or "" for workspace in workspaces)) + infos + samples


async def listed_workspaces(client: Client, page: type[WorkspacesPage[W]]) -> list[W]:
    """Read the whole list."""
    return await offset_list(client, LIST_ENDPOINT, page, lambda workspace: workspace.id, params=LIST_PARAMS)


async def read_activity(client: Client, settings: ViktorSettings, now: datetime) -> Activity:
    """Read the statistics of all workspaces, in one reply."""
    params = statistics_params("workspaces", settings.org_domain, now)
    return activity_of((await read_statistics(client, WorkspacesReply, params)).workspaces)


async def collect(client: Client, settings: ViktorSettings, now: datetime) -> list[Sample]:
    """Read the statistics, and the list that knows the workspaces' names."""
    activity = await read_activity(client, settings, now)
    workspaces = await listed_workspaces(client, WorkspacesPage[Workspace])
    return workspace_samples(workspaces, activity, settings.collectors.workspaces.types, now)


async def ask(client: Client, settings: ViktorSettings, now: datetime) -> list[Sample]:
    """Read the statistics only."""
    await read_activity(client, settings, now)
    return []


COLLECTOR = Collector(
    name="workspaces",
    families=(WORKSPACES, INFO, USERS, MONTHLY_ACTIVE_USERS, DAILY_ACTIVE_USERS, WINDOW_START, NEWEST_POINT),
    interval=timedelta(minutes=30),
    collect=collect,
    probes=(Probe(ENDPOINT, ask, ADMIN),),
    planned_requests=lambda _: {ENDPOINT: 1, LIST_ENDPOINT: 6},
    planned_series=lambda _: {
        WORKSPACES: len(KNOWN_TYPES),
        INFO: 500,
        USERS: 500,
        MONTHLY_ACTIVE_USERS: 500 * 2,
        DAILY_ACTIVE_USERS: 500 * 2,
        WINDOW_START: 2,
        NEWEST_POINT: 1,
    },
    bases=(
        REFERENCE,
        CALENDAR,
        Basis(
            ENDPOINT,
            Evidence.INFERRED,
            "That the members of `workspaces` are lists of rows, as the schema says, or one row, as its types have it.",
            "one reply for `stats_type=workspaces`",
        ),
        Basis(
            LIST_ENDPOINT,
            Evidence.INFERRED,
            "That the two parameters which the reference describes without names are those that a third party calls "
            "`include_development` and `include_archived`. The page around the fields is nested once more in an "
            "older copy; both are read.",
            "one reply to an organisation's admin that lists a development workspace and an archived one",
        ),
    ),
)
