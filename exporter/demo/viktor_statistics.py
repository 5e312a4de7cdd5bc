"""The replies of VIKTOR's `/api/statistics/`, counted from the engineering half of the demo organisation.

Inferred, since the document is silent: weeks and their years are those of ISO 8601, in UTC; a day, week or
month without activity is missing and not 0, likewise a workspace in a row; both ends of the range count, so a
week or month that the range cuts is counted in part; monthly active people have opened any workspace, while
daily activity leaves out DEVELOPMENT and PUBLIC workspaces for users and is DEVELOPMENT alone for developers.
The order of the rows is undocumented: here it is a shuffle, always the same one.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from exporter.demo.calendar import random_of
from exporter.demo.engineering import Engineering, Person, Visit, Workspace, is_member

Row = dict[str, int]
Period = tuple[tuple[str, int], ...]


def users_statistics(engineering: Engineering, since: datetime, until: datetime) -> dict[str, Any]:
    """The `users` scope, from `since` until `until` (not in the future)."""
    people = engineering.people(until)
    visits = engineering.visits(since, until)
    daily = {(v.at.date(), v.person.id) for v in visits if v.workspace.type in ("PROJECT", "TEST")}
    return _scope("users", engineering, people, visits, [day for day, _ in daily], since=since, until=until)


def developers_statistics(engineering: Engineering, since: datetime, until: datetime) -> dict[str, Any]:
    """The `developers` scope, from `since` until `until` (not in the future)."""
    people = [person for person in engineering.people(until) if person.is_developer]
    visits = [visit for visit in engineering.visits(since, until) if visit.person.is_developer]
    daily = {(v.at.date(), v.person.id) for v in visits if v.workspace.type == "DEVELOPMENT"}
    return _scope("developers", engineering, people, visits, [day for day, _ in daily], since=since, until=until)


def workspaces_statistics(engineering: Engineering, since: datetime, until: datetime) -> dict[str, Any]:
    """The `workspaces` scope: rows keyed by workspace id instead of a `count`.

    PUBLIC workspaces are in no row since nobody signs in to them, archived ones no longer in `total_users`.
    """
    visits = engineering.visits(since, until)
    active = {(_month(visit.at.date()), visit.workspace.id, visit.person.id) for visit in visits}
    daily = {(visit.at.date(), visit.workspace.id, visit.person.id) for visit in visits}
    members = {
        workspace: [person for person in engineering.people(until) if is_member(person, workspace)]
        for workspace in engineering.workspaces(until)
        if workspace.type != "PUBLIC"
    }
    totals = [
        {**dict(_day(day)), **_members_at(moment, members)} for day, moment in _day_ends(engineering, since, until)
    ]
    return {
        "total_users": _shuffled(engineering, totals),
        "monthly_active_users": _pivot(engineering, [(month, workspace) for month, workspace, _ in active]),
        "daily_active_users": {
            "per_month": _pivot(engineering, [(_month(day), workspace) for day, workspace, _ in daily])
        },
    }


def _scope(
    name: str,
    engineering: Engineering,
    people: Sequence[Person],
    visits: Sequence[Visit],
    daily: list[date],
    *,
    since: datetime,
    until: datetime,
) -> dict[str, Any]:
    """`daily` holds a day once for every person who was active on it."""
    monthly = {(_month(visit.at.date()), visit.person.id): visit.at.date() for visit in visits}
    totals = [
        {**dict(_day(day)), "count": sum(_is_present(person, moment) for person in people)}
        for day, moment in _day_ends(engineering, since, until)
    ]
    return {
        f"total_{name}": _shuffled(engineering, totals),
        f"monthly_active_{name}": _counts(engineering, _month, monthly.values()),
        f"daily_active_{name}": {
            "per_day": _counts(engineering, _day, daily),
            "per_week": _counts(engineering, _week, daily),
            "per_month": _counts(engineering, _month, daily),
        },
    }


def _members_at(moment: datetime, members: dict[Workspace, list[Person]]) -> Row:
    return {
        str(workspace.id): sum(_is_present(person, moment) for person in people)
        for workspace, people in members.items()
        if workspace.created_at <= moment and (workspace.archived_at is None or workspace.archived_at > moment)
    }


def _is_present(person: Person, moment: datetime) -> bool:
    return person.joined_at <= moment and (person.left_at is None or person.left_at > moment)


def _day_ends(engineering: Engineering, since: datetime, until: datetime) -> list[tuple[date, datetime]]:
    """Every day of the range with the moment its totals are of: its end, or `until` on the last one."""
    first = max(since.date(), engineering.start)
    days = [first + timedelta(days=offset) for offset in range((until.date() - first).days + 1)]
    return [(day, min(until, datetime.combine(day, time.max, UTC))) for day in days]


def _counts(engineering: Engineering, period: Callable[[date], Period], days: Iterable[date]) -> list[Row]:
    counted = Counter(map(period, days))
    return _shuffled(engineering, [{**dict(key), "count": number} for key, number in sorted(counted.items())])


def _pivot(engineering: Engineering, cells: list[tuple[Period, int]]) -> list[Row]:
    rows: defaultdict[Period, Row] = defaultdict(dict)
    for (period, workspace_id), number in sorted(Counter(cells).items()):
        rows[period][str(workspace_id)] = number
    return _shuffled(engineering, [{**dict(period), **row} for period, row in rows.items()])


def _shuffled(engineering: Engineering, rows: list[Row]) -> list[Row]:
    return random_of(engineering.seed, "order of rows").sample(rows, k=len(rows))


def _day(day: date) -> Period:
    return (("year", day.year), ("month", day.month), ("day", day.day))


def _month(day: date) -> Period:
    return (("year", day.year), ("month", day.month))


def _week(day: date) -> Period:
    year, week, _ = day.isocalendar()
    return (("year", year), ("week", week))
