"""When collectors run: one APScheduler job each, phases spread by a stable hash, missed and overlapping runs told.

APScheduler plans by the clock on the wall. What happens when that is set, or when the machine slept, is up to us.
"""

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

logger = structlog.get_logger()

FIRST_RUN_SPACING = timedelta(milliseconds=5)
"""First runs start this far apart: as fast as one core gets through them, instead of all in one burst."""

FIRST_RUNS_WITHIN = timedelta(seconds=25)
"""The last of the first runs starts before `/-/ready` stops waiting; beyond 5,000 of them, several start together."""

BORDER_RUNS_WITHIN = timedelta(minutes=1)
"""Runs that are due at the end of a window of the calendar are spread over this time, since it ends for all at once."""

HEARTBEAT_SECONDS = 5.0

ON_TIME_SECONDS = 1.0
"""A run that starts this soon after it was due was not missed."""

STEP_SECONDS = 60.0
"""From here on a change between the clock on the wall and the one that only moves on is a step: everything is planned
anew. Below, runs come that much earlier or later, once."""


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
        """Return the next fire time after both `previous_fire_time` and now: of missed runs one is made up for."""
        earliest = now.timestamp()
        if previous_fire_time is not None:
            earliest = max(earliest, previous_fire_time.timestamp() + self._interval_seconds / 2)
        periods = (earliest - self._phase_seconds) // self._interval_seconds + 1
        return datetime.fromtimestamp(self._phase_seconds + periods * self._interval_seconds, UTC)

    def fires_between(self, fired_at: datetime, now: datetime) -> int:
        """Return how many fire times lie after a fire time and up to now; no step is too long for it."""
        late_seconds = now.timestamp() - fired_at.timestamp()
        return math.floor(late_seconds / self._interval_seconds) if late_seconds >= ON_TIME_SECONDS else 0


def phase(name: str, interval: timedelta) -> timedelta:
    """Return the place of `name` within its interval: the same after every restart, spread evenly over names."""
    digest = hashlib.sha256(name.encode()).digest()
    return interval * (int.from_bytes(digest[:8]) / 2**64)


class Schedule:
    """The jobs of all collectors. `skipped(job_id, reason, count)` is called for runs that were due and did not start.

    `wall` gives Unix time, and `monotonic` seconds of a clock that nobody sets.
    """

    def __init__(
        self,
        skipped: Callable[[str, str, int], None],
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # what it would log is counted and logged by us
        self._skipped = skipped
        self._wall = wall
        self._monotonic = monotonic
        self._difference_seconds = wall() - monotonic()
        self._first_run_at = self._now()
        self._due: dict[str, datetime] = {}
        """When the next run of each job is due, by its id: APScheduler has moved on when it starts one."""
        self._running: set[str] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._scheduler.add_listener(_log_failure, EVENT_JOB_ERROR)

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
        now = self._now()
        before = None if last_run_at is None else datetime.fromtimestamp(last_run_at, UTC)
        if before is not None and abs(now - before) < interval:
            first_run_at = trigger.get_next_fire_time(None, max(now, before + interval / 2))
        else:
            first_run_at = self._soon(now)
        self._due[job_id] = first_run_at
        self._scheduler.add_job(
            self._start,
            trigger,
            args=[job_id, run],
            id=job_id,
            next_run_time=first_run_at,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=3,  # one that runs, one that overlaps, and one planned anew since
        )

    def _soon(self, now: datetime) -> datetime:
        """Return when a run that is due now may start: one after the other."""
        at = now + (max(now, self._first_run_at) - now) % FIRST_RUNS_WITHIN
        self._first_run_at = max(now, self._first_run_at) + FIRST_RUN_SPACING
        return at

    async def _start(self, job_id: str, run: Callable[[str], Awaitable[None]]) -> None:
        self._notice_step()
        job = self._scheduler.get_job(job_id)
        if job is None or job.next_run_time == self._due[job_id]:
            return  # removed or planned anew since APScheduler let it start
        self._tell_missed(job)
        if job_id in self._running:
            self._skipped(job_id, "overlap", 1)
            return
        self._running.add(job_id)
        try:
            await run(job_id)
        finally:
            self._running.remove(job_id)

    def _tell_missed(self, job: Any) -> None:
        """Count the runs between the one that was due and now, and look ahead to the next."""
        if missed := job.trigger.fires_between(self._due[job.id], self._now()):
            self._skipped(job.id, "missed", missed)
        self._due[job.id] = job.next_run_time

    def _notice_step(self) -> None:
        """Plan everything anew when the clock on the wall was set, or the machine slept.

        What was due meanwhile runs soon, once; what a clock set back would put off for as long runs at its next phase.
        """
        difference_seconds = self._wall() - self._monotonic()
        step_seconds = difference_seconds - self._difference_seconds
        self._difference_seconds = difference_seconds
        if abs(step_seconds) < STEP_SECONDS:
            return
        now = self._now()
        self._first_run_at = now
        self._scheduler.pause()  # or it would look for due jobs after each one that is moved
        for job in self._scheduler.get_jobs():
            if job.id in self._due and self._due[job.id] <= now:
                self._tell_missed(job)
                self._plan(job.id, self._soon(now))
            elif step_seconds < 0:
                self._plan(job.id, min(job.next_run_time, job.trigger.get_next_fire_time(None, now)))
        self._scheduler.resume()

    def _plan(self, job_id: str, at: datetime) -> None:
        if job_id in self._due:
            self._due[job_id] = at
        self._scheduler.modify_job(job_id, next_run_time=at)

    def remove(self, job_id: str) -> None:
        """Start no more runs of a job; one under way goes on."""
        del self._due[job_id]
        self._scheduler.remove_job(job_id)

    def add_heartbeat(self, beat: Callable[[], Awaitable[None]]) -> None:
        """Run `beat` every few seconds: while it moves, the scheduler and the event loop are alive."""
        every = Phase(timedelta(seconds=HEARTBEAT_SECONDS), timedelta())
        self._scheduler.add_job(
            beat, every, id="heartbeat", next_run_time=self._now(), misfire_grace_time=None, coalesce=True
        )

    def defer(self, job_id: str, seconds: float) -> None:
        """Let the next run of a job be in `seconds`, a little apart from others deferred to the same moment."""
        spread = phase(job_id, timedelta(seconds=HEARTBEAT_SECONDS))
        self._plan(job_id, self._now() + timedelta(seconds=seconds) + spread)

    def hasten(self, job_id: str, seconds: float) -> None:
        """Let the next run of a job be soon after `seconds`, at its own place within BORDER_RUNS_WITHIN, or earlier."""
        due = self._now() + timedelta(seconds=max(0.0, seconds)) + phase(job_id, BORDER_RUNS_WITHIN)
        next_run_at = self.next_run_at(job_id)
        if next_run_at is not None and due < next_run_at:
            self._plan(job_id, due)

    def next_run_at(self, job_id: str) -> datetime | None:
        """Return when the job is due next (aware UTC), None if it is not scheduled."""
        job = self._scheduler.get_job(job_id)
        return job.next_run_time if job else None

    def start(self) -> None:
        """Start in the running event loop."""
        self._scheduler.start()
        self._look_at_the_clock()

    def stop(self) -> None:
        """Start no more runs and cancel those under way."""
        if self._watch:
            self._watch.cancel()
        self._scheduler.shutdown(wait=False)

    def _look_at_the_clock(self) -> None:
        """Notice a step also when APScheduler, which may wait for hours by the new time, starts nothing."""
        self._watch = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._look_at_the_clock)
        self._notice_step()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall(), UTC)


def _log_failure(event: Any) -> None:
    """Log what got out of a job; APScheduler's own line would hold the message, which may quote a person.

    A job that was cancelled, as all are in the end, has not failed.
    """
    if not isinstance(event.exception, asyncio.CancelledError):
        logger.error("unexpected error", what=event.job_id, exc_info=event.exception)
