"""The simulated platforms at one moment that stays: `python -m tests.disturbances.platforms` until its input ends.

So what two exporters show of them is the same, whenever each has asked.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

from exporter.demo.configuration import configuration
from exporter.demo.organisation import organisation
from exporter.demo.server import GENEROUS_LIMITS, serve


async def main() -> None:
    """Write the exporter's configuration for them to standard output, and serve."""
    now = datetime.now(UTC)
    young = organisation(7, now.date() - timedelta(days=40))
    young.live_until(now)
    async with serve(young, lambda: now, options=GENEROUS_LIMITS) as platforms:
        with open(sys.stdout.fileno(), "w", encoding="utf-8") as output:  # noqa: ASYNC230 - a pipe that takes it whole
            output.write(configuration(platforms))
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
