"""The past of a VIKTOR environment, out of the daily, weekly and monthly points that it keeps.

Statistics are asked for one month at a time together with the month before, the range that a poll asks for too. Every
midnight of the month is then mapped as a poll at that midnight would have been, from the points that were complete.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta

from exporter.api.client import Client
from exporter.api.unreadable import OrUnknown
from exporter.history import ALWAYS_MS, MS_PER_SECOND, Fidelity, Known, Span, Steps, Told, by_family, stepped
from exporter.metrics import Family, Sample
from exporter.platform import History, no_history
from exporter.platforms.viktor import apps, audit_events, people, workspaces
from exporter.platforms.viktor.people import (
    DailyActive,
    DevelopersReply,
    DeveloperStatistics,
    Scope,
    UsersReply,
    UserStatistics,
    people_samples,
)
from exporter.platforms.viktor.settings import ViktorSettings
from exporter.platforms.viktor.statistics import (
    NEWEST_POINT,
    WINDOW_START,
    MonthPoint,
    Period,
    WeekPoint,
    first_of_last_month,
    midnight,
    month_windows,
    range_params,
    read_statistics,
    week_windows,
)
from exporter.platforms.viktor.workspaces import (
    Activity,
    Counts,
    Workspace,
    WorkspacesPage,
    WorkspacesReply,
    activity_of,
    listed_workspaces,
    type_samples,
    workspace_samples,
)

ACTIVITY_FAMILIES = (workspaces.INFO, workspaces.USERS, workspaces.MONTHLY_ACTIVE_USERS, workspaces.DAILY_ACTIVE_USERS)
USERS_FAMILIES = (people.USERS.total, people.USERS.daily_active, people.USERS.monthly_active, WINDOW_START)
DEVELOPERS_FAMILIES = (people.DEVELOPERS.total, people.DEVELOPERS.daily_active, people.DEVELOPERS.monthly_active)
PAST_WINDOWS = ("yesterday", "last_week", "last_month")

_DAILY = "the platform keeps one number a day"
_DISTINCT = "users of a part of a month are not kept, and distinct users do not add up"
_STARTS = Known(WINDOW_START, Fidelity.UNKNOWN, "the history of users tells it, once for all")
_NEWEST = Known(NEWEST_POINT, Fidelity.UNKNOWN, "the API does not tell when it had a day's number first")

DOES_NOT_ADD_UP = (
    "{scope.daily_active.name}, windows this_week and this_month, in {contradicted} of {months} months: the platform's "
    "daily numbers do not add up to its weekly and monthly ones"
)


class DatedWorkspace(Workspace, kw_only=True):
    """A workspace with what only its history needs."""

    created_at: OrUnknown[Annotated[datetime, Meta(tz=True)]]


Statistics = UserStatistics | DeveloperStatistics
Fetch = Callable[[Client, dict[str, str]], Awaitable[Statistics]]
Snapshot = tuple[int, list[Sample]]
Now = Callable[[], float]


def as_of(statistics: Statistics, moment: datetime, with_sums: bool) -> Statistics:
    """Return the statistics as they stood at a midnight, without the distinct users of the month under way.

    The week and the month under way are the sums of their days so far, `with_sums`, and else left out.
    """
    daily, today, monday = statistics.daily_active, _day(moment), _day(moment - timedelta(days=moment.weekday()))
    week, month = week_windows(moment)["this_week"].periods, month_windows(moment)["this_month"].periods
    days = [point for point in daily.per_day if point.period < today]
    weeks = [point for point in daily.per_week if point.period not in week]
    months = [point for point in daily.per_month if point.period not in month]
    week_counts = [point.count for point in days if point.period >= monday and point.count is not UNSET]
    month_counts = [point.count for point in days if point.period[:2] in month and point.count is not UNSET]
    if with_sums and week_counts:
        weeks.append(WeekPoint(*moment.isocalendar()[:2], sum(week_counts)))
    if with_sums and month_counts:
        months.append(MonthPoint(moment.year, moment.month, sum(month_counts)))
    return msgspec.structs.replace(
        statistics,
        total=[point for point in statistics.total if point.period < today],
        daily_active=DailyActive(days, weeks, months),
        monthly_active=[point for point in statistics.monthly_active if point.period not in month],
    )


def _day(moment: datetime) -> Period:
    return moment.year, moment.month, moment.day


def adds_up(daily: DailyActive, start: date, end: date) -> bool:
    """True if the weeks and months that lie whole between `start` and `end`, exclusive, are the sums of their days.

    Nobody can tell where a number cannot be read.
    """
    if UNSET in [point.count for points in (daily.per_day, daily.per_week, daily.per_month) for point in points]:
        return False
    counts = Counter({date(point.year, point.month, point.day): point.count for point in daily.per_day})
    weeks = ((*_week(point), point.count) for point in daily.per_week)
    months = ((*_month(point), point.count) for point in daily.per_month)
    return all(
        sum(counts[first + timedelta(days=number)] for number in range((after - first).days)) == count
        for first, after, count in (*weeks, *months)
        if start <= first and after <= end
    )


def _week(point: WeekPoint) -> tuple[date, date]:
    """Return the first day of the ISO week, and the day after it."""
    monday = date.fromisocalendar(point.year, 1, 1) + timedelta(weeks=point.week - 1)
    return monday, monday + timedelta(days=7)


def _month(point: MonthPoint) -> tuple[date, date]:
    """Return the first day of the month, and the day after it."""
    first = date(point.year, point.month, 1)
    return first, (first + timedelta(days=31)).replace(day=1)


def midnights(span: Span) -> Iterator[datetime]:
    """Yield 00:00 UTC of every day of the span."""
    moment = midnight(datetime.fromtimestamp(span.start_seconds, UTC))
    while moment.timestamp() <= span.end_seconds:
        yield moment
        moment += timedelta(days=1)


def by_month(span: Span) -> Iterator[list[datetime]]:
    """Yield the midnights of every month of the span."""
    for _, moments in groupby(midnights(span), key=lambda moment: (moment.year, moment.month)):
        yield list(moments)


def _range(moments: Sequence[datetime]) -> tuple[datetime, datetime]:
    """Return the range to ask for: from the month before until the last midnight of a month's `moments`."""
    return midnight(first_of_last_month(moments[0])), moments[-1]


def milliseconds(moment: datetime) -> int:
    """Return Unix time."""
    return round(moment.timestamp() * MS_PER_SECOND)


async def _fetch_users(client: Client, params: dict[str, str]) -> Statistics:
    return (await read_statistics(client, UsersReply, params)).users


async def _fetch_developers(client: Client, params: dict[str, str]) -> Statistics:
    return (await read_statistics(client, DevelopersReply, params)).developers


async def _read_people(
    client: Client, settings: ViktorSettings, span: Span, scope: Scope, families: Sequence[Family], fetch: Fetch
) -> Told:
    snapshots: list[Snapshot] = []
    contradicted = months = 0
    for moments in by_month(span):
        start, end = _range(moments)
        statistics = await fetch(client, range_params(scope.stats_type, settings.org_domain, start, end))
        with_sums = adds_up(statistics.daily_active, start.date(), end.date())
        contradicted, months = contradicted + (not with_sums), months + 1
        for moment in moments:
            samples = people_samples(scope, as_of(statistics, moment, with_sums), moment)
            snapshots.append((milliseconds(moment), list(samples)))
    left_out = [DOES_NOT_ADD_UP.format(scope=scope, contradicted=contradicted, months=months)] if contradicted else []
    return Told(by_family(stepped(snapshots), families), left_out)


async def read_users(client: Client, settings: ViktorSettings, span: Span, _now: Now) -> Told:
    """Read the scope `users` month by month."""
    return await _read_people(client, settings, span, people.USERS, USERS_FAMILIES, _fetch_users)


async def read_developers(client: Client, settings: ViktorSettings, span: Span, _now: Now) -> Told:
    """Read the scope `developers` month by month."""
    return await _read_people(client, settings, span, people.DEVELOPERS, DEVELOPERS_FAMILIES, _fetch_developers)


def activity_before(activity: Activity, moment: datetime) -> Activity:
    """Return the activity as it stood at a midnight, without the month under way."""
    month = (moment.year, moment.month)
    return Activity(
        _before(activity.users, _day(moment)), _before(activity.monthly, month), _before(activity.daily, month)
    )


def _before(counts: Counts, period: Period) -> Counts:
    return {one: count for one, count in counts.items() if one < period}


def created_steps(created: Iterable[tuple[datetime, str]]) -> list[Steps]:
    """Count the workspaces, given as their creation and their type, by type."""
    types: Counter[str] = Counter()
    snapshots: list[Snapshot] = [(ALWAYS_MS, type_samples(types))]
    for created_at, name in sorted(created):
        types[name] += 1
        snapshots.append((milliseconds(created_at), type_samples(types)))
    return stepped(snapshots)


async def read_workspaces(client: Client, settings: ViktorSettings, span: Span, _now: Now) -> Told:
    """Read the list, then the statistics of all workspaces month by month."""
    listed = await listed_workspaces(client, WorkspacesPage[DatedWorkspace])
    created = [(one.created_at, one.type or "") for one in listed if one.created_at is not UNSET]
    types: Collection[str] = settings.collectors.workspaces.types
    snapshots: list[Snapshot] = []
    for moments in by_month(span):
        params = range_params("workspaces", settings.org_domain, *_range(moments))
        activity = activity_of((await read_statistics(client, WorkspacesReply, params)).workspaces)
        for moment in moments:
            samples = workspace_samples(listed, activity_before(activity, moment), types, moment)
            snapshots.append((milliseconds(moment), [one for one in samples if one.family in ACTIVITY_FAMILIES]))
    if undated := len(listed) - len(created):
        left_out = f"{workspaces.WORKSPACES.name}: nobody can read when {undated} of them were made"
        return Told(by_family(stepped(snapshots), ACTIVITY_FAMILIES), [left_out])
    return Told(by_family([*created_steps(created), *stepped(snapshots)], (workspaces.WORKSPACES, *ACTIVITY_FAMILIES)))


async def read_audit_events(client: Client, settings: ViktorSettings, span: Span, _now: Now) -> Told:
    """Read the counts of every day, with one request per day and event type."""
    snapshots = [
        (milliseconds(moment), await audit_events.collect(client, settings, moment)) for moment in midnights(span)
    ]
    return Told(by_family(stepped(snapshots), (audit_events.AUDIT_EVENTS,)))


def _people_known(scope: Scope, *starts: Known) -> tuple[Known, ...]:
    return (
        Known(scope.total, Fidelity.MIDNIGHT, _DAILY),
        Known(scope.daily_active, Fidelity.EXACT, windows=PAST_WINDOWS),
        Known(scope.daily_active, Fidelity.MIDNIGHT, _DAILY, ("this_week", "this_month")),
        Known(scope.daily_active, Fidelity.UNKNOWN, _DAILY, ("today",)),
        Known(scope.monthly_active, Fidelity.EXACT, windows=("last_month",)),
        Known(scope.monthly_active, Fidelity.UNKNOWN, _DISTINCT, ("this_month",)),
        *starts,
        _NEWEST,
    )


HISTORIES = (
    History(
        ("users",),
        _people_known(
            people.USERS,
            Known(WINDOW_START, Fidelity.EXACT, windows=PAST_WINDOWS),
            Known(WINDOW_START, Fidelity.MIDNIGHT, _DAILY, ("this_week", "this_month")),
            Known(WINDOW_START, Fidelity.UNKNOWN, _DAILY, ("today",)),
        ),
        read_users,
    ),
    History(("developers",), _people_known(people.DEVELOPERS, _STARTS), read_developers),
    History(
        ("workspaces",),
        (
            Known(workspaces.WORKSPACES, Fidelity.EXCEPT_DELETED, "by their present types"),
            Known(workspaces.INFO, Fidelity.PRESENT),
            Known(workspaces.USERS, Fidelity.MIDNIGHT, f"{_DAILY}; workspaces chosen by their present types"),
            Known(workspaces.MONTHLY_ACTIVE_USERS, Fidelity.EXACT, windows=("last_month",)),
            Known(workspaces.MONTHLY_ACTIVE_USERS, Fidelity.UNKNOWN, _DISTINCT, ("this_month",)),
            Known(workspaces.DAILY_ACTIVE_USERS, Fidelity.EXACT, windows=("last_month",)),
            Known(
                workspaces.DAILY_ACTIVE_USERS,
                Fidelity.UNKNOWN,
                "the platform keeps one number a month for a workspace",
                ("this_month",),
            ),
            _STARTS,
            _NEWEST,
        ),
        read_workspaces,
    ),
    no_history(apps.COLLECTOR, "the API dates neither the publication nor the archiving of an app"),
    History(("audit_events",), (Known(audit_events.AUDIT_EVENTS, Fidelity.EXACT), _STARTS), read_audit_events),
)
