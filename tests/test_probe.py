"""`check --probe`: for every collector what a run would say, from one request for each endpoint and right."""

import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from exporter import collection
from exporter.api.client import Client
from exporter.config import Config, Target, parse
from exporter.demo import konstantly, learning360, pybossa, viktor
from exporter.demo.configuration import configuration
from exporter.demo.faults import status
from exporter.demo.organisation import Organisation
from exporter.demo.server import Demo, Served, serve
from exporter.errors import ForbiddenError, State
from exporter.jobs import enabled_collectors, make_clients
from exporter.platform import installed
from exporter.platforms.viktor.settings import ADMIN
from exporter.probe import Finding, probe
from exporter.self_metrics import ApiMetrics
from exporter.yaml_document import read
from tests.fakes import make_client

PLATFORM_FIXTURES = Path(__file__).parent / "platforms"


def config(text: str) -> Config:
    return parse(read(text, "config.yaml", {}), Path(), installed())


async def findings(config: Config) -> dict[tuple[str, str], Finding]:
    """The findings of all targets, by target and subject."""
    clients = make_clients(config.targets, ApiMetrics(CollectorRegistry()))
    return {
        (finding.target, finding.subject): finding
        for target in config.targets
        async for finding in probe(target, clients[target.settings.name])
    }


async def test_good_credentials_are_ok_for_every_collector_and_told_how_far_they_reach(site: Demo) -> None:
    checked = config(configuration(site))

    found = await findings(checked)

    for target in checked.targets:
        name = target.settings.name
        verdicts = {collector.name: found.pop((name, collector.name)).text for collector in enabled_collectors(target)}
        assert {verdict.split(",")[0] for verdict in verdicts.values()} == {"ok"}, verdicts
        assert found.pop((name, "credential")).text == target.platform.credential
    assert found == {}


async def test_one_request_for_each_endpoint_and_right(site: Demo) -> None:
    """Two targets share the platform of 360Learning, each with a request for a token or none."""
    await findings(config(configuration(site)))

    def paths(served: Served) -> list[str]:
        return sorted(re.sub("[0-9a-f]{24}", "ID", request.path) for request in served.requests)

    assert paths(site.konstantly) == [f"/openapi/v1/{name}" for name in ("courses", "groups", "statistics", "users")]
    assert paths(site.viktor) == ["/api/apps/", "/api/statistics/", "/api/statistics/details/audit_events/"]
    assert paths(site.pybossa) == [
        "/admin/rq/queues.json",
        *(f"/api/{name}" for name in ("category", "favorites", "globalstats", "project")),
        "/stats/",
    ]
    assert paths(site.learning360) == [
        *(f"/api/v1/{name}" for name in ("courses", "courses/stats", "groups", "paths", "paths/sessions")),
        "/api/v1/paths/sessions/ID/stats/users",
        "/api/v1/users",
        "/api/v2/classrooms",
        "/api/v2/courses",
        "/api/v2/courses/stats",
        "/api/v2/groups",
        "/api/v2/oauth2/token",
        "/api/v2/paths",
        "/api/v2/paths/stats",
        "/api/v2/projects",
        "/api/v2/skills",
        "/api/v2/skills/powers",
        "/api/v2/users",
    ]


async def test_a_token_without_the_right_is_told_with_the_right_it_lacks(site: Demo) -> None:
    found = await findings(config(configuration(site).replace(viktor.TOKEN, viktor.MEMBER_TOKEN)))

    users = found["bridges", "users"]
    assert users.is_failure
    assert users.text.startswith(
        f"forbidden: missing right ({ADMIN}): GET /api/statistics/ answered 403; give the credential the right"
    )


async def test_a_key_that_is_no_administrators_cannot_read_the_queues(site: Demo) -> None:
    found = await findings(config(configuration(site).replace(pybossa.ADMIN_KEY, pybossa.MEMBER_KEY)))

    assert found["crowd", "queues"].is_failure
    assert found["crowd", "queues"].text == (
        "unauthorized: GET /admin/rq/queues.json answered 401; give the API key of an administrator, or turn the"
        " collector queues off"
    )
    assert found["crowd", "stats"].text == "ok"


async def test_a_wrong_key_is_told_as_such_and_not_as_a_right(site: Demo) -> None:
    found = await findings(config(configuration(site).replace(konstantly.API_KEY, "wrong")))

    assert found["academy", "groups"].is_failure
    assert found["academy", "groups"].text.startswith("unauthorized: GET /groups answered 401; check")


async def test_a_credential_of_few_scopes_lacks_the_others(half_year_old: Organisation) -> None:
    options = {"learning360": {"scopes": ["users:read", "courses:read"]}}
    async with serve(half_year_old, lambda: datetime.now(UTC), options=options) as site:
        found = await findings(config(configuration(site)))

    assert [name for (target, name), one in found.items() if target == "learning" and not one.is_failure] == [
        "users",
        "courses",
        "credential",
    ]
    assert found["learning", "skills"].text.startswith(
        "forbidden: missing right (skillsPowers:read): GET /skills/powers"
    )
    assert found["learning", "attempts"].text.startswith(
        "forbidden: missing right (courseStats:read): GET /courses/stats"
    )


async def test_rights_that_no_collector_uses_are_in_excess_and_no_failure(site: Demo) -> None:
    text = (
        configuration(site)
        .replace("skills: on", "skills: off")
        .replace("queues: {enabled: true", "queues: {enabled: false")
    )

    found = await findings(config(text))

    excess = {right: one for (_, right), one in found.items() if "excess" in one.text}
    assert excess.keys() == {"skills:read", "skillsPowers:read", "administrator"}
    assert excess["skillsPowers:read"].text == "right in excess: only collectors that are off need it, such as skills"
    assert not any(one.is_failure for one in excess.values())


async def test_a_collector_that_is_off_and_needs_no_right_of_its_own_is_not_asked_about(site: Demo) -> None:
    found = await findings(
        config(configuration(site).replace("projects: on\n      queues", "projects: off\n      queues"))
    )

    assert ("crowd", "projects") not in found


async def test_a_refused_credential_and_a_platform_that_fails(site: Demo) -> None:
    site.konstantly.faults.set(status(404))
    text = configuration(site).replace(learning360.CLIENT_SECRET, "hunter2").replace(pybossa.ADMIN_KEY, "hunter2")

    found = await findings(config(text))

    groups = found["academy", "groups"]
    assert groups.is_failure
    assert groups.text.startswith("invalid_response: GET /groups answered 404")
    users = found["learning", "users"]
    assert users.is_failure
    assert "POST /api/v2/oauth2/token answered 401: the client credentials were refused" in users.text
    assert "hunter2" not in str(found)


FAKE_TARGETS = {
    "konstantly": "{name: t, platform: konstantly, url: 'https://t.test', api_key: k, collectors: {%s}}",
    "viktor": "{name: t, platform: viktor, url: 'https://t.test', token: k, collectors: {%s}}",
    "pybossa": "{name: t, platform: pybossa, url: 'https://t.test', api_key: k, collectors: {%s}}",
    "learning360": "{name: t, platform: learning360, url: 'https://t.test', client_id: i, client_secret: k,"
    " collectors: {%s}}",
}
ON = {"audit_events": "{event_types: [EDITOR.COMPUTE, APP.PUBLISH]}"}
"""What turns a collector on where `on` is not enough."""

REPLIES: dict[str, dict[str, tuple[str, str]]] = {
    "konstantly": {
        "/openapi/v1/statistics": ("", "konstantly/statistics"),
        "/openapi/v1/groups": ("", "konstantly/groups"),
        "/openapi/v1/users": ("", "konstantly/users"),
        "/openapi/v1/courses": ("", "konstantly/courses"),
    },
    "viktor": {
        "/api/statistics/": ("admin", "viktor/statistics_{stats_type}"),
        "/api/apps/": ("", "viktor/apps"),
        "/api/statistics/details/audit_events/": ("admin", "viktor/audit_events"),
    },
    "pybossa": {
        "/stats/": ("", "pybossa/stats"),
        "/api/globalstats": ("", "pybossa/api_globalstats"),
        "/api/project": ("", "pybossa/api_project"),
        "/api/category": ("", "pybossa/api_category"),
        "/api/favorites": ("", "pybossa/api_favorites"),
        "/admin/rq/queues.json": ("administrator", "pybossa/admin_rq_queues"),
    },
    "learning360": {
        "/api/v2/users": ("users:read", "learning360/users"),
        "/api/v2/courses": ("courses:read", "learning360/courses"),
        "/api/v2/courses/stats": ("courseStats:read", "learning360/courses_stats"),
        "/api/v2/groups": ("groups:read", "learning360/groups"),
        "/api/v2/paths": ("paths:read", "learning360/paths"),
        "/api/v2/paths/stats": ("pathStats:read", "learning360/paths_stats"),
        "/api/v2/classrooms": ("classrooms:read", "learning360/classrooms"),
        "/api/v2/skills": ("skills:read", "learning360/skills"),
        "/api/v2/skills/powers": ("skillsPowers:read", "learning360/skills_powers"),
        "/api/v2/projects": ("projects:read", "learning360/projects"),
    },
}
"""By platform and path the right that it takes, and the fixture that answers."""

NEEDS = {
    "konstantly": {"statistics": "", "groups": "", "users": "", "courses": ""},
    "viktor": dict.fromkeys(("users", "developers", "workspaces", "apps", "audit_events"), "admin"),
    "pybossa": {"stats": "", "globalstats": "", "projects": "", "queues": "administrator"},
    "learning360": {
        "users": "users:read",
        "courses": "courses:read",
        "groups": "groups:read",
        "attempts": "courseStats:read courses:read",
        "paths": "paths:read",
        "path_stats": "pathStats:read",
        "classrooms": "classrooms:read",
        "skills": "skills:read skillsPowers:read",
        "projects": "projects:read",
    },
}
"""By platform and collector the rights that the documents say it needs."""

OWN_WORDS = {ADMIN: "admin"}


def fake_target(platform: str, enabled: Collection[str]) -> Target:
    """A target with just these collectors on."""
    switches = ", ".join(f"{name}: {ON.get(name, 'on') if name in enabled else 'off'}" for name in NEEDS[platform])
    [target] = config(f"targets: [{FAKE_TARGETS[platform] % switches}]").targets
    return target


def fake_client(target: Target, handler: Callable[[httpx.Request], httpx.Response]) -> Client:
    """A client of the target whose platform is the handler, and whose waits take no time."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        return handler(request)

    return make_client(answer, access=target.platform.access(target.settings))


async def judged(
    platform: str, enabled: Collection[str], granted: Collection[str]
) -> tuple[dict[str, set[str]], set[str], list[str]]:
    """What the probe says of a credential: the rights that each collector misses, those in excess, the paths asked."""
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.url.path}")
        right, fixture = REPLIES[platform][request.url.path]
        if right and right not in granted:
            return httpx.Response(401 if platform == "pybossa" else 403)
        name = fixture.format_map(dict(request.url.params))
        return httpx.Response(200, content=(PLATFORM_FIXTURES / f"{name}.json").read_bytes())

    target = fake_target(platform, enabled)
    found = [finding async for finding in probe(target, fake_client(target, handler))]
    missing: dict[str, set[str]] = {name: set() for name in enabled}
    for finding in found:
        if finding.is_failure:
            missing[finding.subject].add(next(right for right in words(platform) if says(finding.text, right)))
    excess = {OWN_WORDS.get(one.subject, one.subject) for one in found if one.text.startswith("right in excess")}
    return missing, excess, asked


def words(platform: str) -> list[str]:
    """All rights of the platform, in the words of NEEDS."""
    return sorted({right for right, _ in REPLIES[platform].values() if right})


def says(text: str, right: str) -> bool:
    """True if a failure names the right."""
    own = next((own for own, word in OWN_WORDS.items() if word == right), right)
    return f"missing right ({own})" in text or f"key of an {right}" in text


def combinations_to_try() -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Every choice of collectors with every choice of rights; of 360Learning's half a million those that differ."""
    for platform, needs in NEEDS.items():
        rights = words(platform)
        if platform == "learning360":
            choices = [(), tuple(needs), *((name,) for name in needs), *combinations(needs, 2)]
            grants = [(), tuple(rights), *((right,) for right in rights), *combinations(rights, len(rights) - 1)]
        else:
            choices = [choice for size in range(len(needs) + 1) for choice in combinations(needs, size)]
            grants = [grant for size in range(len(rights) + 1) for grant in combinations(rights, size)]
        yield from ((platform, choice, grant) for choice in choices for grant in grants)


async def test_missing_and_excess_rights_are_right_in_all_combinations() -> None:
    for platform, enabled, granted in combinations_to_try():
        missing, excess, asked = await judged(platform, enabled, granted)

        needed = {name: set(NEEDS[platform][name].split()) for name in enabled}
        assert missing == {name: rights - set(granted) for name, rights in needed.items()}, (platform, enabled, granted)
        assert excess == set(granted) - set().union(*needed.values()), (platform, enabled, granted)
        assert len(asked) == len(set(asked)), (platform, enabled, granted)


ANSWERS: dict[str, tuple[int, dict[str, Any]]] = {
    "a page for people": (200, {"html": "<!doctype html><h1>Welcome</h1>"}),
    "an empty object": (200, {"json": {}}),
    "an empty list": (200, {"json": []}),
    "null": (200, {"json": None}),
    "nothing": (200, {}),
    "a server without Redis": (200, {"json": {"status": "error"}}),
    "a sign-in page": (302, {"headers": {"Location": "/account/signin?next=/stats/"}}),
    "another address": (301, {"headers": {"Location": "https://elsewhere.test/"}}),
    "an unknown organisation": (400, {"json": {"org_domain": ["Unknown organisation."]}}),
    "a module not bought": (400, {"json": {"error": {"code": "skillSolutionNotEnabled"}}}),
    "a wrong key": (401, {}),
    "a missing right": (403, {}),
    "no such path": (404, {}),
    "too many requests": (429, {}),
    "a fault": (500, {}),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("platform", NEEDS)
async def test_a_probe_has_the_state_and_the_remedy_of_a_run(platform: str, answer: str) -> None:
    """Every request gets the same answer, so that the first of a run decides, and the probe is that one."""
    code, reply = ANSWERS[answer]
    target = fake_target(platform, NEEDS[platform])

    def client() -> Client:
        return fake_client(target, lambda _: httpx.Response(code, **reply))

    found: dict[str, Finding] = {}
    async for one in probe(target, client()):
        found.setdefault(one.subject, one)

    for collector in enabled_collectors(target):
        result = await collection.run(client(), collector, target.settings)
        finding = found[collector.name]
        assert finding.is_failure == (result.state is not State.OK), collector.name
        if finding.is_failure:
            assert finding.text.startswith(f"{result.state}: "), collector.name
            assert finding.text.endswith(f"; {result.remedy}"), collector.name


async def test_a_refused_organisation_is_named_and_so_is_the_key_that_chooses_it() -> None:
    """The reply may also say nothing."""
    named = {"org_domain": ["Unknown organisation."], "non_field_errors": ["x"]}
    for reply, code in ((named, " (org_domain, non_field_errors)"), ({}, "")):
        for key, remedy in (("org_domain: acme, ", "check org_domain: "), ("", "set org_domain: ")):
            text = f"targets: [{{name: t, platform: viktor, url: 'https://t.test', {key}token: k}}]"
            [target] = config(text).targets
            client = fake_client(target, lambda _, reply=reply: httpx.Response(400, json=reply))
            found = {one.subject: one.text async for one in probe(target, client)}

            for name in ("users", "developers", "workspaces"):
                assert found[name].startswith(f"invalid_response: GET /api/statistics/ answered 400{code}; {remedy}")


async def test_the_organisation_is_asked_for_as_a_run_asks() -> None:
    asked: list[httpx.QueryParams] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params)
        return httpx.Response(403)

    [target] = config(
        "targets: [{name: t, platform: viktor, url: 'https://t.test', org_domain: acme, token: k}]"
    ).targets
    async for _ in probe(target, fake_client(target, handler)):
        pass

    assert [(one["org_domain"], one["stats_type"]) for one in asked] == [("acme", "users")]


@pytest.mark.parametrize("platform", NEEDS)
async def test_a_probe_asks_the_endpoint_that_it_names(platform: str) -> None:
    target = fake_target(platform, NEEDS[platform])
    for collector in target.platform.collectors:
        for one in collector.probes:
            paths = []

            def handler(request: httpx.Request, paths: list[str] = paths) -> httpx.Response:
                paths.append(request.url.path)
                return httpx.Response(403)

            async with fake_client(target, handler).session() as client:
                with pytest.raises(ForbiddenError):
                    await one.ask(client, target.settings, datetime.now(UTC))
            assert [path.endswith(one.endpoint) for path in paths] == [True]


async def test_a_failure_is_marked() -> None:
    target = fake_target("pybossa", ["stats"])

    found = [str(one) async for one in probe(target, fake_client(target, lambda _: httpx.Response(404)))]

    assert found[0].startswith("t: stats: FAILED: invalid_response: GET /stats/ answered 404; ")
    assert found[-1].startswith("t: credential: ")


async def test_the_enrollments_of_v1_are_looked_into_too() -> None:
    """Its sessions may come as expected and their statistics not: then a run fails, and so does the probe."""
    sessions = (PLATFORM_FIXTURES / "learning360/v1_paths_sessions.json").read_bytes()
    [target] = config(
        "targets: [{name: t, platform: learning360, url: 'https://t.test', api_version: v1, company_id: i, api_key: k}]"
    ).targets

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=sessions if request.url.path.endswith("/sessions") else b"{}")

    found = {one.subject: one async for one in probe(target, fake_client(target, handler))}

    assert found["path_stats"].is_failure
    assert "GET /paths/sessions/{session}/stats/users" in found["path_stats"].text


async def test_a_proof_of_a_right_fails_a_collector_for_that_right_alone() -> None:
    """The apps need an admin; whether the statistics know the organisation is nothing to them."""
    for status_code, failures in ((400, ["users"]), (500, ["users"]), (403, ["users", "apps"])):

        def handler(request: httpx.Request, status_code: int = status_code) -> httpx.Response:
            if request.url.path == "/api/apps/":
                return httpx.Response(200, content=(PLATFORM_FIXTURES / "viktor/apps.json").read_bytes())
            return httpx.Response(status_code)

        target = fake_target("viktor", ["users", "apps"])
        found = [one async for one in probe(target, fake_client(target, handler))]

        assert [one.subject for one in found if one.is_failure] == failures
