"""The rules as promtool judges them, and that they, their tests, their runbooks and the series agree."""

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from exporter import self_metrics
from exporter.cli import main
from exporter.platform import installed
from prometheus.generate import REPOSITORY, RULES, RUNBOOKS, Rule, filled_in, parameters, rules, sources

TESTS = sorted((REPOSITORY / "prometheus" / "tests").glob("*.yml"))
ALL = [rule for source in sources().values() for rule in rules(filled_in(source))]
ALERTS = [rule for rule in ALL if rule.alert]
RECORDS = [rule for rule in ALL if rule.record]
COMMON_VIEW = [rule for rule in RECORDS if "platform" in rule.labels]
PLATFORMS = installed()
FAMILIES = {
    family.name for platform in PLATFORMS.values() for collector in platform.collectors for family in collector.families
} | {family.name for family in self_metrics.FAMILIES}
NAME = re.compile(rf"\b(?:engagement|{'|'.join(PLATFORMS)})[_:][a-z0-9_:]+")


def name(rule: Rule) -> str:
    return f"{rule.record or rule.alert} {rule.labels.get('platform', '')}".strip()


def series_names(expression: str) -> set[str]:
    """The names of our series in an expression."""
    return {found.removesuffix("_bucket") for found in NAME.findall(re.sub('"[^"]*"', "", expression))}


@pytest.fixture(scope="module")
def verdicts() -> Iterator[dict[Path, Future[subprocess.CompletedProcess[str]]]]:
    """What promtool says of every file of tests: several at a time, since some go through five weeks."""
    with ThreadPoolExecutor() as pool:
        yield {file: pool.submit(promtool, "test", "rules", file.name, folder=file.parent) for file in TESTS}


def promtool(*arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_the_rules_do_what_their_tests_say(
    file: Path, verdicts: dict[Path, Future[subprocess.CompletedProcess[str]]]
) -> None:
    verdict = verdicts[file].result()

    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def test_promtool_has_no_complaints() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted(RULES.glob("*.yml")))

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stderr == ""


@pytest.mark.parametrize("rule", ALERTS, ids=name)
def test_an_alert_is_tested_firing_and_silent(rule: Rule) -> None:
    expected = [
        case["exp_alerts"]
        for file in TESTS
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
        for case in test.get("alert_rule_test", [])
        if case["alertname"] == rule.alert
    ]
    silent = [file for file in TESTS if rule.alert in (text := file.read_text(encoding="utf-8")) and ": []" in text]

    assert any(expected)
    assert silent


@pytest.mark.parametrize("rule", RECORDS, ids=name)
def test_a_recorded_series_is_tested(rule: Rule) -> None:
    labels = [f'{key}="{value}"' for key, value in rule.labels.items()]
    lines = [line for file in TESTS for line in file.read_text(encoding="utf-8").splitlines() if "labels:" in line]

    assert any(f"{rule.record}{{" in line and all(label in line for label in labels) for line in lines)


@pytest.mark.parametrize("rule", ALERTS, ids=name)
def test_an_alert_says_what_to_do(rule: Rule) -> None:
    page = (RUNBOOKS / f"{rule.alert}.md").read_text(encoding="utf-8")

    assert rule.alert.startswith("Engagement")
    assert set(rule.annotations) == {"summary", "description", "runbook_url"}
    assert rule.annotations["runbook_url"] == f"{parameters()['runbook_base'].value}/{rule.alert}.md"
    assert re.fullmatch(r"[A-Z][^{]*\.", rule.annotations["summary"])
    assert re.findall(r"^#+ (.*)", page, re.MULTILINE) == [
        rule.alert, "Meaning", "Impact", "How to check", "How to fix",
    ]  # fmt: skip


def test_no_runbook_is_left_without_its_alert() -> None:
    assert {file.stem for file in RUNBOOKS.iterdir()} == {rule.alert for rule in ALERTS}


@pytest.mark.parametrize("rule", ALL, ids=name)
def test_a_rule_asks_for_series_that_exist(rule: Rule) -> None:
    assert series_names(rule.expr) - FAMILIES - {rule.record for rule in RECORDS} == set()


@pytest.mark.parametrize("rule", COMMON_VIEW, ids=name)
def test_the_common_view_names_the_collector_that_a_number_comes_from(rule: Rule) -> None:
    """Its age decides whether the number is stale; the newest day of a platform's statistics has several."""
    collectors = {
        collector.name
        for collector in PLATFORMS[rule.labels["platform"]].collectors
        if series_names(rule.expr) <= {family.name for family in collector.families}
    }

    assert {rule.labels["collector"]} == collectors if "collector" in rule.labels else len(collectors) > 1


def test_every_platform_is_in_the_common_view() -> None:
    users = [rule.labels["platform"] for rule in COMMON_VIEW if rule.record == "engagement:users:sum"]

    assert sorted(users) == sorted(PLATFORMS)


def test_every_parameter_is_used() -> None:
    assert set(re.findall(r"%\((\w+)\)s", "".join(sources().values()))) == set(parameters())


def mixin(expression: str) -> Any:
    """What jsonnet makes of an expression of `mixin`."""
    command = ["jsonnet", "-J", REPOSITORY, "-e", f"local mixin = import 'mixin.libsonnet'; {expression}"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_the_mixin_has_the_dashboards() -> None:
    files = sorted((REPOSITORY / "grafana" / "dashboards").glob("*.json"))

    assert list(mixin("mixin.grafanaDashboards").values()) == [json.loads(file.read_text("utf-8")) for file in files]


def test_the_mixin_gives_the_same_rules() -> None:
    def on_one_line(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Folded lines become spaces or stay lines, which is the same to Prometheus."""
        every = [rule for group in groups for rule in group["rules"]]
        return [{**rule, "expr": " ".join(rule["expr"].split())} for rule in every]

    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(RULES.glob("*.yml"))]
    shipped = on_one_line([group for file in files for group in file["groups"]])

    assert on_one_line(mixin("mixin.prometheusRules.groups")) == [rule for rule in shipped if "record" in rule]
    assert on_one_line(mixin("mixin.prometheusAlerts.groups")) == [rule for rule in shipped if "alert" in rule]
    changed = on_one_line(mixin("(mixin { _config+:: { user_count_ratio: '0.7' } }).prometheusAlerts.groups"))
    [alert] = [rule for rule in changed if rule["alert"] == "EngagementUserCountDrop"]
    assert "< 0.7 unless" in alert["expr"]


def test_the_queries_of_the_runbooks_can_be_asked(tmp_path: Path) -> None:
    queries = [
        re.sub(r"\s+# .*", "", line)
        for file in RUNBOOKS.iterdir()
        for block in re.findall(r"```promql\n(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL)
        for line in block.splitlines()
    ]
    recorded = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}), encoding="utf-8")

    checked = promtool("check", "rules", file)

    assert checked.returncode == 0, checked.stderr
    assert len(queries) > len(ALERTS)
    assert series_names(" ".join(queries)) - FAMILIES - {rule.record for rule in RECORDS} == set()


def test_the_commands_of_the_runbooks_exist() -> None:
    for file in RUNBOOKS.iterdir():
        for command, flags in re.findall(r"engagement-exporter ([a-z]+)( --[^#\n>]*)?", file.read_text("utf-8")):
            known = {option for parameter in main.commands[command].params for option in parameter.opts}
            assert set(re.findall(r"--[a-z.-]+", flags)) <= known, file.name


def test_a_rule_that_prometheus_would_not_know_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="servity"):
        list(rules("groups: [{name: g, rules: [{alert: A, expr: up, servity: info}]}]"))
