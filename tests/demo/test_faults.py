"""Every fault as a plain HTTP client meets it, in front of the real copies of the four APIs."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from exporter.demo import konstantly, learning360, pybossa, viktor
from exporter.demo.faults import (
    Fault,
    Faulty,
    RecordedRequest,
    Switch,
    body,
    endless_pages,
    faults,
    foreign_next,
    html,
    lists_as_objects,
    numbers_as_strings,
    rate_limit_reset,
    redirect,
    repeated_page,
    retry_after_date,
    retry_after_seconds,
    slow,
    status,
    truncated,
    wrong_total,
)
from exporter.demo.organisation import Organisation, organisation

SHORT_SECONDS = 0.01
NOW = datetime(2025, 3, 12, 11, 30, tzinfo=UTC)
ELSEWHERE = "http://elsewhere.test"
KONSTANTLY = {"X-API-KEY": konstantly.API_KEY}
VIKTOR = {"Authorization": f"Bearer {viktor.TOKEN}"}
CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": learning360.CLIENT_ID,
    "client_secret": learning360.CLIENT_SECRET,
}


@pytest.fixture(scope="module")
def demo() -> Organisation:
    return organisation(7, date(2024, 11, 20))


class Platform:
    """A copy of an API behind its switch, and a client of it."""

    def __init__(self, application: Any, headers: dict[str, str]) -> None:
        self.switch = Switch()
        self.faulty = Faulty(application, self.switch)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.faulty), base_url="http://platform.test", headers=headers
        )


@pytest.fixture
async def site(demo: Organisation) -> AsyncIterator[Platform]:
    platform = Platform(konstantly.application(demo.academy, lambda: NOW), KONSTANTLY)
    async with platform.http:
        yield platform


@pytest.fixture
async def bridges(demo: Organisation) -> AsyncIterator[Platform]:
    platform = Platform(viktor.application(demo.engineering, lambda: NOW), VIKTOR)
    async with platform.http:
        yield platform


@pytest.fixture
async def crowd(demo: Organisation) -> AsyncIterator[Platform]:
    platform = Platform(pybossa.application(demo.crowd, lambda: NOW), {})
    async with platform.http:
        yield platform


@pytest.fixture
async def learning(demo: Organisation) -> AsyncIterator[Platform]:
    platform = Platform(learning360.application(demo.academy, lambda: NOW), {"360-api-version": "v2.0"})
    async with platform.http:
        token = (await platform.http.post("/api/v2/oauth2/token", json=CREDENTIALS)).json()["access_token"]
        platform.http.headers["Authorization"] = f"Bearer {token}"
        yield platform


@pytest.mark.parametrize("status_code", [401, 403, 429, 500, 502, 503, 504])
async def test_a_status_comes_with_the_page_of_a_proxy(bridges: Platform, status_code: int) -> None:
    bridges.switch.set(status(status_code))
    response = await bridges.http.get("/api/apps/")

    assert response.status_code == status_code
    assert response.headers["Content-Type"].startswith("text/html")
    assert "Retry-After" not in response.headers


async def test_a_429_names_its_wait_in_three_forms(bridges: Platform) -> None:
    bridges.switch.set(retry_after_seconds(7))
    assert (await bridges.http.get("/api/apps/")).headers["Retry-After"] == "7"

    bridges.switch.set(retry_after_date(7, lambda: NOW))
    dated = await bridges.http.get("/api/apps/")
    assert dated.status_code == 429
    assert parsedate_to_datetime(dated.headers["Retry-After"]) == NOW + timedelta(seconds=7)

    bridges.switch.set(rate_limit_reset(7, lambda: NOW))
    used_up = await bridges.http.get("/api/apps/")
    assert used_up.status_code == 429
    assert used_up.headers["X-RateLimit-Remaining"] == "0"
    assert int(used_up.headers["X-RateLimit-Reset"]) == NOW.timestamp() + 7
    assert "Retry-After" not in used_up.headers


@pytest.mark.parametrize(("fault", "content"), [(body(b""), b""), (body(b"null"), b"null")])
async def test_a_body_may_be_empty_or_null(bridges: Platform, fault: Fault, content: bytes) -> None:
    bridges.switch.set(fault)
    response = await bridges.http.get("/api/apps/")

    assert (response.status_code, response.content) == (200, content)
    assert response.headers["Content-Type"] == "application/json"


async def test_html_comes_with_200(bridges: Platform) -> None:
    bridges.switch.set(html())
    response = await bridges.http.get("/api/apps/")

    assert (response.status_code, response.headers["Content-Type"][:9]) == (200, "text/html")


async def test_truncated_json_is_half_a_document_in_a_whole_reply(bridges: Platform) -> None:
    whole = (await bridges.http.get("/api/apps/")).content
    bridges.switch.set(truncated())
    response = await bridges.http.get("/api/apps/")

    assert response.content == whole[: len(whole) // 2]
    assert int(response.headers["Content-Length"]) == len(response.content)


async def test_numbers_become_strings(bridges: Platform) -> None:
    right = (await bridges.http.get("/api/apps/")).json()
    bridges.switch.set(numbers_as_strings())
    wrong = (await bridges.http.get("/api/apps/")).json()

    assert wrong["count"] == str(right["count"])
    assert wrong["results"][0]["id"] == str(right["results"][0]["id"])
    assert wrong["results"][0]["is_verified"] is True


async def test_lists_become_objects(bridges: Platform) -> None:
    right = (await bridges.http.get("/api/apps/")).json()
    bridges.switch.set(lists_as_objects())
    wrong = (await bridges.http.get("/api/apps/")).json()

    assert wrong["results"]["0"]["id"] == right["results"][0]["id"]
    assert wrong["results"]["0"]["labels"] == {}


async def test_a_wrong_total_is_one_too_high(bridges: Platform, site: Platform, crowd: Platform) -> None:
    """What has no total is left alone."""
    for platform in (bridges, site, crowd):
        platform.switch.set(wrong_total())

    apps = (await bridges.http.get("/api/apps/")).json()
    groups = (await site.http.get("/openapi/v1/groups?offset=20")).json()
    assert apps["count"] == len(apps["results"]) + 1
    assert groups["totalCount"] == 20 + len(groups["groups"]) + 1
    assert isinstance((await crowd.http.get("/api/category")).json(), list)


async def test_a_slow_reply_is_the_right_one_later(bridges: Platform) -> None:
    right = (await bridges.http.get("/api/apps/")).json()
    bridges.switch.set(slow(0.01))
    assert (await bridges.http.get("/api/apps/")).json() == right

    bridges.switch.set(slow(60))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bridges.http.get("/api/apps/"), SHORT_SECONDS)


async def test_a_redirect_leads_to_a_sign_in_page_elsewhere(crowd: Platform) -> None:
    crowd.switch.set(redirect(ELSEWHERE))
    response = await crowd.http.get("/stats/")

    assert (response.status_code, response.headers["Location"]) == (302, f"{ELSEWHERE}/signin")


async def test_the_next_page_lies_elsewhere(bridges: Platform, learning: Platform) -> None:
    for platform in (bridges, learning):
        platform.switch.set(foreign_next(ELSEWHERE))

    assert (await bridges.http.get("/api/apps/")).json()["next"].startswith(f"{ELSEWHERE}/elsewhere/api/apps/")
    assert (await learning.http.get("/api/v2/groups")).links["next"]["url"].startswith(ELSEWHERE)


async def test_offset_paging_repeats_or_never_ends(site: Platform) -> None:
    path = "/openapi/v1/groups"
    first = (await site.http.get(path)).json()["groups"]

    site.switch.set(repeated_page())
    repeated = (await site.http.get(path, params={"offset": 20})).json()
    assert repeated["groups"] == first
    assert repeated["totalCount"] > 1_000_000

    site.switch.set(endless_pages())
    ids = [(await site.http.get(path, params={"offset": n})).json()["groups"] for n in (0, 20, 4000)]
    assert [rows[0]["id"] for rows in ids] == [1, 21, 4001]


async def test_next_url_paging_repeats_or_never_ends(bridges: Platform) -> None:
    url = "http://platform.test/api/apps/?limit=5"
    first = (await bridges.http.get(url)).json()["results"]

    bridges.switch.set(repeated_page())
    repeated = (await bridges.http.get(f"{url}&offset=5")).json()
    assert repeated["results"] == first
    assert httpx.URL(repeated["next"]) == httpx.URL(f"{url}&offset=5")

    bridges.switch.set(endless_pages())
    seen: list[int] = []
    for _ in range(10):
        page = (await bridges.http.get(url)).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert seen == list(range(1, 51))


async def test_keyset_paging_repeats_or_never_ends(crowd: Platform) -> None:
    """A page is always full, so that a short one cannot end the walk."""
    first = (await crowd.http.get("/api/project?limit=100")).json()

    crowd.switch.set(repeated_page())
    assert (await crowd.http.get("/api/project?limit=100&last_id=90")).json() == first

    crowd.switch.set(endless_pages())
    page = (await crowd.http.get("/api/project?limit=100&last_id=90")).json()
    assert [row["id"] for row in page] == list(range(91, 191))


async def test_link_paging_repeats_or_never_ends(learning: Platform) -> None:
    url = "http://platform.test/api/v2/skills"
    first = (await learning.http.get(url)).json()

    learning.switch.set(repeated_page())
    repeated = await learning.http.get(url)
    assert repeated.json() == first
    assert httpx.URL(repeated.links["next"]["url"]).path == "/api/v2/skills"

    learning.switch.set(endless_pages())
    seen: list[str] = []
    for _ in range(10):
        response = await learning.http.get(url)
        seen += [row["_id"] for row in response.json()]
        url = response.links["next"]["url"]
    assert len(seen) == len(set(seen)) == 10 * len(first)
    assert all(len(id_) == 24 for id_ in seen)


async def test_a_reply_that_is_no_list_has_no_pages_to_repeat(crowd: Platform) -> None:
    right = (await crowd.http.get("/api/globalstats")).json()
    crowd.switch.set(endless_pages())

    assert (await crowd.http.get("/api/globalstats")).json() == right


async def test_an_error_of_the_platform_passes_unspoiled(bridges: Platform) -> None:
    bridges.switch.set(truncated())
    response = await bridges.http.get("/api/apps/", headers={"Authorization": "Bearer wrong"})

    assert response.status_code == 401
    assert set(response.json()) == {"detail"}


async def test_a_fault_hits_its_paths_only_and_only_so_often(bridges: Platform) -> None:
    bridges.switch.set(status(500), path_prefix="/api/apps", times=2)

    assert (await bridges.http.get("/api/workspaces/")).status_code == 200
    assert [(await bridges.http.get("/api/apps/")).status_code for _ in range(3)] == [500, 500, 200]


async def test_clear_lets_every_request_through(bridges: Platform) -> None:
    bridges.switch.set(status(500))
    bridges.switch.clear()

    assert (await bridges.http.get("/api/apps/")).status_code == 200


async def test_the_token_endpoint_is_hit_only_by_name(learning: Platform) -> None:
    learning.switch.set(status(500))
    assert (await learning.http.post("/api/v2/oauth2/token", json=CREDENTIALS)).status_code == 200

    learning.switch.set(status(500), path_prefix="/api/v2/oauth2/token")
    assert (await learning.http.post("/api/v2/oauth2/token", json=CREDENTIALS)).status_code == 500
    assert (await learning.http.get("/api/v2/groups")).status_code == 200


async def test_requests_are_recorded_without_headers_whether_hit_or_not(bridges: Platform) -> None:
    await bridges.http.get("/api/apps/?limit=3")
    bridges.switch.set(status(500))
    await bridges.http.head("/api/workspaces/")

    assert list(bridges.faulty.requests) == [
        RecordedRequest("GET", "/api/apps/", "limit=3"),
        RecordedRequest("HEAD", "/api/workspaces/", ""),
    ]
    assert viktor.TOKEN not in repr(bridges.faulty.requests)


@pytest.mark.parametrize("name", [name for name in faults(lambda: NOW) if name not in ("slow", "cut")])
async def test_every_named_fault_differs_from_the_right_reply(bridges: Platform, name: str) -> None:
    right = await bridges.http.get("/api/apps/?limit=5")
    bridges.switch.set(faults(lambda: NOW)[name])
    wrong = await bridges.http.get("/api/apps/?limit=5")

    assert (wrong.status_code, wrong.content) != (right.status_code, right.content)
    assert json.loads(right.content)["next"] is not None
