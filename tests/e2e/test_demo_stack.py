"""`make demo-stack`: all three programs answer, and end together."""

import os
import signal
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from prometheus.generate import REPOSITORY
from tests.alerting import free_address
from tests.command import PATIENCE_SECONDS, ended, until


@pytest.fixture
def addresses() -> tuple[str, str, str]:
    """Of the exporter, Prometheus and Alertmanager."""
    return free_address(), free_address(), free_address()


@asynccontextmanager
async def started(addresses: tuple[str, str, str], *flags: str) -> AsyncIterator[Process]:
    """The script at these addresses until the block ends."""
    ports = [
        argument
        for program, address in zip(("exporter", "prometheus", "alertmanager"), addresses, strict=True)
        for argument in (f"--{program}-port", address.rpartition(":")[2])
    ]
    command = (sys.executable, "-m", "prometheus.demo_stack", *ports, *flags)
    process = await create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, cwd=REPOSITORY)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await ended(process)


async def said(process: Process, beginning: bytes) -> None:
    """Wait for a line; what is said later goes on standing in the outputs."""
    assert process.stdout
    async for line in process.stdout:
        if line.startswith(beginning):
            return
    raise AssertionError((await ended(process)).err)


@pytest.fixture
async def stack(addresses: tuple[str, str, str]) -> AsyncIterator[Process]:
    """The script, ready."""
    async with started(addresses) as process:
        await said(process, b"alertmanager ")
        yield process


async def answering(addresses: tuple[str, ...]) -> list[str]:
    found = []
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        for address in addresses:
            try:
                await http.get(f"http://{address}/-/ready")
            except httpx.TransportError:
                continue
            found.append(address)
    return found


def child(pid: int, name: str) -> int:
    """Find the process of this name that `pid` has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    [found] = [each for each in children if Path(f"/proc/{each}/comm").read_text(encoding="ascii").strip() == name]
    return int(found)


async def test_it_shows_the_common_view_of_every_platform_and_ends_when_told(
    stack: Process, addresses: tuple[str, str, str]
) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:

        async def shows_all() -> bool:
            asked = {"query": "count by (platform) (engagement:users:sum)"}
            reply = await http.get(f"http://{addresses[1]}/api/v1/query", params=asked)
            return len(reply.json()["data"]["result"]) == 4

        await until(shows_all)
        alertmanagers = (await http.get(f"http://{addresses[1]}/api/v1/alertmanagers")).json()
    stack.send_signal(signal.SIGINT)
    end = await ended(stack)

    assert [found["url"] for found in alertmanagers["data"]["activeAlertmanagers"]] == [
        f"http://{addresses[2]}/api/v2/alerts"
    ]
    assert end.code == 0
    assert "Traceback" not in end.err
    assert await answering(addresses) == []


async def test_when_one_ends_the_others_do(stack: Process, addresses: tuple[str, str, str]) -> None:
    os.kill(child(stack.pid, "prometheus"), signal.SIGTERM)
    end = await ended(stack)

    assert end.code == 1
    assert f"what listened at {addresses[1]} has ended with code" in end.err
    assert await answering(addresses) == []


async def test_with_history_prometheus_begins_with_the_past_of_what_it_scrapes(addresses: tuple[str, str, str]) -> None:
    async with started(addresses, "--history", "90m") as process, httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        await said(process, b"alertmanager ")

        async def numbers(query: str) -> dict[str, float]:
            reply = await http.get(f"http://{addresses[1]}/api/v1/query", params={"query": query})
            rows = reply.json()["data"]["result"]
            return {row["metric"]["target"]: float(row["value"][1]) for row in rows}

        async def is_scraped() -> bool:
            return len(await numbers("engagement_up == 1")) == 5

        both = '{__name__=~"konstantly_course_learners|viktor_users|pybossa_tasks|learning360_classrooms"}'
        await until(is_scraped)
        now = await numbers(f"count by (target) ({both})")
        an_hour_ago = await numbers(f"count by (target) ({both} offset 1h)")
        all_along = await numbers(f"count by (target) (last_over_time({both}[2h]))")

    assert set(now) == {"academy", "bridges", "crowd", "learning"}
    assert an_hour_ago == now == all_along


async def test_told_to_end_while_it_writes_the_history_it_ends(addresses: tuple[str, str, str]) -> None:
    async with started(addresses, "--history", "90m") as process:
        await said(process, b"writing the last 1h30m")
        process.send_signal(signal.SIGINT)
        end = await ended(process)

    assert (end.code, end.out, end.err) == (0, "", "")
