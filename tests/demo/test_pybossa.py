"""The copy of a PYBOSSA server, seen by a plain HTTP client and held against the raw data."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from exporter.demo import pybossa
from exporter.demo.crowd import Crowd, is_published
from tests.truth.pybossa import expected

NOW = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}
ADMIN = {"Authorization": pybossa.ADMIN_KEY}
MEMBER = {"Authorization": pybossa.MEMBER_KEY}


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return Crowd(7, date(2024, 11, 20))


def client(crowd: Crowd, now: datetime = NOW, **options: Any) -> httpx.AsyncClient:
    application = pybossa.application(crowd, lambda: now, **options)
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://crowd.test")


@pytest.mark.parametrize(
    ("path", "headers", "media_type"),
    [
        ("/stats/", JSON, "application/json"),
        ("/stats/?response_format=json", {}, "application/json"),
        ("/stats/", {}, "text/html"),
        ("/stats/", {"Accept": "application/json"}, "text/html"),
        ("/stats/", {"Content-Type": "application/json; charset=utf-8"}, "text/html"),
    ],
)
async def test_a_page_is_json_only_when_asked_in_one_of_two_ways(
    crowd: Crowd, path: str, headers: dict[str, str], media_type: str
) -> None:
    async with client(crowd) as http:
        response = await http.get(path, headers=headers)

    assert response.status_code == 200
    assert response.headers["Content-Type"].split(";")[0] == media_type


async def test_stats_has_the_keys_of_a_real_server(crowd: Crowd) -> None:
    async with client(crowd) as http:
        reply = (await http.get("/stats/", headers=JSON)).json()

    assert set(reply) == {
        "projects",
        "show_locs",
        "stats",
        "tasks",
        "template",
        "title",
        "top5_projects_24_hours",
        "top5_users_24_hours",
        "users",
    }
    assert reply["tasks"]["values"][1] == {"label": "Answers", "value": [1, reply["stats"]["n_task_runs"]]}
    assert reply["users"]["values"][0] == {"label": "Anonymous", "value": [0, reply["stats"]["n_anon"]]}


async def test_stats_agrees_with_the_raw_data(crowd: Crowd) -> None:
    async with client(crowd) as http:
        reply = (await http.get("/stats/", headers=JSON)).json()
    truth, stats = expected(crowd, NOW), reply["stats"]

    assert stats["n_anon"] == truth["pybossa_users", (("kind", "anonymous"),)]
    assert stats["n_auth"] == truth["pybossa_users", (("kind", "authenticated"),)]
    assert stats["n_published_projects"] == truth["pybossa_projects", (("status", "published"),)]
    assert stats["n_draft_projects"] == truth["pybossa_projects", (("status", "draft"),)]
    assert stats["n_tasks"] == truth["pybossa_tasks", ()]
    assert stats["n_task_runs"] == truth["pybossa_task_runs", ()]
    for project in reply["top5_projects_24_hours"]:
        assert project["n_answers"] == truth["pybossa_top_project_task_runs", (("project", project["short_name"]),)]
    for rank, user in enumerate(reply["top5_users_24_hours"], start=1):
        assert user["n_answers"] == truth["pybossa_top_user_task_runs", (("rank", str(rank)),)]


async def test_the_top_lists_hold_personal_data_and_raw_info(crowd: Crowd) -> None:
    async with client(crowd) as http:
        reply = (await http.get("/stats/", headers=JSON)).json()

    assert len(reply["top5_projects_24_hours"]) == len(reply["top5_users_24_hours"]) == 5
    assert all(user["name"] and user["fullname"] for user in reply["top5_users_24_hours"])
    assert "@example.org" in reply["top5_projects_24_hours"][0]["info"]["contact"]


async def test_the_top_lists_are_of_the_calendar_day(crowd: Crowd) -> None:
    """They are empty just after midnight, UTC."""
    async with client(crowd, datetime(2026, 11, 21, 0, 5, tzinfo=UTC)) as http:
        reply = (await http.get("/stats/", headers=JSON)).json()

    assert reply["top5_projects_24_hours"] == reply["top5_users_24_hours"] == []


async def test_globalstats_agrees_with_the_raw_data(crowd: Crowd) -> None:
    async with client(crowd) as http:
        reply = (await http.get("/api/globalstats")).json()
    truth = expected(crowd, NOW)
    *categories, featured, draft = reply["categories"]

    assert reply["n_results"] == truth["pybossa_results", ()]
    assert reply["n_tasks"] == truth["pybossa_requested_task_runs", ()]
    assert reply["n_pending_tasks"] == truth["pybossa_pending_task_runs", ()]
    assert featured == {"featured": truth["pybossa_featured_projects", ()]}
    assert draft == {"draft": truth["pybossa_projects", (("status", "draft"),)]}
    named = {name: number for entry in categories for name, number in entry.items()}
    assert named.pop("draft") == draft["draft"]  # a category named as a kind of project has the number of that kind
    for name, number in named.items():
        assert number == truth["pybossa_category_projects", (("category", name),)]


async def test_projectstats_agrees_with_the_raw_data(crowd: Crowd) -> None:
    async with client(crowd) as http:
        rows = (await http.get("/api/projectstats?limit=100")).json()
    truth = expected(crowd, NOW)

    assert {row["project_id"] for row in rows} == {project.id for project in crowd.projects(NOW)}
    for project in crowd.projects(NOW):
        [row] = [row for row in rows if row["project_id"] == project.id]
        if is_published(project, NOW):
            labels = (("project", str(project.id)),)
            for value in ("tasks", "completed_tasks", "task_runs", "results", "volunteers"):
                assert row[f"n_{value}"] == truth[f"pybossa_project_{value}", labels]
            assert row["overall_progress"] / 100 == truth["pybossa_project_progress_ratio", labels]
            assert row["average_time"] == truth.get(("pybossa_project_task_run_seconds", labels), 0)


async def test_last_activity_has_its_three_forms(crowd: Crowd) -> None:
    """A naive time, null without a task run, and the text 0 where the background job never ran."""
    async with client(crowd) as http:
        rows = (await http.get("/api/projectstats?limit=100")).json()
    seen = [row["last_activity"] for row in rows]

    assert None in seen
    assert "0" in seen
    times = [datetime.fromisoformat(text) for text in seen if text not in (None, "0")]
    assert all(moment.tzinfo is None for moment in times)


async def test_a_walk_by_last_id_reads_every_row_once(crowd: Crowd) -> None:
    """20 rows a page, an empty page at the end."""
    ids: list[int] = []
    async with client(crowd) as http:
        while True:
            params = {"last_id": ids[-1]} if ids else {}
            page = [row["id"] for row in (await http.get("/api/projectstats", params=params)).json()]
            if not page:
                break
            assert len(page) <= 20
            ids += page

    assert len(ids) == len(set(ids)) == len(crowd.projects(NOW))


@pytest.mark.parametrize(("limit", "rows"), [("1000", 61), ("5", 5), ("many", 20)])
async def test_the_limit_is_cut_and_defaults(crowd: Crowd, limit: str, rows: int) -> None:
    async with client(crowd) as http:
        assert len((await http.get("/api/projectstats", params={"limit": limit})).json()) == rows


async def test_drafts_are_taken_out_after_the_limit(crowd: Crowd) -> None:
    """An anonymous page is short though more lies behind it; with `published=true` it is full."""
    async with client(crowd) as http:
        short = (await http.get("/api/project?limit=20")).json()
        full = (await http.get("/api/project?limit=20&published=true")).json()

    assert len(short) == 15
    assert len(full) == 20
    assert not any("published" in row for row in short + full)


async def test_a_key_narrows_the_list_to_its_owner_unless_all_is_asked(crowd: Crowd) -> None:
    async with client(crowd) as http:
        own = (await http.get("/api/project?limit=100", headers=ADMIN)).json()
        everything = (await http.get("/api/project?limit=100&all=1", headers=ADMIN)).json()
        members = (await http.get("/api/project?limit=100&all=1", headers=MEMBER)).json()

    assert {row["owner_id"] for row in own} == {1}
    assert len(everything) == len(crowd.projects(NOW))
    assert all("published" in row for row in everything)
    assert all(row["owner_id"] == 2 or "published" not in row for row in members)
    assert len(own) < len(members) < len(everything)


@pytest.mark.parametrize("headers", [{"Authorization": "wrong"}, {"Authorization": f"Bearer {pybossa.ADMIN_KEY}"}])
async def test_a_wrong_key_counts_as_none(crowd: Crowd, headers: dict[str, str]) -> None:
    async with client(crowd) as http:
        anonymous = (await http.get("/api/project?limit=100")).json()
        assert (await http.get("/api/project?limit=100", headers=headers)).json() == anonymous


async def test_categories_have_short_names(crowd: Crowd) -> None:
    async with client(crowd) as http:
        rows = (await http.get("/api/category?limit=100", headers=ADMIN)).json()
        projects = (await http.get("/api/project?limit=100")).json()

    assert {project["category_id"] for project in projects} <= {row["id"] for row in rows}
    assert "draft" in {row["short_name"] for row in rows}


@pytest.mark.parametrize(
    ("method", "path", "status_code", "exception"),
    [
        ("GET", "/api/project?colour=red", 415, "AttributeError"),
        ("GET", "/api/globalstats/", 404, "NotFound"),
        ("POST", "/api/category", 405, "MethodNotAllowed"),
    ],
)
async def test_errors_under_api_are_json(
    crowd: Crowd, method: str, path: str, status_code: int, exception: str
) -> None:
    async with client(crowd) as http:
        response = await http.request(method, path)
    body = response.json()

    assert response.status_code == body["status_code"] == status_code
    assert (body["status"], body["action"], body["exception_cls"]) == ("failed", method, exception)
    assert body["target"] == path.split("/")[2].split("?", maxsplit=1)[0]


async def test_pages_answer_errors_in_html_or_json(crowd: Crowd) -> None:
    async with client(crowd) as http:
        assert (await http.get("/nowhere")).headers["Content-Type"].startswith("text/html")
        assert (await http.get("/nowhere", headers=JSON)).json()["code"] == 404
        posted = await http.post("/stats/")
        assert (posted.status_code, posted.headers["Content-Type"][:9]) == (405, "text/html")


async def test_stats_without_its_slash_is_a_308(crowd: Crowd) -> None:
    async with client(crowd) as http:
        response = await http.get("/stats", headers=JSON)

    assert (response.status_code, response.headers["Location"]) == (308, "/stats/")


async def test_the_last_request_of_a_window_is_refused(crowd: Crowd) -> None:
    """With a limit of 5 four pass; the 429 is JSON, names the end of the window and has no Retry-After."""
    async with client(crowd, rate_limit=5) as http:
        remaining = [(await http.get("/api/category")).headers["X-RateLimit-Remaining"] for _ in range(4)]
        refused = await http.get("/api/category")
        other = await http.get("/api/globalstats")
        page = await http.get("/stats/", headers=JSON)

    assert remaining == ["4", "3", "2", "1"]
    assert (refused.status_code, refused.json()["status_code"]) == (429, 429)
    assert (refused.headers["X-RateLimit-Limit"], refused.headers["X-RateLimit-Remaining"]) == ("5", "0")
    assert int(refused.headers["X-RateLimit-Reset"]) % 900 == 0
    assert "Retry-After" not in refused.headers
    assert other.status_code == 200
    assert "X-RateLimit-Limit" not in page.headers


async def test_a_new_window_forgets_the_last_one(crowd: Crowd) -> None:
    clock = [NOW]
    transport = httpx.ASGITransport(pybossa.application(crowd, lambda: clock[0], rate_limit=2))
    async with httpx.AsyncClient(transport=transport, base_url="http://crowd.test") as http:
        assert (await http.get("/api/category")).status_code == 200
        assert (await http.get("/api/category")).status_code == 429
        clock[0] += timedelta(seconds=900)
        assert (await http.get("/api/category")).status_code == 200


async def test_queues_need_the_key_of_an_administrator(crowd: Crowd) -> None:
    async with client(crowd) as http:
        for headers in ({}, MEMBER, {"Authorization": "wrong"}):
            refused = await http.get("/admin/rq/queues.json", headers=headers)
            assert (refused.status_code, refused.headers["Content-Type"][:9]) == (401, "text/html")
        rows = (await http.get("/admin/rq/queues.json", headers=ADMIN)).json()["queues"]

    assert {row["name"]: row["count"] for row in rows} == crowd.queues(NOW)


async def test_locations_come_in_the_form_of_the_version(crowd: Crowd) -> None:
    number = expected(crowd, NOW, locs=True)["pybossa_contributor_locations", ()]
    async with client(crowd, locs="list") as http:
        places = (await http.get("/stats/", headers=JSON)).json()["locs"]
    async with client(crowd, locs="string") as http:
        text = (await http.get("/stats/", headers=JSON)).json()["locs"]

    assert len(places) == number > 100
    assert json.loads(text) == places
