"""Replies that no documentation promises, through the real collectors: a state with a message, never a wrong number."""

import asyncio
import copy
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
import structlog.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter import collection
from exporter.collection import Result
from exporter.errors import State
from exporter.platform import Collector, Platform, installed
from exporter.snapshot import arranged
from tests.fakes import NOW_SECONDS, make_client
from tests.small_sites import REPLIES, SETTINGS

PLATFORMS = installed()
V2_ONLY = {"classrooms", "skills", "projects"}


def platform_of(site: str) -> Platform[Any]:
    return PLATFORMS[site.split(maxsplit=1)[0]]


def collectors_of(site: str) -> Iterator[Collector[Any]]:
    for collector in platform_of(site).collectors:
        if site != "learning360 v1" or collector.name not in V2_ONLY:
            yield collector


COLLECTORS = {f"{site}/{collector.name}": (site, collector) for site in REPLIES for collector in collectors_of(site)}


async def poll(site: str, collector: Collector[Any], bodies: Mapping[str, bytes], asked: set[str]) -> Result:
    """Run a collector on the small site, whose replies at some paths have other bodies; `asked` gets the paths."""

    def handler(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        asked.add(path)
        if request.url.params.get("last_id", "0") != "0":
            return httpx.Response(200, json=[])
        body = bodies.get(path)
        if body is None and path not in REPLIES[site]:
            return httpx.Response(404)
        return httpx.Response(200, content=json.dumps(REPLIES[site][path]).encode() if body is None else body)

    client = make_client(handler, platform_of(site).access(SETTINGS[site]))
    return await collection.run(client, collector, SETTINGS[site], lambda: NOW_SECONDS)


def outcome(name: str, bodies: Mapping[str, bytes]) -> Result:
    site, collector = COLLECTORS[name]
    return asyncio.run(poll(site, collector, bodies, set()))


def paths_of(name: str) -> list[str]:
    """Return the paths that the collector asks on the small site."""
    asked: set[str] = set()
    site, collector = COLLECTORS[name]
    asyncio.run(poll(site, collector, {}, asked))
    return sorted(asked)


@pytest.mark.parametrize("name", COLLECTORS)
def test_the_small_site_is_complete(name: str) -> None:
    """Else the tests below would prove nothing: without a broken reply every collector is ok and has samples."""
    result = outcome(name, {})

    assert (result.state, result.error) == (State.OK, "")
    assert result.samples


Path = tuple[str | int, ...]


def with_value(document: Any, path: Path, value: Any) -> Any:
    """Copy a document with another value at a place."""
    if not path:
        return value
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def without(document: Any, path: Path) -> Any:
    """Copy a document without the key at a place."""
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed


OPENAPI = "/openapi/v1"
STATISTICS = f"{OPENAPI}/statistics"
V2 = "/api/v2"

MISSING: list[tuple[str, str, Path, str]] = [
    ("konstantly/statistics", STATISTICS, ("statistics", "usersCount"), "`usersCount` - at `$.statistics`"),
    ("konstantly/statistics", STATISTICS, ("leaders",), "`leaders`"),
    ("konstantly/statistics", STATISTICS, ("usersWithoutActivity",), "`usersWithoutActivity`"),
    ("konstantly/statistics", STATISTICS, ("unassignedCourses", 0, "isDraft"), "`$.unassignedCourses[0]`"),
    ("konstantly/groups", f"{OPENAPI}/groups", ("totalCount",), "`totalCount`"),
    ("konstantly/groups", f"{OPENAPI}/groups/4/statistics", ("usersWithoutResults",), "`usersWithoutResults`"),
    ("konstantly/courses", f"{OPENAPI}/courses/31/assignments/users", ("assignments", 0, "isExpired"), "`isExpired`"),
    ("viktor/users", "/api/statistics/", ("users",), "`users`"),
    ("viktor/users", "/api/statistics/", ("users", "daily_active_users", "per_week"), "`per_week`"),
    ("viktor/workspaces", "/api/statistics/", ("workspaces", "total_users", 0, "day"), "workspaces.total_users"),
    ("viktor/workspaces", "/api/workspaces/", ("count",), "`count`"),
    ("viktor/apps", "/api/apps/", ("results", 0, "latest_published_app_version"), "`latest_published_app_version`"),
    ("viktor/audit_events", "/api/statistics/details/audit_events/", ("count",), "`count`"),
    ("pybossa/stats", "/stats/", ("stats", "n_auth"), "`$.stats.n_auth`"),
    ("pybossa/stats", "/stats/", ("stats",), "`$.stats.n_anon`"),
    ("pybossa/stats", "/stats/", ("top5_users_24_hours",), "`$.top5_users_24_hours`"),
    ("pybossa/globalstats", "/api/globalstats", ("n_results",), "`n_results`"),
    ("pybossa/globalstats", "/api/globalstats", ("categories", 2), "does not end with featured and draft"),
    ("pybossa/queues", "/admin/rq/queues.json", ("queues",), "`$.queues` is missing"),
    ("learning360/users", f"{V2}/users", (0, "status"), "neither `status` nor `deleted`"),
    ("learning360/users", f"{V2}/users", (0, "_id"), "`_id`"),
    ("learning360/users", f"{V2}/oauth2/token", ("access_token",), "no access_token"),
    ("learning360/courses", f"{V2}/courses", (0, "type"), "`type`"),
    ("learning360/groups", f"{V2}/groups", (0, "public"), "`public`"),
    ("learning360/path_stats", f"{V2}/paths/stats", (0, "status", "type"), "`type`"),
    ("learning360 v1/attempts", "/api/v1/courses/stats", (0, "stats"), "`stats`"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "place", "message"), MISSING)
def test_a_key_that_a_series_needs_is_missing(name: str, path: str, place: Path, message: str) -> None:
    site, _ = COLLECTORS[name]
    result = outcome(name, {path: json.dumps(without(REPLIES[site][path], place)).encode()})

    assert (result.state, result.samples) == (State.INVALID_RESPONSE, ())
    assert message in result.error


ILL: list[tuple[str, str, Path, Any, str]] = [
    ("konstantly/statistics", STATISTICS, ("statistics", "usersCount"), "19", "Expected `int`, got `str`"),
    ("konstantly/statistics", STATISTICS, ("statistics", "usersCount"), None, "got `null`"),
    ("konstantly/statistics", STATISTICS, ("statistics", "usersCount"), -1, "Expected `int` >= 0"),
    ("konstantly/statistics", STATISTICS, ("statistics", "usersCount"), 1.5, "got `float`"),
    ("konstantly/statistics", STATISTICS, ("statistics", "usersCount"), True, "got `bool`"),
    ("konstantly/statistics", STATISTICS, ("statistics", "usersCount"), 10**30, "`$.statistics.usersCount`"),
    ("konstantly/statistics", STATISTICS, ("leaders",), {}, "Expected `array`, got `object`"),
    ("konstantly/statistics", STATISTICS, ("usersWithoutResults",), [7], "`$.usersWithoutResults[0]`"),
    ("konstantly/users", f"{OPENAPI}/users", ("users", 0, "isBanned"), "no", "Expected `bool`, got `str`"),
    ("viktor/users", "/api/statistics/", ("users", "total_users"), {}, "Expected `array`, got `object`"),
    ("viktor/users", "/api/statistics/", ("users", "total_users", 0, "month"), 13, "month"),
    ("viktor/users", "/api/statistics/", ("users", "total_users", 0, "day"), 31 + 1, "day"),
    ("viktor/users", "/api/statistics/", ("users", "total_users", 0, "year"), 10**12, "year"),
    ("viktor/workspaces", "/api/statistics/", ("workspaces", "total_users", 0, "year"), 10**12, "year"),
    ("viktor/workspaces", "/api/workspaces/", ("results", 0, "id"), "12", "Expected `int`, got `str`"),
    ("viktor/apps", "/api/apps/", ("results",), None, "`$.results`"),
    ("pybossa/stats", "/stats/", ("stats", "n_tasks"), "90", "Expected `int | null`, got `str`"),
    ("pybossa/stats", "/stats/", ("locs",), "nonsense", "`$.locs`"),
    ("pybossa/stats", "/stats/", ("locs",), "[" * 100_000, "`$.locs`"),
    ("pybossa/stats", "/stats/", ("top5_projects_24_hours", 0, "short_name"), None, "short_name"),
    ("pybossa/globalstats", "/api/globalstats", ("categories",), [], "does not end with featured and draft"),
    ("pybossa/globalstats", "/api/globalstats", ("n_pending_tasks",), 10**400, "/api/globalstats"),
    ("learning360/users", f"{V2}/users", (), {"users": []}, "Expected `array`, got `object`"),
    ("learning360/users", f"{V2}/oauth2/token", ("expires_in",), "soon", "expires_in"),
    ("learning360/projects", f"{V2}/projects", (0, "completed"), "false", "Expected `bool`, got `str`"),
    ("learning360 v1/users", "/api/v1/users", (), {"error": "companyNotFound"}, "Expected `array`, got `object`"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "place", "value", "message"), ILL)
def test_a_value_that_a_series_needs_is_of_another_kind(
    name: str, path: str, place: Path, value: Any, message: str
) -> None:
    site, _ = COLLECTORS[name]
    result = outcome(name, {path: json.dumps(with_value(REPLIES[site][path], place, value)).encode()})

    assert (result.state, result.samples) == (State.INVALID_RESPONSE, ())
    assert message in result.error


STATS = f"{V2}/courses/stats"
SESSIONS, ENROLLMENTS = f"{V2}/paths/sessions", f"{V2}/paths/stats"
V1_STATS = ("learning360 v1/attempts", "/api/v1/courses/stats", (0, "stats", 0, "attempts", 0))
YEAR_20226 = "+020226-01-01T00:00:00.000Z"

GROUPS, ACCOUNTS, COURSES = f"{OPENAPI}/groups", f"{OPENAPI}/users", f"{OPENAPI}/courses"
ASSIGNMENTS = f"{COURSES}/31/assignments/users"

ROWS = "/api/projectstats"
RUNS = "project_task_runs project_task_run_seconds project_last_activity_timestamp_seconds"

DAILY = ("users", "daily_active_users")
NO_DAYS = "daily_active_users window_start_timestamp_seconds"

ODD: list[tuple[str, str, Path, Any, str]] = [
    ("viktor/users", "/api/statistics/", ("users", "total_users", 0, "count"), "65", "users"),
    ("viktor/users", "/api/statistics/", (*DAILY, "per_day", 0, "count"), -1, NO_DAYS),
    ("viktor/users", "/api/statistics/", (*DAILY, "per_month", 0, "count"), None, "daily_active_users"),
    ("viktor/developers", "/api/statistics/", ("developers", "total_developers", 0, "count"), 2.5, "developers"),
    ("viktor/workspaces", "/api/workspaces/", ("results", 0, "name"), None, "workspace_info"),
    ("viktor/workspaces", "/api/workspaces/", ("results", 0, "visibility"), 7, "workspace_info"),
    ("pybossa/stats", "/stats/", ("top5_projects_24_hours", 0, "n_answers"), -1, "top_project_task_runs"),
    ("pybossa/stats", "/stats/", ("top5_users_24_hours", 0, "n_answers"), None, "top_user_task_runs"),
    ("pybossa/queues", "/admin/rq/queues.json", ("queues", 0, "count"), "2", "queue_jobs"),
    ("pybossa/projects", "/api/category", (0, "short_name"), None, "project_info"),
    ("pybossa/projects", "/api/project", (0, "name"), None, "project_info"),
    ("pybossa/projects", "/api/project", (0, "short_name"), 7, "project_info"),
    ("pybossa/projects", "/api/project", (0, "category_id"), "1", "project_info"),
    ("pybossa/projects", ROWS, (0, "n_volunteers"), None, "project_volunteers"),
    ("pybossa/projects", ROWS, (0, "n_tasks"), -1, "project_tasks"),
    ("pybossa/projects", ROWS, (0, "n_task_runs"), None, RUNS),
    ("pybossa/projects", ROWS, (0, "overall_progress"), 105, "project_progress_ratio"),
    ("pybossa/projects", ROWS, (0, "average_time"), -1, "project_task_run_seconds"),
    ("pybossa/projects", ROWS, (0, "last_activity"), "yesterday", "project_last_activity_timestamp_seconds"),
    ("pybossa/projects", ROWS, (0, "last_activity"), "2026-02-30T00:00:00", "project_last_activity_timestamp_seconds"),
    ("pybossa/projects", ROWS, (0, "last_activity"), 7, "project_last_activity_timestamp_seconds"),
    ("konstantly/statistics", STATISTICS, ("leaders", 0, "resultValue"), 105, "leader_result_ratio"),
    ("konstantly/statistics", STATISTICS, ("leaders", 0, "coursesCount"), None, "leader_completed_courses"),
    ("konstantly/groups", GROUPS, ("groups", 0, "name"), None, "group_info"),
    ("konstantly/groups", GROUPS, ("groups", 0, "parentId"), {}, ""),
    ("konstantly/groups", GROUPS, ("groups", 0, "usersCount"), -1, "group_users"),
    ("konstantly/groups", GROUPS, ("groups", 0, "coursesCount"), "1", "group_courses"),
    ("konstantly/users", ACCOUNTS, ("users", 0, "role"), None, "user_accounts"),
    ("konstantly/users", ACCOUNTS, ("users", 0, "role"), {"alias": None}, "user_accounts"),
    ("konstantly/courses", COURSES, ("courses", 0, "name"), None, "course_info"),
    ("konstantly/courses", ASSIGNMENTS, ("assignments", 0, "progressValue"), 105, "course_progress_ratio"),
    ("konstantly/courses", ASSIGNMENTS, ("assignments", 0, "resultValue"), None, "course_result_ratio"),
    ("learning360/users", f"{V2}/users", (0, "lastLoginDate"), YEAR_20226, "users_logged_in"),
    ("learning360/users", f"{V2}/users", (0, "lastLoginDate"), "0000-01-01T00:00:00Z", "users_logged_in"),
    ("learning360/users", f"{V2}/users", (0, "lastLoginDate"), "2027-01-14T10:00:00", "users_logged_in"),
    ("learning360/attempts", f"{V2}/courses", (0, "name"), None, "course_info"),
    ("learning360/attempts", f"{V2}/courses", (0, "name"), 7, "course_info"),
    ("learning360/attempts", STATS, (0, "score"), 105, "course_attempts_scored course_score_ratio"),
    ("learning360/attempts", STATS, (0, "timeSpent"), -5, "course_time_spent_seconds"),
    ("learning360/attempts", STATS, (0, "firstActivityAt"), "2027-01-14T24:00:00Z", "course_attempts_started"),
    ("learning360/attempts", STATS, (0, "lastActivityAt"), "", "active_learners course_active_learners"),
    ("learning360/attempts", STATS, (0, "completedAt"), "2027-01-14T23:59:60Z", "course_attempts course_completions"),
    ("learning360/attempts", STATS, (0, "progress"), "all", ""),
    ("learning360/paths", SESSIONS, (0, "startDate"), None, ""),  # it has ended, so it began
    ("learning360 v1/paths", "/api/v1/paths/sessions", (0, "startDate"), "", "path_sessions"),
    ("learning360/paths", SESSIONS, (0, "endDate"), YEAR_20226, "path_sessions"),
    ("learning360/path_stats", ENROLLMENTS, (0, "dueDate"), YEAR_20226, "path_enrollments_overdue"),
    ("learning360/path_stats", ENROLLMENTS, (0, "enrolledAt"), None, "path_enrollments_started"),
    ("learning360/path_stats", ENROLLMENTS, (0, "completedAt"), "", "path_enrollments_overdue"),
    (
        "learning360/path_stats",
        ENROLLMENTS,
        (0, "unenrolledAt"),
        "",
        "path_enrollments path_enrollments_overdue path_enrollments_started",
    ),
    (*V1_STATS[:2], (*V1_STATS[2], "globalTime"), -5, "course_time_spent_seconds"),
    (*V1_STATS[:2], (*V1_STATS[2], "score"), 105, "course_attempts_scored course_score_ratio"),
    (*V1_STATS[:2], (*V1_STATS[2], "completedAt"), YEAR_20226, "course_attempts course_completions"),
]


@pytest.mark.parametrize("count", ["9", -1, 2.5, True, 2**60, []])
def test_a_count_of_one_workspace_that_cannot_be_read_is_left_out_and_told(count: Any) -> None:
    site, path, place = "viktor", "/api/statistics/", ("workspaces", "total_users", 0, "12")
    odd = outcome("viktor/workspaces", {path: json.dumps(with_value(REPLIES[site][path], place, count)).encode()})

    assert [str(values) for values in odd.unreadable] == [f"GET {path}: $.workspaces.total_users[0][12]"]
    changed = {*odd.samples} ^ {*outcome("viktor/workspaces", {}).samples}
    assert [sample.family.name for sample in changed] == ["viktor_workspace_users"]


@pytest.mark.parametrize(("name", "path", "place", "value", "concerned"), ODD)
def test_an_optional_value_that_cannot_be_read_concerns_only_the_series_that_need_it(
    name: str, path: str, place: Path, value: Any, concerned: str
) -> None:
    site, _ = COLLECTORS[name]
    good = outcome(name, {})
    odd = outcome(name, {path: json.dumps(with_value(REPLIES[site][path], place, value)).encode()})

    assert (odd.state, odd.error) == (State.OK, "")
    assert [values.count for values in odd.unreadable] == [1]
    assert odd.unreadable[0].key.endswith(f".{place[-1]}")
    prefix = f"{site.split()[0]}_"
    changed = {sample.family.name.removeprefix(prefix) for sample in {*good.samples} ^ {*odd.samples}}
    assert changed <= {*concerned.split()}
    assert changed or not concerned


LISTS = {
    "konstantly/groups": (f"{OPENAPI}/groups", "totalCount"),
    "konstantly/users": (f"{OPENAPI}/users", "totalCount"),
    "konstantly/courses": (f"{OPENAPI}/courses", "totalCount"),
    "viktor/workspaces": ("/api/workspaces/", "count"),
    "viktor/apps": ("/api/apps/", "count"),
}


@pytest.mark.parametrize("total", [0, 2, 2**53])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_whose_length_is_not_its_total_is_incomplete(name: str, total: int) -> None:
    path, key = LISTS[name]
    site, _ = COLLECTORS[name]
    result = outcome(name, {path: json.dumps({**REPLIES[site][path], key: total}).encode()})

    assert (result.state, result.samples) == (State.INCOMPLETE, ())


@pytest.mark.parametrize("name", ["viktor/workspaces", "viktor/apps"])
@pytest.mark.parametrize("link", ["https://elsewhere.test/", "http://[broken", "?again", 7])
def test_a_link_beside_a_total_is_not_looked_at(name: str, link: Any) -> None:
    path, _ = LISTS[name]
    site, _ = COLLECTORS[name]

    assert outcome(name, {path: json.dumps({**REPLIES[site][path], "next": link}).encode()}).state is State.OK


NOT_JSON = {
    "empty": b"",
    "white space": b" \n",
    "HTML": b"<!doctype html><title>Sign in</title>",
    "plain text": b"Service temporarily unavailable",
    "cut": b'{"statistics": {"usersCount": 19',
    "two documents": b"{}{}",
    "Latin-1": b'{"name": "caf\xe9"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "NaN": b'{"statistics": NaN}',
    "lone surrogate": b'{"name": "\\ud800"}',
    "too deep": b"[" * 200_000,
    "gzip without its header": b"\x1f\x8b\x08\x00",
}


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_body_that_is_no_json_is_told_as_such_at_every_endpoint(name: str) -> None:
    for path in paths_of(name):
        for body in NOT_JSON.values():
            result = outcome(name, {path: body})
            assert (result.state, result.samples) == (State.INVALID_RESPONSE, ()), (path, body[:40])
            assert "GET /" in result.error or "POST /api/v2/oauth2/token" in result.error


@pytest.mark.parametrize("name", COLLECTORS)
@pytest.mark.parametrize("body", [b"null", b"true", b"7", b'"ok"', b'{"error": "quota"}', b"{}"])
def test_another_json_document_is_an_invalid_reply_at_every_endpoint(name: str, body: bytes) -> None:
    for path in paths_of(name):
        result = outcome(name, {path: body})
        assert (result.state, result.samples) == (State.INVALID_RESPONSE, ()), path


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        [
            10**30, 10**400, -(10**30), 2**53, 1e308, -0.0, "", "\ud800", "0", "9999-12-31T23:59:59-23:59",
            "0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z", "-5", "1e999", "../..", "a/b?c#d",
        ]
    )
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
EXAMPLES = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])


def places_in(document: Any, place: Path = ()) -> Iterator[Path]:
    """Yield every place of a document, the whole first."""
    yield place
    if isinstance(document, dict | list):
        for key in document if isinstance(document, dict) else range(len(document)):
            yield from places_in(document[key], (*place, key))


def hold_the_law(name: str, bodies: Mapping[str, bytes]) -> None:
    """Whatever the platform answers: a state with a message and no samples, or samples that a page can hold."""
    with structlog.testing.capture_logs() as tracebacks:
        result = outcome(name, bodies)

    assert tracebacks == []
    assert result.state is not State.INTERNAL_ERROR
    if result.state is State.OK:
        assert all(math.isfinite(sample.value) for sample in result.samples)
        assert arranged(result.samples)[1] == 0
    else:
        assert result.samples == ()
        assert result.error
        assert result.remedy


@pytest.mark.parametrize("name", COLLECTORS)
@given(data=st.data())
@EXAMPLES
def test_any_value_at_any_place_of_a_reply_gives_an_error_or_finite_numbers(name: str, data: st.DataObject) -> None:
    site, _ = COLLECTORS[name]
    path = data.draw(st.sampled_from(paths_of(name)))
    document = REPLIES[site][path]
    place = data.draw(st.sampled_from(list(places_in(document))))
    changed = with_value(document, place, data.draw(JSON))

    hold_the_law(name, {path: json.dumps(changed).encode()})


@pytest.mark.parametrize("name", COLLECTORS)
@given(data=st.data())
@EXAMPLES
def test_any_bytes_give_an_error_or_finite_numbers(name: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(paths_of(name)))

    hold_the_law(name, {path: data.draw(st.binary(max_size=200))})
