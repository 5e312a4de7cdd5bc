"""360Learning behind both versions of its API: every collector, and what each version can tell."""

from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest

from exporter.api.client import Access, Client
from exporter.errors import (
    ForbiddenError,
    IncompleteError,
    InvalidResponseError,
    UnauthorizedError,
)
from exporter.metrics import Sample
from exporter.platforms.learning360 import PLATFORM
from exporter.platforms.learning360.lists import identity
from exporter.platforms.learning360.records import Classroom
from tests.platforms.conftest import Handler, exposition_lines
from tests.platforms.learning360.academy import (
    COLLECTORS,
    FOLDER,
    NOW,
    V1_COLLECTORS,
    V1_KEYS,
    Academy,
    documented,
    settings,
)
from tests.platforms.learning360.schema import REQUIRED

ClientFor = Callable[[Access, Handler], Client]
Collect = Callable[..., Any]


@pytest.fixture
def collect(client_for: ClientFor) -> Collect:
    """Run one collector against an academy."""

    async def run(name: str, academy: Handler, **keys: Any) -> list[Sample]:
        target = settings(**keys)
        async with client_for(PLATFORM.access(target), academy).session() as client:
            return await COLLECTORS[name].collect(client, target, NOW)

    return run


def values(samples: Iterable[Sample], family: str) -> dict[tuple[str, ...], float]:
    return {sample.labels: sample.value for sample in samples if sample.family.name == family}


def names(samples: Iterable[Sample]) -> set[str]:
    return {sample.family.name for sample in samples}


@pytest.mark.parametrize(("path", "keys"), REQUIRED.items())
def test_our_replies_have_the_keys_that_the_vendor_requires(path: str, keys: set[str]) -> None:
    assert all(set(row) >= keys for row in documented(path[1:].replace("/", "_")))


async def test_every_collector_gives_the_golden_lines_with_v2(collect: Collect, golden: Any) -> None:
    samples = [sample for name in COLLECTORS for sample in await collect(name, Academy())]

    golden(FOLDER / "expected.prom", samples)


async def test_the_collectors_of_v1_give_the_golden_lines(collect: Collect, golden: Any) -> None:
    samples = [sample for name in V1_COLLECTORS for sample in await collect(name, Academy(), **V1_KEYS)]

    golden(FOLDER / "expected_v1.prom", samples)


@pytest.mark.parametrize(
    "family",
    [
        "learning360_active_learners",
        "learning360_course_attempts",
        "learning360_course_attempts_started",
        "learning360_course_completions",
        "learning360_course_active_learners",
        "learning360_course_time_spent_seconds",
        "learning360_course_attempts_scored",
        "learning360_course_score_ratio",
        "learning360_groups",
        "learning360_path_sessions",
        "learning360_path_enrollments",
        "learning360_path_completions",
    ],
)
async def test_both_versions_give_the_same_series_of_the_same_academy(collect: Collect, family: str) -> None:
    v2 = [sample for name in V1_COLLECTORS for sample in await collect(name, Academy())]
    v1 = [sample for name in V1_COLLECTORS for sample in await collect(name, Academy(), **V1_KEYS)]

    assert values(v1, family) == values(v2, family) != {}


@pytest.mark.parametrize("name", COLLECTORS)
async def test_samples_belong_to_the_families_that_the_collector_declares(collect: Collect, name: str) -> None:
    assert {sample.family for sample in await collect(name, Academy())} == set(COLLECTORS[name].families)


async def test_no_person_is_in_any_sample(collect: Collect) -> None:
    """Names, addresses and ids of the six users of the fixture are nowhere, with either version."""
    samples = [sample for name in COLLECTORS for sample in await collect(name, Academy())]
    samples += [sample for name in V1_COLLECTORS for sample in await collect(name, Academy(), **V1_KEYS)]
    lines = exposition_lines(set(samples))

    for user in documented("users"):
        for key in ("_id", "mail", "firstName", "lastName"):
            assert user[key] not in lines


async def test_an_empty_academy_has_zeros_where_the_states_are_known(collect: Collect) -> None:
    academy = Academy()
    academy.replies = {path: [] for path in academy.replies}

    samples = [sample for name in COLLECTORS for sample in await collect(name, academy)]

    assert {sample.value for sample in samples} == {0.0}
    assert len(values(samples, "learning360_users")) == 4
    assert len(values(samples, "learning360_courses")) == 9
    assert len(values(samples, "learning360_path_enrollments")) == 9
    assert values(samples, "learning360_course_attempts") == {}


async def test_v2_sends_its_version_and_a_bearer_token_that_it_asked_for_once(collect: Collect) -> None:
    academy = Academy()
    await collect("attempts", academy)
    token, *gets = academy.requests

    assert (token.method, str(token.url)) == ("POST", "https://app.example.org/api/v2/oauth2/token")
    assert {get.method for get in gets} == {"GET"}
    assert {get.headers["360-api-version"] for get in gets} == {"v2.0"}
    assert {get.headers["authorization"] for get in gets} == {"Bearer t0ken"}


async def test_v1_sends_company_and_key_as_headers_and_never_in_the_url(collect: Collect) -> None:
    academy = Academy()
    for name in V1_COLLECTORS:
        await collect(name, academy, **V1_KEYS)

    assert {request.headers["x-company-id"] for request in academy.requests} == {"a1b2c3"}
    assert {request.headers["x-apikey"] for request in academy.requests} == {"k3y"}
    assert all(request.url.path.startswith("/api/v1/") and not request.url.query for request in academy.requests)


async def test_users_of_an_unknown_status_are_other(collect: Collect) -> None:
    samples = await collect("users", Academy())

    assert values(samples, "learning360_users") == {
        ("active",): 3,
        ("invited",): 1,
        ("deleted",): 1,
        ("other",): 1,
    }


async def test_logins_are_counted_in_windows_that_hold_each_other(collect: Collect) -> None:
    samples = await collect("users", Academy())

    assert values(samples, "learning360_users_logged_in") == {("24h",): 1, ("7d",): 2, ("30d",): 2}
    assert values(samples, "learning360_users_never_logged_in") == {(): 1}


async def test_deleted_users_count_neither_as_logged_in_nor_as_never_logged_in(collect: Collect) -> None:
    login = {"lastLoginDate": "2026-11-20T08:00:00.000Z"}
    academy = Academy()
    academy.replies["/api/v2/users"] = [
        {"_id": "e1", "status": "deleted", **login},
        {"_id": "e2", "status": "deleted"},
        {"_id": "e3", "status": "active", **login},
        {"_id": "e4", "deleted": True, **login},
    ]

    samples = await collect("users", academy)

    assert values(samples, "learning360_users_logged_in") == {("24h",): 1, ("7d",): 1, ("30d",): 1}
    assert values(samples, "learning360_users_never_logged_in") == {(): 0}


async def test_older_replies_tell_deleted_instead_of_a_status(collect: Collect) -> None:
    academy = Academy()
    academy.replies["/api/v2/users"] = [{"_id": "e1", "deleted": False}, {"_id": "e2", "deleted": True}]

    samples = await collect("users", academy)

    assert values(samples, "learning360_users") == {
        ("active",): 1,
        ("invited",): 0,
        ("deleted",): 1,
        ("other",): 0,
    }


async def test_a_user_with_neither_status_nor_deleted_is_invalid_in_v2(collect: Collect) -> None:
    academy = Academy()
    academy.replies["/api/v2/users"] = [{"_id": "e1"}]

    with pytest.raises(InvalidResponseError, match=r"GET /users: .*`status`.*`deleted`"):
        await collect("users", academy)


async def test_v1_tells_no_logins_and_no_status_but_deleted(collect: Collect) -> None:
    academy = Academy()
    academy.replies["/api/v1/users"] = [{"_id": "e1"}, {"_id": "e2", "deleted": True}, {"_id": "e3", "deleted": False}]

    samples = await collect("users", academy, **V1_KEYS)

    assert values(samples, "learning360_users") == {("other",): 1, ("deleted",): 1, ("active",): 1}
    assert names(samples) == {"learning360_users"}


async def test_v1_tells_no_type_of_courses_and_no_status_of_paths(collect: Collect) -> None:
    courses = await collect("courses", Academy(), **V1_KEYS)
    paths = await collect("paths", Academy(), **V1_KEYS)

    assert values(courses, "learning360_courses") == {("published", ""): 2, ("archived", ""): 1}
    assert values(paths, "learning360_paths") == {("",): 2}


async def test_v1_may_leave_the_visibility_of_groups_open(collect: Collect) -> None:
    academy = Academy()
    academy.replies["/api/v1/groups"] = [{"_id": "f1", "name": "Everybody"}]

    assert values(await collect("groups", academy, **V1_KEYS), "learning360_groups") == {("",): 1}


@pytest.mark.parametrize("name", ["users", "courses", "groups", "paths"])
async def test_what_v1_lists_twice_counts_once(name: str, collect: Collect) -> None:
    academy = Academy()
    once = await collect(name, academy, **V1_KEYS)
    academy.replies[f"/api/v1/{name}"] *= 2

    assert await collect(name, academy, **V1_KEYS) == once


async def test_v1_tells_neither_due_dates_nor_dates_of_enrollment(collect: Collect) -> None:
    samples = await collect("path_stats", Academy(), **V1_KEYS)

    assert names(samples) == {"learning360_path_enrollments", "learning360_path_completions"}


@pytest.mark.parametrize("key", ["usersStats", "userStats"])
async def test_v1_statistics_of_a_session_are_an_object_and_its_list_has_two_spellings(
    collect: Collect, key: str
) -> None:
    """The vendor's sample writes `usersStats`, a copy of its reference `userStats`."""
    academy = Academy()
    for path, stats in academy.replies.items():
        if path.startswith("/api/v1/paths/sessions/"):
            stats[key] = stats.pop("usersStats")

    enrollments = values(await collect("path_stats", academy, **V1_KEYS), "learning360_path_enrollments")

    assert sum(enrollments.values()) == 6
    assert enrollments["successful",] == 1


async def test_v1_statistics_without_their_list_are_invalid_and_no_empty_session(collect: Collect) -> None:
    academy = Academy()
    for path, stats in academy.replies.items():
        if path.startswith("/api/v1/paths/sessions/"):
            del stats["usersStats"]

    with pytest.raises(InvalidResponseError, match=r"GET /paths/sessions/\{session\}/stats/users: .*`usersStats`"):
        await collect("path_stats", academy, **V1_KEYS)


async def test_v1_enrollments_of_deleted_users_count_as_in_v2_and_a_status_may_begin_with_a_capital(
    collect: Collect,
) -> None:
    academy = Academy()
    session = documented("v1_paths_sessions")[0]["sessionId"]
    row = academy.replies[f"/api/v1/paths/sessions/{session}/stats/users"]["usersStats"][1]
    row |= {"deleted": True, "detailedStatus": {"type": "Unsuccessful"}}

    enrollments = values(await collect("path_stats", academy, **V1_KEYS), "learning360_path_enrollments")

    assert enrollments["unsuccessful",] == 2
    assert sum(enrollments.values()) == 6


@pytest.mark.parametrize("name", ["attempts", "courses"])
async def test_v1_may_leave_the_status_of_courses_open(collect: Collect, name: str) -> None:
    academy = Academy()
    for course in academy.replies["/api/v1/courses"]:
        del course["status"]

    samples = await collect(name, academy, **V1_KEYS)

    if name == "courses":
        assert values(samples, "learning360_courses") == {("", ""): 3}
    else:
        assert len(values(samples, "learning360_course_info")) == 3


async def test_a_v1_session_that_vanished_since_it_was_listed_is_skipped(collect: Collect) -> None:
    academy = Academy()
    session = documented("v1_paths_sessions")[0]["sessionId"]
    del academy.replies[f"/api/v1/paths/sessions/{session}/stats/users"]

    enrollments = values(await collect("path_stats", academy, **V1_KEYS), "learning360_path_enrollments")

    assert enrollments["successful",] == enrollments["late",] == 0
    assert enrollments["unsuccessful",] == 1


async def test_a_failing_v1_session_fails_the_run(collect: Collect) -> None:
    academy = Academy()
    session = documented("v1_paths_sessions")[0]["sessionId"]
    academy.replies[f"/api/v1/paths/sessions/{session}/stats/users"] = httpx.Response(403)

    with pytest.raises(ForbiddenError):
        await collect("path_stats", academy, **V1_KEYS)


async def test_sessions_are_open_from_their_start_until_their_end(collect: Collect) -> None:
    at, before, after = "2026-11-20T12:00:00.000Z", "2026-11-20T11:59:59.999Z", "2026-11-20T12:00:00.001Z"
    academy = Academy()
    academy.replies["/api/v2/paths/sessions"] = [
        {"_id": str(number), "startDate": start, **({"endDate": end} if end else {})}
        for number, (start, end) in enumerate([(at, None), (after, None), (before, after), (before, at)])
    ]

    samples = await collect("paths", academy)

    assert values(samples, "learning360_path_sessions") == {("open",): 2, ("upcoming",): 1, ("ended",): 1}


async def test_enrollments_that_ended_are_left_out_and_unknown_statuses_are_other(collect: Collect) -> None:
    """Of the seven of the fixture one was unenrolled, and one has a status that the API did not have before."""
    samples = await collect("path_stats", Academy())

    enrollments = values(samples, "learning360_path_enrollments")
    assert sum(enrollments.values()) == 6
    assert enrollments["other",] == 1
    assert enrollments["toRetake",] == 0
    assert len(enrollments) == 9


@pytest.mark.parametrize(
    ("unenrolled_at", "enrollments"),
    [
        ("2026-10-31T23:59:59.999Z", 1),
        ("2026-11-01T00:00:00.000Z", 0),
        ("2026-11-02T00:00:00.000Z", 0),
        ("soon", 0),
    ],
)
async def test_somebody_enrolled_again_after_being_taken_out_counts(
    collect: Collect, unenrolled_at: str, enrollments: int
) -> None:
    academy = Academy()
    [stat, *_] = academy.replies["/api/v2/paths/stats"]
    stat |= {"enrolledAt": "2026-11-01T00:00:00.000Z", "unenrolledAt": unenrolled_at}
    academy.replies["/api/v2/paths/stats"] = [stat]

    samples = await collect("path_stats", academy)

    assert sum(values(samples, "learning360_path_enrollments").values()) == enrollments
    assert values(samples, "learning360_path_enrollments_started")["30d",] == enrollments
    assert values(samples, "learning360_path_completions")["30d",] == enrollments


async def test_overdue_are_enrollments_past_their_due_date_without_completion(collect: Collect) -> None:
    """Number 2 and 5 are overdue; 6 was unenrolled, 7 completed late, the others have time or no due date."""
    samples = await collect("path_stats", Academy())

    assert values(samples, "learning360_path_enrollments_overdue") == {(): 2}
    assert values(samples, "learning360_path_enrollments_started") == {("24h",): 1, ("7d",): 2, ("30d",): 2}
    assert values(samples, "learning360_path_completions") == {("24h",): 1, ("7d",): 2, ("30d",): 2}


async def test_projects_are_counted_by_completion(collect: Collect) -> None:
    assert values(await collect("projects", Academy()), "learning360_live_projects") == {("true",): 1, ("false",): 1}


async def test_new_statuses_of_catalogue_items_are_kept_as_they_are(collect: Collect) -> None:
    academy = Academy()
    academy.replies["/api/v2/skills"] = [{"_id": "fb", "status": "suggested"}]

    skills = values(await collect("skills", academy), "learning360_skills")

    assert skills == {("archived",): 0, ("published",): 0, ("suggested",): 1}


@pytest.mark.parametrize("path", ["/api/v2/skills", "/api/v2/skills/powers"])
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "skillSolutionNotEnabled", "message": "no"}},
        {"error": "skillSolutionNotEnabled"},
        {"code": "skillSolutionNotEnabled", "message": "no"},
    ],
)
async def test_a_company_without_skills_is_forbidden_with_the_remedy(collect: Collect, path: str, body: Any) -> None:
    """The vendor's documents show the code of an error in three places."""
    academy = Academy()
    academy.replies[path] = httpx.Response(400, json=body)

    with pytest.raises(ForbiddenError) as caught:
        await collect("skills", academy)

    assert "turn the collector skills off" in caught.value.remedy


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (httpx.Response(400, json={"error": {"code": "badFilter", "message": "Ada Quill"}}), "badFilter"),
        (httpx.Response(400, json={"error": {"message": "Ada Quill"}}), ""),
        (httpx.Response(400, json={"error": {"code": "Ada Quill"}}), ""),
        (httpx.Response(400, json={"error": "An error occurred: 0a1b"}), ""),
        (httpx.Response(400, json={"error": ["skillSolutionNotEnabled"]}), ""),
        (httpx.Response(400, json=["skillSolutionNotEnabled"]), ""),
        (httpx.Response(400, html="<html>"), ""),
        (httpx.Response(400, content=b" " * 70_000 + b'{"error": "skillSolutionNotEnabled"}'), ""),
    ],
)
async def test_any_other_400_is_invalid_and_shows_its_code_but_no_free_text(
    collect: Collect, reply: httpx.Response, code: str
) -> None:
    academy = Academy()
    academy.replies["/api/v2/skills"] = reply

    with pytest.raises(InvalidResponseError) as caught:
        await collect("skills", academy)

    assert caught.value.error_code == code
    assert str(caught.value) == f"GET /skills answered 400{f' ({code})' if code else ''}"


async def test_refused_client_credentials_are_unauthorized(collect: Collect) -> None:
    with pytest.raises(UnauthorizedError):
        await collect("users", lambda _: httpx.Response(401, json={"error": "invalid_client"}))


async def test_records_that_come_twice_count_once(collect: Collect) -> None:
    academy = Academy()
    academy.replies["/api/v2/classrooms"] = [{"_id": "fa01"}, {"_id": "fa02"}, {"_id": "fa02"}, {"_id": "fa03"}]

    assert values(await collect("classrooms", academy), "learning360_classrooms") == {(): 3}


async def test_a_list_that_links_in_a_circle_is_incomplete(collect: Collect) -> None:
    def circular(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "t"})
        return httpx.Response(200, json=[{"_id": "fa01"}], headers={"Link": f'<{request.url}>; rel="next"'})

    with pytest.raises(IncompleteError):
        await collect("classrooms", circular)


async def test_ids_that_differ_in_case_or_blanks_alone_are_different(collect: Collect) -> None:
    academy = Academy()
    academy.replies["/api/v2/groups"] = [{"_id": id_, "public": True} for id_ in ("ab12", "AB12", "aB12", "ab 12")]

    assert sum(values(await collect("groups", academy), "learning360_groups").values()) == 4


def test_ids_are_kept_as_bytes_and_texts_that_are_no_hex_as_they_are() -> None:
    assert identity(Classroom("507f1f77bcf86cd799439011")) == bytes.fromhex("507f1f77bcf86cd799439011")
    assert identity(Classroom("room-1")) == "room-1"


@pytest.mark.parametrize("other", ["507F1F77BCF86CD799439011", "507f1f77bcf86cd79943901F", "50 7f1f77bcf86cd799439011"])
async def test_ids_that_differ_only_in_case_or_spaces_are_two(collect: Collect, other: str) -> None:
    academy = Academy()
    academy.replies["/api/v2/classrooms"] = [{"_id": other.replace(" ", "").lower()}, {"_id": other}]

    assert values(await collect("classrooms", academy), "learning360_classrooms") == {(): 2}


@pytest.mark.parametrize(
    ("name", "path", "key", "value"),
    [
        ("users", "users", "status", 1),
        ("courses", "courses", "status", None),
        ("courses", "courses", "type", 1),
        ("groups", "groups", "public", None),
        ("attempts", "courses/stats", "courseId", 1),
        ("attempts", "courses/stats", "userId", None),
        ("paths", "paths", "status", None),
        ("path_stats", "paths/stats", "status", "late"),
        ("classrooms", "classrooms", "_id", 1),
        ("skills", "skills", "status", None),
        ("skills", "skills/powers", "status", 1),
        ("projects", "projects", "completed", "false"),
    ],
)
async def test_a_value_of_the_wrong_kind_is_invalid_and_names_endpoint_and_key(
    collect: Collect, name: str, path: str, key: str, value: Any
) -> None:
    academy = Academy()
    academy.replies[f"/api/v2/{path}"][1][key] = value

    with pytest.raises(InvalidResponseError) as caught:
        await collect(name, academy)

    assert f"GET /{path}: " in str(caught.value)
    assert key in str(caught.value)


@pytest.mark.parametrize(
    ("name", "path", "key"),
    [
        ("users", "users", "_id"),
        ("courses", "courses", "status"),
        ("courses", "courses", "type"),
        ("groups", "groups", "public"),
        ("attempts", "courses/stats", "courseId"),
        ("attempts", "courses/stats", "userId"),
        ("paths", "paths", "status"),
        ("path_stats", "paths/stats", "status"),
        ("skills", "skills", "status"),
        ("projects", "projects", "completed"),
    ],
)
async def test_a_missing_key_is_invalid_and_names_endpoint_and_key(
    collect: Collect, name: str, path: str, key: str
) -> None:
    academy = Academy()
    del academy.replies[f"/api/v2/{path}"][1][key]

    with pytest.raises(InvalidResponseError) as caught:
        await collect(name, academy)

    assert f"GET /{path}: " in str(caught.value)
    assert key in str(caught.value)


@pytest.mark.parametrize(
    ("name", "path", "keys"),
    [
        ("attempts", "courses/stats", (0, "course", "_id")),
        ("attempts", "courses/stats", (0, "stats")),
        ("attempts", "courses/stats", (0, "stats", 0, "user", "_id")),
        ("paths", "paths/sessions", (0, "sessionId")),
    ],
)
async def test_a_missing_key_of_v1_is_invalid_and_names_endpoint_and_key(
    collect: Collect, name: str, path: str, keys: tuple[Any, ...]
) -> None:
    academy = Academy()
    part = academy.replies[f"/api/v1/{path}"]
    for step in keys[:-1]:
        part = part[step]
    del part[keys[-1]]

    with pytest.raises(InvalidResponseError, match=rf"GET /{path}: .*`{keys[-1]}`"):
        await collect(name, academy, **V1_KEYS)


async def test_errors_never_repeat_a_value(collect: Collect) -> None:
    academy = Academy()
    academy.replies["/api/v2/users"][0]["status"] = {"mail": "ada.quill@example.org"}

    with pytest.raises(InvalidResponseError) as caught:
        await collect("users", academy)

    assert "ada" not in str(caught.value)


def test_good_settings_have_no_problems() -> None:
    assert list(settings().problems()) == []
    assert list(settings(**V1_KEYS).problems()) == []


@pytest.mark.parametrize(
    ("keys", "places"),
    [
        ({"client_id": None}, ["client_id"]),
        ({"client_secret": None}, ["client_secret"]),
        ({"company_id": "a1", "api_key": "k"}, ["company_id", "api_key"]),
        ({"api_version": "v1"}, ["company_id", "api_key"]),
        ({**V1_KEYS, "client_id": "a", "client_secret": "b"}, ["client_id", "client_secret"]),
        (
            {**V1_KEYS, "collectors": {"classrooms": True, "skills": {}, "projects": True, "users": True}},
            ["collectors.classrooms", "collectors.skills", "collectors.projects"],
        ),
        ({**V1_KEYS, "collectors": {"classrooms": False, "skills": {"enabled": False}}}, []),
        ({"collectors": {"classrooms": True, "skills": True, "projects": True}}, []),
    ],
)
def test_problems_name_the_key_that_is_missing_or_belongs_to_the_other_version(
    keys: dict[str, Any], places: list[str]
) -> None:
    assert [place for place, _ in settings(**keys).problems()] == places


def test_defaults_are_those_of_the_metric_contract() -> None:
    assert {
        name: (collector.enabled, collector.interval.total_seconds() / 60) for name, collector in COLLECTORS.items()
    } == {
        "users": (True, 30),
        "courses": (True, 60),
        "groups": (True, 60),
        "attempts": (True, 60),
        "paths": (True, 60),
        "path_stats": (True, 60),
        "classrooms": (False, 360),
        "skills": (False, 360),
        "projects": (False, 360),
    }
    assert (settings().requests_per_second, settings().concurrency, settings().api_version) == (5.0, 4, "v2")


def test_plans_know_that_v1_asks_for_whole_lists_but_for_each_session() -> None:
    v1, v2 = settings(**V1_KEYS), settings()

    assert {name: sum(collector.planned_requests(v2).values()) for name, collector in COLLECTORS.items()} == {
        "users": 20,
        "courses": 2,
        "groups": 1,
        "attempts": 402,
        "paths": 2,
        "path_stats": 10,
        "classrooms": 1,
        "skills": 101,
        "projects": 1,
    }
    assert {name: sum(COLLECTORS[name].planned_requests(v1).values()) for name in V1_COLLECTORS} == {
        "users": 1,
        "courses": 1,
        "groups": 1,
        "attempts": 2,
        "paths": 2,
        "path_stats": 501,
    }
