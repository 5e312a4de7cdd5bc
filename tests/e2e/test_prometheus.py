"""A real Prometheus scrapes the installed exporter, and the real promtool finds nothing to complain about."""

import asyncio
import re
import signal
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from exporter.demo.configuration import configuration
from exporter.demo.server import Demo
from exporter.platform import installed
from tests.command import PATIENCE_SECONDS, Running, ended, running, start, until, until_ready
from tests.page import Series, series

SCRAPE_EVERY_SECOND = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: engagement
"""
KNOWN_ADDRESS = """
  static_configs: [{{targets: ["{address}"]}}]
"""
DISCOVERED = """
  http_sd_configs: [{{url: "{url}/sd", refresh_interval: 1s}}]
  relabel_configs:
  - {{source_labels: [__meta_engagement_platform], target_label: platform_kind}}
  - source_labels: [__meta_engagement_collectors]
    regex: .*,projects,.*
    target_label: has_projects
    replacement: "yes"
"""
ADDED_BY_PROMETHEUS = ("instance", "job")


@pytest.fixture
def seldom(site: Demo, tmp_path: Path) -> Path:
    """A configuration that polls every collector of every simulated platform once, and not soon again."""
    file = tmp_path / "config.yaml"
    file.write_text(re.sub(r"interval: \d+s", "interval: 2h", configuration(site)), encoding="utf-8")
    return file


@pytest.fixture
async def exporter(seldom: Path) -> AsyncIterator[Running]:
    """An exporter that has polled everything once."""
    async with running("--config.file", seldom) as exporter:
        await until_ready(exporter.url)
        yield exporter


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def prometheus(folder: Path, targets: str) -> AsyncIterator[tuple[httpx.AsyncClient, Process]]:
    """Run Prometheus with a job `engagement` that has these targets; yields a client of its HTTP API."""
    config = folder / "prometheus.yml"
    config.write_text(SCRAPE_EVERY_SECOND.rstrip() + targets, encoding="utf-8")
    own = f"127.0.0.1:{free_port()}"
    process = await start(
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={own}",
        "--log.level=warn",
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{own}/api/v1", timeout=PATIENCE_SECONDS) as http:
            yield http, process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await ended(process)


async def query(http: httpx.AsyncClient, expression: str) -> list[dict[str, Any]]:
    """Ask for an instant vector; empty also while Prometheus is still starting."""
    try:
        response = await http.get("/query", params={"query": expression})
    except httpx.TransportError:
        return []
    return response.json()["data"]["result"] if response.status_code == 200 else []


async def scraped(http: httpx.AsyncClient) -> Series:
    """All that Prometheus holds of the platforms, without the labels that it adds."""
    prefixes = "|".join(installed())
    found: Series = {}
    for vector in await query(http, f'{{__name__=~"({prefixes})_.+"}}'):
        labels = {name: value for name, value in vector["metric"].items() if name not in ADDED_BY_PROMETHEUS}
        found[labels.pop("__name__"), tuple(sorted(labels.items()))] = float(vector["value"][1])
    return found


def platform_series(page: str) -> Series:
    """The platforms' series of a page; for Prometheus an empty label is none."""
    return {
        (name, tuple(label for label in labels if label[1])): value
        for (name, labels), value in series(page).items()
        if name.startswith(tuple(f"{platform}_" for platform in installed()))
    }


async def test_prometheus_holds_exactly_what_the_page_says(exporter: Running, tmp_path: Path) -> None:
    address = httpx.URL(exporter.url).netloc.decode()
    async with prometheus(tmp_path, KNOWN_ADDRESS.format(address=address)) as (http, process):

        async def has_scraped() -> bool:
            return bool(await query(http, 'up{job="engagement"} == 1'))

        await until(has_scraped)
        held = await scraped(http)
        [target] = (await http.get("/targets")).json()["data"]["activeTargets"]
        ups = {vector["metric"]["target"]: vector["value"][1] for vector in await query(http, "engagement_up")}
        counters = await query(http, "sum(engagement_collector_runs_total)")
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as direct:
            page = (await direct.get(f"{exporter.url}/metrics")).text
        process.send_signal(signal.SIGTERM)
        log = (await ended(process)).err

    assert (target["health"], target["lastError"]) == ("up", "")
    assert held == platform_series(page)
    assert len(held) > 1000
    assert ups == dict.fromkeys(["academy", "bridges", "crowd", "learning", "learning-v1"], "1")
    assert float(counters[0]["value"][1]) == len(series(page, "engagement_collector_up"))
    assert [line for line in log.splitlines() if "scrape" in line.lower()] == []


async def test_prometheus_discovers_the_targets_and_scrapes_each_on_its_own(exporter: Running, tmp_path: Path) -> None:
    """Every target has its own `up`, its series come once, and what `/sd` says of it can be made into labels."""
    async with prometheus(tmp_path, DISCOVERED.format(url=exporter.url)) as (http, process):

        async def has_scraped_all() -> bool:
            return len(await query(http, 'up{job="engagement"} == 1')) == 5

        await until(has_scraped_all)
        found = (await http.get("/targets")).json()["data"]["activeTargets"]
        ups = [vector["metric"] for vector in await query(http, "up")]
        held = await query(http, "count by (instance, target) (engagement_up)")
        users = await query(http, "konstantly_users")
        process.send_signal(signal.SIGTERM)
        log = (await ended(process)).err

    names = ["academy", "bridges", "crowd", "learning", "learning-v1"]
    assert sorted(target["scrapeUrl"] for target in found) == [
        f"{exporter.url}/metrics?target={name}" for name in names
    ]
    assert {target["lastError"] for target in found} == {""}
    assert sorted(up["instance"] for up in ups) == names
    assert {up["instance"]: up["platform_kind"] for up in ups}["crowd"] == "pybossa"
    assert {up["instance"] for up in ups if up.get("has_projects")} == {"crowd", "learning"}
    assert sorted((each["metric"]["instance"], each["metric"]["target"], each["value"][1]) for each in held) == [
        (name, name, "1") for name in names
    ]
    assert [vector["metric"]["instance"] for vector in users] == ["academy"]
    assert [line for line in log.splitlines() if "scrape" in line.lower() or "discovery" in line.lower()] == []


async def test_promtool_has_no_complaints(exporter: Running) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        page = await http.get(f"{exporter.url}/metrics")
    promtool = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    out, err = await promtool.communicate(page.content)

    assert (promtool.returncode, out.decode(), err.decode()) == (0, "", "")


async def test_both_formats_hold_the_same(exporter: Running) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        text = await http.get(f"{exporter.url}/metrics")
        openmetrics = await http.get(f"{exporter.url}/metrics", headers={"Accept": "application/openmetrics-text"})

    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert platform_series(openmetrics.text) == platform_series(text.text)
