"""A thousand targets in steady state, and ten thousand from the start of the process to the first page.

The installed command polls a server of prepared replies, with one collector per target, and is watched from outside.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import msgspec

from bench.exporter_process import Running, running, total
from bench.measure import cpu_seconds, in_fresh_process, peak_resident_mb, resident_mb
from bench.platform_server import Replies, content_length, reply, serving
from exporter.app import Exporter
from exporter.config import load
from exporter.exposition import Format
from exporter.platform import installed
from exporter.process import without_garbage_collection

STEADY_TARGETS = 1_000
MANY_TARGETS = 10_000
INTERVAL_SECONDS = 60
WINDOW_SECONDS = INTERVAL_SECONDS
SCRAPE_INTERVAL_SECONDS = 15
ROUNDS = 3

DEMAND_CPU_PERCENT = 15
DEMAND_RESIDENT_MB = 250
DEMAND_START_SECONDS = 5

GLOBALSTATS = b"""{"n_projects": 12, "n_pending_tasks": 340, "n_tasks": 2000, "n_task_runs": 1660, "n_results": 800,
"n_users": 90, "categories": [{"biology": 4}, {"history": 3}, {"physics": 5}, {"featured": 2}, {"draft": 1}]}"""


@dataclass(frozen=True, slots=True)
class Window:
    """What a window of polling took, in percent of a core; `skipped` runs were due in it and did not start."""

    cpu_percent: float
    polls: int
    failures: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Parts:
    """Seconds that the parts of a start take, in a process that has everything imported."""

    configuration: float
    build: float
    schedule: float
    page: float


def replies(origin: str) -> Replies:
    """Prepare the one reply that every target gives."""
    return {b"/api/globalstats": reply(GLOBALSTATS)}


def configuration(targets: int, origin: str) -> str:
    """Write a configuration with one collector per target."""
    lines = [f"defaults: {{interval: {INTERVAL_SECONDS}s}}", "targets:"]
    lines += [
        f"  - {{name: site-{number}, platform: pybossa, url: '{origin}', collectors: {{stats: off, projects: off}}}}"
        for number in range(targets)
    ]
    return "\n".join(lines)


def watch(exporter: Running, is_scraped: bool) -> Window:
    """Measure one window; the two scrapes that read its counters fall outside it."""
    before = exporter.metrics()
    begin_seconds, cpu_begin_seconds = time.perf_counter(), cpu_seconds(exporter.pid)
    for _ in range(WINDOW_SECONDS // SCRAPE_INTERVAL_SECONDS):
        time.sleep(SCRAPE_INTERVAL_SECONDS)
        if is_scraped:
            exporter.metrics()
    cpu_share = (cpu_seconds(exporter.pid) - cpu_begin_seconds) / (time.perf_counter() - begin_seconds)
    after = exporter.metrics()

    def grown(family: str) -> int:
        return round(total(after, family) - total(before, family))

    return Window(
        100 * cpu_share,
        grown("engagement_collector_runs_total"),
        grown("engagement_collector_failures_total"),
        grown("engagement_collector_skipped_runs_total"),
    )


def poll_by_hand(origin: str) -> float:
    """Send the same requests over bare connections, one each, and only decode the replies; returns CPU ms per poll."""
    address = urlsplit(origin)

    async def poll() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(b"GET /api/globalstats HTTP/1.1\r\nHost: bench\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        msgspec.json.decode(await reader.readexactly(content_length(head)))
        writer.close()
        await writer.wait_closed()

    async def poll_all() -> None:
        for _ in range(STEADY_TARGETS):
            await poll()

    begin_seconds = time.process_time()
    asyncio.run(poll_all())
    return 1000 * (time.process_time() - begin_seconds) / STEADY_TARGETS


def start_parts(config_text: str) -> Parts:
    """Time each part of a start as the command goes through them; call it in a fresh process."""
    platforms = installed()
    with tempfile.TemporaryDirectory() as folder, without_garbage_collection():
        config_file = Path(folder, "config.yaml")
        config_file.write_text(config_text)
        moments = [time.perf_counter()]
        config = load(config_file, platforms)
        moments.append(time.perf_counter())
        exporter = Exporter(config)
        moments.append(time.perf_counter())

    async def start() -> None:
        exporter.start()
        moments.append(time.perf_counter())
        exporter.page(Format.TEXT)
        moments.append(time.perf_counter())
        exporter.stop()

    asyncio.run(start())
    return Parts(*(end - begin for begin, end in pairwise(moments)))


def print_windows(name: str, windows: Sequence[Window], by_hand_ms: float) -> None:
    """Print the medians of windows of one kind."""
    percents = sorted(window.cpu_percent for window in windows)
    polls = sum(window.polls for window in windows)
    poll_ms = 10 * WINDOW_SECONDS * sum(percents) / polls
    print(
        f"  {name}: CPU {median(percents):.2f} % of a core [{percents[0]:.2f}..{percents[-1]:.2f}]"
        f" (demand below {DEMAND_CPU_PERCENT}), {poll_ms:.2f} ms per poll, {poll_ms / by_hand_ms:.1f} x by hand;"
        f" {polls} polls (expected {STEADY_TARGETS * len(windows)}),"
        f" {sum(window.failures for window in windows)} failed,"
        f" {sum(window.skipped for window in windows)} missed or overlapping (demand 0)"
    )


def print_steady(origin: str) -> None:
    """Measure and print the steady state; after one interval every collector has had its first run."""
    by_hand_ms = in_fresh_process(poll_by_hand, origin)
    with running(configuration(STEADY_TARGETS, origin)) as exporter:
        time.sleep(INTERVAL_SECONDS)
        rounds = [(watch(exporter, False), watch(exporter, True)) for _ in range(ROUNDS)]
        now_mb, peak_mb = resident_mb(exporter.pid), peak_resident_mb(exporter.pid)
        skipped = total(exporter.metrics(), "engagement_collector_skipped_runs_total")
    print(
        f"{STEADY_TARGETS:,} targets, one collector each, every {INTERVAL_SECONDS} s;"
        f" {ROUNDS} windows of {WINDOW_SECONDS} s of each kind; by hand {by_hand_ms:.2f} ms per poll"
    )
    unscraped, scraped = zip(*rounds, strict=True)
    print_windows("no scrape", unscraped, by_hand_ms)
    print_windows(f"a scrape every {SCRAPE_INTERVAL_SECONDS} s", scraped, by_hand_ms)
    print(
        f"  memory {now_mb:.0f} MB, peak {peak_mb:.0f} MB (demand below {DEMAND_RESIDENT_MB});"
        f" missed or overlapping since the start: {skipped:.0f}"
    )


def print_start(origin: str) -> None:
    """Measure and print how long a large configuration takes to its first page."""
    config_text = configuration(MANY_TARGETS, origin)
    parts = in_fresh_process(start_parts, config_text)
    times_seconds = []
    for _ in range(ROUNDS):
        with running(config_text) as exporter:
            times_seconds.append(exporter.first_scrape_seconds)
    print(
        f"{MANY_TARGETS:,} targets: first page {median(times_seconds):.2f} s after the start of the process"
        f" [{min(times_seconds):.2f}..{max(times_seconds):.2f}] (demand below {DEMAND_START_SECONDS})\n"
        f"  of these: configuration {parts.configuration:.2f} s, build {parts.build:.2f} s,"
        f" schedule {parts.schedule:.2f} s, one page {parts.page:.2f} s",
        flush=True,
    )


def main() -> None:
    """Measure the large start and the steady state."""
    with serving(replies) as origin:
        print_start(origin)
        print_steady(origin)


if __name__ == "__main__":
    main()
