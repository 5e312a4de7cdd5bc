"""Each rule for dashboards notices the fault that it is there for."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from exporter.metrics import Kind
from grafana.contract import Metric
from grafana.dashboard import Row, dashboard
from grafana.fields import Colour, Column, Steps
from grafana.lint import problems_of_set
from grafana.lint_queries import problems_of
from grafana.panels import Query, lines, note, stat, table
from grafana.queries import named, of_exporter, per, series

METRICS = {
    metric.name: metric
    for metric in (
        Metric("club_members", Kind.GAUGE, frozenset({"target", "club", "kind"})),
        Metric("club_info", Kind.INFO, frozenset({"target", "club", "name"})),
        Metric("club_visits_total", Kind.COUNTER, frozenset({"target"})),
        Metric("exporter_seconds", Kind.GAUGE, frozenset()),
    )
}
BOUND = 'job=~"$job", instance=~"$instance", target=~"$target"'


def good() -> dict[str, Any]:
    """A dashboard without a fault: a row, then a stat, lines, a table and a text."""
    return dashboard(
        "club",
        "Club",
        "Members of the club.",
        [
            Row(
                "All of the club",
                [
                    stat("Members", "All of them.", Query(per(series("club_members")), "{{target}}")),
                    lines("Visits", "Per second.", Query(f"rate({series('club_visits_total')}[$__rate_interval])")),
                    table(
                        "Clubs",
                        "By name.",
                        series("club_info"),
                        {"name": "Club"},
                        [Column("Members", per(series("club_members"), "club"), steps=Steps(Colour.GOOD))],
                        sort="Members",
                    ),
                    note("Note", "Some words."),
                ],
            )
        ],
    )


def test_a_good_dashboard_has_no_problem() -> None:
    assert problems_of_set([good()], METRICS) == []


Break = Callable[[dict[str, Any]], None]
STAT, LINES, TABLE = 1, 2, 3


def put(*path: str | int, value: Any) -> Break:
    """A fault: another value at a place of the document."""

    def fault(document: dict[str, Any]) -> None:
        *outer, last = path
        place: Any = document
        for key in outer:
            place = place[key]
        place[last] = value

    return fault


def cut(*path: str | int) -> Break:
    """A fault: a place of the document is missing."""

    def fault(document: dict[str, Any]) -> None:
        *outer, last = path
        place: Any = document
        for key in outer:
            place = place[key]
        del place[last]

    return fault


def expression(text: str) -> Break:
    return put("panels", STAT, "targets", 0, "expr", value=text)


def variable(name: str, key: str, value: object) -> Break:
    def fault(document: dict[str, Any]) -> None:
        next(entry for entry in document["templating"]["list"] if entry["name"] == name)[key] = value

    return fault


FAULTS: dict[str, tuple[Break, str]] = {
    "uid with a space": (put("uid", value="my club"), "uid must be"),
    "uid too long": (put("uid", value="c" * 41), "uid must be"),
    "id of a server": (put("id", value=7), "id and version"),
    "version of a server": (put("version", value=3), "id and version"),
    "another schema": (put("schemaVersion", value=36), "schemaVersion must be 42"),
    "no description": (put("description", value=""), "title and description are needed"),
    "inputs": (put("__inputs", value=[]), "__inputs"),
    "a panel type not required": (put("__requires", value=[]), "__requires names the panels []"),
    "no link to the set": (put("links", value=[]), "a link to the set"),
    "a link that forgets the time": (put("links", 0, "keepTime", value=False), "a link to the set"),
    "a link to nowhere": (
        put("panels", STAT, "links", value=[{"url": "/d/engagement-nowhere?x"}]),
        "links to the dashboard engagement-nowhere",
    ),
    "no variable target": (cut("templating", "list", 3), "variable target with the label 'Target' is needed"),
    "a label that says nothing": (variable("job", "label", ""), "variable job with the label 'Job' is needed"),
    "another kind of data source": (variable("datasource", "query", "loki"), "data sources of type prometheus"),
    "a variable that asks elsewhere": (variable("job", "datasource", {"uid": "main"}), "variable job must ask"),
    "a variable asked once": (variable("job", "refresh", 1), "asked again when the time range changes"),
    "a variable of one value": (variable("job", "multi", False), "several values and all"),
    "a variable whose all is everything": (variable("job", "allValue", ".*"), "several values and all"),
    "a variable without a query": (variable("job", "query", {"query": "up"}), "must be label_values(selector, job)"),
    "an undefined variable": (put("title", value="Club $region"), "uses the variable region"),
    "an unused variable": (
        lambda document: document["templating"]["list"].append({**document["templating"]["list"][1], "name": "region"}),
        "defines the variable region",
    ),
    "no alerts": (put("annotations", "list", value=[]), "annotation of firing alerts"),
    "alerts from elsewhere": (
        put("annotations", "list", 0, "datasource", value={"type": "prometheus", "uid": "main"}),
        "annotation Alerts must ask",
    ),
    "an id used twice": (put("panels", STAT, "id", value=102), "panel id 102 is used 2 times"),
    "no id": (put("panels", STAT, "id", value=0), "panel id 0"),
    "a title used twice": (put("panels", STAT, "title", value="Visits"), "panel title 'Visits' is used 2 times"),
    "a panel too far right": (put("panels", LINES, "gridPos", "x", value=20), "outside of the 24 columns"),
    "panels over each other": (put("panels", LINES, "gridPos", "x", value=2), "lies over"),
    "a hole": (put("panels", TABLE + 1, "gridPos", "y", value=40), "hold no panel"),
    "no title": (put("panels", STAT, "title", value=""), "title and description are needed"),
    "no description of a panel": (cut("panels", STAT, "description"), "title and description are needed"),
    "a panel type that is not core": (put("panels", STAT, "type", value="piechart"), "type piechart is not one of"),
    "a literal data source": (
        put("panels", STAT, "datasource", value={"type": "prometheus", "uid": "main"}),
        "must ask ${datasource}",
    ),
    "a query to another data source": (
        put("panels", STAT, "targets", 0, "datasource", value={"type": "prometheus", "uid": "main"}),
        "query A must ask ${datasource}",
    ),
    "no query": (put("panels", STAT, "targets", value=[]), "has no query"),
    "a ref used twice": (put("panels", TABLE, "targets", 1, "refId", value="A"), "refId A is used 2 times"),
    "no unit": (cut("panels", STAT, "fieldConfig", "defaults", "unit"), "unit None"),
    "a misspelled unit": (put("panels", STAT, "fieldConfig", "defaults", "unit", value="percnt"), "unit 'percnt'"),
    "a misspelled unit of a column": (
        put("panels", TABLE, "fieldConfig", "overrides", 0, "properties", 0, "value", value="percnt"),
        "unit 'percnt'",
    ),
    "nothing said of nothing": (cut("panels", STAT, "fieldConfig", "defaults", "noValue"), "has no words"),
    "Grafana's own thresholds": (
        put("panels", STAT, "fieldConfig", "defaults", "color", value={"mode": "thresholds"}),
        "neither a fixed colour nor thresholds",
    ),
    "no PromQL": (expression("sum("), "is no PromQL"),
    "a series of nobody": (expression(series("club_membres")), "selects 'club_membres'"),
    "any job": (expression('club_members{instance=~"$instance", target=~"$target"}'), 'without job=~"$job"'),
    "any instance": (expression('club_members{job=~"$job", target=~"$target"}'), 'without instance=~"$instance"'),
    "any target": (expression(of_exporter("club_members")), 'without target=~"$target"'),
    "one job of several": (
        expression('club_members{job="$job", instance=~"$instance", target=~"$target"}'),
        'without job=~"$job"',
    ),
    "a label of another series": (expression(series("club_members", 'name="chess"')), "by 'name'"),
    "a variable compared": (expression(series("club_members", 'club="$target"')), "something else than =~"),
    "a counter as it is": (expression(series("club_visits_total")), "without rate or increase"),
    "a fixed window": (expression(f"rate({series('club_visits_total')}[5m])"), "over 5m instead of"),
    "the rate of a gauge": (expression(f"rate({series('club_members')}[$__rate_interval])"), "which is a gauge"),
    "a label of nobody": (expression(f"sum by (region) ({series('club_members')})"), "groups by 'region'"),
    "a join on a label of nobody": (
        expression(f"{series('club_members')} * on (region) group_left (name) {series('club_info')}"),
        "groups by 'region'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_noticed(fault: str) -> None:
    breaks, expected = FAULTS[fault]
    document = copy.deepcopy(good())
    breaks(document)

    problems = problems_of_set([document], METRICS)

    assert any(expected in problem for problem in problems), problems


@pytest.mark.parametrize(("key", "value"), [("uid", "engagement-club"), ("title", "Club")])
def test_two_dashboards_are_told_apart(key: str, value: str) -> None:
    other = {**good(), "uid": "other", "title": "Other", key: value}

    assert problems_of_set([good(), other], METRICS) == [f"{value}: {key} is used 2 times"]


def test_a_good_query_has_no_problem() -> None:
    for text in (
        series("club_members", 'kind="guest"', offset="1w"),
        of_exporter("exporter_seconds"),
        named(series("club_members"), "club_info", "club"),
        f"increase({series('club_visits_total')}[$__range])",
        f"time() - max by (target) ({series('club_members')})",
    ):
        assert list(problems_of(text, METRICS)) == [], text
