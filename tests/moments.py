"""The tests that read the clock, at moments at which clocks are awkward: `python -m tests.moments`.

libfaketime moves the clock of the test process and of what it starts. Two moments are gone through at a time.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from tests.nights import shifted_clock

MOMENTS = {
    "first minute of a year, in week 53 of the one before": datetime(2027, 1, 1, 0, 0, 10, tzinfo=UTC),
    "last half minute of a year": datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC),
    "first minute of a month that begins on a Monday": datetime(2027, 2, 1, 0, 0, 10, tzinfo=UTC),
    "first minute of a Monday": datetime(2026, 11, 30, 0, 0, 10, tzinfo=UTC),
    "last half minute of a leap day": datetime(2028, 2, 29, 23, 59, 30, tzinfo=UTC),
    "first minute after a leap day": datetime(2028, 3, 1, 0, 0, 10, tzinfo=UTC),
}
DAYS_AHEAD = (30, 45)

FILES = (
    "tests/backfill/test_run.py",
    "tests/e2e/test_truth.py",
    "tests/platforms/test_histories.py",
    "tests/test_app.py",
    "tests/test_backfill_command.py",
    "tests/test_reload.py",
    "tests/test_restart.py",
    "tests/test_schedule.py",
    "tests/test_storage.py",
    "tests/web/test_status_page.py",
)
"""The tests whose outcome could depend on the date.

Others start programs whose clock cannot be moved, as Prometheus, or take the date as an argument, as those of the demo
organisation do.
"""


def main() -> int:
    """Run the files at every moment; returns how many moments failed."""
    now = datetime.now(UTC)
    moments = MOMENTS | {f"{days} days from now": now + timedelta(days=days) for days in DAYS_AHEAD}
    with ThreadPoolExecutor(2) as pool:
        failed = list(pool.map(fails, moments, moments.values()))
    print(f"{len(failed) - sum(failed)} passed, {sum(failed)} failed")  # noqa: T201
    return sum(failed)


def fails(name: str, moment: datetime) -> bool:
    """Run the files from that moment on, and show what failed; true if anything did."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        "--show-capture=no",
        *FILES,
    ]
    environment = {**os.environ, **shifted_clock(moment - datetime.now(UTC))}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = ended.stdout.rstrip().splitlines()
    shown = lines if ended.returncode else lines[-1:]
    print(f"{name} ({moment:%Y-%m-%d %H:%M:%S}):", *shown, ended.stderr.strip(), sep="\n  ", flush=True)  # noqa: T201
    return ended.returncode != 0


if __name__ == "__main__":
    sys.exit(main())
