"""Requests against the budget and the platform's limit, and series against max_series, worked out by hand."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter import collection
from exporter.config import parse
from exporter.demo.configuration import configuration
from exporter.demo.server import Demo
from exporter.jobs import enabled_collectors, make_clients
from exporter.plan import TargetPlan, lines, plan
from exporter.platform import installed
from exporter.self_metrics import ApiMetrics
from exporter.snapshot import arranged
from exporter.yaml_document import read

CREDENTIALS = {"konstantly": "api_key: k, ", "viktor": "token: k, ", "learning360": "client_id: i, client_secret: k, "}


def plan_of(keys: str, platform: str = "pybossa") -> TargetPlan:
    """Plan one target, a PYBOSSA server unless said otherwise, with further keys, written in one line."""
    keys = CREDENTIALS.get(platform, "") + keys
    text = f"targets:\n- {{name: crowd, platform: {platform}, url: 'https://crowd.example.org', {keys}}}\n"
    [target_plan] = plan(parse(read(text, "config.yaml", {}), Path(), installed()))
    return target_plan


def test_requests_of_a_run_are_spread_over_the_interval() -> None:
    """Each quarter of an hour one request for each kind of totals, and one for what no cache holds."""
    target_plan = plan_of("")

    assert [(one.collector, one.interval, one.requests_per_hour) for one in target_plan.collectors] == [
        ("stats", "15m", 8.0),
        ("globalstats", "15m", 8.0),
    ]
    assert target_plan.requests_per_hour == 16.0
    assert target_plan.budget_per_hour == 7200.0
    assert not target_plan.is_over


def test_a_collector_that_asks_for_many_pages() -> None:
    target_plan = plan_of("collectors: {stats: off, globalstats: off, projects: {interval: 30m}}")

    [projects] = target_plan.collectors
    assert projects.requests_per_hour == projects.requests_per_run * 2
    assert projects.requests_per_run > 10


@pytest.mark.parametrize(("interval", "is_over"), [("20s", False), ("19s", True)])
def test_the_budget_ends_exactly_where_the_pace_does(interval: str, is_over: bool) -> None:
    """At one request in ten seconds, a collector of two requests may run every twenty seconds, and not every 19."""
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
    assert within[1].split() == ["stats", "every", "15m", "2", "requests", "a", "run", "8", "an", "hour"]
    assert within[3].endswith("16 an hour, 0% of the 7200 that requests_per_second allows: ok")
    assert within[4:] == [
        "  /api/category: at most 2 requests in 15m, 1% of the 300 that the platform allows"
        " (stats 0%, globalstats 0% if alone): ok",
        "  /api/globalstats: at most 1 requests in 15m, 0% of the 300 that the platform allows"
        " (globalstats 0% if alone): ok",
        "  120 series, max_series is 20000: ok",
    ]
    assert over[3].endswith(
        "16 an hour, 222% of the 7 that requests_per_second allows: OVER BUDGET: lengthen intervals"
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


def test_the_limit_of_pybossa_is_of_each_endpoint_and_of_the_api_alone() -> None:
    """In 15 minutes /stats/ is asked 90 times and does not count; each time the database is, by a category."""
    target_plan = plan_of("collectors: {stats: {interval: 10s}, globalstats: {interval: 4m}, projects: {interval: 1m}}")

    assert {burst.endpoint: (burst.requests, burst.is_over) for burst in target_plan.bursts} == {
        "/api/globalstats": (4, False),
        "/api/category": (90 + 4 + 30, False),
        "/api/project": (165, False),
        "/api/projectstats": (315, True),
    }
    assert target_plan.is_over
    assert any(
        line.startswith("  /api/projectstats: at most 315 requests in 15m, 105% of the 300 that the platform allows")
        and line.endswith(
            "(projects 105% if alone): OVER LIMIT: lower requests_per_second, lengthen intervals or turn collectors off"
        )
        for line in lines(target_plan)
    )


@pytest.mark.parametrize(("pace", "requests", "is_over"), [(1.5, 94, False), (1.6, 100, False), (1.7, 106, True)])
def test_the_limit_of_konstantly_is_of_all_endpoints_and_the_pace_holds_bursts_back(
    pace: float, requests: int, is_over: bool
) -> None:
    """All collectors together want 1 + 64 + 53 + 106 requests; a minute lets 60 times the pace pass, and 4 at once."""
    target_plan = plan_of(
        f"requests_per_second: {pace}, concurrency: 4, collectors: {{users: on, courses: on}}", "konstantly"
    )

    [burst] = target_plan.bursts
    assert burst.alone == {"statistics": 1, "groups": 64, "users": 53, "courses": min(106, requests)}
    assert (burst.endpoint, burst.requests, burst.is_over) == ("all endpoints", requests, is_over)
    assert target_plan.is_over is is_over


@pytest.mark.parametrize(("pace", "is_over"), [(5, False), (46, False), (47, True)])
def test_the_limit_of_360learning_is_of_a_second(pace: int, is_over: bool) -> None:
    target_plan = plan_of(f"requests_per_second: {pace}", "learning360")

    [burst] = target_plan.bursts
    assert (burst.requests, burst.is_over) == (pace + 4, is_over)
    assert any("OVER LIMIT" in line for line in lines(target_plan)) is target_plan.is_over is is_over


def test_a_platform_without_a_documented_limit_has_no_line_for_it() -> None:
    target_plan = plan_of("requests_per_second: 1000", "viktor")

    assert target_plan.bursts == ()
    assert not any("the platform allows" in line for line in lines(target_plan))


def test_what_max_series_will_leave_out_is_what_a_snapshot_leaves_out() -> None:
    """121 series beside, then nine families of 1,000 projects: five have room below 5,500."""
    target_plan = plan_of("max_series: 5500, collectors: {projects: on}")

    assert target_plan.series == 121 + 9_000
    assert target_plan.is_over
    *_, last = lines(target_plan)
    assert last == (
        "  9121 series, max_series is 5500: TOO MANY: left out will be pybossa_project_volunteers (1000),"
        " pybossa_project_progress_ratio (1000), pybossa_project_task_run_seconds (1000),"
        " pybossa_project_last_activity_timestamp_seconds (1000): raise max_series or turn collectors off"
    )


async def test_every_family_that_a_run_gives_is_planned_and_has_room_in_its_order(site: Demo) -> None:
    """A family that the demo has nothing of is not seen here."""
    for target in parse(read(configuration(site), "demo", {}), Path(), installed()).targets:
        [client] = make_clients([target], ApiMetrics(CollectorRegistry())).values()
        for collector in enabled_collectors(target):
            found, _ = arranged((await collection.run(client, collector, target.settings)).samples)
            planned = collector.planned_series(target.settings)

            assert set(found) <= set(planned) <= set(collector.families), collector.name
            assert list(found) == [family for family in collector.families if family in found], collector.name
