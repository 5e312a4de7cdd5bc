"""Whatever a test rests on says what itself rests on: the demo's paths, the fixtures, the collectors."""

from collections import Counter
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from docs.generate import replies, simulated
from exporter import collection
from exporter.config import Target, parse
from exporter.demo import konstantly, learning360, pybossa, viktor
from exporter.demo.configuration import configuration
from exporter.demo.organisation import Organisation
from exporter.demo.route import Route
from exporter.demo.server import Demo
from exporter.errors import State
from exporter.evidence import Basis, Evidence
from exporter.jobs import enabled_collectors, make_clients
from exporter.platform import Collector, installed
from exporter.probe import probe
from exporter.self_metrics import ApiMetrics
from exporter.yaml_document import read

TESTS = Path(__file__).parent
REPOSITORY = TESTS.parent
BASE_PATHS = {"konstantly": "/openapi/v1", "viktor": "", "pybossa": "", "learning360": "/api/{version}"}
"""Where the endpoints of a platform are on the demo."""


def targets(site: Demo) -> tuple[Target, ...]:
    """Every target of the demo, with every collector on."""
    return parse(read(configuration(site), "demo", {}), Path(), installed()).targets


def bases_of(target: Target, collector: Collector[object]) -> list[Basis]:
    """What a collector rests on in the version of the API that the target has."""
    return [one for one in collector.bases if one.api_version in ("", getattr(target.settings, "api_version", ""))]


def test_every_reply_among_the_tests_says_what_it_rests_on() -> None:
    """Golden files and indexes are no replies."""
    ours = {"evidence.yaml", "expected.prom", "expected_v1.prom"}
    data = [
        str(file.relative_to(REPOSITORY))
        for folder in ("captures", "platforms")
        for file in (TESTS / folder).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc") and file.name not in ours
    ]

    assert Counter(file for file, _, _ in replies()) == Counter(data)


def test_every_path_of_the_demo_says_what_it_rests_on(half_year_old: Organisation) -> None:
    halves = (
        (konstantly, half_year_old.academy),
        (viktor, half_year_old.engineering),
        (pybossa, half_year_old.crowd),
        (learning360, half_year_old.academy),
    )
    routes = [route for module, half in halves for route in module.application(half, lambda: None).routes]

    assert [route for route in routes if not isinstance(route, Route)] == []
    assert len(list(simulated())) == len(routes)


async def test_collectors_say_what_every_endpoint_that_they_ask_rests_on(site: Demo) -> None:
    for target in targets(site):
        for collector in enabled_collectors(target):
            registry = CollectorRegistry()
            [client] = make_clients([target], ApiMetrics(registry)).values()
            result = await collection.run(client, collector, target.settings)

            assert result.state is State.OK
            asked = {
                sample.labels["endpoint"]
                for family in registry.collect()
                for sample in family.samples
                if sample.name == "engagement_api_requests_total"
            }
            bases = {basis.endpoint for basis in bases_of(target, collector)}
            assert bases == asked - {"/api/v2/oauth2/token"}, (target.settings.name, collector.name)


async def test_the_demo_is_no_surer_than_the_collectors_that_read_it(site: Demo) -> None:
    """A path that a collector has only a guess of is a guess there too; any other has the collector's evidence."""
    paths = {(name, path.replace("{number:int}", "{}")): evidence for name, path, evidence in simulated()}
    for target in targets(site):
        version = getattr(target.settings, "api_version", "")
        base_path = BASE_PATHS[target.platform.name].format(version=version)
        for collector in enabled_collectors(target):
            bases = bases_of(target, collector)
            for endpoint in {basis.endpoint for basis in bases}:
                own = {basis.evidence for basis in bases if basis.endpoint == endpoint}
                path = base_path + endpoint.replace("{group}", "{}").replace("{course}", "{}")
                weakest = Evidence.INFERRED if Evidence.INFERRED in own else own.pop()
                assert paths[target.platform.name, path] is weakest, path


async def test_guesses_are_told_where_somebody_decides_about_a_collector(site: Demo) -> None:
    """In both documents, and by the probe."""
    metrics = (REPOSITORY / "docs/metrics.md").read_text(encoding="utf-8")
    reference = (REPOSITORY / "docs/configuration.md").read_text(encoding="utf-8")
    for target in targets(site):
        [client] = make_clients([target], ApiMetrics(CollectorRegistry())).values()
        verdicts = {one.subject: one.text async for one in probe(target, client)}
        section = reference.split(f"platform `{target.platform.name}`")[1].split("## targets")[0]
        for collector in enabled_collectors(target):
            guessed = any(basis.is_guess for basis in bases_of(target, collector))
            assert ("is a guess" in verdicts[collector.name]) is guessed, collector.name
            [row] = [line for line in section.splitlines() if line.startswith(f"| `{collector.name}` |")]
            table = metrics.split(f"## {target.platform.name} / {collector.name} ")[1].split("## ")[0]
            assert ("a guess](evidence.md)" in row) is ("a guess](evidence.md)" in table) is bool(collector.guesses)


@pytest.mark.parametrize(("evidence", "settled_by"), [(Evidence.INFERRED, ""), (Evidence.SAMPLE, "a reply")])
def test_a_guess_and_nothing_else_says_what_would_settle_it(evidence: Evidence, settled_by: str) -> None:
    with pytest.raises(ValueError, match="/things: a guess, and only a guess"):
        Basis("/things", evidence, "x", settled_by)


def test_the_number_of_collectors_that_rest_on_guesses_is_told_and_does_not_grow_unseen() -> None:
    """Whoever adds a guess raises this number, and reads what the vendors show first."""
    collectors = [collector for platform in installed().values() for collector in platform.collectors]
    guessing = [collector for collector in collectors if collector.guesses]

    text = (REPOSITORY / "docs/evidence.md").read_text(encoding="utf-8")
    assert f"{len(guessing)} of {len(collectors)} collectors rest on a guess" in text
    assert len(guessing) == 7
