"""What the collectors that read `/api/statistics/` of VIKTOR share: the request, the points, and their windows.

Days, weeks and months are those of UTC. At the end of one, its windows' names pass to the next, so every sample of a
window carries that end. The range asked for starts with the previous month, so that it holds every window whole: last
week's Monday is at most 13 days ago, and the previous month is longer than that.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, TypeVar

from msgspec import UNSET, Meta, Struct

from exporter.api.client import Client
from exporter.api.reply import Count
from exporter.api.unreadable import OrUnknown
from exporter.errors import BadRequestError
from exporter.evidence import Basis, Evidence
from exporter.metrics import Family, Sample

T = TypeVar("T")

ENDPOINT = "/api/statistics/"
SOURCE = f"Source: GET {ENDPOINT}, by default at most 30 minutes old."

NEWEST_POINT = Family(
    "viktor_statistics_newest_point_timestamp_seconds",
    "00:00 UTC of the newest day for which the platform gave a number, by scope users, developers or workspaces "
    f"(Unix time). {SOURCE}",
    ("scope",),
)

WINDOW_START = Family(
    "viktor_window_start_timestamp_seconds",
    "00:00 UTC of the first day of each calendar window that has numbers, from the same poll (Unix time). At its end a "
    f"window's numbers leave the page until the next poll, which is due within a minute. {SOURCE}",
    ("window",),
)

REFERENCE = Basis(
    ENDPOINT,
    Evidence.REFERENCE,
    "the REST reference, read 2026-11: the schema of the scope that is asked for; no sample",
)
CALENDAR = Basis(
    ENDPOINT,
    Evidence.INFERRED,
    "That days are those of UTC, weeks are ISO weeks, and a day that is not there is unknown, not 0.",
    "a week of replies of an environment whose owner sees the activity dashboard beside them",
)

Period = tuple[int, ...]
"""A day as (year, month, day), a month as (year, month), or a week as (year, week)."""


@dataclass(frozen=True, slots=True)
class Window:
    """What a value of the label `window` means at some moment: a day, a week or a month.

    `ends_at` is the Unix time at which the name passes to the next one; the window of a past day, week or month is over
    before that.
    """

    first: date
    periods: frozenset[Period]
    ends_at: float


Windows = Mapping[str, Window]
"""The windows by their values of the label `window`."""


Year = Annotated[int, Meta(ge=1, le=9999)]
MonthOfYear = Annotated[int, Meta(ge=1, le=12)]


class Month(Struct):
    year: Year
    month: MonthOfYear

    @property
    def period(self) -> Period:
        """(year, month)."""
        return self.year, self.month


class Day(Struct):
    year: Year
    month: MonthOfYear
    day: Annotated[int, Meta(ge=1, le=31)]

    def __post_init__(self) -> None:
        """Raises ValueError, which decoding reports with its place, for a day that no calendar has."""
        date(self.year, self.month, self.day)

    @property
    def period(self) -> Period:
        """(year, month, day)."""
        return self.year, self.month, self.day


class MonthPoint(Month):
    count: OrUnknown[Count]


class DayPoint(Day):
    count: OrUnknown[Count]


class WeekPoint(Struct):
    year: Year
    week: Annotated[int, Meta(ge=1, le=53)]
    count: OrUnknown[Count]

    @property
    def period(self) -> Period:
        """(year, week), with whichever year the platform puts beside a week."""
        return self.year, self.week


def statistics_params(stats_type: str, org_domain: str | None, now: datetime) -> dict[str, str]:
    """Return the query for everything from the first day of the previous month until now."""
    return range_params(stats_type, org_domain, midnight(first_of_last_month(now)), now)


def range_params(stats_type: str, org_domain: str | None, start: datetime, end: datetime) -> dict[str, str]:
    """Return the query for everything from `start` until `end`, both aware UTC."""
    params = {"stats_type": stats_type, "start": date_time(start), "end": date_time(end)}
    return params if org_domain is None else {**params, "org_domain": org_domain}


async def read_statistics(client: Client, of: type[T], params: dict[str, str]) -> T:
    """GET and decode. The remedy of a 400 is about `org_domain`, the one part of the query that is configured."""
    try:
        return await client.get_as(of, ENDPOINT, params=params)
    except BadRequestError as error:
        error.remedy = (
            "check org_domain: nothing else in this request is configured"
            if "org_domain" in params
            else "set org_domain: the environment may serve several organisations, and nothing else can be configured"
        )
        raise


def date_time(moment: datetime) -> str:
    """Write an aware UTC time as VIKTOR documents it: YYYY-MM-DDThh:mm:ss.sZ."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 100_000}Z"


def midnight(day: date) -> datetime:
    """Return 00:00 UTC at the start of the day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def day_windows(now: datetime) -> Windows:
    """Return the windows of one day."""
    today, ends_at = now.date(), midnight(now + timedelta(days=1)).timestamp()
    yesterday = today - timedelta(days=1)
    return {
        "today": Window(today, frozenset({(today.year, today.month, today.day)}), ends_at),
        "yesterday": Window(yesterday, frozenset({(yesterday.year, yesterday.month, yesterday.day)}), ends_at),
    }


def week_windows(now: datetime) -> Windows:
    """Return the windows of one ISO week, Monday to Sunday."""
    this_week = now.date() - timedelta(days=now.weekday())
    last_week, ends_at = this_week - timedelta(days=7), midnight(this_week + timedelta(days=7)).timestamp()
    return {
        "this_week": Window(this_week, _week_periods(this_week), ends_at),
        "last_week": Window(last_week, _week_periods(last_week), ends_at),
    }


def month_windows(now: datetime) -> Windows:
    """Return the windows of one calendar month."""
    this_month, last_month = now.date().replace(day=1), first_of_last_month(now)
    ends_at = midnight((this_month + timedelta(days=31)).replace(day=1)).timestamp()
    return {
        "this_month": Window(this_month, frozenset({(this_month.year, this_month.month)}), ends_at),
        "last_month": Window(last_month, frozenset({(last_month.year, last_month.month)}), ends_at),
    }


def _week_periods(monday: date) -> frozenset[Period]:
    """Return the week's number with each year that has days of it.

    At the turn of the year the platform may put the ISO year beside the number, or cut the week in two by calendar
    year. The two names cannot mean different weeks: they are a year apart and the range is two months at most.
    """
    week = monday.isocalendar().week
    sunday = monday + timedelta(days=6)
    return frozenset({(monday.year, week), (sunday.year, week)})


def first_of_last_month(now: date) -> date:
    """Return the first day of the month before that of `now`."""
    first_of_month = date(now.year, now.month, 1)
    return (first_of_month - timedelta(days=1)).replace(day=1)


def window_samples(
    family: Family, points: Iterable[DayPoint | WeekPoint | MonthPoint], windows: Windows
) -> Iterator[Sample]:
    """Yield a sample per window whose points are known; a window without any is unknown, not 0."""
    counts = {point.period: point.count for point in points}
    for name, window in windows.items():
        found = [counts[period] for period in window.periods if period in counts]
        known = [count for count in found if count is not UNSET]
        if known and len(known) == len(found):
            yield family.sample(sum(known), window.ends_at, window=name)


def window_start_samples(samples: Iterable[Sample], now: datetime) -> Iterator[Sample]:
    """Yield the start of every window that the samples of a poll at `now` have."""
    served = {
        name
        for sample in samples
        for label, name in zip(sample.family.labels, sample.labels, strict=True)
        if label == "window"
    }
    for name, window in {**day_windows(now), **week_windows(now), **month_windows(now)}.items():
        if name in served:
            yield WINDOW_START.sample(midnight(window.first).timestamp(), window.ends_at, window=name)


def newest_day(days: Iterable[Period], now: datetime) -> Period | None:
    """Return the newest of `days` up to today: days to come may be filled with zeros."""
    return max((day for day in days if day <= (now.year, now.month, now.day)), default=None)


def newest_point_samples(scope: str, days: Iterable[Period], now: datetime) -> Iterator[Sample]:
    """Yield the time of the newest of `days` up to today, nothing without any."""
    newest = newest_day(days, now)
    if newest is not None:
        year, month, day = newest
        yield NEWEST_POINT.sample(datetime(year, month, day, tzinfo=UTC).timestamp(), scope=scope)
