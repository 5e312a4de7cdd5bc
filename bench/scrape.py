"""Scrapes of the same series from five servers, side by side in one run: time, CPU, memory, and stalls by publishing.

Needs nginx, prometheus-pushgateway, prometheus-node-exporter and prometheus on the PATH; none of them is kept running.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from bench.scrape_client import Scraper
from bench.scrape_prometheus import Scraped, scraped_by_prometheus
from bench.scrape_servers import Server, servers

PROGRAMS = ("nginx", "prometheus-pushgateway", "prometheus-node-exporter", "prometheus")
SIZES = (1_000, 10_000, 100_000, 1_000_000)
FAST = ("exporter", "nginx, gzip file")
FAST_ROUNDS, SLOW_ROUNDS = 200, {1_000: 50, 10_000: 20, 100_000: 7, 1_000_000: 2}
REAL_SCRAPES = 10
REAL_INTERVAL_SECONDS = {100_000: 5, 1_000_000: 30}
SETTLE_SECONDS = 0.03
"""So that a server has finished what it does after its last byte before its CPU time is read."""

TIMES_NGINX = {100_000: 2.0, 1_000_000: 3.0}
TIMES_FASTER = {"prometheus-client": 1_000.0, "pushgateway": 200.0}
DEMAND_STALL_MS = 50.0


@dataclass(frozen=True, slots=True)
class Row:
    """What one server's scrapes of one size took."""

    name: str
    scrapes_ms: list[float]
    cpu_ms: float
    peak_mb: float

    @property
    def p50_ms(self) -> float:
        return median(self.scrapes_ms)

    @property
    def p99_ms(self) -> float:
        """The maximum, when there are too few scrapes for it."""
        return quantiles(self.scrapes_ms, n=100)[98] if len(self.scrapes_ms) >= 100 else max(self.scrapes_ms)


def measure(running: Sequence[Server], slow_rounds: int) -> list[Row]:
    """Scrape the fast ones in turn many times, then each slow one once, and so on: none runs on warmer caches."""
    scrapers = {server: Scraper(server.port) for server in running}
    times_ms: dict[Server, list[float]] = {server: [] for server in running}
    cpu_ms = dict.fromkeys(running, 0.0)

    def in_turn(group: Sequence[Server], rounds: int) -> None:
        before_seconds = {server: server.cpu_seconds() for server in group}
        for _ in range(rounds):
            for server in group:
                times_ms[server].append(scrapers[server].scrape_ms())
        time.sleep(SETTLE_SECONDS)
        for server in group:
            cpu_ms[server] += 1000 * (server.cpu_seconds() - before_seconds[server])

    fast = [server for server in running if server.name in FAST]
    slow = [server for server in running if server.name not in FAST]
    for scraper in scrapers.values():
        scraper.scrape()
    for _ in range(slow_rounds):
        in_turn(fast, FAST_ROUNDS // slow_rounds)
        in_turn(slow, 1)
    for scraper in scrapers.values():
        scraper.close()
    return [
        Row(server.name, times_ms[server], cpu_ms[server] / len(times_ms[server]), server.peak_mb())
        for server in running
    ]


def print_rows(series: int, rows: Sequence[Row]) -> None:
    """Print a table, with the exporter's ratio to each server and what is demanded of it."""
    exporter, nginx = rows[0], rows[1]
    print(f"\n{series:,} series, gzip; scrapes: {', '.join(f'{row.name} {len(row.scrapes_ms)}' for row in rows)}\n")
    print("| server | p50 ms | p99 ms | CPU ms per scrape | peak MB | exporter against it, p50 | demand |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        ratio, demand = f"{row.p50_ms / exporter.p50_ms:,.0f} x faster", ""
        if row is exporter:
            ratio = ""
        elif row is nginx:
            ratio = f"{exporter.p50_ms / nginx.p50_ms:.2f} x its time"
            demand = f"at most {TIMES_NGINX[series]:.0f} x" if series in TIMES_NGINX else ""
        elif series == 100_000 and row.name in TIMES_FASTER:
            demand = f"at least {TIMES_FASTER[row.name]:,.0f} x"
        cells = (f"{row.p50_ms:,.2f}", f"{row.p99_ms:,.2f}", f"{row.cpu_ms:,.2f}", f"{row.peak_mb:,.0f}")
        print(f"| {' | '.join((row.name, *cells, ratio, demand))} |")


def print_prometheus(scraped: Scraped) -> None:
    """Print what a real Prometheus made of the exporter."""
    print(
        f"a real Prometheus: {scraped.good} of {scraped.scrapes} scrapes good (demand all),"
        f" {scraped.samples:,} samples;"
        f" scrape_duration_seconds {scraped.first_seconds:.2f} first, then {scraped.median_seconds:.2f} (median)"
    )


def main() -> None:
    """Measure every size that is asked for."""
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        sys.exit(f"not installed: {', '.join(missing)}; install the Debian packages of these names and run this again")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, choices=SIZES, action="append", help="repeatable; all sizes without it")
    for series in parser.parse_args().series or SIZES:
        with tempfile.TemporaryDirectory() as folder, servers(series, Path(folder)) as running:
            print_rows(series, measure(running, SLOW_ROUNDS[series]))
            stalls = running[0].stalls()
            print(
                f"longest stall of the event loop: {stalls['publish_ms']:.1f} ms by publishing one target"
                f" (demand below {DEMAND_STALL_MS:.0f}), {stalls['scrape_ms']:.1f} ms by the first scrape after it"
            )
            for server in running[1:]:
                server.process.terminate()
            if interval_seconds := REAL_INTERVAL_SECONDS.get(series):
                port = running[0].port
                print_prometheus(scraped_by_prometheus(port, REAL_SCRAPES, interval_seconds, Path(folder)))


if __name__ == "__main__":
    main()
