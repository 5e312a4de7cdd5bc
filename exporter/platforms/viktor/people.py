"""The users and the developers of a VIKTOR environment: how many there are, and how many of them were active."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import UNSET, Struct, field

from exporter.api.client import Client
from exporter.metrics import Family, Sample
from exporter.platform import Collector, Probe
from exporter.platforms.viktor.settings import ADMIN, ViktorSettings
from exporter.platforms.viktor.statistics import (
    CALENDAR,
    ENDPOINT,
    NEWEST_POINT,
    REFERENCE,
    SOURCE,
    WINDOW_START,
    DayPoint,
    MonthPoint,
    WeekPoint,
    day_windows,
    month_windows,
    newest_day,
    newest_point_samples,
    read_statistics,
    statistics_params,
    week_windows,
    window_samples,
    window_start_samples,
)


@dataclass(frozen=True, slots=True)
class Scope:
    """One `stats_type` and its families."""

    stats_type: str
    total: Family
    daily_active: Family
    monthly_active: Family

    @property
    def families(self) -> tuple[Family, ...]:
        """All families of the scope's collector."""
        return self.total, self.daily_active, self.monthly_active, WINDOW_START, NEWEST_POINT


USERS = Scope(
    "users",
    Family(
        "viktor_users", f"Everyone in the organisation, developers included: the newest point of total_users. {SOURCE}"
    ),
    Family(
        "viktor_daily_active_users",
        "Daily logins: users who used a workspace (development and public ones apart), one per user and day, added up "
        f"over the window; not distinct users beyond a day. Windows named this_ and today are still filling. {SOURCE}",
        ("window",),
    ),
    Family(
        "viktor_monthly_active_users",
        f"Distinct users who logged in during the calendar month; this_month is still filling. {SOURCE}",
        ("window",),
    ),
)
DEVELOPERS = Scope(
    "developers",
    Family("viktor_developers", f"Users with developer access: the newest point of total_developers. {SOURCE}"),
    Family(
        "viktor_daily_active_developers",
        "Developers who used their development workspaces, one per developer and day, added up over the window; "
        f"not distinct developers beyond a day. Windows named this_ and today are still filling. {SOURCE}",
        ("window",),
    ),
    Family(
        "viktor_monthly_active_developers",
        f"Distinct developers who logged in during the calendar month; this_month is still filling. {SOURCE}",
        ("window",),
    ),
)


class DailyActive(Struct):
    per_day: list[DayPoint]
    per_week: list[WeekPoint]
    per_month: list[MonthPoint]


class UserStatistics(Struct):
    total: list[DayPoint] = field(name="total_users")
    daily_active: DailyActive = field(name="daily_active_users")
    monthly_active: list[MonthPoint] = field(name="monthly_active_users")


class DeveloperStatistics(Struct):
    total: list[DayPoint] = field(name="total_developers")
    daily_active: DailyActive = field(name="daily_active_developers")
    monthly_active: list[MonthPoint] = field(name="monthly_active_developers")


class UsersReply(Struct):
    """Only the scope that was asked for is required, though the reference requires all three."""

    users: UserStatistics


class DevelopersReply(Struct):
    """See UsersReply."""

    developers: DeveloperStatistics


def people_samples(scope: Scope, statistics: UserStatistics | DeveloperStatistics, now: datetime) -> Iterator[Sample]:
    """Map the points of one scope, which come in any order."""
    daily, totals = statistics.daily_active, {point.period: point.count for point in statistics.total}
    if (newest := newest_day(totals, now)) and (total := totals[newest]) is not UNSET:
        yield scope.total.sample(total)
    active = [
        *window_samples(scope.daily_active, daily.per_day, day_windows(now)),
        *window_samples(scope.daily_active, daily.per_week, week_windows(now)),
        *window_samples(scope.daily_active, daily.per_month, month_windows(now)),
        *window_samples(scope.monthly_active, statistics.monthly_active, month_windows(now)),
    ]
    yield from active
    yield from window_start_samples(active, now)
    yield from newest_point_samples(scope.stats_type, [*totals, *(point.period for point in daily.per_day)], now)


async def collect_users(client: Client, settings: ViktorSettings, now: datetime) -> list[Sample]:
    """Read and map the scope `users`."""
    params = statistics_params(USERS.stats_type, settings.org_domain, now)
    reply = await read_statistics(client, UsersReply, params)
    return list(people_samples(USERS, reply.users, now))


async def collect_developers(client: Client, settings: ViktorSettings, now: datetime) -> list[Sample]:
    """Read and map the scope `developers`."""
    params = statistics_params(DEVELOPERS.stats_type, settings.org_domain, now)
    reply = await read_statistics(client, DevelopersReply, params)
    return list(people_samples(DEVELOPERS, reply.developers, now))


def planned_series(scope: Scope) -> dict[Family, int]:
    """Return the size of every family of a scope; every window has numbers."""
    return {scope.total: 1, scope.daily_active: 6, scope.monthly_active: 2, WINDOW_START: 6, NEWEST_POINT: 1}


USERS_COLLECTOR = Collector(
    name="users",
    families=USERS.families,
    interval=timedelta(minutes=30),
    collect=collect_users,
    probes=(Probe(ENDPOINT, collect_users, ADMIN),),
    planned_requests=lambda _: {ENDPOINT: 1},
    planned_series=lambda _: planned_series(USERS),
    bases=(REFERENCE, CALENDAR),
)
DEVELOPERS_COLLECTOR = Collector(
    name="developers",
    families=DEVELOPERS.families,
    interval=timedelta(minutes=30),
    collect=collect_developers,
    probes=(Probe(ENDPOINT, collect_developers, ADMIN),),
    planned_requests=lambda _: {ENDPOINT: 1},
    planned_series=lambda _: planned_series(DEVELOPERS),
    bases=(REFERENCE, CALENDAR),
)
