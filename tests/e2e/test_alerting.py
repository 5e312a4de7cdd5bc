"""From a fault of a platform to the message and back: the installed exporter, real Prometheus, real Alertmanager."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.demo.configuration import configuration
from exporter.demo.faults import status
from exporter.demo.server import Demo
from prometheus.demo_stack import alertmanager_config, prometheus_config
from prometheus.generate import RULES
from tests.alerting import Inbox, alertmanager, inbox, prometheus, suppressed
from tests.command import PATIENCE_SECONDS, Running, ended, running, until, until_ready

RECEIVERS = ("on-call", "operators", "teachers", "owners")
INTERVAL_SECONDS = 2


@pytest.fixture
def site_config(site: Demo, tmp_path: Path) -> Path:
    """Two targets, each collector of which is polled every two seconds: its numbers are stale after five."""
    config: Any = yaml.safe_load(configuration(site))
    chosen = [target for target in config["targets"] if target["name"] in ("academy", "bridges")]
    file = tmp_path / "config.yaml"
    text = yaml.safe_dump({"targets": chosen, "defaults": {"interval": f"{INTERVAL_SECONDS}s", "timeout": "1m"}})
    file.write_text(re.sub(r"interval: \d+s", f"interval: {INTERVAL_SECONDS}s", text), encoding="utf-8")
    return file


@pytest.fixture
def hasty_rules(tmp_path: Path) -> Path:
    """The shipped rules, but three of the alerts wait for a second only; promtool's tests see to how long they do."""
    text = (RULES / "exporter.yml").read_text(encoding="utf-8")
    for alert in ("EngagementExporterDown", "EngagementTargetUnauthorized", "EngagementDataStale"):
        text, count = re.subn(rf"(alert: {alert}\n(?:.*\n)*?\s+for:) \w+", r"\1 1s", text, count=1)
        assert count == 1
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "exporter.yml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
async def exporter(site_config: Path) -> AsyncIterator[Running]:
    async with running("--config.file", site_config) as exporter:
        await until_ready(exporter.url)
        yield exporter


async def until_received(box: Inbox, receiver: str, status: str, alert: str) -> None:
    async def has_come() -> bool:
        return alert in box.received(receiver, status)

    await until(has_come)


async def test_a_refused_credential_is_told_held_against_its_consequences_and_over_after_repair(
    site: Demo, exporter: Running, hasty_rules: Path, tmp_path: Path
) -> None:
    released = asyncio.Event()

    async def held(application: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer nothing until the test lets it."""
        await released.wait()
        await application(scope, receive, send)

    with inbox() as box:
        receivers = {name: {"webhook_configs": [{"url": f"{box.url}/{name}"}]} for name in RECEIVERS}
        async with alertmanager(tmp_path, alertmanager_config(receivers, wait="1s")) as alertmanager_address:
            address = httpx.URL(exporter.url).netloc.decode()
            config = prometheus_config(address, alertmanager_address, hasty_rules, interval_seconds=1)
            async with prometheus(tmp_path, config) as prometheus_address, asyncio.timeout(PATIENCE_SECONDS):
                await until_scraped(prometheus_address)

                # one collector waits for its answer and grows stale, though no run of it has failed
                site.konstantly.faults.set(held, "/openapi/v1/statistics")
                await until_received(box, "operators", "firing", "EngagementDataStale academy")

                # then the key is revoked: this is told, and holds back what follows from it
                site.konstantly.faults.set(status(401))
                await until_received(box, "operators", "firing", "EngagementTargetUnauthorized academy")
                stale = f"EngagementDataStale {address} academy"
                assert stale in await suppressed(alertmanager_address)

                # repaired, both are over
                site.konstantly.faults.clear()
                released.set()
                await until_received(box, "operators", "resolved", "EngagementTargetUnauthorized academy")
                assert await firing(prometheus_address) <= {"EngagementDataStale"}

                # and an exporter that ends is another's concern
                exporter.process.send_signal(signal.SIGTERM)
                await until_received(box, "on-call", "firing", "EngagementExporterDown")
                await ended(exporter.process)

    unauthorized = next(
        alert
        for _, notification in box.notifications
        for alert in notification["alerts"]
        if alert["labels"]["alertname"] == "EngagementTargetUnauthorized"
    )
    assert unauthorized["labels"]["severity"] == "warning"
    assert unauthorized["annotations"]["runbook_url"].endswith("/EngagementTargetUnauthorized.md")
    assert re.match(
        r"academy \(konstantly\) answers 401 to \d of its collectors", unauthorized["annotations"]["description"]
    )
    everything = box.received("on-call", "firing") | box.received("operators", "firing")
    assert [told for told in everything if "bridges" in told] == []
    assert box.received("on-call", "firing") == {"EngagementExporterDown"}
    assert box.received("teachers", "firing") | box.received("owners", "firing") == set()


async def until_scraped(address: str) -> None:
    """Wait until Prometheus has evaluated the rules on what it scraped, and none of them fires."""

    async def has_recorded() -> bool:
        return len(await query(address, "engagement:collector_age:intervals < 2.5")) >= 8

    await until(has_recorded)
    assert await firing(address) == set()


async def firing(address: str) -> set[str]:
    return {vector["metric"]["alertname"] for vector in await query(address, 'ALERTS{alertstate="firing"}')}


async def query(address: str, expression: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        response = await http.get(f"http://{address}/api/v1/query", params={"query": expression})
    found: list[dict[str, Any]] = response.json()["data"]["result"]
    return found
