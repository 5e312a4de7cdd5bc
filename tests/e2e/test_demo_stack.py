"""`make demo-stack`: all three programs answer, and end together."""

import os
import signal
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from prometheus.generate import REPOSITORY
from tests.alerting import free_address
from tests.command import ended, until


@pytest.fixture
def addresses() -> tuple[str, str, str]:
    """Of the exporter, Prometheus and Alertmanager."""
    return free_address(), free_address(), free_address()


@pytest.fixture
async def stack(addresses: tuple[str, str, str]) -> AsyncIterator[Process]:
    """The script, ready; what it says goes on standing in its outputs."""
    ports = [
        argument
        for program, address in zip(("exporter", "prometheus", "alertmanager"), addresses, strict=True)
        for argument in (f"--{program}-port", address.rpartition(":")[2])
    ]
    command = (sys.executable, "-m", "prometheus.demo_stack", *ports)
    process = await create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, cwd=REPOSITORY)
    try:
        assert process.stdout
        async for line in process.stdout:
            if line.startswith(b"alertmanager "):
                break
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await ended(process)


async def answering(addresses: tuple[str, ...]) -> list[str]:
    found = []
    async with httpx.AsyncClient() as http:
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
    async with httpx.AsyncClient() as http:

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
