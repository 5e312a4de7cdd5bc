"""When collectors run: one APScheduler job each, phases spread by a stable hash, missed and overlapping runs told."""

import hashlib
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

FIRST_RUN_SPACING = timedelta(milliseconds=5)
"""First runs start this far apart: as fast as one core gets through them, instead of all in one burst."""

FIRST_RUNS_WITHIN = timedelta(seconds=25)
"""The last of the first runs starts before `/-/ready` stops waiting; beyond 5,000 of them, several start together."""

BORDER_RUNS_WITHIN = timedelta(minutes=1)
"""Runs that are due at the end of a window of the calendar are spread over this time, since it ends for all at once."""

HEARTBEAT_SECONDS = 5.0


class Phase(BaseTrigger):  # type: ignore[misc] # APScheduler 3 ships no types
    """Fires at `phase` past each multiple of `interval` since 1970, wherever the runs before it really fell.

    APScheduler's own interval trigger counts from the run before, so that a first run at start would give every
    collector the same phase, and its jitter adds to the period. Fires at most half an interval after a run are left
    out, so that a first or deferred run is not followed by another at once.
    """

    def __init__(self, interval: timedelta, phase: timedelta) -> None:
        self._interval_seconds = interval.total_seconds()
        self._phase_seconds = phase.total_seconds()

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the next fire time after `previous_fire_time`, which may lie in the past when runs were missed."""
        earliest = now.timestamp()
        if previous_fire_time is not None:
            earliest = previous_fire_time.timestamp() + self._interval_seconds / 2
        periods = (earliest - self._phase_seconds) // self._interval_seconds + 1
        return datetime.fromtimestamp(self._phase_seconds + periods * self._interval_seconds, UTC)


def phase(name: str, interval: timedelta) -> timedelta:
    """Return the place of `name` within its interval: the same after every restart, spread evenly over names."""
    digest = hashlib.sha256(name.encode()).digest()
    return interval * (int.from_bytes(digest[:8]) / 2**64)


class Schedule:
    """The jobs of all collectors. `skipped(job_id, reason)` is called for every run that was due and did not start."""

    def __init__(self, skipped: Callable[[str, str], None]) -> None:
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # what it would log is counted and logged by us
        self._skipped = skipped
        self._first_run_at = datetime.now(UTC)
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._scheduler.add_listener(self._missed, EVENT_JOB_MISSED)
        self._scheduler.add_listener(self._overlapped, EVENT_JOB_MAX_INSTANCES)

    def add(
        self,
        job_id: str,
        interval: timedelta,
        run: Callable[[str], Awaitable[None]],
        last_run_at: float | None = None,
    ) -> None:
        """Run `run(job_id)` as soon as the schedule runs, then every interval at the job's own phase.

        A job whose last run began less than an interval ago (`last_run_at`, Unix time) waits for its phase.
        """
        trigger = Phase(interval, phase(job_id, interval))
        now = datetime.now(UTC)
        before = None if last_run_at is None else datetime.fromtimestamp(last_run_at, UTC)
        if before is not None and abs(now - before) < interval:
            first_run_at = trigger.get_next_fire_time(None, max(now, before + interval / 2))
        else:
            first_run_at = now + (max(now, self._first_run_at) - now) % FIRST_RUNS_WITHIN
            self._first_run_at = max(now, self._first_run_at) + FIRST_RUN_SPACING
        self._scheduler.add_job(
            run,
            trigger,
            args=[job_id],
            id=job_id,
            next_run_time=first_run_at,
            misfire_grace_time=max(1, int(interval.total_seconds())),
            coalesce=False,  # each run that was due in vain is told as missed; only the last is within the grace time
            max_instances=1,
        )

    def remove(self, job_id: str) -> None:
        """Start no more runs of a job; one under way goes on."""
        self._scheduler.remove_job(job_id)

    def add_heartbeat(self, beat: Callable[[], Awaitable[None]]) -> None:
        """Run `beat` every few seconds: while it moves, the scheduler and the event loop are alive."""
        self._scheduler.add_job(beat, "interval", seconds=HEARTBEAT_SECONDS, next_run_time=datetime.now(UTC))

    def defer(self, job_id: str, seconds: float) -> None:
        """Let the next run of a job be in `seconds`, a little apart from others deferred to the same moment."""
        spread = phase(job_id, timedelta(seconds=HEARTBEAT_SECONDS))
        self._scheduler.modify_job(job_id, next_run_time=datetime.now(UTC) + timedelta(seconds=seconds) + spread)

    def hasten(self, job_id: str, seconds: float) -> None:
        """Let the next run of a job be soon after `seconds`, at its own place within BORDER_RUNS_WITHIN, or earlier."""
        now = datetime.now(UTC)
        due = now + timedelta(seconds=max(0.0, seconds)) + phase(job_id, BORDER_RUNS_WITHIN)
        next_run_at = self.next_run_at(job_id)
        if next_run_at is not None and due < next_run_at:
            self._scheduler.modify_job(job_id, next_run_time=due)

    def next_run_at(self, job_id: str) -> datetime | None:
        """Return when the job is due next (aware UTC), None if it is not scheduled."""
        job = self._scheduler.get_job(job_id)
        return job.next_run_time if job else None

    def start(self) -> None:
        """Start in the running event loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start no more runs and cancel those under way."""
        self._scheduler.shutdown(wait=False)

    def _missed(self, event: Any) -> None:
        self._skipped(event.job_id, "missed")

    def _overlapped(self, event: Any) -> None:
        for _ in event.scheduled_run_times:
            self._skipped(event.job_id, "overlap")
