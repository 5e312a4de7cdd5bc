"""The exporter of the scrape benchmark, in a process of its own: the real schedule, exposition and web server.

Only the platform is replaced, by a collector that makes its samples itself. Each line it writes is a JSON object:
`port` once every target is published, and on SIGUSR1 the longest time for which publishing held up the event loop.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Annotated, Any

from bench.series import FAMILIES, samples_of, series_per_target, target_names
from exporter import logs
from exporter.api.client import Access, Client
from exporter.app import Exporter
from exporter.collection import Result
from exporter.config import Config, Target
from exporter.errors import State
from exporter.exposition import Format
from exporter.jobs import id_of
from exporter.metrics import Sample
from exporter.platform import Collector, Platform
from exporter.process import serve, without_garbage_collection
from exporter.settings import CollectorSettings, CollectorsSettings, OnOff, TargetSettings
from exporter.snapshot import Key
from exporter.web.listen import listen

URL = "http://127.0.0.1"
TICK_SECONDS = 0.001
PUBLISH_ROUNDS = 10


class BenchCollectors(CollectorsSettings):
    """One collector."""

    series: Annotated[CollectorSettings, OnOff] = CollectorSettings()


class BenchSettings(TargetSettings):
    """A target that needs no platform."""

    collectors: BenchCollectors = BenchCollectors()


def configuration(series: int) -> Config:
    """Make a configuration whose targets have `series` series together, and are polled once."""
    count = series_per_target(series)

    async def collect(client: Client, settings: BenchSettings, now: datetime) -> list[Sample]:
        return samples_of(settings.name, count)

    collector = Collector("series", FAMILIES, timedelta(days=1), collect, (), lambda _: {}, lambda _: {})
    platform = Platform("bench", BenchSettings, lambda _: Access(URL), (collector,), credential="", planned_for="")
    targets = [Target(BenchSettings(name=name, platform="bench", url=URL), platform) for name in target_names(series)]
    return Config(tuple(targets))


async def longest_stall_ms(work: Coroutine[Any, Any, object]) -> float:
    """Return the longest time for which the event loop did nothing else while `work` ran."""
    task = asyncio.create_task(work)
    longest_seconds = 0.0
    while not task.done():
        begin_seconds = time.perf_counter()
        await asyncio.sleep(TICK_SECONDS)
        longest_seconds = max(longest_seconds, time.perf_counter() - begin_seconds - TICK_SECONDS)
    await task
    return 1000 * longest_seconds


async def report_stalls(exporter: Exporter, series: int) -> None:
    """Publish one target's result again and again, each time followed by a scrape, and write the longest stalls."""
    name, count = target_names(series)[0], series_per_target(series)
    job = exporter.parts.jobs[id_of(Key(name, "series"))]
    publish_ms, scrape_ms = [], []
    for _ in range(PUBLISH_ROUNDS):
        result = Result(State.OK, time.time(), 1.0, tuple(samples_of(name, count)))
        publish_ms.append(await longest_stall_ms(exporter.record(job, result)))
        scrape_ms.append(await longest_stall_ms(exporter.gzip_page(Format.OPENMETRICS)))
    write(publish_ms=max(publish_ms), scrape_ms=max(scrape_ms))


def write(**values: float) -> None:
    """Write one line for the process that started this one."""
    print(json.dumps(values), flush=True)


async def main(series: int) -> None:
    """Serve until terminated."""
    logs.configure("error", "logfmt")
    with without_garbage_collection():
        exporter = Exporter(configuration(series))
        listener = listen("127.0.0.1", 0)
    server = asyncio.create_task(serve(exporter, [listener]))
    while any(entry.published is None for entry in exporter.snapshot):  # noqa: ASYNC110 - publishing has no event
        await asyncio.sleep(TICK_SECONDS)
    stalls: list[asyncio.Task[None]] = []
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR1, lambda: stalls.append(asyncio.create_task(report_stalls(exporter, series)))
    )
    write(port=listener.getsockname()[1])
    await server


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
