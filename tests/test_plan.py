"""Requests per hour against the budget, worked out by hand."""

from pathlib import Path

import pytest

from exporter.config import parse
from exporter.plan import TargetPlan, lines, plan
from exporter.platform import installed
from exporter.yaml_document import read


def plan_of(keys: str) -> TargetPlan:
    """Plan one PYBOSSA server with further keys, written in one line."""
    text = f"targets:\n- {{name: crowd, platform: pybossa, url: 'https://crowd.example.org', {keys}}}\n"
    [target_plan] = plan(parse(read(text, "config.yaml", {}), Path(), installed()))
    return target_plan


def test_requests_of_a_run_are_spread_over_the_interval() -> None:
    """One request each quarter of an hour for the totals, one for the rest."""
    target_plan = plan_of("")

    assert [(one.collector, one.interval, one.requests_per_hour) for one in target_plan.collectors] == [
        ("stats", "15m", 4.0),
        ("globalstats", "15m", 4.0),
    ]
    assert target_plan.requests_per_hour == 8.0
    assert target_plan.budget_per_hour == 7200.0
    assert not target_plan.is_over


def test_a_collector_that_asks_for_many_pages() -> None:
    target_plan = plan_of("collectors: {stats: off, globalstats: off, projects: {interval: 30m}}")

    [projects] = target_plan.collectors
    assert projects.requests_per_hour == projects.requests_per_run * 2
    assert projects.requests_per_run > 10


@pytest.mark.parametrize(("interval", "is_over"), [("10s", False), ("9s", True)])
def test_the_budget_ends_exactly_where_the_pace_does(interval: str, is_over: bool) -> None:
    """At one request in ten seconds, one collector may ask every ten seconds, and not every nine."""
    target_plan = plan_of(
        f"requests_per_second: 0.1, collectors: {{globalstats: off, stats: {{interval: {interval}}}}}"
    )

    assert target_plan.is_over is is_over


@pytest.mark.parametrize(("timeout", "is_over"), [("17s", False), ("16s", True)])
def test_a_run_that_cannot_end_within_its_timeout_is_over(timeout: str, is_over: bool) -> None:
    """At two requests a second, the 34 of a run take 17 s."""
    target_plan = plan_of(f"timeout: {timeout}, collectors: {{stats: off, globalstats: off, projects: on}}")

    assert target_plan.collectors[0].requests_per_run == 34
    assert target_plan.is_over is is_over
    assert any("projects: TOO LONG: a run takes 17 s or more" in line for line in lines(target_plan)) is is_over


def test_the_plan_in_words() -> None:
    within = list(lines(plan_of("")))
    over = list(lines(plan_of("requests_per_second: 0.002")))

    assert within[0].startswith("crowd (assuming 1,000 published projects")
    assert within[1].split() == ["stats", "every", "15m", "1", "requests", "a", "run", "4", "an", "hour"]
    assert within[-1].endswith("8 an hour, 0% of the 7200 that requests_per_second allows: ok")
    assert over[3].endswith(
        "8 an hour, 111% of the 7 that requests_per_second allows: OVER BUDGET: lengthen intervals"
        " or turn collectors off"
    )


def test_every_platform_is_within_its_budget_as_it_comes() -> None:
    text = """
targets:
- {name: a, platform: konstantly, url: "https://a", api_key: k}
- {name: b, platform: viktor, url: "https://b", token: k}
- {name: c, platform: pybossa, url: "https://c"}
- {name: d, platform: learning360, url: "https://d", client_id: i, client_secret: k}
- {name: e, platform: learning360, url: "https://e", api_version: v1, company_id: i, api_key: k}
"""
    plans = plan(parse(read(text, "config.yaml", {}), Path(), installed()))

    assert [one.target for one in plans] == ["a", "b", "c", "d", "e"]
    assert [one.target for one in plans if one.is_over] == []
    assert all(collector.requests_per_run >= 1 for one in plans for collector in one.collectors)
