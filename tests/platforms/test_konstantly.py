"""Konstantly: replies as its reference documents them, with made-up people, and every departure that is accepted."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from exporter.api.client import Access, Client
from exporter.api.run import new_run
from exporter.errors import CollectError, IncompleteError, InvalidResponseError, ServerError, UnauthorizedError
from exporter.metrics import Sample
from exporter.platforms.konstantly import PLATFORM
from exporter.platforms.konstantly.settings import KonstantlySettings

from .conftest import Handler, exposition_lines

FIXTURES = Path(__file__).parent / "konstantly"
NOW = datetime(2026, 3, 11, 10, 30, tzinfo=UTC)
COLLECTORS = {collector.name: collector for collector in PLATFORM.collectors}
API = "/openapi/v1"

ClientFor = Callable[[Access, Handler], Client]
Collect = Callable[..., Awaitable[list[Sample]]]


def documented(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def changed(name: str, path: str, value: object) -> Any:
    """A documented reply with the value at a path such as `groups.0.name` replaced, or removed when it is `...`."""
    reply = place = documented(name)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return reply


class Site:
    """Answers as documented; `replies` replaces what paths answer. A list is cut into pages of `page_size`."""

    def __init__(self, replies: Mapping[str, object] | None = None, *, page_size: int = 20) -> None:
        self.requests: list[httpx.Request] = []
        self.page_size = page_size
        documented_paths = [
            "statistics", "groups", "groups/4/statistics", "groups/5/statistics", "groups/6/statistics", "users",
            "courses", "courses/31/assignments/users", "courses/32/assignments/users", "courses/33/assignments/users",
        ]  # fmt: skip
        self.replies = {f"/{path}": documented(path.replace("/", "_")) for path in documented_paths} | dict(
            replies or {}
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies[request.url.path.removeprefix(API)]
        if isinstance(reply, httpx.Response):
            return reply
        if isinstance(reply, dict) and "totalCount" in reply:
            offset = int(request.url.params.get("offset", 0))
            reply = {
                key: value[offset : offset + self.page_size] if isinstance(value, list) else value
                for key, value in reply.items()
            }
        return httpx.Response(200, json=reply)


def settings(**keys: Any) -> KonstantlySettings:
    required = {"name": "academy", "platform": "konstantly", "url": "https://academy.example.org", "api_key": "k-1"}
    return KonstantlySettings.model_validate({**required, **keys})


@pytest.fixture
def collect(client_for: ClientFor) -> Collect:
    """Run one collector against a site."""

    async def run(name: str, site: Handler, **keys: Any) -> list[Sample]:
        target = settings(**keys)
        async with client_for(PLATFORM.access(target), site).session() as client:
            return await COLLECTORS[name].collect(client, target, NOW)

    return run


def values(samples: Iterable[Sample], family: str) -> dict[tuple[str, ...], float]:
    return {sample.labels: sample.value for sample in samples if sample.family.name == family}


async def test_every_collector_gives_the_golden_lines_of_the_documented_site(collect: Collect, golden: Any) -> None:
    samples = [sample for name in COLLECTORS for sample in await collect(name, Site())]

    golden(FIXTURES / "expected.prom", samples)


async def test_samples_are_distinct_and_of_the_families_that_the_collector_declares(collect: Collect) -> None:
    for name, collector in COLLECTORS.items():
        samples = await collect(name, Site())

        assert {sample.family for sample in samples} == set(collector.families)
        assert len({(sample.family.name, sample.labels) for sample in samples}) == len(samples)


async def test_nobody_is_in_any_sample(collect: Collect) -> None:
    """Every reply names people; neither a name, nor an address, nor an id of a user comes out."""
    lines = exposition_lines([sample for name in COLLECTORS for sample in await collect(name, Site())])

    for fixture in FIXTURES.glob("*.json"):
        for person in people(json.loads(fixture.read_text(encoding="utf-8"))):
            assert person["name"] not in lines
            assert person["email"] not in lines
            assert f'"{person["id"]}"' not in lines


def people(reply: Any) -> Iterable[dict[str, Any]]:
    if isinstance(reply, dict):
        if "email" in reply:
            yield reply
        reply = list(reply.values())
    if isinstance(reply, list):
        for part in reply:
            yield from people(part)


async def test_requests_carry_the_key_and_the_headers_that_the_reference_asks_for(collect: Collect) -> None:
    site = Site()
    await collect("groups", site)

    assert {request.method for request in site.requests} == {"GET"}
    assert {str(request.url).split("?")[0] for request in site.requests} == {
        f"https://academy.example.org/openapi/v1/groups{rest}"
        for rest in ("", "/4/statistics", "/5/statistics", "/6/statistics")
    }
    for request in site.requests:
        assert request.headers["x-api-key"] == "k-1"
        assert request.headers["accept"] == "application/json"
        assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("url", "base_url"),
    [
        ("https://academy.example.org/", "https://academy.example.org/openapi/v1"),
        ("https://example.org/learn/api", "https://example.org/learn/api"),
    ],
)
def test_the_path_of_the_api_is_added_unless_the_url_has_one(url: str, base_url: str) -> None:
    assert PLATFORM.access(settings(url=url)).base_url == base_url


def test_a_key_is_needed_and_only_one() -> None:
    assert [key for key, _ in settings(api_key=None).problems()] == ["api_key"]
    assert [key for key, _ in settings(api_key_file="academy.key").problems()] == ["api_key_file"]
    assert list(settings().problems()) == []


def test_the_defaults_stay_below_the_rate_limit_and_leave_personal_lists_alone() -> None:
    """100 requests a minute in the reference's example; /users and assignments are read only when asked for."""
    assert settings().requests_per_second * 60 <= 100
    assert {name: collector.enabled for name, collector in COLLECTORS.items()} == {
        "statistics": True,
        "groups": True,
        "users": False,
        "courses": False,
    }


@pytest.mark.parametrize("name", COLLECTORS)
async def test_the_plan_counts_the_requests_of_the_site_that_it_names(name: str, collect: Collect) -> None:
    """A site of 1,000 users, 60 groups and 100 courses, in pages of 20."""
    user = {"role": "learner", "isBanned": False}
    group = {"name": "g", "usersCount": 1, "coursesCount": 1}
    lists: dict[str, Any] = {
        "/users": {"users": [{"id": f"u-{id}", **user} for id in range(1000)], "totalCount": 1000},
        "/groups": {"groups": [{"id": id, **group} for id in range(60)], "totalCount": 60},
        "/courses": {"courses": [{"id": id, "name": "c", "isDraft": False} for id in range(100)], "totalCount": 100},
    }
    lists |= {f"/groups/{id}/statistics": documented("groups_4_statistics") for id in range(60)}
    lists |= {f"/courses/{id}/assignments/users": {"assignments": [], "totalCount": 0} for id in range(100)}
    site = Site(lists)
    samples = await collect(name, site)

    assert sum(COLLECTORS[name].planned_requests(settings()).values()) == len(site.requests)
    if name == "groups":
        assert COLLECTORS[name].planned_series(settings()) == Counter(sample.family for sample in samples)


async def test_an_empty_site_has_zeros_where_the_platform_counts_and_no_ranks(collect: Collect) -> None:
    site = Site(
        {
            "/statistics": {
                "statistics": {"coursesCount": 0, "assignedCoursesCount": 0, "groupsCount": 0, "usersCount": 0},
                "usersWithoutActivity": [],
                "usersWithoutResults": [],
                "leaders": [],
                "unassignedCourses": [],
            },
            "/groups": {"groups": [], "totalCount": 0},
            "/users": {"users": [], "totalCount": 0},
            "/courses": {"courses": [], "totalCount": 0},
        }
    )

    assert exposition_lines(await collect("statistics", site)).splitlines() == [
        "konstantly_course_assignments 0.0",
        "konstantly_courses 0.0",
        "konstantly_groups 0.0",
        "konstantly_leaders 0.0",
        'konstantly_unassigned_courses{status="draft"} 0.0',
        'konstantly_unassigned_courses{status="published"} 0.0',
        "konstantly_users 0.0",
        "konstantly_users_without_activity 0.0",
        "konstantly_users_without_results 0.0",
    ]
    assert await collect("groups", site) == []
    assert await collect("users", site) == []
    assert values(await collect("courses", site), "konstantly_catalog_courses") == {("draft",): 0, ("published",): 0}


async def test_ten_leaders_have_a_rank_in_the_order_of_the_api_and_all_are_counted(collect: Collect) -> None:
    samples = await collect("statistics", Site())

    assert values(samples, "konstantly_leaders") == {(): 12}
    assert values(samples, "konstantly_leader_completed_courses") == {(str(rank),): 15 - rank for rank in range(1, 11)}
    assert values(samples, "konstantly_leader_result_ratio")["1",] == pytest.approx(0.99)


async def test_lists_are_read_page_by_page_to_the_end(collect: Collect) -> None:
    """Pages of two give what one page gives."""
    for name in ("groups", "users", "courses"):
        whole, paged = Site(), Site(page_size=2)

        assert exposition_lines(await collect(name, paged)) == exposition_lines(await collect(name, whole))
        assert len(paged.requests) > len(whole.requests)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("groups", "/groups"),
        ("users", "/users"),
        ("courses", "/courses"),
    ],
)
async def test_a_list_shorter_than_its_total_is_incomplete(name: str, path: str, collect: Collect) -> None:
    fixture = path.strip("/").replace("/", "_")
    site = Site({path: changed(fixture, "totalCount", documented(fixture)["totalCount"] + 1)})

    with pytest.raises(IncompleteError):
        await collect(name, site)


@pytest.mark.parametrize("total", [8, 12])
async def test_assignments_that_ignore_the_offset_leave_their_course_without_series(
    total: int, collect: Collect
) -> None:
    """The reference documents no offset there: the same five again prove that the rest cannot be had."""
    site = Site()

    def without_offset(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/32/assignments/users"):
            return httpx.Response(200, json=changed("courses_32_assignments_users", "totalCount", total))
        return site(request)

    with new_run() as run:
        samples = await collect("courses", without_offset)

    assert set(values(samples, "konstantly_course_info")) == {("31", "Safety"), ("33", "Fire drill")}
    assert [(one.endpoint, one.count) for one in run.unreadable()] == [("/courses", 1)]
    assert "details of record 32 (GET /courses/{course}/assignments/users: " in str(run.unreadable()[0])


@pytest.mark.parametrize(
    ("name", "path", "ids", "others"),
    [
        ("groups", "/groups/5/statistics", "konstantly_group_info", {"4", "6"}),
        ("courses", "/courses/32/assignments/users", "konstantly_course_info", {"31", "33"}),
    ],
)
async def test_one_odd_reply_leaves_its_object_without_series_and_takes_no_other_away(
    name: str, path: str, ids: str, others: set[str], collect: Collect
) -> None:
    with new_run() as run:
        samples = await collect(name, Site({path: {"error": "?"}}))

    assert {labels[0] for labels in values(samples, ids)} == others
    assert sum(values(samples, "konstantly_catalog_courses").values()) == (3 if name == "courses" else 0)
    assert sum(one.count for one in run.unreadable()) == 1


@pytest.mark.parametrize("odd", [{31, 32}, {31, 32, 33}])
async def test_more_than_a_small_share_of_odd_courses_fails_the_run(odd: set[int], collect: Collect) -> None:
    """One always may be odd, and else 1 %; the error is that of the first."""
    short = changed("courses_32_assignments_users", "totalCount", 6)
    site = Site({f"/courses/{course}/assignments/users": short for course in odd})

    with pytest.raises(IncompleteError, match=r"GET /courses/.*/assignments/users"):
        await collect("courses", site)


async def test_the_only_course_with_an_odd_list_fails_the_run(collect: Collect) -> None:
    [course, *_] = documented("courses")["courses"]
    site = Site({"/courses": {"courses": [course], "totalCount": 1}, "/courses/31/assignments/users": {}})

    with pytest.raises(InvalidResponseError):
        await collect("courses", site)


async def test_a_course_assigned_directly_and_by_a_group_is_two_assignments(collect: Collect) -> None:
    """The platform lists both under the same user, and counts both; only a row that comes again is the same."""
    [first, *others] = documented("courses_32_assignments_users")["assignments"]
    by_group = first | {"assignedAt": first["assignedAt"] + 86_400}
    by_deadline = first | {"deadlineAt": first["deadlineAt"] + 86_400}
    rows = [first, by_group, by_deadline, *others]
    site = Site({"/courses/32/assignments/users": {"assignments": rows, "totalCount": len(rows)}}, page_size=2)

    samples = await collect("courses", site)

    learners = values(samples, "konstantly_course_learners")
    assert sum(value for (course, _), value in learners.items() if course == "32") == len(rows)


async def test_a_group_that_vanished_since_it_was_listed_has_no_series(collect: Collect) -> None:
    samples = await collect("groups", Site({"/groups/5/statistics": httpx.Response(404)}))

    assert {sample.labels[0] for sample in samples} == {"4", "6"}


async def test_a_course_that_vanished_since_it_was_listed_has_no_series(collect: Collect) -> None:
    samples = await collect("courses", Site({"/courses/32/assignments/users": httpx.Response(404)}))

    assert set(values(samples, "konstantly_course_info")) == {("31", "Safety"), ("33", "Fire drill")}


@pytest.mark.parametrize(
    ("name", "path"), [("groups", "/groups/5/statistics"), ("courses", "/courses/32/assignments/users")]
)
async def test_any_other_failure_of_a_detail_fails_the_run(name: str, path: str, collect: Collect) -> None:
    with pytest.raises(ServerError):
        await collect(name, Site({path: httpx.Response(500)}))


@pytest.mark.parametrize(
    ("name", "detail", "ids"),
    [("groups", "/groups/{}/statistics", (4, 5, 6)), ("courses", "/courses/{}/assignments/users", (31, 32, 33))],
)
async def test_when_no_detail_is_found_the_endpoint_is_missing_and_nothing_is_published(
    name: str, detail: str, ids: tuple[int, ...], collect: Collect
) -> None:
    """Some objects may vanish after they were listed; all of them do not."""
    missing = Site({detail.format(id_): httpx.Response(404) for id_ in ids})

    with pytest.raises(InvalidResponseError, match="answered 404"):
        await collect(name, missing)


async def test_a_list_that_is_not_found_is_an_error_and_no_empty_site(collect: Collect) -> None:
    for name in COLLECTORS:
        with pytest.raises(InvalidResponseError):
            await collect(name, lambda _: httpx.Response(404))


async def test_a_refused_key_is_unauthorized(collect: Collect) -> None:
    for name in COLLECTORS:
        with pytest.raises(UnauthorizedError):
            await collect(name, lambda _: httpx.Response(401, text="<html>"))


async def test_a_role_is_an_object_with_an_alias_or_a_text(collect: Collect) -> None:
    """The examples show the one, the tables the other. A role that occurs has both series, banned or not."""
    assert values(await collect("users", Site()), "konstantly_user_accounts") == {
        ("branch-auditor", "false"): 1,
        ("branch-auditor", "true"): 0,
        ("learner", "false"): 2,
        ("learner", "true"): 1,
        ("manager", "false"): 1,
        ("manager", "true"): 0,
    }


async def test_a_parent_is_empty_at_the_top_whether_null_or_absent(collect: Collect) -> None:
    infos = values(await collect("groups", Site()), "konstantly_group_info")

    assert {labels[0]: labels[2] for labels in infos} == {"4": "", "5": "4", "6": ""}


async def test_a_name_with_any_characters_stays_one_line(collect: Collect) -> None:
    lines = exposition_lines(await collect("groups", Site())).splitlines()

    assert r'konstantly_group_info{group="5",name="Night \"shift\" \\ north\n{x=\"1\"} ☃",parent="4"} 1.0' in lines


@pytest.mark.parametrize(
    ("started", "finished", "expired", "state"),
    [
        (False, False, False, "not_started"),
        (True, False, False, "in_progress"),
        (False, False, True, "expired"),
        (True, False, True, "expired"),
        (True, True, False, "finished"),
        (True, True, True, "finished"),
    ],
)
async def test_a_learner_is_in_one_state(
    started: bool, finished: bool, expired: bool, state: str, collect: Collect
) -> None:
    """Finished wins over expired, and expired over started; the other states are 0."""
    flags = {"isCourseStarted": started, "isCourseFinished": finished, "isExpired": expired}
    reply = documented("courses_33_assignments_users")
    reply["assignments"][0] |= flags
    samples = await collect("courses", Site({"/courses/33/assignments/users": reply}))

    learners = values(samples, "konstantly_course_learners")
    assert {name: count for (course, name), count in learners.items() if course == "33"} == {
        **dict.fromkeys(("not_started", "in_progress", "finished", "expired"), 0),
        state: 1,
    }


async def test_the_result_is_the_mean_of_those_who_finished(collect: Collect) -> None:
    """Two finished course 32 with 70 and 90 percent; another has an interim result of 30."""
    samples = await collect("courses", Site())

    assert values(samples, "konstantly_course_result_ratio")["32",] == pytest.approx(0.8)


async def test_means_are_of_the_values_that_can_be_read(collect: Collect) -> None:
    good, odd = documented("courses_32_assignments_users"), documented("courses_32_assignments_users")
    finished = [one for one in good["assignments"] if one["isCourseFinished"]]
    [first] = [one for one in odd["assignments"] if one["user"] == finished[0]["user"]]
    first |= {"progressValue": 105, "resultValue": None}
    samples = await collect("courses", Site({"/courses/32/assignments/users": odd}))

    others = [one for one in good["assignments"] if one["user"] != first["user"]]
    progress_percent = sum(one["progressValue"] for one in others) / len(others)
    assert values(samples, "konstantly_course_progress_ratio")["32",] == pytest.approx(progress_percent / 100)
    assert values(samples, "konstantly_course_result_ratio")["32",] == finished[1]["resultValue"] / 100
    assert values(samples, "konstantly_course_learners")["32", "finished"] == 2


async def test_a_mean_without_anybody_is_absent(collect: Collect) -> None:
    """Course 31 has no learners, course 33 has one who has not finished."""
    samples = await collect("courses", Site())

    assert values(samples, "konstantly_course_progress_ratio") == {("32",): pytest.approx(0.6), ("33",): 0}
    assert values(samples, "konstantly_course_result_ratio") == {("32",): pytest.approx(0.8)}
    assert values(samples, "konstantly_course_learners")["31", "finished"] == 0


NEEDED = {
    "statistics": {
        "/statistics": [
            "statistics", "statistics.usersCount", "statistics.coursesCount", "statistics.groupsCount",
            "statistics.assignedCoursesCount", "usersWithoutActivity", "usersWithoutResults", "leaders",
            "unassignedCourses", "unassignedCourses.0.isDraft",
        ],
    },
    "groups": {
        "/groups": [
            "groups", "totalCount", "groups.0.id",
        ],
        "/groups/{group}/statistics": ["usersWithoutActivity", "usersWithoutResults"],
    },
    "users": {"/users": ["users", "totalCount", "users.0.id", "users.0.isBanned"]},
    "courses": {
        "/courses": ["courses", "totalCount", "courses.0.id", "courses.0.isDraft"],
        "/courses/{course}/assignments/users": [
            "assignments", "totalCount", "assignments.0.user", "assignments.0.user.id", "assignments.0.isCourseStarted",
            "assignments.0.isCourseFinished", "assignments.0.isExpired",
        ],
    },
}  # fmt: skip
"""What each endpoint must give for its series, by collector: all but what one odd record may lack."""


@pytest.mark.parametrize("value", [..., None, [[]], -1.5], ids=["missing", "null", "list", "negative fraction"])
@pytest.mark.parametrize(
    ("name", "endpoint", "key"),
    [(name, endpoint, key) for name, places in NEEDED.items() for endpoint, keys in places.items() for key in keys],
)
async def test_what_a_series_needs_must_be_there_and_of_its_type(
    name: str, endpoint: str, key: str, value: object, collect: Collect
) -> None:
    """The error names the endpoint and the key; nothing is guessed and nothing becomes 0."""
    reply = changed(endpoint.format(group=4, course=32).strip("/").replace("/", "_"), key, value)
    site = Site({endpoint.format(group=group, course=course): reply for group, course in ((4, 31), (5, 32), (6, 33))})

    with pytest.raises(InvalidResponseError) as error:
        await collect(name, site)

    assert f"GET {endpoint}: " in str(error.value)
    assert key.rsplit(".", maxsplit=1)[-1] in str(error.value)


@pytest.mark.parametrize(
    ("name", "path", "key", "value"),
    [
        ("statistics", "/statistics", "statistics.usersCount", -1),
        ("statistics", "/statistics", "statistics.usersCount", "19"),
        ("statistics", "/statistics", "statistics.usersCount", True),
    ],
)
async def test_numbers_out_of_range_are_refused(
    name: str, path: str, key: str, value: object, collect: Collect
) -> None:
    site = Site({path: changed(path.strip("/").replace("/", "_"), key, value)})

    with pytest.raises(InvalidResponseError, match=key.rsplit(".", maxsplit=1)[-1]):
        await collect(name, site)


@pytest.mark.parametrize("body", ["<html>sign in</html>", "", '{"statistics":', "[]", "null"])
async def test_a_body_that_is_no_documented_reply_is_refused(body: str, collect: Collect) -> None:
    for name in COLLECTORS:
        with pytest.raises(CollectError) as error:
            await collect(name, lambda _: httpx.Response(200, text=body))

        assert type(error.value) is InvalidResponseError
