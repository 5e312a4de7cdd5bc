"""How long the installed command takes from the start of its process to its first answered scrape."""

import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

from bench.exporter_process import running
from bench.measure import resident_mb
from bench.platform_server import Replies, serving

ROUNDS = 7
DEMAND_SECONDS = 1.0

CONFIGURATION = """\
defaults: {{interval: 5m}}
targets:
  - {{name: academy, platform: konstantly, url: '{origin}', api_key: made-up}}
  - {{name: bridges, platform: viktor, url: '{origin}', token: made-up, org_domain: bridges}}
  - {{name: crowd, platform: pybossa, url: '{origin}'}}
  - {{name: learning, platform: learning360, url: '{origin}', client_id: made-up, client_secret: made-up}}
  - {{name: old-learning, platform: learning360, url: '{origin}', api_version: v1, company_id: made-up, api_key: key}}
"""

LIBRARIES = (
    "aiolimiter, apscheduler.schedulers.asyncio, click, httpx, jinja2, msgspec, prometheus_client, pydantic,"
    " starlette.applications, structlog, tenacity, uvicorn, yaml"
)


def replies(origin: str) -> Replies:
    """Prepare nothing: the first scrape waits for no platform, so 404 will do."""
    return {}


def python_seconds(code: str) -> float:
    """Return how long an interpreter takes to start, run `code` and end."""
    begin_seconds = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin_seconds


def summary(times_seconds: Sequence[float]) -> str:
    """Write the median and the range."""
    return f"{median(times_seconds):.3f} s [{min(times_seconds):.3f}..{max(times_seconds):.3f}]"


def main() -> None:
    """Start each once to warm the disk's cache, then measure them in turn and print the medians."""
    command, libraries, bare = [], [], []
    with serving(replies) as origin:
        configuration = CONFIGURATION.format(origin=origin)
        for _ in range(1 + ROUNDS):
            with running(configuration) as exporter:
                command.append(exporter.first_scrape_seconds)
                memory_mb = resident_mb(exporter.pid)
            libraries.append(python_seconds(f"import {LIBRARIES}"))
            bare.append(python_seconds("pass"))
    ratio = median(command[1:]) / median(libraries[1:])
    print(
        f"start, 5 targets, median of {ROUNDS}: first scrape after {summary(command[1:])}"
        f" (demand below {DEMAND_SECONDS:.1f}), {memory_mb:.0f} MB resident then\n"
        f"  importing the libraries alone {summary(libraries[1:])}, ratio {ratio:.2f}; a bare interpreter"
        f" {summary(bare[1:])}"
    )


if __name__ == "__main__":
    main()
