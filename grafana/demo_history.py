"""The past of the demo organisation as OpenMetrics, for dashboards that need more than this moment.

For each moment of the past the demo platforms and an exporter run with their clocks stopped there, so that every value
is what the exporter would have shown then.
"""

import asyncio
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from exporter import logs, self_metrics
from exporter.app import Exporter
from exporter.config import parse
from exporter.demo.configuration import configuration
from exporter.demo.organisation import Organisation
from exporter.demo.server import GENEROUS_LIMITS, serve
from exporter.exposition import Format
from exporter.platform import installed
from exporter.yaml_document import read

_OF_PLATFORMS = tuple(f"{platform}_" for platform in installed())
_OF_EXPORTER = frozenset(
    family.name
    for family in (
        self_metrics.UP,
        self_metrics.COLLECTOR_UP,
        self_metrics.COLLECTOR_STATE,
        self_metrics.LAST_SUCCESS,
        self_metrics.INTERVAL,
        self_metrics.SAMPLES,
        self_metrics.API_RATE_LIMIT,
        self_metrics.API_RATE_LIMIT_REMAINING,
        self_metrics.API_PAUSED_UNTIL,
    )
)
"""What a moment can know of the exporter itself; counters and durations belong to a process that ran on."""
_SAMPLE = re.compile(r"(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\S+)")


async def write_history(path: Path, simulated: Organisation, at: Iterable[datetime], labels: dict[str, str]) -> None:
    """Write what an exporter showed at each of the moments, which ascend.

    `labels` are those that Prometheus adds on a scrape, so that the past and the present are the same series.
    """
    logs.configure("error", "logfmt")
    added = "".join(f'{name}="{value}",' for name, value in labels.items())
    with path.open("w", encoding="utf-8") as file:
        for now in at:
            for line in (await page_at(simulated, now)).splitlines():
                sample = _SAMPLE.fullmatch(line)
                if sample and (sample["name"] in _OF_EXPORTER or sample["name"].startswith(_OF_PLATFORMS)):
                    name, others, value = sample.group("name", "labels", "value")
                    file.write(f"{name}{{{added}{others}}} {value} {now.timestamp():.0f}\n")
        file.write("# EOF\n")


async def page_at(simulated: Organisation, now: datetime) -> str:
    """Return `/metrics` after the first run of every collector, with all clocks stopped at `now`."""
    async with serve(simulated, lambda: now, options=GENEROUS_LIMITS) as site:
        text = re.sub(r"requests_per_second: \d+", "requests_per_second: 5000", configuration(site))
        text = re.sub(r"interval: \d+s,? ?", "", text)  # with the everyday intervals, hourly and the like
        exporter = Exporter(parse(read(text, "demo", {}), Path(), installed()), now.timestamp)
        exporter.start()
        while not exporter.is_ready():  # noqa: ASYNC110 - the clock stands, so only the runs can end this
            await asyncio.sleep(0.01)
        exporter.stop()
        return b"".join(exporter.page(Format.TEXT)).decode()
