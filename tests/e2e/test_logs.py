"""What the installed exporter logs at level debug while its platforms misbehave in every way that the demo knows."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from exporter.demo.configuration import configuration
from exporter.demo.faults import faults
from exporter.demo.organisation import Organisation
from exporter.demo.server import Demo
from tests.command import PATIENCE_SECONDS, Running, running, until, until_ready
from tests.e2e.test_demo import private_texts
from tests.test_logs import read_logfmt

FORMATS: dict[str, Callable[[str], dict[str, Any]]] = {"logfmt": read_logfmt, "json": json.loads}


@asynccontextmanager
async def logging(form: str, file: Path, told: dict[str, str]) -> AsyncIterator[Running]:
    """Run an exporter at level debug; afterwards `told` has what it logged in this format."""
    async with running("--config.file", file, "--log.level", "debug", "--log.format", form) as exporter:
        assert exporter.process.stderr is not None
        reading = asyncio.create_task(exporter.process.stderr.read())
        yield exporter
        exporter.process.send_signal(signal.SIGTERM)
        told[form] = (await reading).decode()
        await exporter.process.wait()


async def meet_every_fault(site: Demo) -> None:
    """Switch the faults on one after the other, each until every platform was asked again."""
    platforms = (site.konstantly, site.viktor, site.pybossa, site.learning360)
    for fault in faults(lambda: datetime.now(UTC)).values():
        for platform in platforms:
            platform.faults.set(fault)
            platform.requests.clear()

        async def were_asked() -> bool:
            return all(len(platform.requests) > 1 for platform in platforms)

        await until(were_asked)


async def test_no_secret_no_person_and_no_query_is_in_a_line_and_every_line_can_be_read(
    site: Demo, half_year_old: Organisation, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    text = re.sub(r"interval: \d+s", "interval: 1s", configuration(site))
    file.write_text(text, encoding="utf-8")
    told: dict[str, str] = {}
    async with logging("json", file, told) as one, logging("logfmt", file, told) as other:
        for exporter in (one, other):
            await until_ready(exporter.url)
            async with httpx.AsyncClient(auth=("grafana", "hunter2"), timeout=PATIENCE_SECONDS) as http:
                await http.get(f"{exporter.url}/metrics?target=crowd&key=hunter2", headers={"user-agent": "x" * 9000})
                await http.get(f"{exporter.url}/a%0Ats=1%20level=error%1b?key=hunter2")
        await meet_every_fault(site)

    private = {*private_texts(half_year_old), "hunter2"}
    for form, read in FORMATS.items():
        assert [secret for secret in private if secret in told[form]] == []
        assert re.findall(r"\?\w|[?&]\w+=|page=\d|limit=\d", told[form]) == []
        lines = [read(line) for line in told[form].splitlines()]
        events = {line["event"] for line in lines}
        assert (
            {"run", "request", "answered", "stopped"}
            <= events
            <= {"run", "run skipped", "request", "answered", "stopped"}
        )
        assert max(map(len, told[form].splitlines())) < 2000
        assert {line["code"] for line in lines if line["event"] == "request"} >= {"200", "401", "500", "302", "error"}
        ids = {line["run"] for line in lines if line["event"] == "run"}
        asking = {line["request"].partition("-")[0] for line in lines if line["event"] == "request"}
        collectors = {(line["target"], line["collector"]) for line in lines if line["event"] == "run"}
        assert len(asking - ids) <= len(collectors)  # one run of each may have been cut off by the end
        assert {line["path"] for line in lines if line["event"] == "answered"} >= {
            "/metrics",
            "/a\nts=1 level=error\x1b",
        }
