"""A real Prometheus that holds the past of the demo organisation and scrapes an exporter that polls its present."""

import asyncio
import socket
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from exporter.demo.configuration import configuration
from exporter.demo.organisation import Organisation
from exporter.demo.server import GENEROUS_LIMITS, Demo, serve
from prometheus.demo_history import COMMAND, make_blocks

HOST = "127.0.0.1"
LABELS = {"job": "engagement", "instance": "exporter:10360"}
LOOKBACK = "24h5m"
"""The past has one sample a day at most, so each stands for the day after it."""
PATIENCE_SECONDS = 120

_SCRAPE = """\
global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s}}
scrape_configs:
  - job_name: {job}
    static_configs:
      - targets: ["{address}"]
        labels: {{instance: "{instance}"}}
"""


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs: the address of Prometheus, and the platforms with the switches of their faults."""

    prometheus_url: str
    platforms: Demo


@asynccontextmanager
async def stack(
    folder: Path, simulated: Organisation, history: Path, *, scrape_interval_seconds: int = 1
) -> AsyncIterator[Stack]:
    """Run all of it in `folder` until the block ends; it is yielded once the first scrape after the first runs is in.

    `history` is OpenMetrics with the `LABELS` and ends at least three hours ago: Prometheus refuses to scrape what lies
    before the end of a block.
    """
    await make_blocks(history, folder / "tsdb")
    async with serve(simulated, lambda: datetime.now(UTC), options=GENEROUS_LIMITS) as platforms:
        config = folder / "config.yaml"
        config.write_text(configuration(platforms), encoding="utf-8")
        address, own = f"{HOST}:{free_port()}", f"{HOST}:{free_port()}"
        scrape = folder / "prometheus.yml"
        scrape.write_text(_SCRAPE.format(interval=scrape_interval_seconds, address=address, **LABELS), encoding="utf-8")
        async with (
            _running(COMMAND, f"--config.file={config}", "--storage.path=", f"--web.listen-address={address}"),
            httpx.AsyncClient() as http,
        ):
            await _until(http, f"http://{address}/-/ready", "")
            async with _running(
                "prometheus",
                f"--config.file={scrape}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                "--storage.tsdb.retention.time=10y",
                f"--query.lookback-delta={LOOKBACK}",
                f"--web.listen-address={own}",
            ):
                await _until(http, f"http://{own}/api/v1/query?query=engagement_build_info", '"metric"')
                yield Stack(f"http://{own}", platforms)


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def _running(program: str | Path, *arguments: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(program, *arguments, stdout=DEVNULL, stderr=DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _until(http: httpx.AsyncClient, url: str, expected: str) -> None:
    """Ask again and again until the answer is 200 with the text expected; raises TimeoutError when it never is."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                response = await http.get(url)
                if response.status_code == 200 and expected in response.text:
                    return
            except httpx.TransportError:
                pass  # still starting
            await asyncio.sleep(0.1)
