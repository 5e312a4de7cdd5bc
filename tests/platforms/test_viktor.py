"""VIKTOR: every collector against a fake environment, and every departure from its reference that is accepted."""

from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from exporter.app import Exporter
from exporter.collection import Result
from exporter.config import Config, Target
from exporter.errors import ForbiddenError, IncompleteError, InvalidResponseError, State, UnauthorizedError
from exporter.exposition import Format
from exporter.metrics import Sample
from exporter.platforms.viktor import PLATFORM
from exporter.platforms.viktor.people import USERS, DailyActive, UsersReply, people_samples
from exporter.platforms.viktor.statistics import (
    WINDOW_START,
    DayPoint,
    MonthPoint,
    WeekPoint,
    day_windows,
    midnight,
    month_windows,
    week_windows,
)
from exporter.snapshot import Entry, Key, Snapshot
from exporter.storage import Storage
from tests.fakes import record
from tests.page import series

from .conftest import exposition_lines
from .viktor_environment import (
    COLLECTORS,
    EVENT_TYPES,
    FIXTURES,
    NOW,
    STATISTICS,
    ClientFor,
    Collect,
    Environment,
    changed,
    documented,
    run_collector,
    settings,
    values,
)

AUDIT_EVENTS = "/api/statistics/details/audit_events/"


@pytest.fixture
def collect(client_for: ClientFor) -> Collect:
    return partial(run_collector, client_for)


async def test_every_collector_gives_the_golden_lines_of_the_documented_environment(
    collect: Collect, golden: Any
) -> None:
    """The start of a window stands once, though every collector with numbers of the window has it."""
    samples = [sample for name in COLLECTORS for sample in await collect(name, Environment())]

    golden(FIXTURES / "expected.prom", dict.fromkeys(samples))


async def test_samples_are_distinct_and_of_the_families_that_the_collector_declares(collect: Collect) -> None:
    for name, collector in COLLECTORS.items():
        samples = await collect(name, Environment())

        assert {sample.family for sample in samples} == set(collector.families)
        assert len({(sample.family.name, sample.labels) for sample in samples}) == len(samples)


async def test_nobody_is_in_any_sample(collect: Collect) -> None:
    """Owners, maintainers and the rows of audit events name people; development workspaces are named after them."""
    lines = exposition_lines([sample for name in COLLECTORS for sample in await collect(name, Environment())])

    for personal in ("Ada", "Ben", "Castro", "Cleo", "Diaz", "@example.org"):
        assert any(personal in path.read_text(encoding="utf-8") for path in FIXTURES.glob("*.json"))
        assert personal not in lines


async def test_requests_carry_the_token_and_keep_the_slash(collect: Collect) -> None:
    environment = Environment()
    for name in COLLECTORS:
        await collect(name, environment)

    for request in environment.requests:
        assert request.method == "GET"
        assert request.headers["authorization"] == "Bearer vktrpat_1"
        assert request.url.path.endswith("/")


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        (NOW, "2026-02-01T00:00:00.0Z", "2026-03-11T10:30:15.6Z"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2025-12-01T00:00:00.0Z", "2026-01-01T00:00:00.0Z"),
        (datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC), "2026-02-01T00:00:00.0Z", "2026-03-31T23:59:59.9Z"),
    ],
)
async def test_the_range_is_from_the_first_of_the_previous_month_until_now(
    now: datetime, start: str, end: str, collect: Collect
) -> None:
    for scope in ("users", "developers", "workspaces"):
        environment = Environment()
        await collect(scope, environment, now=now)

        assert dict(environment.requests[0].url.params) == {"stats_type": scope, "start": start, "end": end}


async def test_the_organisation_is_named_only_when_configured(collect: Collect) -> None:
    """The parameter is absent in an older copy of the reference and must not be empty."""
    for scope in ("users", "developers", "workspaces"):
        environment = Environment()
        await collect(scope, environment, org_domain="bridges")

        assert environment.requests[0].url.params["org_domain"] == "bridges"


def test_a_token_is_needed_and_only_one() -> None:
    assert [key for key, _ in settings(token=None).problems()] == ["token"]
    assert [key for key, _ in settings(token_file="bridges.token").problems()] == ["token_file"]
    assert list(settings().problems()) == []


@pytest.mark.parametrize("audit_events", [True, {"interval": "6h"}, {"event_types": []}])
def test_audit_events_need_event_types(audit_events: object) -> None:
    target = settings(collectors={"audit_events": audit_events})

    assert [key for key, _ in target.problems()] == ["collectors.audit_events"]


@pytest.mark.parametrize("audit_events", [False, {"event_types": ["EDITOR.COMPUTE"]}])
def test_audit_events_that_are_off_or_have_event_types_are_fine(audit_events: object) -> None:
    assert list(settings(collectors={"audit_events": audit_events}).problems()) == []


@pytest.mark.parametrize(
    "keys",
    [
        {"org_domain": ""},
        {"collectors": {"workspaces": {"types": ["PROJCT"]}}},
        {"collectors": {"audit_events": {"event_types": ["compute"]}}},
        {"collectors": {"audit_events": {"event_types": ["EDITOR.COMPUTE "]}}},
    ],
)
def test_values_that_viktor_cannot_know_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**keys)


def test_apps_and_audit_events_are_opt_in() -> None:
    assert [name for name, collector in COLLECTORS.items() if not collector.enabled] == ["apps", "audit_events"]


@pytest.mark.parametrize("name", COLLECTORS)
async def test_the_plan_counts_the_requests_of_the_environment_that_it_names(name: str, collect: Collect) -> None:
    """500 workspaces and 150 apps."""
    app = {"is_archived": False, "latest_published_app_version": None}
    environment = Environment(
        {
            "workspaces": {"count": 500, "results": [{"id": id, "name": "w"} for id in range(500)]},
            "apps": {"count": 150, "results": [{"id": id, **app} for id in range(150)]},
        }
    )
    await collect(name, environment)

    planned = COLLECTORS[name].planned_requests(settings(collectors=EVENT_TYPES))
    assert planned == Counter(request.url.path for request in environment.requests)


async def test_windows_are_calendar_periods_of_utc(collect: Collect) -> None:
    samples = await collect("users", Environment())

    assert values(samples, "viktor_daily_active_users") == {
        ("today",): 5,
        ("yesterday",): 11,
        ("this_week",): 28,
        ("last_week",): 47,
        ("this_month",): 83,
        ("last_month",): 203,
    }
    assert values(samples, "viktor_monthly_active_users") == {("this_month",): 22, ("last_month",): 40}


def ends(samples: list[Sample]) -> dict[str, set[float]]:
    """When the samples of every window end."""
    found: dict[str, set[float]] = {}
    for sample in samples:
        if "window" in sample.family.labels:
            window = sample.labels[sample.family.labels.index("window")]
            found.setdefault(window, set()).add(sample.ends_at)
        else:
            assert sample.ends_at == inf
    return found


async def test_a_window_ends_where_its_name_passes_to_the_next_one(collect: Collect) -> None:
    """The day at midnight, the week on Monday, the month on its first; nothing else ends."""
    midnight, monday = datetime(2026, 3, 12, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC)
    april = datetime(2026, 4, 1, tzinfo=UTC).timestamp()
    of_day, of_week, of_month = {midnight.timestamp()}, {monday.timestamp()}, {april}
    everything = [sample for name in COLLECTORS for sample in await collect(name, Environment())]

    assert ends(everything) == {
        "today": of_day,
        "yesterday": of_day,
        "this_week": of_week,
        "last_week": of_week,
        "this_month": of_month,
        "last_month": of_month,
    }


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS)
def test_until_its_end_and_not_longer_a_window_means_the_same(now: datetime) -> None:
    for windows in (day_windows, week_windows, month_windows):
        for name, window in windows(now).items():
            end = datetime.fromtimestamp(window.ends_at, UTC)
            assert now < end
            assert windows(end - timedelta(microseconds=1))[name] == window
            assert windows(end)[name].first > window.first
            assert midnight(window.first) <= now


def month_points(*counts: int) -> list[dict[str, int]]:
    """Points of January, February and so on."""
    return [{"year": 2026, "month": number, "count": count} for number, count in enumerate(counts, 1)]


async def test_january_is_not_the_last_month_of_march_though_the_platform_is_down(
    collect: Collect, tmp_path: Path
) -> None:
    """The last poll is at 23:45 of 28 February; the truth of 1 March is 50, which nobody can know yet."""
    reply = changed("statistics_users", "users.monthly_active_users", month_points(40, 50))
    environment = Environment({"statistics_users": reply})
    now = datetime(2026, 2, 28, 23, 45, tzinfo=UTC)
    key = Key("bridges", "users")
    config = Config((Target(settings(), PLATFORM),))

    def clock() -> float:
        return now.timestamp()

    def last_month(exporter: Exporter) -> dict[str, float]:
        page = series(b"".join(exporter.page(Format.TEXT)).decode(), target="bridges")
        return {name: value for (name, labels), value in page.items() if ("window", "last_month") in labels}

    with closing(Storage(tmp_path)) as storage:
        exporter = Exporter(config, clock, storage)
        polled = tuple(await collect("users", environment, now=now))
        await record(exporter, key, Result(State.OK, now.timestamp(), 1.0, polled))
        assert last_month(exporter)["viktor_monthly_active_users"] == 40
        now = datetime(2026, 2, 28, 23, 59, 59, 999_000, tzinfo=UTC)
        assert last_month(exporter)["viktor_window_start_timestamp_seconds"] == midnight(date(2026, 1, 1)).timestamp()
        now = datetime(2026, 3, 1, tzinfo=UTC)
        assert last_month(exporter) == {}
        await record(exporter, key, Result(State.UNREACHABLE, now.timestamp(), 1.0, error="down", remedy="wait"))
        assert last_month(exporter) == {}

    with closing(Storage(tmp_path)) as storage:
        exporter = Exporter(config, clock, storage)
        assert last_month(exporter) == {}
        now = datetime(2026, 3, 2, 9, tzinfo=UTC)
        polled = tuple(await collect("users", environment, now=now))
        await record(exporter, key, Result(State.OK, now.timestamp(), 1.0, polled))
        told = last_month(exporter)
        assert told["viktor_monthly_active_users"] == 50
        assert told["viktor_window_start_timestamp_seconds"] == midnight(date(2026, 2, 1)).timestamp()


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=70)))
def test_what_is_shown_of_a_window_is_of_the_window_of_that_moment(polled_at: datetime, later: timedelta) -> None:
    """However long ago the poll was, and whatever became of the polls since."""
    scrape_at = polled_at + later
    reply = msgspec.convert(documented("statistics_users"), UsersReply).users
    days = [DayPoint(polled_at.year, polled_at.month, polled_at.day, 5)]
    weeks = [WeekPoint(*(polled_at - timedelta(days=7)).isocalendar()[:2], 7)]
    months = [MonthPoint(polled_at.year, polled_at.month, 30)]
    statistics = msgspec.structs.replace(reply, daily_active=DailyActive(days, weeks, months), monthly_active=[])
    key = Key("bridges", "users")
    snapshot = Snapshot([Entry(key, "viktor", 1800.0, 1e9, 100)])
    samples = tuple(people_samples(USERS, statistics, polled_at))
    snapshot.publish(key, Result(State.OK, polled_at.timestamp(), 0.0, samples))
    snapshot.expire(scrape_at.timestamp())

    published = snapshot[key].published
    assert published
    shown = {sample.labels[0]: sample.value for sample in published.exposed.get(WINDOW_START, ())}
    now = {**day_windows(scrape_at), **week_windows(scrape_at), **month_windows(scrape_at)}
    then = {**day_windows(polled_at), **week_windows(polled_at), **month_windows(polled_at)}
    assert shown == {
        name: midnight(now[name].first).timestamp()
        for name in ("today", "last_week", "this_month")
        if now[name].first == then[name].first
    }
    daily = {sample.labels[0] for sample in published.exposed.get(USERS.daily_active, ())}
    assert daily == shown.keys()


async def test_the_start_of_every_window_with_numbers_is_exposed(collect: Collect) -> None:
    first_days = {
        "today": date(2026, 3, 11),
        "yesterday": date(2026, 3, 10),
        "this_week": date(2026, 3, 9),
        "last_week": date(2026, 3, 2),
        "this_month": date(2026, 3, 1),
        "last_month": date(2026, 2, 1),
    }
    for collector, windows in {
        "users": list(first_days),
        "developers": ["last_week", "this_month"],
        "workspaces": ["this_month", "last_month"],
        "audit_events": ["yesterday"],
        "apps": [],
    }.items():
        samples = await collect(collector, Environment(), collectors=EVENT_TYPES)

        starts = values(samples, "viktor_window_start_timestamp_seconds")
        assert starts == {(window,): midnight(first_days[window]).timestamp() for window in windows}, collector


async def test_days_to_come_are_not_the_newest(collect: Collect) -> None:
    """A reply may be filled with zeros until the end of the month."""
    to_come = [{"year": 2026, "month": 3, "day": day, "count": 0} for day in range(12, 32)]
    of_users = changed("statistics_users", "users.daily_active_users.per_day", [*to_come])
    of_users["users"]["total_users"] += to_come
    rows = [{"year": 2026, "month": 3, "day": day, "12": 0, "57": 0} for day in range(12, 32)]
    of_workspaces = documented("statistics_workspaces")
    users = values(await collect("workspaces", Environment()), "viktor_workspace_users")
    of_workspaces["workspaces"]["total_users"] += rows
    environment = Environment({"statistics_users": of_users, "statistics_workspaces": of_workspaces})
    newest = "viktor_statistics_newest_point_timestamp_seconds"

    samples = await collect("users", environment)
    assert values(samples, "viktor_users") == {(): 65}
    assert values(samples, newest) == {("users",): datetime(2026, 3, 10, tzinfo=UTC).timestamp()}
    samples = await collect("workspaces", environment)
    assert values(samples, "viktor_workspace_users") == users
    assert values(samples, newest) == {("workspaces",): datetime(2026, 3, 10, tzinfo=UTC).timestamp()}


async def test_a_window_without_a_point_is_absent(collect: Collect) -> None:
    """Whether a quiet day is a 0 or no point is not documented."""
    samples = await collect("developers", Environment())

    assert set(values(samples, "viktor_daily_active_developers")) == {("last_week",), ("this_month",)}
    assert set(values(samples, "viktor_monthly_active_developers")) == {("this_month",)}


async def test_the_total_is_the_newest_point_wherever_it_stands(collect: Collect) -> None:
    samples = await collect("users", Environment())

    assert values(samples, "viktor_users") == {(): 65}


async def test_the_newest_day_of_all_points_is_exposed(collect: Collect) -> None:
    """The total's newest point is of 10 March, the daily activity's of 11 March."""
    for scope, newest in {
        "users": datetime(2026, 3, 11, tzinfo=UTC),
        "developers": datetime(2026, 3, 10, tzinfo=UTC),
        "workspaces": datetime(2026, 3, 10, tzinfo=UTC),
    }.items():
        samples = await collect(scope, Environment())

        family = "viktor_statistics_newest_point_timestamp_seconds"
        assert values(samples, family) == {(scope,): newest.timestamp()}


EMPTY: dict[str, list[object]] = {"per_day": [], "per_week": [], "per_month": []}


async def test_an_empty_organisation_has_no_points_and_no_series_for_them(collect: Collect) -> None:
    environment = Environment(
        {
            "statistics_users": {"users": {"total_users": [], "monthly_active_users": [], "daily_active_users": EMPTY}},
            "statistics_developers": {
                "developers": {
                    "total_developers": [],
                    "monthly_active_developers": [],
                    "daily_active_developers": EMPTY,
                }
            },
            "statistics_workspaces": {
                "workspaces": {"total_users": [], "monthly_active_users": [], "daily_active_users": {"per_month": []}}
            },
            "workspaces": {"count": 0, "next": None, "previous": None, "results": []},
            "apps": {"count": 0, "next": None, "previous": None, "results": []},
        }
    )

    assert await collect("users", environment) == []
    assert await collect("developers", environment) == []
    assert set(values(await collect("workspaces", environment), "viktor_workspaces").values()) == {0}
    assert set(values(await collect("apps", environment), "viktor_apps").values()) == {0}


def week_reply(*points: tuple[int, int, int]) -> dict[str, Any]:
    per_week = [{"year": year, "week": week, "count": count} for year, week, count in points]
    return changed("statistics_users", "users.daily_active_users.per_week", per_week)


@pytest.mark.parametrize(
    ("today", "points", "this_week"),
    [
        pytest.param(date(2025, 12, 30), [(2026, 1, 9), (2025, 52, 5)], 9, id="ISO year in December"),
        pytest.param(date(2025, 12, 30), [(2025, 1, 9), (2025, 52, 5)], 9, id="calendar year in December"),
        pytest.param(date(2026, 1, 2), [(2026, 1, 9), (2025, 52, 5)], 9, id="ISO year in January"),
        pytest.param(date(2026, 1, 2), [(2025, 1, 6), (2026, 1, 3), (2025, 52, 5)], 9, id="cut by calendar year"),
        pytest.param(date(2027, 1, 2), [(2026, 53, 9), (2026, 52, 5)], 9, id="week 53 under its ISO year"),
        pytest.param(date(2027, 1, 2), [(2026, 53, 6), (2027, 53, 3), (2026, 52, 5)], 9, id="week 53 cut"),
        pytest.param(date(2027, 1, 2), [(2026, 52, 5)], None, id="not there"),
    ],
)
async def test_a_week_at_the_turn_of_the_year_is_found_under_either_year(
    today: date, points: list[tuple[int, int, int]], this_week: int | None, collect: Collect
) -> None:
    """The reference does not say whether the year beside a week is the ISO year or the calendar year."""
    now = datetime(today.year, today.month, today.day, 12, tzinfo=UTC)
    samples = await collect("users", Environment({"statistics_users": week_reply(*points)}), now=now)

    weeks = values(samples, "viktor_daily_active_users")
    assert weeks.get(("this_week",)) == this_week
    assert weeks["last_week",] == 5


async def test_on_every_day_of_years_each_window_finds_its_own_week(collect: Collect) -> None:
    """Every ISO week of the range has a point whose count is its Monday's ordinal."""
    for offset in range(0, 800, 3):
        now = datetime(2025, 11, 1, 12, tzinfo=UTC) + timedelta(days=offset)
        mondays = [now.date() - timedelta(days=now.weekday() + 7 * weeks) for weeks in range(9)]
        points = [(*monday.isocalendar()[:2], monday.toordinal()) for monday in mondays]
        samples = await collect("users", Environment({"statistics_users": week_reply(*points)}), now=now)

        weeks = values(samples, "viktor_daily_active_users")
        assert (weeks["this_week",], weeks["last_week",]) == (mondays[0].toordinal(), mondays[1].toordinal())


async def test_only_the_scope_asked_for_is_required(collect: Collect) -> None:
    """The reference marks all three as required and says that one arrives."""
    for scope in ("users", "developers", "workspaces"):
        with pytest.raises(InvalidResponseError, match=f"GET {STATISTICS}: .*`{scope}`"):
            await collect(scope, Environment({f"statistics_{scope}": {"others": {}}}))


async def test_all_scopes_in_one_reply_are_fine(collect: Collect) -> None:
    whole = {**documented("statistics_users"), **documented("statistics_developers"), "workspaces": None}

    samples = await collect("users", Environment({"statistics_users": whole}))
    assert samples == await collect("users", Environment())


@pytest.mark.parametrize("day", [{"month": 2, "day": 30}, {"month": 13, "day": 1}, {"day": 0}, {"year": 0}])
@pytest.mark.parametrize("scope", ["users", "workspaces"])
async def test_a_day_that_no_calendar_has_is_refused(scope: str, day: dict[str, int], collect: Collect) -> None:
    point = {"year": 2026, "month": 3, "day": 10, "count": 1, **day}
    reply = changed(f"statistics_{scope}", f"{scope}.total_users", [point])

    with pytest.raises(InvalidResponseError, match="total_users"):
        await collect(scope, Environment({f"statistics_{scope}": reply}))


async def test_apps_are_counted_over_all_pages_in_all_four_combinations(collect: Collect) -> None:
    environment = Environment(page_size=3)

    assert values(await collect("apps", environment), "viktor_apps") == {
        ("true", "false"): 2,
        ("true", "true"): 0,
        ("false", "false"): 1,
        ("false", "true"): 1,
    }
    assert [request.url.params["include_archived"] for request in environment.requests] == ["true", "true"]


@pytest.mark.parametrize("name", ["workspaces", "apps"])
async def test_a_list_shorter_than_its_count_is_incomplete(name: str, collect: Collect) -> None:
    count = documented(name)["count"]

    with pytest.raises(IncompleteError):
        await collect(name, Environment({name: changed(name, "count", count + 1)}))


@pytest.mark.parametrize("name", ["workspaces", "apps"])
async def test_the_token_does_not_follow_a_link(name: str, collect: Collect) -> None:
    environment = Environment()

    def elsewhere(request: httpx.Request) -> httpx.Response:
        response = environment(request)
        if request.url.path == f"/api/{name}/":
            return httpx.Response(200, json={**response.json(), "next": "https://evil.example.net/?offset=100"})
        return response

    await collect(name, elsewhere)
    assert {request.url.host for request in environment.requests} == {"bridges.example.org"}


async def test_each_event_type_is_asked_once_for_yesterday(collect: Collect) -> None:
    """The count is of all events, so a single row is asked for."""
    environment = Environment()
    twice = {"audit_events": {"event_types": ["USER.LOGIN", "EDITOR.COMPUTE", "USER.LOGIN"]}}
    samples = await collect("audit_events", environment, collectors=twice)

    assert [dict(request.url.params) for request in environment.requests] == [
        {
            "start_date": "2026-03-10T00:00:00.0Z",
            "end_date": "2026-03-11T00:00:00.0Z",
            "event_type": event_type,
            "limit": "1",
        }
        for event_type in ("EDITOR.COMPUTE", "USER.LOGIN")
    ]
    assert values(samples, "viktor_audit_events") == {
        ("EDITOR.COMPUTE", "yesterday"): 17,
        ("USER.LOGIN", "yesterday"): 17,
    }


async def test_each_event_type_has_its_own_count(collect: Collect) -> None:
    counts = {"EDITOR.COMPUTE": 120, "USER.LOGIN": 0}
    samples = await collect(
        "audit_events",
        lambda request: httpx.Response(200, json={"count": counts[request.url.params["event_type"]], "results": []}),
    )

    assert {labels[0]: value for labels, value in values(samples, "viktor_audit_events").items()} == counts


async def test_a_token_without_the_right_is_forbidden_and_a_wrong_one_unauthorized(collect: Collect) -> None:
    for name in COLLECTORS:
        with pytest.raises(ForbiddenError):
            await collect(name, lambda _: httpx.Response(403, json={"detail": "no"}))
        with pytest.raises(UnauthorizedError):
            await collect(name, lambda _: httpx.Response(401))


NEEDED = {
    "users": {
        f"statistics_users {STATISTICS}": [
            "users", "users.total_users", "users.monthly_active_users", "users.daily_active_users",
            "users.daily_active_users.per_day", "users.daily_active_users.per_week",
            "users.daily_active_users.per_month", "users.total_users.0.year", "users.total_users.0.day",
            "users.monthly_active_users.0.month", "users.daily_active_users.per_week.0.week",
        ],
    },
    "developers": {
        f"statistics_developers {STATISTICS}": [
            "developers", "developers.total_developers", "developers.monthly_active_developers",
            "developers.daily_active_developers", "developers.total_developers.0.day",
        ],
    },
    "workspaces": {
        f"statistics_workspaces {STATISTICS}": [
            "workspaces", "workspaces.total_users", "workspaces.monthly_active_users", "workspaces.daily_active_users",
            "workspaces.daily_active_users.per_month",
        ],
        "workspaces /api/workspaces/": ["count", "results", "results.0.id"],
    },
    "apps": {
        "apps /api/apps/": [
            "count", "results", "results.0.id", "results.0.is_archived", "results.0.latest_published_app_version",
        ],
    },
    "audit_events": {f"audit_events {AUDIT_EVENTS}": ["count"]},
}  # fmt: skip
"""What each fixture and endpoint must give for its series, by collector."""


@pytest.mark.parametrize("value", [..., 3.5, [True]], ids=["missing", "fraction", "list"])
@pytest.mark.parametrize(
    ("name", "place", "key"),
    [(name, place, key) for name, places in NEEDED.items() for place, keys in places.items() for key in keys],
)
async def test_what_a_series_needs_must_be_there_and_of_its_type(
    name: str, place: str, key: str, value: object, collect: Collect
) -> None:
    """The error names the endpoint and the key; nothing is guessed and nothing becomes 0."""
    fixture, endpoint = place.split(" ")
    last = key.rsplit(".", maxsplit=1)[-1]
    with pytest.raises(InvalidResponseError) as error:
        await collect(name, Environment({fixture: changed(fixture, key, value)}))

    assert f"GET {endpoint}: " in str(error.value)
    assert last in str(error.value)


@pytest.mark.parametrize("value", ["many", True, -1, 2**53 + 1])
async def test_a_count_is_a_whole_number_that_is_not_negative(value: object, collect: Collect) -> None:
    with pytest.raises(InvalidResponseError, match="count") as error:
        await collect("audit_events", Environment({"audit_events": changed("audit_events", "count", value)}))
    assert "many" not in str(error.value)


@pytest.mark.parametrize("value", ["many", True, -1, 2**53 + 1])
async def test_a_window_with_a_count_that_cannot_be_read_is_left_out(value: object, collect: Collect) -> None:
    reply = changed("statistics_users", "users.daily_active_users.per_month.0.count", value)
    odd = await collect("users", Environment({"statistics_users": reply}))
    good = await collect("users", Environment())

    [lost] = {*good} - {*odd}
    assert lost.family.name == "viktor_daily_active_users"
    assert {*odd} < {*good}


@pytest.mark.parametrize("body", ["<html>sign in</html>", "", '{"count":', "[]", "null"])
async def test_a_body_that_is_no_documented_reply_is_refused(body: str, collect: Collect) -> None:
    for name in COLLECTORS:
        with pytest.raises(InvalidResponseError):
            await collect(name, lambda _: httpx.Response(200, text=body))
