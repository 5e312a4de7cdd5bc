"""The copy of VIKTOR's API, seen by a plain HTTP client and held against the raw data."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from exporter.demo import viktor
from exporter.demo.engineering import Engineering
from tests.truth.viktor import expected

NOW = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
RANGE = {"start": "2026-10-01T00:00:00Z", "end": "2026-11-20T21:00:00Z"}
LOGINS = {
    "start_date": "2026-11-19T00:00:00.0Z",
    "end_date": "2026-11-20T00:00:00.0Z",
    "event_type": "USER.LOGIN",
}
EVERYTHING = {"include_archived": "true", "include_development": "true"}
ORIGIN = "http://viktor.test"


@pytest.fixture(scope="module")
def engineering() -> Engineering:
    return Engineering(7, date(2024, 11, 20))


def client(engineering: Engineering, token: str = viktor.TOKEN, **options: Any) -> httpx.AsyncClient:
    application = viktor.application(engineering, lambda: NOW, **options)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(application),
        base_url=ORIGIN,
        headers={"Authorization": f"Bearer {token}"},
    )


async def get(http: httpx.AsyncClient, path: str, params: Mapping[str, str] | None = None) -> Any:
    response = await http.get(path, params=params)
    assert response.status_code == 200
    return response.json()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Token {viktor.TOKEN}"}])
@pytest.mark.parametrize("path", ["/api/statistics/", "/api/workspaces/", "/api/apps/"])
async def test_no_or_wrong_authentication_is_a_401(
    engineering: Engineering, path: str, headers: dict[str, str]
) -> None:
    transport = httpx.ASGITransport(viktor.application(engineering, lambda: NOW))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        response = await http.get(path, headers=headers)

    assert response.status_code == 401
    assert set(response.json()) == {"detail"}


@pytest.mark.parametrize("path", ["/api/statistics/", "/api/statistics/details/audit_events/"])
async def test_a_member_is_refused_the_statistics(engineering: Engineering, path: str) -> None:
    async with client(engineering, viktor.MEMBER_TOKEN) as http:
        response = await http.get(path)

    assert response.status_code == 403
    assert set(response.json()) == {"detail"}


async def test_an_unknown_path_is_a_404_in_json(engineering: Engineering) -> None:
    async with client(engineering) as http:
        response = await http.get("/api/workspaces/999999/statistics/")

    assert response.status_code == 404
    assert set(response.json()) == {"detail"}


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/api/statistics/", {}, "stats_type"),
        ("/api/statistics/", {"stats_type": "apps", **RANGE}, "stats_type"),
        ("/api/statistics/", {"stats_type": "users", "end": RANGE["end"]}, "start"),
        ("/api/statistics/", {"stats_type": "users", **RANGE, "start": "yesterday"}, "start"),
        (
            "/api/statistics/",
            {"stats_type": "users", "start": RANGE["end"], "end": RANGE["start"]},
            "non_field_errors",
        ),
        ("/api/statistics/", {"stats_type": "users", **RANGE, "org_domain": "tunnels"}, "org_domain"),
        ("/api/statistics/details/audit_events/", {**LOGINS, "event_type": ""}, "event_type"),
        ("/api/statistics/details/audit_events/", {**LOGINS, "event_type": "USER.SNEEZE"}, "event_type"),
        ("/api/workspaces/", {"limit": "many"}, "limit"),
    ],
)
async def test_a_bad_query_is_a_400_that_names_the_field(
    engineering: Engineering, path: str, params: dict[str, str], field: str
) -> None:
    async with client(engineering) as http:
        response = await http.get(path, params=params)

    assert response.status_code == 400
    assert list(response.json()) == [field]
    assert isinstance(response.json()[field][0], str)


@pytest.mark.parametrize("scope", ["users", "developers", "workspaces"])
async def test_only_the_asked_scope_is_returned(engineering: Engineering, scope: str) -> None:
    async with client(engineering) as http:
        reply = await get(http, "/api/statistics/", {"stats_type": scope, **RANGE, "org_domain": "bridges"})

    assert list(reply) == [scope]


@pytest.mark.parametrize("kind", ["users", "developers"])
async def test_statistics_of_people_agree_with_the_raw_data(engineering: Engineering, kind: str) -> None:
    async with client(engineering) as http:
        scope = (await get(http, "/api/statistics/", {"stats_type": kind, **RANGE}))[kind]
    daily = scope[f"daily_active_{kind}"]

    def count(rows: list[dict[str, int]], **period: int) -> float:
        [row] = [row for row in rows if period.items() <= row.items()]
        return row["count"]

    truth = expected(engineering, NOW)
    today = {"year": 2026, "month": 11, "day": 20}
    yesterday = {**today, "day": 19}
    windows = {
        "today": count(daily["per_day"], **today),
        "yesterday": count(daily["per_day"], **yesterday),
        "this_week": count(daily["per_week"], year=2026, week=47),
        "last_week": count(daily["per_week"], year=2026, week=46),
        "this_month": count(daily["per_month"], year=2026, month=11),
        "last_month": count(daily["per_month"], year=2026, month=10),
    }
    assert count(scope[f"total_{kind}"], **today) == truth[f"viktor_{kind}", ()]
    for window, value in windows.items():
        assert value == truth[f"viktor_daily_active_{kind}", (("window", window),)]
    for window, month in (("this_month", 11), ("last_month", 10)):
        active = count(scope[f"monthly_active_{kind}"], year=2026, month=month)
        assert active == truth[f"viktor_monthly_active_{kind}", (("window", window),)]


async def test_statistics_of_workspaces_agree_with_the_raw_data(engineering: Engineering) -> None:
    async with client(engineering) as http:
        scope = (await get(http, "/api/statistics/", {"stats_type": "workspaces", **RANGE}))["workspaces"]
    truth = expected(engineering, NOW, types=("PROJECT", "PUBLIC", "TEST", "DEVELOPMENT"))

    def series(name: str, window: str | None = None) -> dict[str, float]:
        """By workspace id."""
        found = {key: dict(labels) for key in truth if key[0] == name for labels in [key[1]]}
        return {labels["workspace"]: truth[key] for key, labels in found.items() if labels.get("window") == window}

    def row(rows: list[dict[str, int]], **period: int) -> dict[str, float]:
        [found] = [row for row in rows if period.items() <= row.items()]
        return {key: value for key, value in found.items() if key.isdigit()}

    today = {"year": 2026, "month": 11, "day": 20}
    assert row(scope["total_users"], **today) == series("viktor_workspace_users")
    for window, month in (("this_month", 11), ("last_month", 10)):
        period = {"year": 2026, "month": month}
        monthly, daily = scope["monthly_active_users"], scope["daily_active_users"]["per_month"]
        assert row(monthly, **period) == series("viktor_workspace_monthly_active_users", window)
        assert row(daily, **period) == series("viktor_workspace_daily_active_users", window)


async def test_rows_come_in_no_order(engineering: Engineering) -> None:
    async with client(engineering) as http:
        scope = (await get(http, "/api/statistics/", {"stats_type": "users", **RANGE}))["users"]
    days = [(row["year"], row["month"], row["day"]) for row in scope["total_users"]]

    assert days != sorted(days)
    assert len(days) == len(set(days)) == 51


async def test_a_range_into_the_future_ends_now(engineering: Engineering) -> None:
    async with client(engineering) as http:
        now = await get(http, "/api/statistics/", {"stats_type": "users", **RANGE})
        later = {"stats_type": "users", **RANGE, "end": "2027-01-01T00:00:00Z"}
        assert await get(http, "/api/statistics/", later) == now


async def test_following_next_reads_every_workspace_once(engineering: Engineering) -> None:
    """`next` is an absolute URL on the server's own origin that keeps the query, and null at the end."""
    async with client(engineering, maximum_limit=7) as http:
        page = await get(http, "/api/workspaces/", {**EVERYTHING, "limit": "100"})
        ids = [row["id"] for row in page["results"]]
        while page["next"] is not None:
            assert page["next"].startswith(f"{ORIGIN}/api/workspaces/?")
            page = await get(http, page["next"])
            ids += [row["id"] for row in page["results"]]

    everything = {workspace.id for workspace in engineering.workspaces(NOW)}
    assert set(ids) == everything
    assert len(ids) == len(everything) == page["count"]
    assert page["previous"] is not None


async def test_archived_and_development_workspaces_come_on_request_of_an_administrator(
    engineering: Engineering,
) -> None:
    async with client(engineering) as http:
        default = (await get(http, "/api/workspaces/", {"limit": "100"}))["results"]
        everything = (await get(http, "/api/workspaces/", {**EVERYTHING, "limit": "100"}))["results"]
    async with client(engineering, viktor.MEMBER_TOKEN) as http:
        members = (await get(http, "/api/workspaces/", {**EVERYTHING, "limit": "100"}))["results"]

    assert not any(row["is_archived"] or row["type"] == "DEVELOPMENT" for row in default)
    assert any(row["is_archived"] for row in everything)
    assert any(row["type"] == "DEVELOPMENT" for row in everything)
    assert members == default


async def test_apps_tell_whether_they_are_published_and_archived(engineering: Engineering) -> None:
    async with client(engineering) as http:
        default = (await get(http, "/api/apps/", {"limit": "100"}))["results"]
        rows = (await get(http, "/api/apps/", {"limit": "100", "include_archived": "true"}))["results"]

    assert not any(row["is_archived"] for row in default)
    kinds = [(row["latest_published_app_version"] is not None, row["is_archived"]) for row in rows]
    for (published, archived), number in {kind: kinds.count(kind) for kind in kinds}.items():
        labels = (("archived", str(archived).lower()), ("published", str(published).lower()))
        assert number == expected(engineering, NOW)["viktor_apps", labels]


async def test_the_audit_log_counts_the_events_of_a_type(engineering: Engineering) -> None:
    async with client(engineering) as http:
        reply = await get(http, "/api/statistics/details/audit_events/", {**LOGINS, "limit": "1"})

    labels = (("event_type", "USER.LOGIN"), ("window", "yesterday"))
    assert reply["count"] == expected(engineering, NOW)["viktor_audit_events", labels]
    assert len(reply["results"]) == 1
    assert "@example.org" in reply["results"][0]["user"]["email"]


async def test_the_older_documentation_nests_the_results(engineering: Engineering) -> None:
    async with client(engineering) as http:
        flat = await get(http, "/api/workspaces/")
    async with client(engineering, nested_results=True) as http:
        assert await get(http, "/api/workspaces/") == {"results": flat}


async def test_the_schema_types_the_members_of_the_workspaces_as_objects(engineering: Engineering) -> None:
    """As one object a member is its newest row."""
    async with client(engineering, members_as_object=True) as http:
        scope = (await get(http, "/api/statistics/", {"stats_type": "workspaces", **RANGE}))["workspaces"]

    today = (NOW - timedelta(hours=21)).date()
    assert (scope["total_users"]["month"], scope["total_users"]["day"]) == (today.month, today.day)
    assert scope["monthly_active_users"]["month"] == today.month
    assert isinstance(scope["daily_active_users"]["per_month"], list)
