"""The simulated platforms as a process of their own: it never holds up the exporter and never outlives it."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import httpx
import pytest

from exporter.demo import program
from exporter.demo.program import DemoError
from tests.command import COMMAND, PATIENCE_SECONDS, ended, listening_at, running, until, until_ready


def platforms_of(exporter: Process) -> int:
    """The process id of the simulated platforms."""
    pid = exporter.pid
    [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def state_of(pid: int) -> str:
    """The letter that the kernel has for the state of a process; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return ""


async def until_gone(pid: int) -> None:
    """Wait until a process that is not ours has ended; nobody may fetch its exit code."""

    async def is_gone() -> bool:
        return state_of(pid) in ("", "Z")

    await until(is_gone)


async def test_the_exporter_answers_while_the_platforms_do_not_run_at_all() -> None:
    async with running("demo") as exporter, httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        platforms = platforms_of(exporter.process)
        os.kill(platforms, signal.SIGSTOP)
        answers = [await http.get(f"{exporter.url}{path}") for path in ("/metrics", "/", "/api/status")]
        os.kill(platforms, signal.SIGCONT)
        await until_ready(exporter.url)

    assert [answer.status_code for answer in answers] == [200, 200, 200]


async def test_the_platforms_end_when_the_exporter_is_killed() -> None:
    async with running("demo") as exporter:
        platforms = platforms_of(exporter.process)
        exporter.process.kill()
        await exporter.process.wait()
        await until_gone(platforms)


async def test_the_exporter_ends_and_says_so_when_the_platforms_end() -> None:
    async with running("demo") as exporter:
        os.kill(platforms_of(exporter.process), signal.SIGKILL)
        end = await ended(exporter.process)

    assert end.code == 3
    assert end.err.splitlines()[-1].startswith("the simulated platforms ended by themselves with exit code -9")
    assert "Traceback" not in end.err


async def test_ctrl_c_reaches_both_and_both_end_in_order() -> None:
    """A terminal sends the signal to all of its processes."""
    demo = await asyncio.create_subprocess_exec(
        COMMAND, "demo", "--web.listen-address=127.0.0.1:0", stdout=PIPE, stderr=PIPE, start_new_session=True
    )
    await listening_at(demo)
    platforms = platforms_of(demo)
    os.killpg(demo.pid, signal.SIGINT)
    end = await ended(demo)

    assert end.code == 0
    assert "Traceback" not in end.err
    assert "KeyboardInterrupt" not in end.err
    await until_gone(platforms)


async def test_platforms_that_do_not_come_up_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(DemoError, match=r"ended by themselves with exit code 1$"):
        async with program.start():
            pytest.fail("there are no platforms")
