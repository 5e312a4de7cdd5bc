"""When collectors run: at once, then at stable phases that do not drift; and what is told when a run is not started."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.schedule import (
    FIRST_RUN_SPACING,
    FIRST_RUNS_WITHIN,
    HEARTBEAT_SECONDS,
    STEP_SECONDS,
    Phase,
    Schedule,
    phase,
)
from tests.command import PATIENCE_SECONDS

HOUR = timedelta(hours=1)
SHORT = timedelta(milliseconds=10)

INTERVALS = st.timedeltas(timedelta(seconds=1), timedelta(days=7))
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
NAMES = st.text(min_size=1, max_size=20)


def place_seconds(moment: datetime, interval: timedelta) -> float:
    """Return how far a moment lies behind the last multiple of the interval since 1970."""
    return moment.timestamp() % interval.total_seconds()


@given(NAMES, INTERVALS)
def test_a_phase_is_within_the_interval_and_the_same_every_time(name: str, interval: timedelta) -> None:
    assert timedelta(0) <= phase(name, interval) < interval or interval == timedelta(0)
    assert phase(name, interval) == phase(name, interval)


def test_the_phase_of_a_name_is_the_same_in_every_process() -> None:
    """Written down here, since a hash that is seeded per process would move every run at each restart."""
    assert phase("academy/statistics", HOUR) == timedelta(seconds=520, microseconds=150_943)


def test_phases_of_many_collectors_are_spread_evenly() -> None:
    tenths = [0] * 10
    for number in range(5000):
        tenths[int(phase(f"site-{number}/people", HOUR) / HOUR * 10)] += 1

    assert all(400 <= count <= 600 for count in tenths)


@given(NAMES, INTERVALS, MOMENTS)
def test_runs_do_not_drift_however_often_they_fire(name: str, interval: timedelta, start: datetime) -> None:
    """Each fire is an interval behind the one before, at the name's own phase, wherever the first run fell."""
    own = phase(name, interval)
    trigger = Phase(interval, own)
    fired = [trigger.get_next_fire_time(start, start)]
    for _ in range(50):
        fired.append(trigger.get_next_fire_time(fired[-1], fired[-1]))

    for number, moment in enumerate(fired):
        assert moment.timestamp() == pytest.approx(fired[0].timestamp() + number * interval.total_seconds(), abs=1e-3)
    offset = (place_seconds(fired[-1], interval) - own.total_seconds()) % interval.total_seconds()
    assert min(offset, interval.total_seconds() - offset) < 1e-3


@given(NAMES, INTERVALS, MOMENTS)
def test_the_run_after_the_first_comes_half_an_interval_later_at_least_and_one_and_a_half_at_most(
    name: str, interval: timedelta, start: datetime
) -> None:
    following = Phase(interval, phase(name, interval)).get_next_fire_time(start, start)

    assert interval / 2 - SHORT <= following - start <= 1.5 * interval + SHORT


@given(NAMES, INTERVALS, MOMENTS)
def test_a_trigger_that_never_fired_fires_within_an_interval(name: str, interval: timedelta, now: datetime) -> None:
    following = Phase(interval, phase(name, interval)).get_next_fire_time(None, now)

    assert timedelta(0) < following - now + SHORT <= interval + 2 * SHORT


class Scheduled:
    """A schedule, the runs that it started, and the ones that it did not."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.skipped: Counter[tuple[str, str]] = Counter()
        self.skips = 0
        self.step_seconds = self.slept_seconds = 0.0
        self.changed = asyncio.Event()
        self.schedule = Schedule(
            self._skip, lambda: time.time() + self.step_seconds, lambda: time.monotonic() - self.slept_seconds
        )

    def _skip(self, job_id: str, reason: str, count: int) -> None:
        self.skipped[job_id, reason] += count
        self.skips += 1
        self.changed.set()

    async def run(self, job_id: str) -> None:
        self.started.append(job_id)
        self.changed.set()

    async def hang(self, job_id: str) -> None:
        await self.run(job_id)
        await asyncio.Event().wait()

    async def until(self, *, started: int = 0, skipped: int = 0) -> None:
        """Wait until so much has happened."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.started) < started or self.skips < skipped:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def scheduled() -> AsyncIterator[Scheduled]:
    scheduled = Scheduled()
    yield scheduled
    scheduled.schedule.stop()


async def test_the_first_run_is_at_once_and_the_next_at_the_jobs_own_phase(scheduled: Scheduled) -> None:
    scheduled.schedule.add("site/people", HOUR, scheduled.run)
    scheduled.schedule.start()
    started_at = datetime.now(UTC)
    await scheduled.until(started=1)

    assert datetime.now(UTC) - started_at < timedelta(seconds=1)
    following = scheduled.schedule.next_run_at("site/people")
    assert following is not None
    assert place_seconds(following, HOUR) == pytest.approx(phase("site/people", HOUR).total_seconds(), abs=1e-3)
    assert following - started_at > 0.49 * HOUR


async def test_a_job_whose_last_run_began_less_than_an_interval_ago_waits_for_its_phase() -> None:
    """As without a restart: at its own place within the interval, and not within half an interval of the last run."""
    scheduled = Scheduled()
    for minutes in (-10, 0, 10, 30, 59):
        last_run_at = datetime.now(UTC) - timedelta(minutes=minutes)
        job_id = f"site/{minutes}"
        scheduled.schedule.add(job_id, HOUR, scheduled.run, last_run_at.timestamp())
        first = scheduled.schedule.next_run_at(job_id)

        assert first is not None
        assert place_seconds(first, HOUR) == pytest.approx(phase(job_id, HOUR).total_seconds(), abs=1e-3)
        assert first > datetime.now(UTC)
        assert HOUR / 2 <= first - last_run_at <= 2 * HOUR


async def test_a_job_whose_last_run_is_longer_ago_or_far_in_the_future_runs_at_once(scheduled: Scheduled) -> None:
    """A time in the future is that of a clock that was wrong, and nothing to wait for."""
    for hours in (1, 100, -2, -9000):
        last_run_at = datetime.now(UTC) - timedelta(hours=hours)
        scheduled.schedule.add(f"site/{hours}", HOUR, scheduled.run, last_run_at.timestamp())
    scheduled.schedule.start()

    await scheduled.until(started=4)


async def test_first_runs_start_one_after_the_other_and_all_before_readiness_stops_waiting() -> None:
    added_at = datetime.now(UTC)
    schedule = Schedule(lambda _job_id, _reason, _count: None, added_at.timestamp)
    due = []
    for number in range(6000):
        schedule.add(str(number), HOUR, Scheduled().run)
        due.append(schedule.next_run_at(str(number)))

    first, tenth, last = due[0], due[10], due[-1]
    assert first is not None
    assert tenth is not None
    assert last is not None
    assert first == added_at
    assert tenth - first == 10 * FIRST_RUN_SPACING
    assert last - added_at <= FIRST_RUNS_WITHIN


async def test_runs_repeat_and_every_job_is_run_by_its_name(scheduled: Scheduled) -> None:
    for job_id in ("a", "b"):
        scheduled.schedule.add(job_id, SHORT, scheduled.run)
    scheduled.schedule.start()
    await scheduled.until(started=8)

    assert scheduled.started.count("a") >= 2
    assert scheduled.started.count("b") >= 2
    assert {reason for _, reason in scheduled.skipped} <= {"missed"}  # on a machine that was too busy for some of them


async def test_a_run_that_is_due_while_the_one_before_still_goes_is_told_as_overlap(scheduled: Scheduled) -> None:
    scheduled.schedule.add("slow", SHORT, scheduled.hang)
    scheduled.schedule.start()
    await scheduled.until(skipped=2)

    assert scheduled.started == ["slow"]
    assert scheduled.skipped["slow", "overlap"] >= 2


async def test_runs_that_were_due_in_vain_are_told_as_missed_and_one_is_made_up_for(scheduled: Scheduled) -> None:
    """As when something held the event loop up: 20 s at an interval of 2 s passed before the scheduler looks again."""
    scheduled.schedule.add("late", timedelta(seconds=2), scheduled.run)
    scheduled.schedule.defer("late", -20 - HEARTBEAT_SECONDS)
    scheduled.schedule.start()
    await scheduled.until(started=1, skipped=1)

    assert 9 <= scheduled.skipped["late", "missed"] <= 13
    assert len(scheduled.started) <= 2


async def test_after_60_hours_of_sleep_every_collector_runs_once_and_tells_once_what_it_missed(
    scheduled: Scheduled,
) -> None:
    job_ids = [f"site-{number}/people" for number in range(300)]
    for job_id in job_ids:
        scheduled.schedule.add(job_id, timedelta(seconds=30), scheduled.run, datetime.now(UTC).timestamp())
    scheduled.schedule.start()
    scheduled.step_seconds = 60 * 3600.0
    before_seconds = time.process_time()
    scheduled.schedule._notice_step()
    took_seconds = time.process_time() - before_seconds
    due = [scheduled.schedule.next_run_at(job_id) for job_id in job_ids]

    now = datetime.now(UTC) + timedelta(hours=60)
    assert all(moment and moment - now < FIRST_RUNS_WITHIN for moment in due)
    assert len(set(due)) == len(job_ids)
    assert scheduled.skips == len(job_ids)
    assert all(7197 <= count <= 7200 for count in scheduled.skipped.values())
    assert took_seconds < 2


@pytest.mark.parametrize("hours", [1, 2, 24 * 365])
async def test_a_clock_set_back_stops_no_polls(scheduled: Scheduled, hours: int) -> None:
    """Each runs within an interval by the new time, and nothing was missed."""
    scheduled.schedule.add("site/people", timedelta(minutes=15), scheduled.run, datetime.now(UTC).timestamp())
    scheduled.schedule.add_heartbeat(asyncio.Event().wait)  # type: ignore[arg-type] # a beat that nobody looks at
    scheduled.schedule.start()
    scheduled.step_seconds = -3600.0 * hours
    scheduled.schedule._notice_step()

    now = datetime.now(UTC) - timedelta(hours=hours)
    following = scheduled.schedule.next_run_at("site/people")
    assert following is not None
    assert timedelta(0) < following - now <= timedelta(minutes=15)
    assert not scheduled.skipped


async def test_a_run_that_was_due_at_the_step_starts_once(scheduled: Scheduled) -> None:
    """APScheduler lets it start, notices nothing of the step, and the plan made anew has it too."""
    scheduled.schedule.add("site/people", HOUR, scheduled.run)
    scheduled.schedule.add("site/places", HOUR, scheduled.run)
    scheduled.slept_seconds = 90.0
    scheduled.schedule.start()
    await scheduled.until(started=2)
    await asyncio.sleep(0)

    assert sorted(scheduled.started) == ["site/people", "site/places"]


async def test_a_clock_that_is_put_right_little_by_little_moves_nothing() -> None:
    scheduled = Scheduled()
    scheduled.schedule.add("site/people", HOUR, scheduled.run, datetime.now(UTC).timestamp())
    before = scheduled.schedule.next_run_at("site/people")
    for _ in range(100):
        scheduled.step_seconds += STEP_SECONDS / 2
        scheduled.schedule._notice_step()

    assert scheduled.schedule.next_run_at("site/people") == before


@given(INTERVALS, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=20_000)))
def test_missed_runs_are_counted_and_passed_over_in_one_go(interval: timedelta, due: datetime, late: timedelta) -> None:
    trigger = Phase(interval, phase("site/people", interval))
    late = max(late, timedelta(seconds=1))
    missed = trigger.fires_between(due, due + late)
    following = trigger.get_next_fire_time(due, due + late)

    assert missed * interval <= late + SHORT
    assert (missed + 1) * interval > late - SHORT
    assert timedelta(0) < following - (due + late) + SHORT <= 1.5 * interval + 2 * SHORT


async def test_a_deferred_run_waits_that_long_and_a_little_apart_from_others() -> None:
    scheduled = Scheduled()
    for job_id in ("a", "b"):
        scheduled.schedule.add(job_id, HOUR, scheduled.run)
        scheduled.schedule.defer(job_id, 7200)
    due = [scheduled.schedule.next_run_at(job_id) for job_id in ("a", "b")]
    now = datetime.now(UTC)

    for moment in due:
        assert moment is not None
        assert 7199 < (moment - now).total_seconds() < 7200 + HEARTBEAT_SECONDS
    assert due[0] != due[1]


async def test_a_hastened_run_is_within_a_minute_and_not_at_the_second_of_the_others() -> None:
    scheduled = Scheduled()
    job_ids = [f"site-{number}/users" for number in range(1000)]
    for job_id in job_ids:
        scheduled.schedule.add(job_id, HOUR, scheduled.run, datetime.now(UTC).timestamp())
    begin = datetime.now(UTC)
    for job_id in job_ids:
        scheduled.schedule.hasten(job_id, 600)
    due = [(scheduled.schedule.next_run_at(job_id) or begin) - begin for job_id in job_ids]
    end = datetime.now(UTC) - begin

    assert all(timedelta(seconds=600) <= wait < timedelta(seconds=660) + end for wait in due)
    a_second = Counter(int(wait.total_seconds()) for wait in due)
    assert max(a_second.values()) < 50


async def test_a_run_that_is_due_earlier_anyway_is_not_put_off() -> None:
    scheduled = Scheduled()
    scheduled.schedule.add("site/people", HOUR, scheduled.run)
    before = scheduled.schedule.next_run_at("site/people")
    scheduled.schedule.hasten("site/people", 600)
    scheduled.schedule.hasten("nobody/nothing", 600)

    assert scheduled.schedule.next_run_at("site/people") == before


async def test_a_run_can_defer_its_own_job(scheduled: Scheduled) -> None:
    async def run(job_id: str) -> None:
        scheduled.schedule.defer(job_id, 3600)
        await scheduled.run(job_id)

    scheduled.schedule.add("site/people", SHORT, run)
    scheduled.schedule.start()
    await scheduled.until(started=1)
    following = scheduled.schedule.next_run_at("site/people")

    assert following is not None
    assert (following - datetime.now(UTC)).total_seconds() > 3590


async def test_a_job_that_fails_runs_again_and_harms_no_other(scheduled: Scheduled) -> None:
    async def fail(job_id: str) -> None:
        await scheduled.run(job_id)
        raise ZeroDivisionError

    scheduled.schedule.add("broken", SHORT, fail)
    scheduled.schedule.add("good", SHORT, scheduled.run)
    scheduled.schedule.start()
    await scheduled.until(started=8)

    assert scheduled.started.count("broken") >= 2
    assert scheduled.started.count("good") >= 2


async def test_stopping_cancels_the_runs_under_way_and_starts_no_more() -> None:
    scheduled = Scheduled()
    cancelled = asyncio.Event()

    async def run(job_id: str) -> None:
        try:
            await scheduled.hang(job_id)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    scheduled.schedule.add("slow", HOUR, run)
    scheduled.schedule.start()
    await scheduled.until(started=1)
    scheduled.schedule.stop()

    await asyncio.wait_for(cancelled.wait(), PATIENCE_SECONDS)
    assert scheduled.started == ["slow"]


async def test_the_heart_beats_at_once(scheduled: Scheduled) -> None:
    beaten = asyncio.Event()

    async def beat() -> None:
        beaten.set()

    scheduled.schedule.add_heartbeat(beat)
    scheduled.schedule.start()

    await asyncio.wait_for(beaten.wait(), PATIENCE_SECONDS)


def test_an_unknown_job_has_no_next_run() -> None:
    assert Scheduled().schedule.next_run_at("nobody/nothing") is None
