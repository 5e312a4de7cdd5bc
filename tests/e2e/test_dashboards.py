"""Every query of every dashboard, asked of a real Prometheus that scraped the real exporter."""

import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from exporter.demo.faults import status
from exporter.demo.organisation import Organisation
from grafana.demo_history import write_history
from grafana.demo_prometheus import LABELS, Stack, stack
from grafana.generate import dashboards
from grafana.lint import panels_of
from tests.command import PATIENCE_SECONDS, until
from tests.grafana.interpolation import ALL, interpolated

pytestmark = pytest.mark.asyncio(loop_scope="module")

DASHBOARDS = list(dashboards().values())
GIVEN_BY_GRAFANA = {"__rate_interval": "30s", "__interval": "1m", "__range": "1h"}
TARGETS = ("academy", "bridges", "crowd", "learning", "learning-v1")
EMPTY_IN_THE_DEMO = {("engagement-pybossa", "Locations"): "only servers before 2.9.3 send them"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of a panel as it stands in the dashboard."""

    dashboard: str
    panel: str
    kind: str
    ref: str
    expression: str
    legend: str

    @property
    def place(self) -> tuple[str, str]:
        return self.dashboard, self.panel


QUERIES = [
    Asked(document["uid"], panel["title"], panel["type"], target["refId"], target["expr"], target["legendFormat"])
    for document in DASHBOARDS
    for panel in panels_of(document)
    for target in panel.get("targets", [])
]


NOW = datetime.now(UTC)
BUSY = (NOW - timedelta(days=(NOW.weekday() - 2) % 7 or 7)).replace(hour=15, minute=0, second=0, microsecond=0)
"""The afternoon of a Wednesday: in the night, and on a Monday, some windows have not seen anybody yet."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(half_year_old: Organisation, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A Prometheus with the present, a busy afternoon, and what is one and two weeks older than either."""
    week = timedelta(weeks=1)
    before_now = NOW - timedelta(hours=1)
    past = sorted([BUSY, *(moment - weeks * week for moment in (BUSY, before_now) for weeks in (1, 2))])
    folder = tmp_path_factory.mktemp("stack")
    history = folder / "history.om"
    await write_history(history, half_year_old, past, LABELS)
    async with stack(folder, half_year_old, history) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def http(running: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{running.prometheus_url}/api/v1", timeout=PATIENCE_SECONDS) as client:

        async def has_rates() -> bool:
            return bool(await vector(client, "sum(rate(engagement_api_request_duration_seconds_count[30s])) > 0"))

        await until(has_rates)
        yield client


async def vector(http: httpx.AsyncClient, expression: str, at: datetime | None = None) -> list[Any]:
    """Ask for an instant vector; a query that Prometheus refuses fails the test with its words."""
    response = await http.get("/query", params={"query": expression} | ({"time": at.timestamp()} if at else {}))
    body = response.json()
    assert body["status"] == "success", f"{body['error']}: {expression}"
    result: list[Any] = body["data"]["result"]
    return result


async def answer(http: httpx.AsyncClient, query: Asked, targets: Sequence[str]) -> list[Any]:
    """What a query gives now, else what it gave on the busy afternoon."""
    values = {"target": targets}
    values |= {
        name: ALL if targets == ALL else (value, *["other"][: len(targets) - 1]) for name, value in LABELS.items()
    }
    expression = interpolated(query.expression, values, GIVEN_BY_GRAFANA)
    return await vector(http, expression) or await vector(http, expression, BUSY)


def all_finite(result: Sequence[Mapping[str, Any]]) -> bool:
    return bool(result) and all(math.isfinite(float(series["value"][1])) for series in result)


async def test_every_query_has_finite_numbers_for_all_targets(http: httpx.AsyncClient) -> None:
    empty = {query.place for query in QUERIES if not all_finite(await answer(http, query, ALL))}

    assert empty == set(EMPTY_IN_THE_DEMO)


async def test_every_query_has_finite_numbers_for_some_one_target_and_for_two(http: httpx.AsyncClient) -> None:
    for query in QUERIES:
        alone = [await answer(http, query, [target]) for target in TARGETS]
        both = [await answer(http, query, [first, "learning"]) for first in TARGETS[:3]]
        for results in (alone, both):
            found = [result for result in results if result]
            assert all(all_finite(result) for result in found), query
            assert bool(found) == (query.place not in EMPTY_IN_THE_DEMO), query


async def test_every_legend_is_a_label_of_every_series_and_tells_them_apart(http: httpx.AsyncClient) -> None:
    for query in QUERIES:
        result = await answer(http, query, ALL)
        used = re.findall(r"\{\{(\w+)\}\}", query.legend)
        names = [tuple(series["metric"].get(label) for label in used) for series in result]
        assert all(None not in name for name in names), query
        if query.kind != "table":
            assert len(set(names)) == len(names), query


async def test_the_columns_of_a_table_belong_to_its_rows(http: httpx.AsyncClient) -> None:
    for document in DASHBOARDS:
        for panel in panels_of(document):
            if panel["type"] != "table":
                continue
            queries = [query for query in QUERIES if query.place == (document["uid"], panel["title"])]
            rows, *columns = [await answer(http, query, ALL) for query in queries]
            shown, hidden = [panel["transformations"][1]["options"][key] for key in ("indexByName", "excludeByName")]
            assert set().union(*(row["metric"] for row in rows)) <= shown.keys() | hidden.keys(), panel["title"]
            keys = set(columns[0][0]["metric"])
            of_rows = {key_of(row, keys) for row in rows}
            assert len(of_rows) == len(rows), panel["title"]
            for column in columns:
                assert {frozenset(cell["metric"]) for cell in column} == {frozenset(keys)}, panel["title"]
                assert {key_of(cell, keys) for cell in column} <= of_rows, panel["title"]


def key_of(series: Mapping[str, Any], labels: set[str]) -> tuple[str, ...]:
    return tuple(series["metric"].get(label, "") for label in sorted(labels))


def selectors() -> Iterator[tuple[str, str, str]]:
    """Selector, label and dashboard of every variable that asks Prometheus."""
    for document in DASHBOARDS:
        for variable in document["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
                assert found, variable["query"]
                yield found[1], found[2], document["uid"]


@pytest.mark.parametrize(("selector", "label", "dashboard"), list(selectors()))
async def test_every_variable_has_values(http: httpx.AsyncClient, selector: str, label: str, dashboard: str) -> None:
    match = interpolated(selector, {"job": ALL, "instance": ALL}, {})
    values = (await http.get(f"/label/{label}/values", params={"match[]": match})).json()["data"]

    assert values, dashboard


async def test_a_target_that_is_down_breaks_no_query(running: Stack, http: httpx.AsyncClient) -> None:
    """The switch stays on: this is the last test of the module."""
    running.platforms.viktor.faults.set(status(503))

    async def is_down() -> bool:
        return bool(await vector(http, 'engagement_up{target="bridges"} == 0'))

    await until(is_down)
    empty = {query.place for query in QUERIES if not all_finite(await answer(http, query, ALL))}
    failing = await answer(http, next(query for query in QUERIES if query.panel == "Failing collectors"), ALL)

    assert empty == set(EMPTY_IN_THE_DEMO)
    assert float(failing[0]["value"][1]) > 0


async def test_annotations_are_queries_that_prometheus_takes(http: httpx.AsyncClient) -> None:
    for document in DASHBOARDS:
        for annotation in document["annotations"]["list"]:
            await vector(http, interpolated(annotation["expr"], dict.fromkeys(("job", "instance", "target"), ALL), {}))
