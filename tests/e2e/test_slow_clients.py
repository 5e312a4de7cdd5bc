"""The installed exporter among hundreds of clients that do not read, do not ask, or ask byte by byte."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from exporter.demo.configuration import configuration
from exporter.demo.server import Demo
from tests.command import PATIENCE_SECONDS, Running, ended, running, start, until, until_ready
from tests.page import Series, series

SLOW_READERS = 200
HALF_OPEN = 200
SLOW_WRITERS = 50
ROUNDS, SCRAPES = 7, 20
AT_ONCE = 10
ARRIVALS_PER_SECOND = 200
MOST_DELAY_SECONDS = 0.1
INTERVAL_SECONDS = 15
SMALLEST_BUFFER_BYTES = 1024
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: exporter\r\n"


@pytest.fixture
async def exporter(site: Demo, tmp_path: Path) -> AsyncIterator[Running]:
    file = tmp_path / "config.yaml"
    text = re.sub(r"interval: \d+s", f"interval: {INTERVAL_SECONDS}s", configuration(site))
    file.write_text(text, encoding="utf-8")
    async with running("--config.file", file) as exporter:
        await until_ready(exporter.url)
        yield exporter


@contextmanager
def connections(url: str, count: int) -> Iterator[list[socket.socket]]:
    """Connect so that next to nothing fits into what the client's side holds for it."""
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(count)]
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST_BUFFER_BYTES)
            client.connect((host, int(port)))
            client.setblocking(False)
        yield clients


async def arrive(requests: Sequence[tuple[socket.socket, bytes]]) -> None:
    """Send what the clients say, a few at a time: 200 plain pages at once take 0.3 s of CPU."""
    for number, (client, said) in enumerate(requests):
        client.sendall(said)
        if number % AT_ONCE == 0:
            await asyncio.sleep(AT_ONCE / ARRIVALS_PER_SECOND)


async def longest_scrape_seconds(url: str) -> float:
    """Scrape many times by a process of its own, which the simulated platforms in this one cannot hold up.

    Other work on this machine can, and only makes them longer: of the longest scrapes of several rounds, the shortest
    counts.
    """
    options = ("--silent", "--noproxy", "*", "--compressed", "--write-out", r"%{http_code} %{time_total}\n")
    targets = [part for _ in range(SCRAPES) for part in ("--output", "/dev/null", f"{url}/metrics")]
    longest = []
    for _ in range(ROUNDS):
        said = (await ended(await start("curl", *options, *targets))).out
        replies = [line.split() for line in said.splitlines()]
        assert [code for code, _ in replies] == ["200"] * SCRAPES
        longest.append(max(float(seconds) for _, seconds in replies))
    return min(longest)


async def page(url: str) -> str:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        return (await http.get(f"{url}/metrics")).text


def runs(page: str) -> Series:
    return series(page, "engagement_collector_runs_total")


def skipped(page: str) -> float:
    return sum(series(page, "engagement_collector_skipped_runs_total").values())


def open_files(exporter: Running) -> int:
    return len(list(Path(f"/proc/{exporter.process.pid}/fd").iterdir()))


def resident_mb(exporter: Running) -> float:
    status = Path(f"/proc/{exporter.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


async def is_ended(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    try:
        while await loop.sock_recv(client, 65536):
            pass
    except ConnectionError:
        pass


async def test_neither_scrapes_nor_polls_wait_for_clients_that_do_not_read_or_ask(exporter: Running) -> None:
    url = exporter.url
    alone_seconds = await longest_scrape_seconds(url)
    files, memory_mb = open_files(exporter), resident_mb(exporter)
    before = await page(url)

    with (
        connections(url, SLOW_READERS) as readers,
        connections(url, HALF_OPEN) as silent,
        connections(url, SLOW_WRITERS) as writers,
    ):
        scraping = asyncio.create_task(longest_scrape_seconds(url))

        async def are_all_taken_in() -> bool:
            return open_files(exporter) > files + SLOW_READERS + HALF_OPEN + SLOW_WRITERS - 10

        await until(are_all_taken_in)  # before any is given up
        await arrive([(client, REQUEST + b"\r\n") for client in readers])
        await arrive([(client, REQUEST + b"X-Slow: ") for client in writers])
        worst_seconds = max(await scraping, await longest_scrape_seconds(url))

        async def has_polled_everything_again() -> bool:
            now = runs(await page(url))
            return all(now[key] > count + 1 for key, count in runs(before).items())

        await until(has_polled_everything_again)
        worst_seconds = max(worst_seconds, await longest_scrape_seconds(url))
        crowded_mb = resident_mb(exporter)
        async with asyncio.timeout(PATIENCE_SECONDS):  # the exporter gives up those that never ask
            await asyncio.gather(*map(is_ended, [*silent, *writers]))
        assert readers[0].recv(12) == b"HTTP/1.1 200"
        after = await page(url)

    assert worst_seconds - alone_seconds < MOST_DELAY_SECONDS
    assert skipped(after) == skipped(before)
    assert crowded_mb < memory_mb + 100

    async def are_forgotten() -> bool:
        return open_files(exporter) <= files + 5

    await until(are_forgotten)
    assert resident_mb(exporter) < memory_mb + 50
