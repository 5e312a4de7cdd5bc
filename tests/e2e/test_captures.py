"""A real PYBOSSA server's recorded replies, sent again byte by byte, against values read out of them by hand.

`tests/captures/pybossa` has the replies of PYBOSSA 4.0.3 as they came, headers included. The links inside their bodies
name the recorded server, 127.0.0.1:5000, where nothing listens here: an exporter that followed one would fail.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.command import PATIENCE_SECONDS, running, until_ready
from tests.page import Series, series

CAPTURES = Path(__file__).parent.parent / "captures/pybossa"
KEY = "the-administrators-key"

END_OF_LIST = "api_project_last_id_end"
FULL_SERVER = {
    "/stats/": "stats",
    "/api/globalstats": "api_globalstats",
    "/api/category": "api_category",
    "/api/project": "api_project_published_filter",
    "/api/projectstats": "api_projectstats",
    "/admin/rq/queues.json": "admin_rq_queues_key",
}

TOTALS = {
    ("pybossa_users", (("kind", "anonymous"),)): 5,
    ("pybossa_users", (("kind", "authenticated"),)): 4,
    ("pybossa_projects", (("status", "draft"),)): 2,
    ("pybossa_projects", (("status", "published"),)): 4,
    ("pybossa_tasks", ()): 30,
    ("pybossa_task_runs", ()): 60,
    ("pybossa_top_project_task_runs", (("project", "galaxy"),)): 33,
    ("pybossa_top_project_task_runs", (("project", "birds"),)): 14,
    ("pybossa_top_project_task_runs", (("project", "letters"),)): 11,
    ("pybossa_top_project_task_runs", (("project", "draft-one"),)): 2,
    ("pybossa_top_user_task_runs", (("rank", "1"),)): 13,
    ("pybossa_top_user_task_runs", (("rank", "2"),)): 12,
    ("pybossa_top_user_task_runs", (("rank", "3"),)): 9,
    ("pybossa_top_user_task_runs", (("rank", "4"),)): 2,
    ("pybossa_results", ()): 3,
    ("pybossa_requested_task_runs", ()): 210,
    ("pybossa_pending_task_runs", ()): 150,
    ("pybossa_category_projects", (("category", "thinking"),)): 4,
    ("pybossa_featured_projects", ()): 1,
    ("pybossa_queue_jobs", (("queue", "high"),)): 4,
    ("pybossa_queue_jobs", (("queue", "low"),)): 0,
    ("pybossa_queue_jobs", (("queue", "super"),)): 2,
}

NAMES = {
    "1": ("galaxy", "Galaxy Counter"),
    "2": ("birds", "Bird Spotter"),
    "3": ("letters", "Old Letters"),
    "6": ("empty", 'Empty "quoted" \\ back\nline'),
}
COLUMNS = ("tasks", "completed_tasks", "task_runs", "results", "volunteers", "progress_ratio")
NUMBERS = {"1": (12, 9, 33, 3, 4, 0.75), "2": (8, 6, 14, 0, 3, 0.75), "3": (5, 0, 11, 0, 4, 0), "6": (1, 0, 0, 0, 0, 0)}
TASK_RUN_SECONDS = {"1": 0.010254, "2": 0.009835, "3": 0.019222}
LAST_ACTIVITIES = {"1": 1795199904.251209, "2": 1795199904.574866, "3": 1795200519.950444}
"""2026-11-20, 18:38:24 and 18:48:39 UTC; nobody ever worked on project 6."""


def projects() -> Series:
    """The series of the four published projects; projects 4 and 5 are drafts."""
    expected: Series = {("pybossa_projects_without_statistics", ()): 0}
    for project, (short_name, name) in NAMES.items():
        labels = (("category", "thinking"), ("name", name), ("project", project), ("short_name", short_name))
        expected["pybossa_project_info", labels] = 1
    for project, values in NUMBERS.items():
        for column, value in zip(COLUMNS, values, strict=True):
            expected[f"pybossa_project_{column}", (("project", project),)] = value
    for project, seconds in TASK_RUN_SECONDS.items():
        expected["pybossa_project_task_run_seconds", (("project", project),)] = seconds
    for project, timestamp_seconds in LAST_ACTIVITIES.items():
        expected["pybossa_project_last_activity_timestamp_seconds", (("project", project),)] = timestamp_seconds
    return expected


EMPTY_SERVER = {
    ("pybossa_users", (("kind", "anonymous"),)): 0,
    ("pybossa_users", (("kind", "authenticated"),)): 0,
    ("pybossa_projects", (("status", "draft"),)): 0,
    ("pybossa_projects", (("status", "published"),)): 0,
    ("pybossa_tasks", ()): 0,
    ("pybossa_task_runs", ()): 0,
}


def recorded(name: str) -> bytes:
    """A reply as the server sent it: status line, headers, body. The first line of the file is the request."""
    head = (CAPTURES / f"{name}.headers").read_text(encoding="utf-8").strip().splitlines()[1:]
    return "\r\n".join([*head, "", ""]).encode() + (CAPTURES / f"{name}.json").read_bytes()


def reply_to(request: str, captures: Mapping[str, str]) -> bytes:
    """Choose the recorded reply: by path, and for a list's further pages the recorded end of one."""
    target = urlsplit(request.split()[1])
    [last_id] = parse_qs(target.query).get("last_id", ["0"])
    if target.path.startswith("/admin") and f"\r\nauthorization: {KEY}\r\n" not in request.lower():
        return b"HTTP/1.0 401 UNAUTHORIZED\r\n\r\n"
    if target.path == "/api/favorites":  # not recorded: the administrator of the recorded server has none
        assert f"\r\nauthorization: {KEY}\r\n" in request.lower()
        return recorded(END_OF_LIST)
    if target.path in ("/stats/", "/admin/rq/queues.json"):
        assert "\r\ncontent-type: application/json\r\n" in request.lower(), "the real server answers with a web page"
    return recorded(captures[target.path] if last_id == "0" else END_OF_LIST)


@asynccontextmanager
async def replayed(captures: Mapping[str, str]) -> AsyncIterator[str]:
    """Serve recorded replies by path until the block ends; yields the server's address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.write(reply_to(request, captures))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


async def page_of(captures: Mapping[str, str], collectors: str, folder: Path) -> str:
    """The page of the installed exporter after it has polled the recorded server."""
    async with replayed(captures) as url:
        target = f"{{name: crowd, platform: pybossa, url: '{url}', api_key: {KEY}, collectors: {collectors}}}"
        file = folder / "config.yaml"
        file.write_text(f"targets: [{target}]\n", encoding="utf-8")
        async with running("--config.file", file) as exporter, httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            await until_ready(exporter.url)
            return (await http.get(f"{exporter.url}/metrics")).text


async def test_a_server_with_a_few_projects(tmp_path: Path) -> None:
    page = await page_of(FULL_SERVER, "{projects: on, queues: on}", tmp_path)

    found = series(page, "pybossa_", target="crowd")
    assert found == TOTALS | projects()
    assert series(page, "engagement_up") == {("engagement_up", (("platform", "pybossa"), ("target", "crowd"))): 1}


async def test_what_the_exporter_says_of_its_requests(tmp_path: Path) -> None:
    """Lists take two requests each, since only an empty page is the end; the limits are those of the headers.

    Three collectors try the key, and two whether the database answers.
    """
    page = await page_of(FULL_SERVER, "{projects: on, queues: on}", tmp_path)

    requests = series(page, "engagement_api_requests_total", target="crowd", platform="pybossa", code="200")
    assert {dict(labels)["endpoint"]: count for (_, labels), count in requests.items()} == {
        "/stats/": 1,
        "/api/globalstats": 1,
        "/api/category": 4,
        "/api/favorites": 3,
        "/api/project": 2,
        "/api/projectstats": 2,
        "/admin/rq/queues.json": 1,
    }
    limits = series(page, "engagement_api_rate_limit", target="crowd", platform="pybossa")
    by_name = {(name, dict(labels)["endpoint"]): value for (name, labels), value in limits.items()}
    for endpoint in ("/api/globalstats", "/api/category", "/api/favorites", "/api/project", "/api/projectstats"):
        assert by_name.pop(("engagement_api_rate_limit", endpoint)) == 300
        assert by_name.pop(("engagement_api_rate_limit_remaining", endpoint)) in {292, 296, 298, 299}
    assert by_name == {}  # neither of /stats/ nor of all together


async def test_a_server_on_which_nothing_happened_yet(tmp_path: Path) -> None:
    page = await page_of({**FULL_SERVER, "/stats/": "stats_empty_server"}, "{globalstats: off}", tmp_path)

    assert series(page, "pybossa_", target="crowd") == EMPTY_SERVER
