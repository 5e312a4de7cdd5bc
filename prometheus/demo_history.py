"""The past of the demo organisation, as the blocks of a Prometheus that has yet to start."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exporter.demo.configuration import configuration
from exporter.demo.organisation import two_years_old
from exporter.demo.server import GENEROUS_LIMITS, serve

COMMAND = Path(sys.executable).with_name("engagement-exporter")
REQUESTS_PER_SECOND = 1000
"""As fast as it goes: nobody else asks this copy."""


async def write_history(folder: Path, length: timedelta, labels: Mapping[str, str], storage: Path) -> None:
    """Have `backfill` ask the platforms of `make demo` for their past until now, and make blocks of it in `storage`.

    The demo simulates the same organisation in every process, so a copy that only lives meanwhile tells the past of
    the one that will be polled. `folder` holds the text in between, about 130 MB a day. Raises RuntimeError with the
    words of a program that fails, FileNotFoundError for one that is not installed.
    """
    now = datetime.now(UTC)
    config, history = folder / "history.yaml", folder / "history.om"
    async with serve(two_years_old(now.date()), lambda: now, options=GENEROUS_LIMITS) as platforms:
        config.write_text(configuration(platforms, REQUESTS_PER_SECOND), encoding="utf-8")
        await _run(
            COMMAND,
            "backfill",
            f"--config.file={config}",
            f"--from={now - length:%Y-%m-%dT%H:%M:%SZ}",
            f"--to={now:%Y-%m-%dT%H:%M:%SZ}",
            f"--output={history}",
            *(f"--label={name}={value}" for name, value in labels.items()),
        )
    await make_blocks(history, storage)
    history.unlink()


async def make_blocks(history: Path, storage: Path) -> None:
    """Give OpenMetrics to a Prometheus that keeps its data in `storage` and does not run. Raises RuntimeError."""
    await _run("promtool", "tsdb", "create-blocks-from", "--max-block-duration=8760h", "openmetrics", history, storage)


async def _run(program: str | Path, *arguments: str | Path) -> None:
    process = await asyncio.create_subprocess_exec(program, *arguments, stdout=DEVNULL, stderr=PIPE)
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"{Path(program).name} failed: {said.decode()}")
