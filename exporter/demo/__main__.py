"""The simulated platforms as a program: `python -m exporter.demo`, which `engagement-exporter demo` starts.

It writes the exporter's configuration for them to standard output, ends that output, and serves until its standard
input ends, which it does with whoever started this, even if they were killed. Ctrl-C is theirs to heed.
"""

import asyncio
import logging
import signal
import sys
from datetime import UTC, datetime

from exporter.demo.configuration import configuration
from exporter.demo.organisation import two_years_old
from exporter.demo.server import GENEROUS_LIMITS, serve


async def main() -> None:
    """Serve until the input ends."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each write to an exporter that has ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to everyone
    now = datetime.now(UTC)
    simulated = two_years_old(now.date())
    simulated.live_until(now)  # so that no request has to wait for it
    async with serve(simulated, lambda: datetime.now(UTC), options=GENEROUS_LIMITS) as platforms:
        with open(sys.stdout.fileno(), "w", encoding="utf-8") as output:  # noqa: ASYNC230 - a pipe that takes it whole
            output.write(configuration(platforms))
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
