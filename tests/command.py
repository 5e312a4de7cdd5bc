"""The installed command: run to its end, or kept running for as long as a test wants."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

COMMAND = Path(sys.executable).with_name("engagement-exporter")
PATIENCE_SECONDS = 120.0
"""However busy the machine: only a test that fails waits so long. Less than a connection is kept."""
LISTENING = re.compile(r'(?:event=listening host=|"host": ")([^"\s]+)"?,? "?port(?:=|": )(\d+)')
"""In either format of the log."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command that has ended left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Running:
    """An exporter that listens at `url`."""

    process: Process
    url: str


async def start(program: str | Path, *arguments: str | Path, environment: dict[str, str] | None = None) -> Process:
    """Start a program with both of its outputs captured."""
    variables = {**os.environ, **(environment or {})}
    return await asyncio.create_subprocess_exec(program, *arguments, stdout=PIPE, stderr=PIPE, env=variables)


async def run(
    *arguments: str | Path, program: Path | str = COMMAND, environment: dict[str, str] | None = None
) -> Ended:
    """Run a command until it ends by itself."""
    return await ended(await start(program, *arguments, environment=environment))


async def ended(process: Process) -> Ended:
    """Wait until the program has ended, and kill it when that takes too long."""
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def running(*arguments: str | Path) -> AsyncIterator[Running]:
    """Run an exporter on a free port of this machine until the block ends; it stores nothing unless told where."""
    without_storage = () if "demo" in arguments else ("--storage.path=",)  # of an option given twice, the last counts
    process = await start(COMMAND, *without_storage, *arguments, "--web.listen-address", "127.0.0.1:0")
    try:
        yield Running(process, await listening_at(process))
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await ended(process)


async def listening_at(process: Process) -> str:
    """Wait until the exporter listens, and return its URL."""
    assert process.stderr is not None
    said = ""
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for line in process.stderr:
            said += line.decode()
            if found := LISTENING.search(said):
                return f"http://{found[1]}:{found[2]}"
    raise AssertionError(f"the exporter ended instead of listening: {said}")


@asynccontextmanager
async def running_with_log(
    log: Path, *arguments: str | Path, environment: dict[str, str] | None = None
) -> AsyncIterator[Running]:
    """Run an exporter that says all it says at the end of a file, which may be much: a full pipe would stop it."""
    process, said = await _start_with_log(log, *arguments, environment=environment)
    found: list[re.Match[str]] = []

    async def is_listening() -> bool:
        assert process.returncode is None, f"the exporter ended instead of listening: {said()}"
        found.extend(LISTENING.finditer(said()))
        return bool(found)

    try:
        await until(is_listening)
        yield Running(process, f"http://{found[0][1]}:{found[0][2]}")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)


async def _start_with_log(
    log: Path, *arguments: str | Path, environment: dict[str, str] | None
) -> tuple[Process, Callable[[], str]]:
    """Return the process, and what tells its part of the log."""
    variables = {**os.environ, **(environment or {})}
    address = ("--web.listen-address", "127.0.0.1:0")
    with open(log, "ab") as file:  # noqa: ASYNC230 - a file on this machine
        before_bytes = file.tell()
        process = await asyncio.create_subprocess_exec(
            COMMAND, *arguments, *address, stdout=file, stderr=file, env=variables
        )

    def said() -> str:
        return log.read_bytes()[before_bytes:].decode()

    return process, said


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until the condition holds; fails with TimeoutError when it never does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.05)


async def until_ready(url: str) -> None:
    """Wait until every collector of the exporter at `url` has ended its first run."""
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:

        async def is_ready() -> bool:
            return (await http.get(f"{url}/-/ready")).status_code == 200

        await until(is_ready)
