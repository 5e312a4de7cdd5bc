"""How fast a history is written, and in how much memory: two years of 200 series, 52 million samples, onto the disk."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from bench.measure import BYTES_PER_MB, in_fresh_process, peak_resident_mb, resident_mb
from exporter.api.client import Access, Client
from exporter.api.pacing import Pace
from exporter.backfill.partial import PartialFile, Progress
from exporter.backfill.run import Job, write
from exporter.backfill.units import units
from exporter.config import Config, Target
from exporter.history import MS_PER_SECOND, Fidelity, Known, Past, Span, Steps
from exporter.metrics import Family
from exporter.platform import Collector, History, Platform
from exporter.settings import CollectorSettings, CollectorsSettings, TargetSettings

CHANGES_A_DAY = (1, 24, 360)
SERIES = 200
PATTERNS = 5
STEP_SECONDS = 240
DAYS = 730
END_SECONDS = 1_795_000_080
SPAN = Span(END_SECONDS - DAYS * 86_400, END_SECONDS, STEP_SECONDS)
DEMAND_SAMPLES_PER_SECOND = 1_000_000
DEMAND_PEAK_MB = 200

FAMILY = Family("bench_course_completions", "Completions of a course.", ("course", "window"))
LABELS = {"job": "engagement", "instance": "localhost:10360"}


class BenchCollectors(CollectorsSettings):
    """One collector."""

    courses: CollectorSettings = CollectorSettings()


class BenchSettings(TargetSettings):
    """A target."""

    collectors: BenchCollectors = BenchCollectors()


def pattern(seed: int, changes_a_day: float) -> Steps:
    """Make a series that changes at random times."""
    rng = Random(seed)
    steps = Steps(FAMILY, ("", ""))
    second = float(SPAN.start_seconds)
    while second < SPAN.end_seconds:
        steps.set(int(second * MS_PER_SECOND), rng.randrange(1000))
        second += rng.expovariate(changes_a_day / 86_400)
    return steps


def platform(changes_a_day: float) -> Platform[Any]:
    """Make a platform that knows the past of SERIES series without being asked."""

    async def collect(*_: Any) -> Any:
        raise NotImplementedError

    async def read(_client: Client, _settings: Any, _span: Span, _now: Any) -> tuple[Past, Sequence[str]]:
        patterns = [pattern(seed, changes_a_day) for seed in range(PATTERNS)]
        series = [
            replace(patterns[course % PATTERNS], labels=(f"507f1f77bcf86cd7{course:08x}", "30d"))
            for course in range(SERIES)
        ]
        return {FAMILY: series}, ()

    collector = Collector(
        "courses",
        (FAMILY,),
        timedelta(hours=1),
        collect,
        (),
        lambda _: {},
        lambda _: {},
    )
    history = History(("courses",), (Known(FAMILY, Fidelity.EXACT),), read)
    access = Access("https://bench.test")
    return Platform("bench", BenchSettings, lambda _: access, (collector,), "none", "nobody", (history,))


class Unwatched:
    """Nobody looks."""

    def reading(self, unit: str, target: str) -> None:
        """See Watcher."""

    def writing(self, unit: str, done: float, samples: int) -> None:
        """See Watcher."""


class NoClient:
    """Stands in for a client that nobody asks anything."""

    def __init__(self) -> None:
        self.pace = Pace(1.0, 1, time.time)

    def session(self) -> Any:
        """Open nothing."""
        return self

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None


def written(folder: Path, changes_a_day: float) -> tuple[int, int, float, float, float]:
    """Write a history; returns samples, bytes, seconds of the wall and of the CPU, and MB of memory above idle."""
    settings = BenchSettings(name="site", platform="bench", url="https://bench.test")
    config = Config((Target(settings, platform(changes_a_day)),))
    client: Any = NoClient()
    output = folder / "history.om"
    job = Job(units(config, (), ()), LABELS, output, {"site": client}, time.time)
    progress = Progress("bench", SPAN.end_seconds)
    idle_mb = resident_mb(os.getpid())
    wall, cpu = time.perf_counter(), time.process_time()
    asyncio.run(write(job, SPAN, PartialFile(output), progress, Unwatched()))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    size_bytes = output.stat().st_size
    output.unlink()
    return progress.samples, size_bytes, wall, cpu, peak_resident_mb(os.getpid()) - idle_mb


def main() -> None:
    """Measure for series that change seldom and often, in the folder given or a temporary one."""
    parent = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for changes_a_day in CHANGES_A_DAY:
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            samples, size_bytes, wall_seconds, cpu_seconds, peak_mb = in_fresh_process(
                written, Path(folder), changes_a_day
            )
        print(
            f"{changes_a_day} changes a day: {samples:,} samples, {size_bytes / BYTES_PER_MB:,.0f} MB:"
            f" {samples / wall_seconds:,.0f} samples/s onto the disk (demand {DEMAND_SAMPLES_PER_SECOND:,}),"
            f" {samples / cpu_seconds:,.0f} per second of CPU,"
            f" peak {peak_mb:.0f} MB above idle (demand {DEMAND_PEAK_MB})"
        )


if __name__ == "__main__":
    main()
