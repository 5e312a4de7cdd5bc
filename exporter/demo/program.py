"""Run the simulated platforms in a process of their own, so that their computing holds up nobody here."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass


class DemoError(Exception):
    """The simulated platforms are there no longer; the message says how they ended."""


@dataclass(frozen=True, slots=True)
class Program:
    """The running platforms, and the exporter's configuration for them as YAML text."""

    configuration: str
    process: Process

    async def outlast(self, serving: Coroutine[None, None, None]) -> None:
        """Await what needs the platforms. Raises DemoError, and cancels it, when they end first."""
        served, ended = asyncio.ensure_future(serving), asyncio.ensure_future(self.process.wait())
        await asyncio.wait({served, ended}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done() and not served.done():
            served.cancel()
            await asyncio.wait({served})
            raise _ended(ended.result())
        ended.cancel()
        await served


@asynccontextmanager
async def start() -> AsyncIterator[Program]:
    """Run the program until the block ends, or this process does. Raises DemoError if it does not come up.

    What it has to say of its end, such as a traceback, stands in our standard error.
    """
    # without -P a folder `exporter` where we were started would come first
    process = await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", "exporter.demo", stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - they are pipes
    try:
        configuration = (await process.stdout.read()).decode()
        if not configuration:
            raise _ended(await process.wait())
        yield Program(configuration, process)
    finally:
        process.stdin.close()
        await process.wait()


def _ended(code: int) -> DemoError:
    return DemoError(f"the simulated platforms ended by themselves with exit code {code}")
