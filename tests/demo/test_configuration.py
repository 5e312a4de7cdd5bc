"""The configuration that the demo writes for an exporter: complete, well-formed, and accepted by the platforms."""

from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
import yaml

from exporter.demo.configuration import configuration
from exporter.demo.faults import Switch
from exporter.demo.organisation import organisation
from exporter.demo.server import Demo, Served, serve
from tests.command import PATIENCE_SECONDS

NOW = datetime(2024, 12, 12, 11, 30, tzinfo=UTC)


def document() -> dict[str, Any]:
    served = [Served(f"http://127.0.0.1:{port}", Switch(), deque()) for port in range(1, 5)]
    parsed: dict[str, Any] = yaml.safe_load(configuration(Demo(*served)))
    return parsed


def test_the_targets_cover_the_platforms_and_both_versions_of_360learning() -> None:
    targets = {target["name"]: (target["platform"], target["url"]) for target in document()["targets"]}

    assert targets == {
        "academy": ("konstantly", "http://127.0.0.1:1"),
        "bridges": ("viktor", "http://127.0.0.1:2"),
        "crowd": ("pybossa", "http://127.0.0.1:3"),
        "learning": ("learning360", "http://127.0.0.1:4"),
        "learning-v1": ("learning360", "http://127.0.0.1:4"),
    }


@pytest.mark.parametrize(
    ("target", "collectors"),
    [
        ("academy", {"statistics", "groups", "users", "courses"}),
        ("bridges", {"users", "developers", "workspaces", "apps", "audit_events"}),
        ("crowd", {"stats", "globalstats", "projects", "queues"}),
        (
            "learning",
            {
                "users",
                "courses",
                "groups",
                "attempts",
                "paths",
                "path_stats",
                "classrooms",
                "skills",
                "projects",
            },
        ),
        ("learning-v1", {"users", "courses", "groups", "attempts", "paths", "path_stats"}),
    ],
)
def test_every_collector_is_on(target: str, collectors: set[str]) -> None:
    [found] = [entry for entry in document()["targets"] if entry["name"] == target]

    assert set(found["collectors"]) == collectors
    for collector in found["collectors"].values():
        assert collector is True or collector.get("enabled", True) is True


def test_every_interval_is_between_10_and_30_seconds() -> None:
    parsed = document()
    mappings = [c for target in parsed["targets"] for c in target["collectors"].values() if isinstance(c, dict)]
    intervals = [parsed["defaults"]["interval"], *(c["interval"] for c in mappings if "interval" in c)]

    assert all(10 <= int(text.removesuffix("s")) <= 30 for text in intervals)


@pytest.fixture
async def running() -> AsyncIterator[Demo]:
    async with serve(organisation(7, date(2024, 11, 20)), lambda: NOW) as demo:
        yield demo


async def test_the_secrets_open_the_platforms(running: Demo) -> None:
    targets = {target["name"]: target for target in yaml.safe_load(configuration(running))["targets"]}
    academy, bridges, crowd = targets["academy"], targets["bridges"], targets["crowd"]
    learning, old = targets["learning"], targets["learning-v1"]
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        replies = [
            await http.get(f"{academy['url']}/openapi/v1/groups", headers={"X-API-KEY": academy["api_key"]}),
            await http.get(
                f"{bridges['url']}/api/statistics/",
                headers={"Authorization": f"Bearer {bridges['token']}"},
                params={
                    "stats_type": "users",
                    "start": "2024-12-01T00:00:00Z",
                    "end": "2024-12-12T00:00:00Z",
                    "org_domain": bridges["org_domain"],
                },
            ),
            await http.get(f"{crowd['url']}/admin/rq/queues.json", headers={"Authorization": crowd["api_key"]}),
            await http.post(
                f"{learning['url']}/api/v2/oauth2/token",
                json={
                    "grant_type": "client_credentials",
                    "client_id": learning["client_id"],
                    "client_secret": learning["client_secret"],
                },
            ),
            await http.get(
                f"{old['url']}/api/v1/groups",
                headers={"X-company-id": old["company_id"], "X-apiKey": old["api_key"]},
            ),
        ]

    assert [reply.status_code for reply in replies] == [200] * 5
