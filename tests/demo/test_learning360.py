"""The demo's 360Learning API, v2 and v1, behaves as the vendor's reference describes it."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from exporter.demo.academy import Academy
from exporter.demo.learning360 import API_KEY, CLIENT_ID, CLIENT_SECRET, COMPANY_ID, SCOPES, application
from tests.platforms.learning360.schema import REQUIRED

NOW = datetime(2026, 3, 18, 15, 30, 12, tzinfo=UTC)
GRANT = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
VERSION = {"360-api-version": "v2.0"}
LISTS = {
    "/users": "users:read",
    "/courses": "courses:read",
    "/courses/stats": "courseStats:read",
    "/groups": "groups:read",
    "/paths": "paths:read",
    "/paths/sessions": "paths:read",
    "/paths/stats": "pathStats:read",
    "/classrooms": "classrooms:read",
    "/skills": "skills:read",
    "/skills/powers": "skillsPowers:read",
    "/projects": "projects:read",
}


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture(scope="module")
def academy() -> Academy:
    return Academy(1, date(2025, 9, 1))


def client_of(academy: Academy, clock: Clock | None = None, **options: Any) -> httpx.AsyncClient:
    app = application(academy, clock or Clock(), **{"requests_per_second": 10_000} | options)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://demo/api/v2")


async def sign_in(client: httpx.AsyncClient) -> dict[str, Any]:
    """Gets a token, puts it into the client's headers and returns the reply."""
    reply: dict[str, Any] = (await client.post("/oauth2/token", json=GRANT)).json()
    client.headers = httpx.Headers({"Authorization": f"Bearer {reply['access_token']}", **VERSION})
    return reply


@pytest.fixture
async def client(academy: Academy) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(academy) as client:
        await sign_in(client)
        yield client


async def walk(client: httpx.AsyncClient, url: str, params: Any = None) -> list[list[dict[str, Any]]]:
    """The pages of a listing, by its Link headers."""
    pages = []
    reply = await client.get(url, params=params)
    while True:
        assert reply.status_code == 200
        pages.append(reply.json())
        if "next" not in reply.links:
            return pages
        reply = await client.get(reply.links["next"]["url"])


async def rows_of(client: httpx.AsyncClient, url: str, params: Any = None) -> list[dict[str, Any]]:
    return [row for page in await walk(client, url, params) for row in page]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"grant_type": "client_credentials"}, 400, "invalid_request"),
        ("no object", 400, "invalid_request"),
        (GRANT | {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (GRANT | {"client_secret": "wrong"}, 401, "invalid_client"),
    ],
)
async def test_the_token_endpoint_refuses_with_a_string(
    client: httpx.AsyncClient, body: Any, status: int, error: str
) -> None:
    reply = await client.post("/oauth2/token", json=body)
    assert (reply.status_code, reply.json()) == (status, {"error": error})


async def test_the_life_of_a_token_is_a_string_or_a_number(academy: Academy) -> None:
    async with client_of(academy) as as_string, client_of(academy, expires_in_as_string=False) as as_number:
        assert (await sign_in(as_string))["expires_in"] == "3600"
        assert (await sign_in(as_number))["expires_in"] == 3600


async def test_a_token_expires_and_a_new_one_works(academy: Academy) -> None:
    clock = Clock()
    async with client_of(academy, clock, token_life_seconds=60) as client:
        await sign_in(client)
        clock.time += timedelta(seconds=59)
        assert (await client.get("/groups")).status_code == 200
        clock.time += timedelta(seconds=1)
        reply = await client.get("/groups")
        assert (reply.status_code, reply.json()) == (401, {"error": "invalid_token"})
        await sign_in(client)
        assert (await client.get("/groups")).status_code == 200


async def test_a_missing_token_and_one_of_v1_are_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get("/users", headers={"Authorization": ""})).json() == {"error": "invalid_token"}
    grant = GRANT | {"client_id": COMPANY_ID, "client_secret": API_KEY}
    token = (await client.post("/oauth2/token", json=grant)).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await client.get("/users", headers=bearer)).status_code == 401
    assert (await client.get("http://demo/api/v1/users", headers=bearer)).status_code == 200


async def test_the_version_header_is_required(client: httpx.AsyncClient) -> None:
    reply = await client.get("/users", headers={"360-api-version": "v3.0"})
    assert (reply.status_code, reply.json()["code"]) == (400, "missingApiVersion")


@pytest.mark.parametrize(("path", "scope"), LISTS.items())
async def test_a_missing_scope_forbids_its_own_lists_only(academy: Academy, path: str, scope: str) -> None:
    async with client_of(academy, scopes=[one for one in SCOPES if one != scope]) as client:
        await sign_in(client)
        for other, needed in LISTS.items():
            reply = await client.get(other)
            assert reply.status_code == (403 if needed == scope else 200)
        assert (await client.get(path)).json()["error"]["code"] == "invalid_scope"


async def test_an_unknown_path_is_a_404_with_an_object(client: httpx.AsyncClient) -> None:
    reply = await client.get("/programs")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "notFound")


async def test_too_many_requests_in_one_second_are_refused_with_a_string(academy: Academy) -> None:
    clock = Clock()
    async with client_of(academy, clock, requests_per_second=2) as client:
        await sign_in(client)
        assert [(await client.get("/groups")).status_code for _ in range(3)] == [200, 200, 429]
        assert (await client.get("/groups")).json() == {"error": "tooManyRequests"}
        clock.time += timedelta(seconds=1)
        assert (await client.get("/groups")).status_code == 200


@pytest.mark.parametrize("path", LISTS)
async def test_pages_of_a_list_have_all_rows_once_and_no_link_at_the_end(academy: Academy, path: str) -> None:
    async with client_of(academy, page_size=10) as small, client_of(academy, page_size=100_000) as large:
        await sign_in(small)
        await sign_in(large)
        pages = await walk(small, path)
        (rows,) = await walk(large, path)
        assert [row for page in pages for row in page] == rows
        assert all(len(page) == 10 for page in pages[:-1])
        assert 0 < len(pages[-1]) <= 10


@pytest.mark.parametrize("path", LISTS)
async def test_rows_have_the_keys_that_the_vendor_requires(client: httpx.AsyncClient, path: str) -> None:
    assert all(set(row) >= REQUIRED[path] for row in await rows_of(client, path))


async def test_documented_page_sizes(client: httpx.AsyncClient, academy: Academy) -> None:
    assert len((await client.get("/users")).json()) == 500
    sizes = [len(page) for page in await walk(client, "/courses/stats")]
    assert set(sizes[:-1]) == {500}
    assert sum(sizes) == sum(1 for _ in academy.attempts(NOW))


async def test_rows_created_during_a_walk_appear_at_its_end(academy: Academy) -> None:
    clock = Clock()
    async with client_of(academy, clock) as client:
        await sign_in(client)
        first = await client.get("/courses/stats")
        clock.time += timedelta(minutes=50)
        ids = [row["_id"] for row in first.json() + await rows_of(client, first.links["next"]["url"])]
        assert ids == [attempt.id for attempt in academy.attempts(clock.time)]


async def test_a_list_without_rows_is_an_empty_array_without_link(client: httpx.AsyncClient) -> None:
    reply = await client.get("/courses/stats?courseId[eq]=000000000000000000000000")
    assert (reply.json(), "Link" in reply.headers) == ([], False)


async def test_users_have_a_status_or_in_the_older_shape_deleted(academy: Academy) -> None:
    async with client_of(academy) as current, client_of(academy, user_has_status=False) as older:
        await sign_in(current)
        await sign_in(older)
        users, old_users = await rows_of(current, "/users"), await rows_of(older, "/users")
        assert {user["status"] for user in users} == {"active", "invited", "deleted"}
        assert [user["status"] == "deleted" for user in users] == [user["deleted"] for user in old_users]
        assert not any("status" in user for user in old_users)
        assert any("lastLoginDate" not in user for user in users)


async def test_users_are_filtered_by_status_on_every_page(academy: Academy) -> None:
    async with client_of(academy, page_size=50) as client:
        await sign_in(client)
        everyone = await rows_of(client, "/users")
        present = await rows_of(client, "/users?status[ne]=deleted")
        assert present == [user for user in everyone if user["status"] != "deleted"]
        assert await rows_of(client, "/users?status[eq]=deleted") == [
            user for user in everyone if user["status"] == "deleted"
        ]


async def test_course_statistics_are_filtered_by_completion_course_and_user(client: httpx.AsyncClient) -> None:
    rows = await rows_of(client, "/courses/stats")
    course, other = rows[0]["courseId"], next(row["courseId"] for row in rows if row["courseId"] != rows[0]["courseId"])
    user = rows[0]["userId"]
    start, end = "2026-03-01T00:00:00.000Z", "2026-03-10"
    expected = {
        f"completedAt[gte]={start}&completedAt[lt]={end}": [
            row for row in rows if start <= row.get("completedAt", "") < end
        ],
        f"courseId[in]={course}&courseId[in]={other}": [row for row in rows if row["courseId"] in {course, other}],
        f"courseId[in][0]={course}&courseId[in][1]={other}": [
            row for row in rows if row["courseId"] in {course, other}
        ],
        f"courseId[nin]={course}": [row for row in rows if row["courseId"] != course],
        f"courseId[eq]={course}&userId[eq]={user}": [
            row for row in rows if (row["courseId"], row["userId"]) == (course, user)
        ],
        "lastActivityAt[gte]=2026-03-01": rows,
    }
    for query, wanted in expected.items():
        assert wanted
        assert await rows_of(client, f"/courses/stats?{query}") == wanted


@pytest.mark.parametrize(
    "query", ["completedAt[gte]=soon", "courseId[eq]=7", "completedAt[eq]=2026-03-01", "next=%21%21"]
)
async def test_a_filter_or_token_that_cannot_be_read_is_a_400(client: httpx.AsyncClient, query: str) -> None:
    reply = await client.get(f"/courses/stats?{query}")
    assert (reply.status_code, reply.json()["code"]) == (400, "invalidParameter")


async def test_attempts_leave_out_what_has_no_value(client: httpx.AsyncClient) -> None:
    rows = await rows_of(client, "/courses/stats")
    required = {"_id", "courseId", "userId", "lang", "timeSpent", "progress"}
    assert all(required <= set(row) and None not in row.values() for row in rows)
    for optional in ("score", "firstActivityAt", "completedAt", "pathSessionId", "versionNumber"):
        assert {optional in row for row in rows} == {True, False}


async def test_drafts_are_listed_by_v1_only(client: httpx.AsyncClient) -> None:
    headers = {"X-company-id": COMPANY_ID, "X-apiKey": API_KEY}
    old = (await client.get("http://demo/api/v1/courses", headers=headers)).json()
    new = await rows_of(client, "/courses")
    drafts = {course["_id"] for course in old if course["status"] == "draft"}
    assert drafts
    assert {course["_id"] for course in new} == {course["_id"] for course in old} - drafts
    assert not any("type" in course for course in old)


@pytest.mark.parametrize("path", ["/users", "/courses", "/courses/stats", "/groups", "/paths", "/paths/sessions"])
async def test_v1_gives_one_array_to_the_company_and_nothing_to_others(client: httpx.AsyncClient, path: str) -> None:
    url = f"http://demo/api/v1{path}"
    reply = await client.get(url, headers={"X-company-id": COMPANY_ID, "X-apiKey": API_KEY})
    assert reply.status_code == 200
    assert len(reply.json()) > 0
    assert "Link" not in reply.headers
    assert (await client.get(url, headers={"X-company-id": COMPANY_ID, "X-apiKey": "wrong"})).status_code == 401
    assert (await client.get(url)).status_code == 401


async def test_v1_attempts_are_those_of_v2_grouped_by_course_and_user(client: httpx.AsyncClient) -> None:
    headers = {"X-company-id": COMPANY_ID, "X-apiKey": API_KEY}
    courses = (await client.get("http://demo/api/v1/courses/stats", headers=headers)).json()
    old = {
        attempt["_id"]: (
            entry["course"]["_id"],
            stat["user"]["_id"],
            attempt["globalTime"],
            attempt.get("lastActivity"),
            attempt.get("pathSession"),
        )
        for entry in courses
        for stat in entry["stats"]
        for attempt in stat["attempts"]
    }
    new = {
        row["_id"]: (
            row["courseId"],
            row["userId"],
            row["timeSpent"],
            row.get("lastActivityAt"),
            row.get("pathSessionId"),
        )
        for row in await rows_of(client, "/courses/stats")
    }
    assert old == new


async def test_v1_attempts_are_filtered_by_activity_and_users_by_deletion(client: httpx.AsyncClient) -> None:
    headers = {"X-company-id": COMPANY_ID, "X-apiKey": API_KEY}
    since = "2026-03-17T00:00:00.000Z"
    url = f"http://demo/api/v1/courses/stats?lastActivityAtAfter={since}"
    found = {
        attempt["_id"]
        for entry in (await client.get(url, headers=headers)).json()
        for stat in entry["stats"]
        for attempt in stat["attempts"]
    }
    rows = await rows_of(client, "/courses/stats")
    assert found == {row["_id"] for row in rows if row.get("lastActivityAt", "") >= since}
    bad = await client.get("http://demo/api/v1/courses/stats?completedAtBefore=x", headers=headers)
    assert bad.status_code == 400
    present = (await client.get("http://demo/api/v1/users", headers=headers)).json()
    deleted = (await client.get("http://demo/api/v1/users?deleted=true", headers=headers)).json()
    assert len(present) + len(deleted) == len(await rows_of(client, "/users"))
    assert deleted


async def test_v1_sessions_and_their_statistics_look_as_in_the_samples_of_the_vendor(academy: Academy) -> None:
    """A session has `sessionId` and no `_id`; its statistics are an object, and a user without a result has nulls."""
    clock = Clock()
    clock.time += timedelta(days=60)  # until people who are enrolled have left
    users = []
    async with client_of(academy, clock) as client:
        client.headers.update({"X-company-id": COMPANY_ID, "X-apiKey": API_KEY})
        sessions = (await client.get("http://demo/api/v1/paths/sessions")).json()
        assert [session["sessionId"] for session in sessions] == [one.id for one in academy.path_sessions(clock.time)]
        for session in sessions:
            assert set(session) == {"sessionId", "sessionName", "sessionOwnerGroup", "pathId", "startDate", "endDate"}
            url = f"http://demo/api/v1/paths/sessions/{session['sessionId']}/stats/users"
            stats = (await client.get(url)).json()
            assert set(stats) == {"sessionId", "sessionName", "pathName", "pathId", "usersStats"}
            users += stats["usersStats"]
    assert {key for user in users for key in user} == {
        "_id",
        "deleted",
        "firstName",
        "lastName",
        "mail",
        "totalTimeSpentInSeconds",
        "progress",
        "score",
        "completedAt",
        "detailedStatus",
    }
    assert {user["deleted"] for user in users} == {True, False}
    assert {user["completedAt"] is None for user in users} == {True, False}
    assert all((user["score"] is None) is (user["completedAt"] is None) for user in users)
