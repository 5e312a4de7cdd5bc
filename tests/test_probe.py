"""`check --probe`: a verdict for every collector, from one cheap request each."""

from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from exporter.config import Config, parse
from exporter.demo import konstantly, learning360, pybossa, viktor
from exporter.demo.configuration import configuration
from exporter.demo.faults import status
from exporter.demo.organisation import Organisation
from exporter.demo.server import Demo, serve
from exporter.jobs import enabled_collectors, make_clients
from exporter.platform import installed
from exporter.probe import Finding, probe
from exporter.self_metrics import ApiMetrics
from exporter.yaml_document import read


def config(text: str) -> Config:
    return parse(read(text, "config.yaml", {}), Path(), installed())


async def findings(config: Config) -> dict[tuple[str, str], Finding]:
    """The findings of all targets, by target and collector."""
    clients = make_clients(config.targets, ApiMetrics(CollectorRegistry()))
    return {
        (finding.target, finding.collector): finding
        for target in config.targets
        async for finding in probe(target, clients[target.settings.name])
    }


async def test_good_credentials_are_ok_for_every_collector_and_told_how_far_they_reach(site: Demo) -> None:
    checked = config(configuration(site))

    found = await findings(checked)

    for target in checked.targets:
        name = target.settings.name
        verdicts = {collector.name: found.pop((name, collector.name)).text for collector in enabled_collectors(target)}
        assert set(verdicts.values()) == {"ok"}, verdicts
        assert found.pop((name, "credential")).text == target.platform.credential
    assert not any(finding.is_failure for finding in found.values())


async def test_one_request_for_each_collector(site: Demo) -> None:
    await findings(config(configuration(site)))

    assert len(site.konstantly.requests) == 4
    assert len(site.viktor.requests) == 5
    assert len(site.pybossa.requests) == 4


async def test_a_token_without_the_right_is_told_with_the_right_it_lacks(site: Demo) -> None:
    found = await findings(config(configuration(site).replace(viktor.TOKEN, viktor.MEMBER_TOKEN)))

    users = found["bridges", "users"]
    assert users.is_failure
    assert users.text.startswith(
        "missing right (admin user or admin developer of the organisation): GET /api/statistics/"
    )
    assert found["bridges", "apps"].text == "ok"
    assert not found["bridges", "apps"].is_failure


async def test_a_key_that_is_no_administrators_cannot_read_the_queues(site: Demo) -> None:
    found = await findings(config(configuration(site).replace(pybossa.ADMIN_KEY, pybossa.MEMBER_KEY)))

    assert found["crowd", "queues"].is_failure
    assert found["crowd", "queues"].text.startswith("credential refused, or missing right (administrator): GET /admin/")
    assert found["crowd", "stats"].text == "ok"


async def test_a_wrong_key_is_told_as_such_and_not_as_a_right(site: Demo) -> None:
    found = await findings(config(configuration(site).replace(konstantly.API_KEY, "wrong")))

    assert found["academy", "groups"].is_failure
    assert found["academy", "groups"].text.startswith("credential refused: GET /groups answered 401; check")


async def test_a_credential_of_few_scopes_lacks_the_others(half_year_old: Organisation) -> None:
    options = {"learning360": {"scopes": ["users:read", "courses:read"]}}
    async with serve(half_year_old, lambda: datetime.now(UTC), options=options) as site:
        found = await findings(config(configuration(site)))

    assert [name for (target, name), one in found.items() if target == "learning" and not one.is_failure] == [
        "users",
        "courses",
        "credential",
    ]
    assert found["learning", "skills"].text.startswith("missing right (skills:read skillsPowers:read): GET /skills")


async def test_rights_that_no_collector_uses_are_in_excess_and_no_failure(site: Demo) -> None:
    text = (
        configuration(site)
        .replace("skills: on", "skills: off")
        .replace("queues: {enabled: true", "queues: {enabled: false")
    )

    found = await findings(config(text))

    skills, queues = found["learning", "skills"], found["crowd", "queues"]
    assert skills.text == (
        "right in excess (skills:read skillsPowers:read): the collector is off, but the credential can read this"
    )
    assert queues.text.startswith("right in excess (administrator)")
    assert not skills.is_failure
    assert not queues.is_failure


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
