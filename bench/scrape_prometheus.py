"""A real Prometheus that scrapes the exporter a number of times, and what it says of these scrapes."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from bench.exporter_process import free_port, get
from bench.scrape_client import HOST

PATIENCE_SECONDS = 120

CONFIGURATION = """\
global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s}}
scrape_configs:
  - job_name: exporter
    static_configs: [{{targets: ["{host}:{port}"]}}]
"""


@dataclass(frozen=True, slots=True)
class Scraped:
    """`good` of `scrapes` left `up` at 1; `samples` is the number of the last one's."""

    scrapes: int
    good: int
    samples: int
    first_seconds: float
    median_seconds: float


def scraped_by_prometheus(port: int, scrapes: int, interval_seconds: int, folder: Path) -> Scraped:
    """Run Prometheus, whose timeout is its interval, until it has scraped so many times. Raises TimeoutError."""
    own_port = free_port()
    configuration = folder / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(interval=interval_seconds, host=HOST, port=port))
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={HOST}:{own_port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return _scraped(own_port, scrapes, scrapes * interval_seconds + PATIENCE_SECONDS)
    finally:
        process.terminate()
        process.wait()


def _scraped(own_port: int, scrapes: int, patience_seconds: float) -> Scraped:
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        up = _values(own_port, "up[1h]")
        if len(up) >= scrapes:
            durations_seconds = _values(own_port, "scrape_duration_seconds[1h]")
            samples = int(_values(own_port, "scrape_samples_scraped[1h]")[-1])
            return Scraped(len(up), int(sum(up)), samples, durations_seconds[0], median(durations_seconds[1:]))
        time.sleep(1)
    raise TimeoutError(f"Prometheus did not scrape {scrapes} times")


def _values(own_port: int, query: str) -> list[float]:
    """Return the values of the query's one series, none while Prometheus is starting."""
    try:
        answer = json.loads(get(own_port, f"/api/v1/query?{urlencode({'query': query})}"))
    except (OSError, RuntimeError):
        return []
    return [float(value) for series in answer["data"]["result"] for _, value in series["values"]]
