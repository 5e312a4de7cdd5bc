"""The demo's Konstantly API behaves as the vendor's reference describes it."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from exporter.demo.academy import Academy
from exporter.demo.konstantly import API_KEY, BASE_PATH, application

NOW = datetime(2026, 3, 18, 15, 30, 12, tzinfo=UTC)


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture(scope="module")
def academy() -> Academy:
    return Academy(1, date(2025, 6, 1))


def client_of(academy: Academy, clock: Clock | None = None, **options: Any) -> httpx.AsyncClient:
    app = application(academy, clock or Clock(), **options)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=f"http://demo{BASE_PATH}", headers={"X-API-KEY": API_KEY}
    )


@pytest.fixture
async def client(academy: Academy) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(academy, requests_per_minute=1000) as client:
        yield client


async def all_pages(client: httpx.AsyncClient, path: str, key: str) -> list[dict[str, Any]]:
    """The rows of every page; each page but the last has 20."""
    rows: list[dict[str, Any]] = []
    while True:
        page = (await client.get(path, params={"offset": len(rows)})).json()
        rows += page[key]
        if len(rows) == page["totalCount"]:
            return rows
        assert len(page[key]) == 20


async def test_a_wrong_or_missing_key_is_refused(client: httpx.AsyncClient) -> None:
    reply = await client.get("/statistics", headers={"X-API-KEY": "wrong"})
    assert (reply.status_code, reply.json()["status"]) == (401, 401)
    del client.headers["X-API-KEY"]
    assert (await client.get("/statistics")).status_code == 401


async def test_statistics_have_the_five_keys_and_count_the_site(client: httpx.AsyncClient, academy: Academy) -> None:
    body = (await client.get("/statistics")).json()
    assert set(body) == {
        "statistics",
        "usersWithoutActivity",
        "usersWithoutResults",
        "leaders",
        "unassignedCourses",
    }
    assert body["statistics"] == {
        "coursesCount": len(academy.site_courses(NOW)),
        "assignedCoursesCount": len(academy.site_assignments(NOW)),
        "groupsCount": len(academy.site_groups(NOW)),
        "usersCount": len(academy.site_users(NOW)),
    }
    assert len(body["usersWithoutActivity"]) < len(body["usersWithoutResults"])
    assert len(body["leaders"]) + len(body["usersWithoutResults"]) == len(academy.site_users(NOW))


async def test_leaders_come_best_first(client: httpx.AsyncClient) -> None:
    leaders = (await client.get("/statistics")).json()["leaders"]
    standing = [(leader["coursesCount"], leader["resultValue"]) for leader in leaders]
    assert standing == sorted(standing, reverse=True)
    assert all(0 <= result <= 100 for _, result in standing)


@pytest.mark.parametrize("key", ["groups", "courses", "users"])
async def test_lists_are_paged_by_offset_without_loss_or_repetition(
    client: httpx.AsyncClient, academy: Academy, key: str
) -> None:
    rows = await all_pages(client, f"/{key}", key)
    ids = {row["id"] for row in rows}
    assert len(ids) == len(rows) == len(getattr(academy, f"site_{key}")(NOW))


async def test_an_offset_behind_the_end_gives_an_empty_page(client: httpx.AsyncClient) -> None:
    body = (await client.get("/groups", params={"offset": 5000})).json()
    assert (body["groups"], body["totalCount"]) == ([], 24)


async def test_group_statistics_are_of_the_groups_own_members(client: httpx.AsyncClient) -> None:
    listed = {group["id"]: group for group in await all_pages(client, "/groups", "groups")}
    assert listed[1]["parentId"] is None
    for number in (1, 7, 24):
        body = (await client.get(f"/groups/{number}/statistics")).json()
        assert set(body) == {"group", "usersWithoutActivity", "usersWithoutResults", "leaders"}
        assert body["group"] == listed[number]
        assert len(body["leaders"]) + len(body["usersWithoutResults"]) == listed[number]["usersCount"]


async def test_drafts_were_published_at_zero(client: httpx.AsyncClient) -> None:
    courses = await all_pages(client, "/courses", "courses")
    assert {course["isDraft"] for course in courses} == {True, False}
    assert all(course["isDraft"] == (course["publishedAt"] == 0) for course in courses)


async def test_assignments_of_a_course_come_at_once_with_zeros_for_what_has_not_happened(
    client: httpx.AsyncClient, academy: Academy
) -> None:
    rows = []
    for course in academy.site_courses(NOW):
        body = (await client.get(f"/courses/{course.site_id}/assignments/users")).json()
        assert body["totalCount"] == len(body["assignments"])
        rows += body["assignments"]
    assert len(rows) == len(academy.site_assignments(NOW))
    for row in rows:
        assert row["isCourseStarted"] == (row["startedAt"] > 0)
        assert row["isCourseFinished"] == (row["finishedAt"] > 0) == (row["progressValue"] == 100)
        assert not (row["isExpired"] and row["isCourseFinished"])
        assert max(row["assignedAt"], row["startedAt"], row["finishedAt"]) <= NOW.timestamp()


async def test_users_can_be_looked_up_by_mail_and_are_sorted_by_name(client: httpx.AsyncClient) -> None:
    users = await all_pages(client, "/users", "users")
    names = [user["name"] for user in users]
    assert names == sorted(names, key=lambda name: name.split(" ", 1))
    found = (await client.get("/users", params={"query": users[3]["email"]})).json()
    assert [user["id"] for user in found["users"]] == [users[3]["id"]]
    assert {user["isBanned"] for user in users} == {True, False}


async def test_the_role_is_an_object_or_on_request_a_string(client: httpx.AsyncClient, academy: Academy) -> None:
    aliases = [user["role"]["alias"] for user in (await client.get("/users")).json()["users"]]
    async with client_of(academy, role_as_string=True) as other:
        assert [user["role"] for user in (await other.get("/users")).json()["users"]] == aliases


@pytest.mark.parametrize("path", ["/groups/9999/statistics", "/courses/1/assignments/users", "/x"])
async def test_what_does_not_exist_is_a_404_in_json(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path)
    assert (reply.status_code, reply.json()["status"]) == (404, 404)
    assert reply.json()["message"]


async def test_an_offset_that_is_no_number_is_a_400_naming_the_field(client: httpx.AsyncClient) -> None:
    reply = await client.get("/groups", params={"offset": "-1"})
    assert reply.status_code == 400
    assert set(reply.json()["errors"]) == {"offset"}


async def test_the_budget_is_told_used_up_and_renewed_after_a_minute(academy: Academy) -> None:
    clock = Clock()
    async with client_of(academy, clock, requests_per_minute=2) as client:
        first = await client.get("/groups")
        assert first.headers["X-RateLimit-Limit"] == "2"
        assert first.headers["X-RateLimit-Remaining"] == "1"
        assert 0 < int(first.headers["X-RateLimit-Reset"]) - NOW.timestamp() <= 60
        assert (await client.get("/groups")).status_code == 200
        refused = await client.get("/groups")
        assert (refused.status_code, refused.headers["X-RateLimit-Remaining"]) == (429, "0")
        clock.time += timedelta(minutes=1)
        assert (await client.get("/groups")).status_code == 200


async def test_only_reading_is_possible(client: httpx.AsyncClient) -> None:
    assert (await client.post("/users", json={})).status_code == 405
