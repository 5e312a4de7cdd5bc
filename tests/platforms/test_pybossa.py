"""PYBOSSA: replies recorded from a v4.0.3 server on 2026-11-20, and the shapes that other versions send.

The list of favorites was not recorded: it is as the vendor's reference has it.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from exporter.api.client import Access, Client
from exporter.api.run import new_run
from exporter.errors import (
    CollectError,
    IncompleteError,
    InvalidResponseError,
    RedirectError,
    ServerError,
    UnauthorizedError,
)
from exporter.metrics import Sample
from exporter.platforms.pybossa import PLATFORM
from exporter.platforms.pybossa.settings import PybossaSettings
from tests.platforms.conftest import Handler, exposition_lines

FIXTURES = Path(__file__).parent / "pybossa"
NOW = datetime(2026, 11, 20, 19, 0, tzinfo=UTC)
COLLECTORS = {collector.name: collector for collector in PLATFORM.collectors}

ClientFor = Callable[[Access, Handler], Client]
Collect = Callable[..., Any]


def recorded(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


class Server:
    """Answers as the recorded server did; `replies` replaces what a path answers."""

    def __init__(self, **replies: Any) -> None:
        self.requests: list[httpx.Request] = []
        self.replies = {
            "/stats/": recorded("stats"),
            "/api/globalstats": recorded("api_globalstats"),
            "/api/category": recorded("api_category"),
            "/api/favorites": recorded("api_favorites"),
            "/api/project": recorded("api_project"),
            "/api/projectstats": recorded("api_projectstats"),
            "/admin/rq/queues.json": recorded("admin_rq_queues"),
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies[request.url.path]
        if isinstance(reply, httpx.Response):
            return reply
        if isinstance(reply, list):
            last_id, limit = int(request.url.params.get("last_id", 0)), int(request.url.params["limit"])
            reply = [row for row in reply if row["id"] > last_id][:limit]
        return httpx.Response(200, json=reply)


def settings(**keys: Any) -> PybossaSettings:
    return PybossaSettings(name="crowd", platform="pybossa", url="https://crowd.example.org", **keys)


@pytest.fixture
def collect(client_for: ClientFor) -> Collect:
    """Run one collector against a server."""

    async def run(name: str, server: Handler, **keys: Any) -> list[Sample]:
        target = settings(**keys)
        async with client_for(PLATFORM.access(target), server).session() as client:
            return await COLLECTORS[name].collect(client, target, NOW)

    return run


def values(samples: Iterable[Sample], family: str) -> dict[tuple[str, ...], float]:
    return {sample.labels: sample.value for sample in samples if sample.family.name == family}


async def test_every_collector_gives_the_golden_lines_of_the_recorded_server(collect: Collect, golden: Any) -> None:
    samples = [sample for name in COLLECTORS for sample in await collect(name, Server(), api_key="k")]

    golden(FIXTURES / "expected.prom", samples)


async def test_samples_belong_to_the_families_that_the_collector_declares(collect: Collect) -> None:
    for name, collector in COLLECTORS.items():
        assert {sample.family for sample in await collect(name, Server())} <= set(collector.families)


async def test_people_and_page_contents_are_in_no_sample(collect: Collect) -> None:
    """The recorded top list names four users in two ways, and projects carry a page in `info`."""
    lines = exposition_lines([sample for name in COLLECTORS for sample in await collect(name, Server())])

    for user in recorded("stats")["top5_users_24_hours"]:
        assert user["name"] not in lines
        assert user["fullname"] not in lines
    assert "<div>" not in lines


async def test_an_empty_server_has_zeros_and_no_top_lists(collect: Collect) -> None:
    server = Server()
    server.replies["/stats/"] = recorded("stats_empty_server")
    server.replies |= {"/api/category": [], "/api/project": [], "/api/projectstats": []}

    samples = await collect("stats", server)

    assert {sample.value for sample in samples} == {0.0}
    assert len(samples) == 6
    assert [sample.value for sample in await collect("projects", server)] == [0]  # those without statistics


async def test_requests_ask_for_json_in_both_ways_and_with_the_right_slashes(collect: Collect) -> None:
    server = Server()
    for name in ("stats", "globalstats"):
        await collect(name, server)

    assert [str(request.url) for request in server.requests] == [
        "https://crowd.example.org/stats/?response_format=json",
        "https://crowd.example.org/api/category?limit=1",
        "https://crowd.example.org/api/globalstats",
        "https://crowd.example.org/api/category?limit=1",
    ]
    assert {request.headers["content-type"] for request in server.requests} == {"application/json"}


async def test_without_a_key_nothing_is_sent_as_authorization(collect: Collect) -> None:
    server = Server()
    await collect("projects", server)

    assert all("authorization" not in request.headers for request in server.requests)
    assert all("all" not in request.url.params for request in server.requests)


async def test_with_a_key_it_is_sent_raw_and_lists_ask_for_the_projects_of_all_owners(collect: Collect) -> None:
    server = Server()
    await collect("projects", server, api_key="5e6b0ae4")

    assert {request.headers["authorization"] for request in server.requests} == {"5e6b0ae4"}
    lists = [request for request in server.requests if request.url.path != "/api/favorites"]
    assert {request.url.params["all"] for request in lists} == {"1"}
    assert all("5e6b0ae4" not in str(request.url) for request in server.requests)


@pytest.mark.parametrize("name", COLLECTORS)
async def test_a_redirect_to_the_sign_in_page_is_unauthorized(collect: Collect, name: str) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": "/account/signin?next=%2Fstats%2F"})

    with pytest.raises(UnauthorizedError) as caught:
        await collect(name, server)

    assert "api_key" in caught.value.remedy


async def test_any_other_redirect_stays_one(collect: Collect) -> None:
    with pytest.raises(RedirectError):
        await collect("stats", lambda _: httpx.Response(308, headers={"location": "https://crowd.example.org/x"}))


async def test_html_with_status_200_is_invalid(collect: Collect) -> None:
    """A proxy that strips Content-Type from requests makes the server answer with its web page."""
    server = Server()
    server.replies["/stats/"] = httpx.Response(200, html="<html>")

    with pytest.raises(InvalidResponseError, match=r"/stats/: the body is a web page"):
        await collect("stats", server)


@pytest.mark.parametrize(
    ("total", "chart", "label", "family", "labels"),
    [
        ("n_anon", "users", "Anonymous", "pybossa_users", ("anonymous",)),
        ("n_auth", "users", "Authenticated", "pybossa_users", ("authenticated",)),
        ("n_published_projects", "projects", "Published", "pybossa_projects", ("published",)),
        ("n_draft_projects", "projects", "Draft", "pybossa_projects", ("draft",)),
        ("n_tasks", "tasks", "Tasks", "pybossa_tasks", ()),
        ("n_task_runs", "tasks", "Answers", "pybossa_task_runs", ()),
    ],
)
async def test_a_missing_total_is_read_from_the_chart_and_missing_there_too_is_an_error(
    collect: Collect, total: str, chart: str, label: str, family: str, labels: tuple[str, ...]
) -> None:
    server = Server()
    stats = server.replies["/stats/"]
    del stats["stats"][total]
    bar = next(bar for bar in stats[chart]["values"] if bar["label"] == label)
    bar["value"] = [0, 4711]

    assert values(await collect("stats", server), family)[labels] == 4711

    stats[chart]["values"].remove(bar)
    with pytest.raises(InvalidResponseError, match=rf"GET /stats/: .*stats\.{total}.*{label}"):
        await collect("stats", server)


async def test_stats_win_over_the_chart(collect: Collect) -> None:
    server = Server()
    server.replies["/stats/"]["stats"]["n_anon"] = 7

    assert values(await collect("stats", server), "pybossa_users")["anonymous",] == 7


async def test_stats_may_lack_the_object_of_totals(collect: Collect) -> None:
    server = Server()
    del server.replies["/stats/"]["stats"]

    assert exposition_lines(await collect("stats", server)) == exposition_lines(await collect("stats", Server()))


async def test_top_lists_are_read_under_the_other_documented_spelling(collect: Collect) -> None:
    server = Server()
    stats = server.replies["/stats/"]
    for kind in ("projects", "users"):
        stats[f"top_5_{kind}_24_hours"] = stats.pop(f"top5_{kind}_24_hours")

    assert exposition_lines(await collect("stats", server)) == exposition_lines(await collect("stats", Server()))


@pytest.mark.parametrize("key", ["top5_projects_24_hours", "top5_users_24_hours"])
async def test_a_missing_top_list_is_an_error(collect: Collect, key: str) -> None:
    server = Server()
    del server.replies["/stats/"][key]

    with pytest.raises(InvalidResponseError, match=rf"GET /stats/: .*{key}"):
        await collect("stats", server)


async def test_a_project_keeps_its_series_when_its_rank_changes(collect: Collect) -> None:
    def named(samples: list[Sample]) -> set[tuple[str, ...]]:
        return set(values(samples, "pybossa_top_project_task_runs"))

    server = Server()
    before = named(await collect("stats", server))
    server.replies["/stats/"]["top5_projects_24_hours"].reverse()

    assert named(await collect("stats", server)) == before


async def test_no_more_than_five_ranks_are_exposed(collect: Collect) -> None:
    server = Server()
    server.replies["/stats/"]["top5_users_24_hours"] = [{"n_answers": n} for n in (9, 8, 7, 6, 5, 4)]

    assert values(await collect("stats", server), "pybossa_top_user_task_runs") == {
        (rank,): value for rank, value in zip("12345", (9, 8, 7, 6, 5), strict=True)
    }


@pytest.mark.parametrize(
    ("locations", "number"),
    [
        ([], 0),
        ([{"loc": {"latitude": 1.5, "longitude": 2.5}}], 1),
        ("[]", 0),
        ('[{"loc": {}}, {"loc": {}}]', 2),
        (None, None),
    ],
)
async def test_locations_come_as_a_list_as_a_list_in_a_text_or_not_at_all(
    collect: Collect, locations: Any, number: int | None
) -> None:
    server = Server()
    server.replies["/stats/"]["locs"] = locations

    expected = {} if number is None else {(): number}
    assert values(await collect("stats", server), "pybossa_contributor_locations") == expected


@pytest.mark.parametrize("locations", ["", "{}", "[", 5])
async def test_locations_that_are_no_list_are_an_error(collect: Collect, locations: Any) -> None:
    server = Server()
    server.replies["/stats/"]["locs"] = locations

    with pytest.raises(InvalidResponseError, match=r"GET /stats/: .*locs"):
        await collect("stats", server)


async def test_a_category_called_as_a_closing_entry_has_no_series(collect: Collect) -> None:
    """By the source of v4.0.3, `n_count` answers for such a name with the number of the closing entry."""
    server = Server()
    server.replies["/api/globalstats"]["categories"] = [
        {"draft": 2},
        {"featured": 1},
        {"maps": 4},
        {"featured": 1},
        {"draft": 2},
    ]

    samples = await collect("globalstats", server)

    assert values(samples, "pybossa_category_projects") == {("maps",): 4}
    assert values(samples, "pybossa_featured_projects") == {(): 1}


async def test_pending_task_runs_may_be_negative(collect: Collect) -> None:
    server = Server()
    server.replies["/api/globalstats"]["n_pending_tasks"] = -12

    assert values(await collect("globalstats", server), "pybossa_pending_task_runs") == {(): -12}


async def test_old_servers_do_not_tell_the_requested_task_runs(collect: Collect) -> None:
    server = Server()
    del server.replies["/api/globalstats"]["n_tasks"]

    samples = await collect("globalstats", server)

    assert values(samples, "pybossa_requested_task_runs") == {}
    assert values(samples, "pybossa_results") == {(): 3}


@pytest.mark.parametrize("categories", [[], [{"thinking": 4}], [{"draft": 1}, {"featured": 1}], [{"featured": 1}, {}]])
async def test_categories_without_their_closing_entries_are_an_error(collect: Collect, categories: Any) -> None:
    server = Server()
    server.replies["/api/globalstats"]["categories"] = categories

    with pytest.raises(InvalidResponseError, match=r"GET /api/globalstats: .*categories"):
        await collect("globalstats", server)


async def test_drafts_have_no_series_although_projectstats_lists_them(collect: Collect) -> None:
    """The recorded server has rows of six projects; 4 and 5 are drafts."""
    samples = await collect("projects", Server())

    assert values(samples, "pybossa_project_tasks") == {("1",): 12, ("2",): 8, ("3",): 5, ("6",): 1}


async def test_means_and_times_of_projects_without_task_runs_are_absent(collect: Collect) -> None:
    """Project 6 has no task run: its mean duration is reported as 0, its last activity as null."""
    samples = await collect("projects", Server())

    assert ("6",) not in values(samples, "pybossa_project_task_run_seconds")
    assert ("6",) not in values(samples, "pybossa_project_last_activity_timestamp_seconds")
    assert values(samples, "pybossa_project_task_runs")["6",] == 0


@pytest.mark.parametrize(
    ("last_activity", "unix_time"),
    [
        (None, None),
        ("2026-11-20T18:38:24.251209", datetime(2026, 11, 20, 18, 38, 24, 251209, UTC).timestamp()),
        ("2026-11-20T18:38:24", datetime(2026, 11, 20, 18, 38, 24, tzinfo=UTC).timestamp()),
        ("2026-11-20T19:38:24+01:00", datetime(2026, 11, 20, 18, 38, 24, tzinfo=UTC).timestamp()),
    ],
)
async def test_last_activity_is_utc_and_absent_when_unset(
    collect: Collect, last_activity: str | None, unix_time: float | None
) -> None:
    server = Server()
    server.replies["/api/projectstats"] = [{**recorded("api_projectstats")[0], "last_activity": last_activity}]

    expected = {} if unix_time is None else {("1",): unix_time}
    samples = await collect("projects", server)
    assert values(samples, "pybossa_project_last_activity_timestamp_seconds") == expected


async def test_a_row_that_the_server_never_computed_has_no_numbers_and_is_counted(collect: Collect) -> None:
    """The recorded row of project 5: zeros and a `last_activity` of "0"; it is a draft there, and published here."""
    server = Server()
    never = next(row for row in recorded("api_projectstats") if row["last_activity"] == "0")
    server.replies["/api/projectstats"][0] = {**never, "id": 1, "project_id": 1}
    del server.replies["/api/projectstats"][1]  # nor is there any row of project 2

    samples = await collect("projects", server)

    assert values(samples, "pybossa_projects_without_statistics") == {(): 2}
    assert {labels[0] for labels in values(samples, "pybossa_project_info")} == {"1", "2", "3", "6"}
    numbers = [one for one in samples if one.family.labels == ("project",)]
    assert {one.labels for one in numbers} == {("3",), ("6",)}
    assert values(samples, "pybossa_project_tasks") == {("3",): 5, ("6",): 1}


async def test_the_last_activity_of_a_project_without_task_runs_is_a_default(collect: Collect) -> None:
    server = Server()
    server.replies["/api/projectstats"][0] |= {"n_task_runs": 0, "last_activity": "2026-11-20T18:38:24"}

    samples = await collect("projects", server)

    assert ("1",) not in values(samples, "pybossa_project_last_activity_timestamp_seconds")


async def test_projects_beyond_the_top_are_added_up(collect: Collect) -> None:
    """By task runs of all time: 33, 14, 11 and 0 on the recorded server."""
    samples = await collect("projects", Server(), collectors={"projects": {"top": 1}})

    assert set(values(samples, "pybossa_project_info")) == {("1", "galaxy", "Galaxy Counter", "thinking")}
    others = {
        one.family.name.removeprefix("pybossa_project_"): one.value for one in samples if one.labels == ("other",)
    }
    assert others == {
        "tasks": 8 + 5 + 1,
        "completed_tasks": 6,
        "task_runs": 14 + 11,
        "results": 0,
        "volunteers": 3 + 4,
        "progress_ratio": 6 / 14,
        "task_run_seconds": pytest.approx((14 * 0.009835 + 11 * 0.019222) / 25),
        "last_activity_timestamp_seconds": datetime(2026, 11, 20, 18, 48, 39, 950444, UTC).timestamp(),
    }


@pytest.mark.parametrize("choice", [{"top": 1}, {"top": 3}, {"top": 4}, {"ids": [2]}, {"ids": [6, 99]}, {"ids": [4]}])
async def test_sums_over_projects_are_the_whole_whatever_is_chosen(collect: Collect, choice: dict[str, Any]) -> None:
    every = await collect("projects", Server())
    chosen = await collect("projects", Server(), collectors={"projects": choice})

    for name in ("tasks", "completed_tasks", "task_runs", "results", "volunteers"):
        whole = sum(values(every, f"pybossa_project_{name}").values())
        assert sum(values(chosen, f"pybossa_project_{name}").values()) == whole


async def test_listed_projects_have_series_of_their_own_if_they_are_published(collect: Collect) -> None:
    samples = await collect("projects", Server(), collectors={"projects": {"ids": [6, 4, 99]}})

    assert set(values(samples, "pybossa_project_tasks")) == {("6",), ("other",)}


async def test_what_nobody_knows_ranks_last_and_is_in_no_sum(collect: Collect) -> None:
    server = Server()
    server.replies["/api/projectstats"][0] |= {"n_tasks": 0, "n_task_runs": 0, "last_activity": "0"}

    samples = await collect("projects", server, collectors={"projects": {"top": 3}})

    assert set(values(samples, "pybossa_project_tasks")) == {("2",), ("3",), ("6",)}
    assert values(samples, "pybossa_projects_without_statistics") == {(): 1}


async def test_5000_projects_stay_within_the_series_of_a_target(collect: Collect) -> None:
    server = Server()
    project, row = recorded("api_project")[0], recorded("api_projectstats")[0]
    server.replies["/api/project"] = [{**project, "id": number} for number in range(1, 5001)]
    server.replies["/api/projectstats"] = [
        {**row, "id": n, "project_id": n, "n_task_runs": n % 700} for n in range(1, 5001)
    ]

    samples = await collect("projects", server)

    assert len(samples) < settings().max_series / 2
    assert sum(values(samples, "pybossa_project_tasks").values()) == 5000 * 12
    assert len(values(samples, "pybossa_project_tasks")) == 1001


async def test_last_activity_that_is_no_time_is_unknown_and_told_without_its_value(collect: Collect) -> None:
    server = Server()
    server.replies["/api/projectstats"][0]["last_activity"] = "yesterday"
    with new_run() as run:
        samples = await collect("projects", server)

    row = server.replies["/api/projectstats"][0]
    assert (str(row["project_id"]),) not in values(samples, "pybossa_project_last_activity_timestamp_seconds")
    assert [str(found) for found in run.unreadable()] == [
        f"GET /api/projectstats: $[...].last_activity of record {row['id']}"
    ]


async def test_half_a_character_takes_no_totals_away(collect: Collect) -> None:
    """The locations beside it are of any type, since only their number counts."""
    body = json.dumps({**Server().replies["/stats/"], "locs": [{"loc": "\ud800"}, 7]}).encode()
    server = Server()
    samples = await collect(
        "stats",
        lambda request: httpx.Response(200, content=body) if request.url.path == "/stats/" else server(request),
    )

    assert values(samples, "pybossa_contributor_locations") == {(): 2}


async def test_a_category_that_is_unset_or_unknown_is_empty(collect: Collect) -> None:
    server = Server()
    server.replies["/api/project"][0]["category_id"] = None
    server.replies["/api/project"][1]["category_id"] = 99

    projects = values(await collect("projects", server), "pybossa_project_info")
    assert {labels[0]: labels[3] for labels in projects} == {"1": "", "2": "", "3": "thinking", "6": "thinking"}


async def test_names_with_quotes_backslashes_and_newlines_are_kept(collect: Collect) -> None:
    """Project 6 was given all three on the recorded server."""
    projects = values(await collect("projects", Server()), "pybossa_project_info")

    assert ("6", "empty", 'Empty "quoted" \\ back\nline', "thinking") in projects


async def test_walks_go_on_after_short_pages_until_an_empty_one(collect: Collect) -> None:
    """Hidden rows make pages short; here every page holds one row."""
    server = Server()

    def one_at_a_time(request: httpx.Request) -> httpx.Response:
        rows = server(request).json()
        return httpx.Response(200, json=rows[:1])

    assert exposition_lines(await collect("projects", one_at_a_time)) == exposition_lines(
        await collect("projects", Server())
    )


async def test_a_server_that_ignores_last_id_is_incomplete(collect: Collect) -> None:
    server = Server()

    def circular(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=server.replies[request.url.path])

    with pytest.raises(IncompleteError):
        await collect("projects", circular)


async def test_queues_that_the_server_cannot_tell_are_its_error_with_the_remedy(collect: Collect) -> None:
    """Seen on a real server both with Redis stopped and without a REDIS_URL."""
    server = Server()
    server.replies["/admin/rq/queues.json"] = {"status": "error"}

    with pytest.raises(ServerError, match=r"queues\.json .*cannot reach Redis, or its REDIS_URL is unset") as caught:
        await collect("queues", server)

    assert "REDIS_URL" in caught.value.remedy


@pytest.mark.parametrize("name", ["stats", "globalstats"])
async def test_a_dead_database_shows_although_totals_come_from_a_cache(collect: Collect, name: str) -> None:
    """Seen on a real server: with PostgreSQL stopped both totals go on with 200, and every list answers 500."""
    server = Server()
    server.replies["/api/category"] = httpx.Response(500, json={"status": "failed"})

    with pytest.raises(ServerError, match="GET /api/category answered 500") as caught:
        await collect(name, server)

    assert "the server's own log" in caught.value.remedy
    assert "status page" not in caught.value.remedy


@pytest.mark.parametrize("name", ["stats", "globalstats", "projects"])
async def test_a_wrong_key_shows_although_the_server_takes_it_for_none(collect: Collect, name: str) -> None:
    server = Server()
    server.replies["/api/favorites"] = httpx.Response(401, json={"status": "failed", "status_code": 401})

    with pytest.raises(UnauthorizedError, match="GET /api/favorites answered 401") as caught:
        await collect(name, server, api_key="wrong")

    assert "does not know the API key" in caught.value.remedy
    await collect(name, server)  # nobody asks for favorites without a key


async def test_a_server_of_before_favorites_is_read_with_a_key_too(collect: Collect) -> None:
    server = Server()
    server.replies["/api/favorites"] = httpx.Response(404, json={"status": "failed"})

    assert await collect("stats", server, api_key="k") == await collect("stats", Server())


async def test_queues_refused_with_a_web_page_are_unauthorized(collect: Collect) -> None:
    with pytest.raises(UnauthorizedError):
        await collect("queues", lambda _: httpx.Response(401, html="<h1>Unauthorized</h1>"))


@pytest.mark.parametrize(
    ("name", "endpoint", "place", "value"),
    [
        ("stats", "/stats/", ("stats", "n_anon"), -1),
        ("stats", "/stats/", ("stats", "n_auth"), "4"),
        ("stats", "/stats/", ("users", "values", 0, "value"), [0]),
        ("stats", "/stats/", ("top5_projects_24_hours", 0, "short_name"), None),
        ("projects", "/api/projectstats", (0, "project_id"), None),
        ("globalstats", "/api/globalstats", ("n_results",), None),
        ("globalstats", "/api/globalstats", ("n_tasks",), -1),
        ("globalstats", "/api/globalstats", ("n_pending_tasks",), "150"),
        ("globalstats", "/api/globalstats", ("categories", 0, "thinking"), -4),
        ("queues", "/admin/rq/queues.json", ("queues", 0, "name"), 1),
    ],
)
async def test_a_value_of_the_wrong_kind_is_invalid_and_names_endpoint_and_key(
    collect: Collect, name: str, endpoint: str, place: tuple[Any, ...], value: Any
) -> None:
    server = Server()
    *path, key = place
    part = server.replies[endpoint]
    for step in path:
        part = part[step]
    part[key] = value

    with pytest.raises(CollectError) as caught:
        await collect(name, server)

    assert type(caught.value) is InvalidResponseError
    assert endpoint in str(caught.value)
    assert (str(key) if key != "thinking" else "categories") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "endpoint", "place"),
    [
        ("globalstats", "/api/globalstats", ("n_results",)),
        ("globalstats", "/api/globalstats", ("n_pending_tasks",)),
        ("globalstats", "/api/globalstats", ("categories",)),
        ("projects", "/api/projectstats", (0, "project_id")),
        ("queues", "/admin/rq/queues.json", ("queues",)),
    ],
)
async def test_a_missing_key_is_invalid_and_names_endpoint_and_key(
    collect: Collect, name: str, endpoint: str, place: tuple[Any, ...]
) -> None:
    server = Server()
    *path, key = place
    part = server.replies[endpoint]
    for step in path:
        part = part[step]
    del part[key]

    with pytest.raises(InvalidResponseError) as caught:
        await collect(name, server)

    assert endpoint in str(caught.value)
    assert str(key) in str(caught.value)


def test_either_the_top_or_ids_of_projects_are_chosen() -> None:
    for choice in ({"top": 5, "ids": [1]}, {"top": 0}, {"ids": []}, {"ids": [0]}):
        with pytest.raises(ValidationError):
            settings(collectors={"projects": choice})
    assert settings(collectors={"projects": {"ids": [3]}}).collectors.projects.ids == (3,)
    assert settings().collectors.projects.top == 1000


def test_queues_without_a_key_are_a_problem() -> None:
    assert list(settings(collectors={"queues": True}).problems()) == [
        ("collectors.queues", "needs an administrator's key; give api_key_file or api_key, or turn queues off")
    ]
    assert list(settings(collectors={"queues": True}, api_key="k").problems()) == []
    assert list(settings(collectors={"queues": False}).problems()) == []
    assert list(settings().problems()) == []


def test_defaults_are_those_of_the_metric_contract() -> None:
    assert {
        name: (collector.enabled, collector.interval.total_seconds() / 60) for name, collector in COLLECTORS.items()
    } == {"stats": (True, 15), "globalstats": (True, 15), "projects": (False, 60), "queues": (False, 5)}


@pytest.mark.parametrize("keys", [{}, {"api_key": "k"}])
@pytest.mark.parametrize("name", ["stats", "globalstats"])
async def test_planned_requests_for_totals_count_the_checks(collect: Collect, name: str, keys: dict[str, str]) -> None:
    server = Server()
    await collect(name, server, **keys)

    asked = Counter(request.url.path for request in server.requests)
    assert COLLECTORS[name].planned_requests(settings(**keys)) == asked


async def test_planned_requests_are_those_of_a_site_of_the_planned_size(collect: Collect) -> None:
    server = Server()
    project, row = recorded("api_project")[0], recorded("api_projectstats")[0]
    server.replies["/api/project"] = [{**project, "id": number} for number in range(1, 1001)]
    server.replies["/api/projectstats"] = [{**row, "id": n, "project_id": n} for n in range(1, 2001)]

    samples = await collect("projects", server, api_key="k")

    asked = Counter(request.url.path for request in server.requests)
    assert COLLECTORS["projects"].planned_requests(settings(api_key="k")) == asked
    assert COLLECTORS["projects"].planned_series(settings()) == Counter(sample.family for sample in samples)


@pytest.mark.parametrize("choice", [{"top": 999}, {"top": 5}, {"ids": [3, 4]}])
async def test_planned_series_heed_the_choice_of_projects(collect: Collect, choice: dict[str, Any]) -> None:
    server = Server()
    project, row = recorded("api_project")[0], recorded("api_projectstats")[0]
    server.replies["/api/project"] = [{**project, "id": number} for number in range(1, 1001)]
    server.replies["/api/projectstats"] = [{**row, "id": n, "project_id": n} for n in range(1, 1001)]

    samples = await collect("projects", server, collectors={"projects": choice})

    planned = COLLECTORS["projects"].planned_series(settings(collectors={"projects": choice}))
    assert planned == Counter(sample.family for sample in samples)
