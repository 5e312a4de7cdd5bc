"""The past of every platform: every family is spoken of, and what the platform's answers contradict is left out."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from exporter.api.run import new_run
from exporter.history import Fidelity, Past, Span, Told, counted, disagreeing
from exporter.platform import History, Platform, installed
from exporter.platforms.konstantly.courses import RESULT_RATIO, Tally, course_samples
from exporter.platforms.konstantly.history import DatedAssignment, DatedCourse, course_steps
from exporter.platforms.learning360.counting import Windows
from exporter.platforms.learning360.history import EnrollmentPast
from exporter.platforms.learning360.paths import (
    PATH_COMPLETIONS,
    PATH_ENROLLMENTS_OVERDUE,
    PATH_ENROLLMENTS_STARTED,
    EnrollmentTotals,
    enrollment_date_samples,
    enrollment_samples,
)
from exporter.platforms.learning360.records import PathStat, PathStatus
from exporter.platforms.viktor.history import created_steps, milliseconds
from tests.fakes import Clock, make_client
from tests.small_sites import REPLIES, SETTINGS

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
DAY_SECONDS = 86_400
SPAN = Span(int((NOW - timedelta(days=40)).timestamp()), int(NOW.timestamp()), 240)
PLATFORMS = installed()


def unix(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp())  # type: ignore[arg-type,misc]


async def read(site: str, collector: str, replies: dict[str, Any]) -> Told:
    """Read the history of a collector from a small site with some replies in place of its own; a callable gets the
    request. Lists that are asked to go on from an id are at their end.
    """
    platform = PLATFORMS[site.split(maxsplit=1)[0]]
    [history] = [one for one in platform.histories if collector in one.collectors]

    def answer(request: httpx.Request) -> httpx.Response:
        documents = {**REPLIES[site], **replies}
        document = documents[request.url.path]
        if callable(document):
            reply = document(request)
            return reply if isinstance(reply, httpx.Response) else httpx.Response(200, json=reply)
        if request.url.params.get("last_id", "0") != "0":
            return httpx.Response(200, json=[])
        return httpx.Response(200, json=document)

    settings = SETTINGS[site]
    client = make_client(answer, platform.access(settings), Clock(NOW.timestamp()))
    assert history.read is not None
    async with client.session():
        told = await history.read(client, settings, SPAN, NOW.timestamp)
    return Told({family: list(series) for family, series in told.past.items()}, told.left_out, told.doubts)


def values(past: Past, name: str, *date: int) -> dict[tuple[str, ...], float]:
    """The values of a family at a moment, by label values."""
    found = {
        steps.labels: steps.at(unix(*date) * 1000)
        for family, series in past.items()
        for steps in series
        if family.name == name
    }
    return {labels: value for labels, value in found.items() if value is not None}


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=lambda platform: platform.name)
def test_every_family_is_spoken_of_for_every_window(platform: Platform[Any]) -> None:
    """A family of several collectors may be told by one history for all, which others then leave it to."""
    spoken = [known for history in platform.histories for known in history.known]
    for collector in platform.collectors:
        for family in collector.families:
            of_family = [known for known in spoken if known.family is family]
            assert of_family, family.name
            told = [
                known for known in of_family if known.windows or known.fidelity is not Fidelity.UNKNOWN
            ] or of_family
            windows = [window for known in told for window in known.windows]
            assert len(windows) == len(set(windows)), family.name
            assert all(known.windows for known in told) or len({known.fidelity for known in told}) == 1, family.name


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=lambda platform: platform.name)
def test_what_is_not_reconstructable_says_why(platform: Platform[Any]) -> None:
    known = [known for history in platform.histories for known in history.known]

    assert [one.family.name for one in known if one.fidelity is Fidelity.UNKNOWN and not one.why] == []


def test_a_history_that_is_silent_about_a_family_does_not_even_load() -> None:
    platform = PLATFORMS["pybossa"]
    [stats, *_] = platform.histories
    silent: History[Any] = History(stats.collectors, stats.known[1:], stats.read)

    with pytest.raises(ValueError, match="pybossa_users"):
        Platform(
            platform.name,
            platform.settings,
            platform.access,
            platform.collectors,
            platform.credential,
            platform.planned_for,
            (silent,),
        )


COURSE = {
    "id": 31,
    "name": "Safety",
    "isDraft": False,
    "createdAt": unix(2026, 12, 1),
    "publishedAt": unix(2026, 12, 5),
}
ASSIGNMENT = {
    "assignedAt": unix(2026, 12, 10),
    "startedAt": unix(2026, 12, 11),
    "deadlineAt": unix(2026, 12, 20),
    "finishedAt": unix(2026, 12, 25),
    "progressValue": 100,
    "resultValue": 80,
    "isCourseStarted": True,
    "isCourseFinished": True,
    "isExpired": False,
    "user": {"id": "u-1"},
}
TOTALS = {
    "statistics": {"coursesCount": 1, "assignedCoursesCount": 1, "groupsCount": 0, "usersCount": 1},
    "usersWithoutActivity": [],
    "usersWithoutResults": [],
    "leaders": [],
    "unassignedCourses": [],
}


def academy(course: dict[str, Any], assignment: dict[str, Any], totals: dict[str, Any]) -> dict[str, Any]:
    base = "/openapi/v1"
    return {
        f"{base}/statistics": totals,
        f"{base}/courses": {"courses": [course], "totalCount": 1},
        f"{base}/courses/31/assignments/users": {"assignments": [assignment], "totalCount": 1},
    }


async def test_konstantly_follows_an_assignment_through_its_states() -> None:
    past, left_out, _ = await read("konstantly", "courses", academy(COURSE, ASSIGNMENT, TOTALS))

    def states(*date: int) -> dict[str, float]:
        return {
            labels[1]: value for labels, value in values(past, "konstantly_course_learners", *date).items() if value
        }

    assert list(left_out) == []
    assert [states(2026, 12, day) for day in (9, 10, 12, 21, 26)] == [
        {},
        {"not_started": 1},
        {"in_progress": 1},
        {"expired": 1},
        {"finished": 1},
    ]
    assert values(past, "konstantly_course_result_ratio", 2026, 12, 24) == {}
    assert values(past, "konstantly_course_result_ratio", 2026, 12, 26) == {("31",): 0.8}
    assert values(past, "konstantly_course_info", 2026, 11, 30) == {}
    assert values(past, "konstantly_unassigned_courses", 2026, 12, 4) == {("draft",): 1, ("published",): 0}
    assert values(past, "konstantly_unassigned_courses", 2026, 12, 6) == {("draft",): 0, ("published",): 1}
    assert values(past, "konstantly_unassigned_courses", 2026, 12, 10) == {("draft",): 0, ("published",): 0}


async def test_konstantly_follows_both_assignments_of_a_user_who_has_a_course_twice() -> None:
    site = academy(COURSE, ASSIGNMENT, {**TOTALS, "statistics": {**TOTALS["statistics"], "assignedCoursesCount": 2}})  # type: ignore[dict-item]
    by_group = {**ASSIGNMENT, "assignedAt": unix(2026, 12, 15), "startedAt": 0, "finishedAt": unix(2026, 12, 28)}
    rows = [ASSIGNMENT, by_group]
    site["/openapi/v1/courses/31/assignments/users"] = {"assignments": rows, "totalCount": 2}

    past, left_out, _ = await read("konstantly", "courses", site)

    assert list(left_out) == []
    learners = values(past, "konstantly_course_learners", 2026, 12, 26)
    assert {state: value for (_, state), value in learners.items() if value} == {"finished": 1, "expired": 1}
    assert values(past, "konstantly_course_assignments", 2026, 12, 16) == {(): 2}


@pytest.mark.parametrize(
    ("course", "assignment", "totals", "lost"),
    [
        ({}, {"finishedAt": 0}, {}, {"konstantly_course_learners", "konstantly_course_result_ratio"}),
        ({"isDraft": True}, {}, {}, {"konstantly_catalog_courses"}),
        ({}, {}, {"coursesCount": 2}, {"konstantly_courses"}),
        ({}, {}, {"assignedCoursesCount": 3}, {"konstantly_course_assignments"}),
    ],
    ids=["finished without a date", "back to draft", "more courses than listed", "more assignments than listed"],
)
async def test_konstantly_leaves_out_what_its_dates_do_not_lead_to(
    course: dict[str, Any], assignment: dict[str, Any], totals: dict[str, Any], lost: set[str]
) -> None:
    statistics = {**TOTALS, "statistics": {**TOTALS["statistics"], **totals}}  # type: ignore[dict-item]
    past, left_out, _ = await read(
        "konstantly", "courses", academy({**COURSE, **course}, {**ASSIGNMENT, **assignment}, statistics)
    )

    assert {text.split(":")[0].split(" ")[0] for text in left_out} == lost
    assert {family.name for family, series in past.items() if family.name in lost and series} == set()
    assert values(past, "konstantly_course_info", 2026, 12, 2) == {("31", "Safety"): 1}


async def test_a_family_is_told_of_every_konstantly_course_or_of_none() -> None:
    """Without the one course, its whole past would look finished in the first week of scrapes."""
    undated = {**ASSIGNMENT, "finishedAt": 0}
    past, left_out, _ = await read(
        "konstantly",
        "courses",
        {
            **academy(COURSE, ASSIGNMENT, TOTALS),
            "/openapi/v1/courses": {"courses": [COURSE, {**COURSE, "id": 32}], "totalCount": 2},
            "/openapi/v1/courses/32/assignments/users": {"assignments": [undated], "totalCount": 1},
            "/openapi/v1/statistics": {
                **TOTALS,
                "statistics": {"coursesCount": 2, "assignedCoursesCount": 2, "groupsCount": 0, "usersCount": 1},
            },
        },
    )

    assert list(left_out) == [
        "konstantly_course_learners: the dates of 1 of 2 courses do not lead to their present values",
        "konstantly_course_result_ratio: the dates of 1 of 2 courses do not lead to their present values",
    ]
    assert values(past, "konstantly_course_learners", 2027, 1, 1) == {}
    assert values(past, "konstantly_course_result_ratio", 2027, 1, 1) == {}
    assert len(values(past, "konstantly_course_info", 2027, 1, 1)) == 2


@given(st.permutations([0.1, 0.2, 0.3, 70.7, 99.9, 33.3, 1e-9]))
async def test_a_mean_of_the_past_is_that_of_a_poll_in_whatever_order_users_finished(results: list[float]) -> None:
    course = msgspec.convert(COURSE, DatedCourse)
    assignments = [
        msgspec.convert(
            {**ASSIGNMENT, "finishedAt": unix(2026, 12, 12 + number), "resultValue": result, "user": {"id": number}},
            DatedAssignment,
        )
        for number, result in enumerate(results)
    ]
    tally = Tally()
    tally.add(sorted(assignments, key=lambda assignment: assignment.result_value))
    now_ms = round(NOW.timestamp() * 1000)

    assert (
        disagreeing([RESULT_RATIO], course_steps(course, assignments), course_samples(course, tally), now_ms) == set()
    )


async def test_a_konstantly_course_that_vanished_has_no_past() -> None:
    """A poll shows nothing of it either."""

    def gone(_: httpx.Request) -> httpx.Response:
        return httpx.Response(404)

    past, *_ = await read(
        "konstantly",
        "courses",
        {
            **academy(COURSE, ASSIGNMENT, TOTALS),
            "/openapi/v1/courses": {"courses": [COURSE, {**COURSE, "id": 32}], "totalCount": 2},
            "/openapi/v1/courses/32/assignments/users": gone,
        },
    )

    assert {labels[0] for labels in values(past, "konstantly_course_learners", 2027, 1, 1)} == {"31"}
    assert {labels[0] for labels in values(past, "konstantly_course_info", 2027, 1, 1)} == {"31"}


def users_statistics(week_count: int) -> Callable[[httpx.Request], dict[str, Any]]:
    """Five users on every day of December and January."""
    days = [datetime(2026, 12, 1, tzinfo=UTC) + timedelta(days=number) for number in range(45)]
    points = [{"year": day.year, "month": day.month, "day": day.day, "count": 5} for day in days]
    weeks = sorted({tuple(day.isocalendar()[:2]) for day in days})[1:-1]
    months = [{"year": 2026, "month": 12, "count": 155}, {"year": 2027, "month": 1, "count": 70}]
    statistics = {
        "total_users": points,
        "daily_active_users": {
            "per_day": points,
            "per_week": [{"year": year, "week": week, "count": week_count} for year, week in weeks],
            "per_month": months,
        },
        "monthly_active_users": [{"year": 2026, "month": 12, "count": 9}],
    }
    return lambda _: {"users": statistics}


async def test_viktor_adds_the_days_of_the_week_and_month_under_way_up() -> None:
    past, left_out, _ = await read("viktor", "users", {"/api/statistics/": users_statistics(35)})

    assert list(left_out) == []
    assert values(past, "viktor_daily_active_users", 2027, 1, 14, 15) == {
        ("yesterday",): 5,
        ("this_week",): 15,
        ("last_week",): 35,
        ("this_month",): 65,
        ("last_month",): 155,
    }
    assert values(past, "viktor_daily_active_users", 2027, 1, 11, 0).keys() == {
        ("yesterday",),
        ("last_week",),
        ("this_month",),
        ("last_month",),
    }


async def test_viktor_leaves_the_sums_out_when_days_do_not_make_up_a_week() -> None:
    past, left_out, _ = await read("viktor", "users", {"/api/statistics/": users_statistics(34)})

    assert list(left_out) == [
        "viktor_daily_active_users, windows this_week and this_month, in 2 of 2 months: the platform's daily numbers "
        "do not add up to its weekly and monthly ones"
    ]
    assert values(past, "viktor_daily_active_users", 2027, 1, 14, 15) == {
        ("yesterday",): 5,
        ("last_week",): 34,
        ("last_month",): 155,
    }


TASKS = [
    {"id": 1, "project_id": 5, "created": "2026-12-01T10:00:00.5", "n_answers": 3},
    {"id": 2, "project_id": 5, "created": "2026-12-02T10:00:00", "n_answers": 3},
]
TASK_RUNS = [{"id": 1, "project_id": 5, "finish_time": "2026-12-03T12:00:00.250001"}]


@given(st.lists(st.tuples(st.sampled_from(["PROJECT", "TEST", "NEW", ""]), st.integers(0, 5)), max_size=12))
def test_viktor_counts_workspaces_as_they_were_made_and_looks_at_each_once(made: list[tuple[str, int]]) -> None:
    created = [(NOW + timedelta(days=day), name) for name, day in made]
    steps = created_steps(iter(created))

    for day in range(-1, 6):
        moment = NOW + timedelta(days=day)
        there = [name for created_at, name in created if created_at <= moment]
        told = {step.labels[0]: step.at(milliseconds(moment)) for step in steps}
        assert {name: told.get(name) for name in there} == {name: there.count(name) for name in there}
        none = {name for name, value in told.items() if value == 0}
        assert none == (set() if "" in there else {"PROJECT", "DEVELOPMENT", "PUBLIC", "TEST"} - set(there))


def crowd(n_tasks: int, n_task_runs: int) -> dict[str, Any]:
    stats = REPLIES["pybossa"]["/stats/"]
    return {
        "/api/task": TASKS,
        "/api/taskrun": TASK_RUNS,
        "/stats/": {**stats, "stats": {**stats["stats"], "n_tasks": n_tasks, "n_task_runs": n_task_runs}},
    }


async def test_pybossa_counts_tasks_and_task_runs_as_they_came() -> None:
    past, left_out, _ = await read("pybossa", "stats", crowd(2, 1))

    assert list(left_out) == []
    assert values(past, "pybossa_tasks", 2026, 12, 1, 10, 0, 0) == {(): 0}
    assert values(past, "pybossa_tasks", 2026, 12, 1, 10, 0, 1) == {(): 1}
    assert values(past, "pybossa_requested_task_runs", 2026, 12, 4) == {(): 6}
    assert values(past, "pybossa_pending_task_runs", 2026, 12, 3, 13) == {(): 5}


@pytest.mark.parametrize(
    ("n_tasks", "n_task_runs", "doubt"),
    [
        (2, 4, "pybossa_task_runs: 1 rows can be listed, and the server's total is 4, up to 24 h old"),
        (3, 1, "pybossa_tasks: 2 rows can be listed, and the server's total is 3, up to 24 h old"),
    ],
    ids=["deleted task runs", "deleted tasks"],
)
async def test_pybossa_tells_what_a_deletion_left_and_says_both_numbers(
    n_tasks: int, n_task_runs: int, doubt: str
) -> None:
    """The server goes on showing a total of before the deletion for up to a day."""
    past, left_out, doubts = await read("pybossa", "stats", crowd(n_tasks, n_task_runs))

    assert list(left_out) == []
    assert [text.partition(":")[0] for text in doubts] == [doubt.partition(":")[0]]
    assert doubts[0].startswith(doubt)
    assert values(past, "pybossa_tasks", 2026, 12, 4) == {(): 2}
    assert values(past, "pybossa_task_runs", 2026, 12, 4) == {(): 1}
    assert values(past, "pybossa_pending_task_runs", 2026, 12, 4) == {(): 5}


@pytest.mark.parametrize(
    ("path", "lost"),
    [
        ("/api/taskrun", {"pybossa_task_runs", "pybossa_pending_task_runs"}),
        ("/api/task", {"pybossa_tasks", "pybossa_requested_task_runs", "pybossa_pending_task_runs"}),
    ],
    ids=["hidden task runs", "hidden tasks"],
)
async def test_pybossa_leaves_out_totals_of_rows_that_it_hides(path: str, lost: set[str]) -> None:
    """It cuts a page first and then takes out what the key may not see: a short page with more behind it."""
    row = {"/api/task": TASKS, "/api/taskrun": TASK_RUNS}[path][0]

    def rows(request: httpx.Request) -> list[dict[str, Any]]:
        last_id = int(request.url.params["last_id"])
        ids = {0: range(1, 100), 99: range(101, 201)}.get(last_id, ())
        return [{**row, "id": number} for number in ids]

    past, left_out, doubts = await read("pybossa", "stats", {**crowd(2, 1), path: rows})

    [text] = left_out
    assert text.startswith(f"{min(lost - {'pybossa_pending_task_runs', 'pybossa_requested_task_runs'})}: 199 rows")
    assert list(doubts) == []
    assert {family.name for family, series in past.items() if series} == {
        "pybossa_tasks",
        "pybossa_task_runs",
        "pybossa_requested_task_runs",
        "pybossa_pending_task_runs",
    } - lost


PROJECTS = [
    {"id": 5, "short_name": "birds", "name": "Birds", "category_id": 1},
    {"id": 6, "short_name": "trees", "name": "Trees", "category_id": None},
    {"id": 7, "short_name": "silent", "name": "Silent", "category_id": None},
]


async def test_a_pybossa_project_has_a_past_from_its_first_task_run_on() -> None:
    """Publishing deletes earlier task runs, so from then on it was published; drafts are no part of it."""
    task = {"n_answers": 2, "created": "2026-12-01T10:00:00"}
    tasks = [(1, 5), (2, 5), (3, 6), (4, 7), (5, 9)]
    runs = [(1, 5, "2026-12-03T12:00:00.250001"), (2, 5, "2026-12-05T12:00:00"), (3, 6, "2026-12-04T12:00:00")]
    past, left_out, _ = await read(
        "pybossa",
        "projects",
        {
            "/api/project": PROJECTS,
            "/api/task": [{**task, "id": number, "project_id": project} for number, project in tasks],
            "/api/taskrun": [{"id": n, "project_id": project, "finish_time": time} for n, project, time in runs],
        },
    )

    assert list(left_out) == []
    assert values(past, "pybossa_project_tasks", 2026, 12, 3) == {}
    assert values(past, "pybossa_project_tasks", 2026, 12, 4) == {("5",): 2}
    assert values(past, "pybossa_project_tasks", 2026, 12, 6) == {("5",): 2, ("6",): 1}
    assert values(past, "pybossa_project_task_runs", 2026, 12, 4) == {("5",): 1}
    assert values(past, "pybossa_project_task_runs", 2026, 12, 6) == {("5",): 2, ("6",): 1}
    assert values(past, "pybossa_project_last_activity_timestamp_seconds", 2026, 12, 4) == {
        ("5",): unix(2026, 12, 3, 12) + 0.250001
    }
    assert {labels[0] for labels in values(past, "pybossa_project_info", 2026, 12, 6)} == {"5", "6"}


def attempt(made: datetime, number: int, **keys: Any) -> dict[str, Any]:
    """An attempt whose id was made at a moment."""
    object_id = f"{int(made.timestamp()):08x}{number:016x}"
    return {"_id": object_id, "courseId": "c1", "userId": "u", "timeSpent": 0, "progress": 0, **keys}


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def attempts(*rows: dict[str, Any]) -> Told:
    return await read("learning360", "attempts", {"/api/v2/courses/stats": list(rows)})


async def test_an_attempt_is_seen_from_its_making_to_its_completion() -> None:
    made, begun, done = (datetime(2026, 12, day, 9, 30, 15, 123_000, UTC) for day in (10, 12, 14))
    past, left_out, _ = await attempts(
        attempt(made, 1, firstActivityAt=iso(begun), lastActivityAt=iso(done), completedAt=iso(done), progress=100)
    )

    def states(moment: datetime) -> dict[str, float]:
        [family] = [family for family in past if family.name == "learning360_course_attempts"]
        at_ms = round(moment.timestamp() * 1000)
        return {one.labels[1]: value for one in past[family] if (value := one.at(at_ms))}

    def completions(moment: datetime) -> dict[str, float | None]:
        [family] = [family for family in past if family.name == "learning360_course_completions"]
        return {one.labels[1]: one.at(round(moment.timestamp() * 1000)) for one in past[family]}

    millisecond = timedelta(milliseconds=1)
    assert list(left_out) == []
    assert states(made) == {"not_started": 1}
    assert states(begun - millisecond) == {"not_started": 1}
    assert states(begun) == {"in_progress": 1}
    assert states(done) == {"completed": 1}
    assert completions(done + timedelta(days=1)) == {"24h": 1, "7d": 1, "30d": 1}
    assert completions(done + timedelta(days=1) + millisecond) == {"24h": 0, "7d": 1, "30d": 1}
    assert completions(done + timedelta(days=30) + millisecond) == {"24h": 0, "7d": 0, "30d": 0}
    assert set(completions(made - timedelta(seconds=2)).values()) == {None}


async def test_what_was_imported_later_was_not_there_before() -> None:
    """An import back-dates attempts; a poll saw them from the import on, and in windows by their dates."""
    imported, done = datetime(2026, 12, 20, 3, tzinfo=UTC), datetime(2026, 12, 10, 9, tzinfo=UTC)
    past, *_ = await attempts(
        attempt(imported, 1, firstActivityAt=iso(done), lastActivityAt=iso(done), completedAt=iso(done), progress=100)
    )

    assert values(past, "learning360_course_attempts", 2026, 12, 19) == {}
    completions = values(past, "learning360_course_completions", 2026, 12, 20, 4)
    assert completions == {("c1", "24h"): 0, ("c1", "7d"): 0, ("c1", "30d"): 1}


async def test_one_attempt_without_a_date_leaves_all_states_open_and_nothing_else() -> None:
    """Some states without the others would be a sum that never was."""
    day = datetime(2026, 12, 10, 9, tzinfo=UTC)
    past, left_out, _ = await attempts(
        attempt(day, 1, progress=50),
        attempt(day, 2, completedAt=iso(day), firstActivityAt=iso(day), progress=100),
        attempt(day, 3, courseId="c2"),
    )

    assert list(left_out) == [
        "learning360_course_attempts: 1 of 3 attempts were begun, and the platform does not tell when"
    ]
    assert values(past, "learning360_course_attempts", 2026, 12, 11) == {}
    assert values(past, "learning360_course_completions", 2026, 12, 11) == {
        (course, window): int(course == "c1") for course in ("c1", "c2") for window in ("24h", "7d", "30d")
    }


async def test_a_course_whose_only_attempt_has_an_unreadable_date_breaks_nothing() -> None:
    day = datetime(2026, 12, 10, 9, tzinfo=UTC)
    past, *_ = await attempts(attempt(day, 1, firstActivityAt="soon", progress=50), attempt(day, 2, courseId="c2"))

    assert {labels[0] for labels in values(past, "learning360_course_attempts", 2026, 12, 11)} == {"c2"}


async def test_a_course_that_nobody_began_has_no_past_yet() -> None:
    [history] = [one for one in PLATFORMS["learning360"].histories if "attempts" in one.collectors]
    settings = SETTINGS["learning360"].model_validate(
        {**SETTINGS["learning360"].model_dump(), "collectors": {"attempts": {"courses": {"ids": ["c0ffee"]}}}}
    )

    assert history.read is not None
    replies = REPLIES["learning360"]
    client = make_client(
        lambda request: httpx.Response(200, json=replies[request.url.path]),
        PLATFORMS["learning360"].access(settings),
        Clock(NOW.timestamp()),
    )
    async with client.session():
        past, *_ = await history.read(client, settings, SPAN, NOW.timestamp)
        courses = {steps.labels[0] for series in past.values() for steps in series}

    assert courses == {"other"}


async def test_an_enrollment_made_again_did_not_end_with_the_one_before() -> None:
    """The platform tells the latest dates only: enrolled again on the 10th, out on the 5th."""
    row = {
        "_id": "ab01",
        "status": {"type": "late"},
        "enrolledAt": "2026-12-10T00:00:00.000Z",
        "unenrolledAt": "2026-12-05T00:00:00.000Z",
        "dueDate": "2026-12-20T00:00:00.000Z",
    }
    past, *_ = await read("learning360", "path_stats", {"/api/v2/paths/stats": [row]})

    assert values(past, "learning360_path_enrollments_started", 2026, 12, 12)["7d",] == 1
    assert values(past, "learning360_path_enrollments_overdue", 2026, 12, 21) == {(): 1}


@given(
    st.lists(
        st.tuples(
            st.integers(-40 * DAY_SECONDS, DAY_SECONDS),
            st.none() | st.integers(-40 * DAY_SECONDS, 4_000 * DAY_SECONDS),
            st.none() | st.integers(-40 * DAY_SECONDS, 40 * DAY_SECONDS),
        ),
        max_size=6,
    )
)
def test_dates_ahead_of_our_clock_count_as_in_a_poll_and_unreadable_ones_do_too(
    rows: list[tuple[int, int | None, int | None]],
) -> None:
    """Of an enrollment: when it was made, completed (0 stands for a date that cannot be read) and due."""

    def at(seconds: int | None) -> datetime | None:
        return None if seconds is None else NOW + timedelta(seconds=seconds)

    totals, past = EnrollmentTotals(NOW, Windows.ending(NOW)), EnrollmentPast()
    for made, completed, due in rows:
        completed_at = UNSET if completed == 0 else at(completed)
        stat = PathStat("", PathStatus("late"), NOW + timedelta(seconds=made), None, at(due), completed_at)
        totals.add([stat])
        past.add(stat, milliseconds(NOW))
    overdue = counted(PATH_ENROLLMENTS_OVERDUE, (), 0, past.overdue_ms, past.settled_ms)
    started = past.made.steps(PATH_ENROLLMENTS_STARTED, (), 0)
    completions = past.completed.steps(PATH_COMPLETIONS, (), 0)

    told = {(steps.family, steps.labels): steps.at(milliseconds(NOW)) for steps in (overdue, *started, *completions)}
    shown = {(sample.family, sample.labels): sample.value for sample in enrollment_date_samples(totals)}
    shown |= {
        (sample.family, sample.labels): sample.value
        for sample in enrollment_samples(totals)
        if sample.family is PATH_COMPLETIONS
    }
    assert told == shown


async def test_attempts_dated_in_the_far_future_or_with_an_odd_date_are_counted_apart() -> None:
    day = datetime(2026, 12, 10, 9, tzinfo=UTC)
    begun = {"firstActivityAt": iso(day), "lastActivityAt": iso(day), "progress": 50}
    past, left_out, _ = await attempts(
        attempt(day, 1, **begun, completedAt=iso(NOW + timedelta(hours=20))),
        attempt(day, 2, **begun, completedAt=iso(NOW + timedelta(hours=30))),
        attempt(day, 3, **begun, completedAt="+020226-01-01T00:00:00.000Z"),
        attempt(day, 4, **begun, courseId="c2", completedAt=iso(NOW + timedelta(days=40_000))),
    )

    assert [text.split(":")[0] for text in left_out] == ["3 attempts"]
    assert values(past, "learning360_course_attempts", 2027, 1, 15, 7)["c1", "in_progress"] == 1
    assert values(past, "learning360_course_attempts", 2027, 1, 15, 8)["c1", "completed"] == 1
    assert values(past, "learning360_course_completions", 2027, 1, 15, 8)["c1", "24h"] == 1
    assert {course for course, _ in values(past, "learning360_course_attempts", 2027, 1, 15, 8)} == {"c1"}


ODD_DATES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("learning360", "paths", "/api/v2/paths/sessions", {"createdAt": "", "startDate": iso(NOW)}),
    ("learning360", "paths", "/api/v2/paths/sessions", {"createdAt": iso(NOW), "startDate": "0000-01-01T00:00:00Z"}),
    ("learning360", "path_stats", "/api/v2/paths/stats", {"status": {"type": "late"}, "enrolledAt": "23:59:60"}),
    ("learning360", "attempts", "/api/v2/courses/stats", attempt(NOW, 1, completedAt="")),
    ("learning360", "classrooms", "/api/v2/classrooms", {"createdAt": "2026-13-01T00:00:00Z"}),
    ("pybossa", "stats", "/api/task", {**TASKS[0], "created": "24:00"}),
    ("pybossa", "stats", "/api/task", {**TASKS[0], "n_answers": None}),
    ("pybossa", "stats", "/api/taskrun", {**TASK_RUNS[0], "finish_time": None}),
]


@pytest.mark.parametrize(("site", "collector", "path", "row"), ODD_DATES)
async def test_a_history_with_one_odd_record_is_told_and_says_what_it_lacks(
    site: str, collector: str, path: str, row: dict[str, Any]
) -> None:
    replies = {**(crowd(2, 1) if site == "pybossa" else {}), path: [{"_id": "ab01", **row}]}
    with new_run() as run:
        await read(site, collector, replies)

    assert [values.count for values in run.unreadable()] == [1]
    run.require_readable()


@pytest.mark.parametrize(
    ("course", "assignment", "lost"),
    [
        (
            {"createdAt": None},
            {},
            {"konstantly_catalog_courses", "konstantly_courses", "konstantly_course_learners"},
        ),
        ({}, {"assignedAt": "soon"}, {"konstantly_course_assignments", "konstantly_course_learners"}),
    ],
)
async def test_konstantly_leaves_out_what_hangs_on_a_date_that_cannot_be_read(
    course: dict[str, Any], assignment: dict[str, Any], lost: set[str]
) -> None:
    with new_run() as run:
        past, left_out, _ = await read(
            "konstantly", "courses", academy({**COURSE, **course}, {**ASSIGNMENT, **assignment}, TOTALS)
        )

    assert lost <= {text.split(":")[0].split(" ")[0] for text in left_out}
    assert {family.name for family, series in past.items() if family.name in lost and series} == set()
    assert [values.count for values in run.unreadable()] == [1]


async def test_viktor_leaves_the_number_of_workspaces_out_when_nobody_knows_when_one_was_made() -> None:
    listed = REPLIES["viktor"]["/api/workspaces/"]
    replies = {**listed, "results": [{**listed["results"][0], "created_at": "2026-12-01T24:00:00Z"}]}
    past, left_out, _ = await read("viktor", "workspaces", {"/api/workspaces/": replies})

    assert [text.split(":")[0] for text in left_out] == ["viktor_workspaces"]
    assert "viktor_workspaces" not in {family.name for family in past}


async def test_a_classroom_without_a_date_leaves_their_number_open() -> None:
    rooms = [{"_id": "a", "createdAt": "2026-12-01T00:00:00.000Z"}, {"_id": "b"}]
    past, left_out, _ = await read("learning360", "classrooms", {"/api/v2/classrooms": rooms})

    assert (past, len(left_out)) == ({}, 1)


@pytest.mark.parametrize("collector", ["paths", "path_stats"])
async def test_api_v1_of_360learning_tells_no_dates_of_paths(collector: str) -> None:
    past, left_out, _ = await read("learning360 v1", collector, {})

    assert (past, len(left_out)) == ({}, 1)
