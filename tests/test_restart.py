"""An exporter that starts where another one ended: what it shows at once, what it polls, and what it leaves alone."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.api.client import Client
from exporter.app import Exporter
from exporter.config import Config, Target
from exporter.errors import RateLimitedError, State, UnauthorizedError
from exporter.exposition import Format
from exporter.metrics import Sample
from exporter.snapshot import Key
from exporter.storage import Record, Storage, source_of
from exporter.web.status import observe, status
from exporter.web.status_page import StatusPage
from tests.command import until
from tests.fakes import PEOPLE, PER_ENDPOINT, PLACES, make_target

PEOPLE_KEY, PLACES_KEY = Key("site", "people"), Key("site", "places")
MARKER = Key("marker", "people")
HOUR_SECONDS = 3600.0


class MortalStorage(Storage):
    """Takes nothing in once its process was killed."""

    is_dead = False

    def save(self, record: Record) -> None:
        if not self.is_dead:
            super().save(record)


class Platform:
    """Counts the runs that ask it; `error` is what they meet, and `pause_seconds` what it asks for."""

    def __init__(self, error: Exception | None = None, pause_seconds: float = 0.0) -> None:
        self.runs: list[str] = []
        self._error = error
        self._pause_seconds = pause_seconds

    async def people(self, client: Client, settings: Any, now: datetime) -> list[Sample]:
        self._answer(client, "people")
        return [PEOPLE.sample(7)]

    async def places(self, client: Client, settings: Any, now: datetime) -> list[Sample]:
        self._answer(client, "places")
        return [PLACES.sample(3, place="x")]

    def _answer(self, client: Client, collector: str) -> None:
        self.runs.append(collector)
        if self._pause_seconds:
            client.pace.pause(self._pause_seconds)
        if self._error:
            raise self._error

    def target(self, **keys: Any) -> Target:
        return make_target(self.people, self.places, **keys)


@asynccontextmanager
async def process(
    folder: Path, *targets: Target, age_seconds: float = 0.0, is_killed: bool = False
) -> AsyncIterator[Exporter]:
    """Poll and store as a process does that started `age_seconds` ago, until its end."""

    def now() -> float:
        return time.time() - age_seconds

    with closing(MortalStorage(folder, now)) as storage:
        exporter = Exporter(Config(targets), now, storage)
        exporter.start()
        try:
            yield exporter
        finally:
            storage.is_dead = is_killed
            exporter.stop()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others, return_exceptions=True)


async def until_ran(exporter: Exporter, *keys: Key) -> None:
    async def have_run() -> bool:
        return all(exporter.snapshot[key].runs for key in keys)

    await until(have_run)


async def first_process(folder: Path, target: Target, age_seconds: float = 0.0) -> None:
    """Run every collector of the target once."""
    async with process(folder, target, age_seconds=age_seconds) as exporter:
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)


async def runs_after_restart(folder: Path, platform: Platform, **keys: Any) -> list[str]:
    """Restart with one target more, whose first run comes after all that are due; returns the runs of the others."""
    marker = make_target(Platform().people, Platform().places, name="marker")
    async with process(folder, platform.target(**keys), marker) as exporter:
        await until_ran(exporter, MARKER)
    return platform.runs


def series(exporter: Exporter, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a series by label values in order of label names."""
    page = b"".join(exporter.page(Format.TEXT)).decode()
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return {tuple(sample.labels.values()): sample.value for sample in samples if sample.name == name}


async def test_stored_values_are_there_at_once_with_their_times_and_are_ready(tmp_path: Path) -> None:
    success = "engagement_collector_last_success_timestamp_seconds"
    async with process(tmp_path, Platform().target(interval="1h")) as exporter:
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)
        times = series(exporter, success)

    async with process(tmp_path, Platform().target(interval="1h")) as exporter:
        assert exporter.is_ready()
        assert series(exporter, "fake_people") == {("site",): 7}
        assert series(exporter, "fake_places") == {("x", "site"): 3}
        assert series(exporter, "engagement_up") == {("fake", "site"): 1}
        assert series(exporter, success) == times
        assert len(times) == 2


async def test_what_ran_less_than_an_interval_ago_waits_for_its_phase(tmp_path: Path) -> None:
    await first_process(tmp_path, Platform().target(interval="1h"))

    assert await runs_after_restart(tmp_path, Platform(), interval="1h") == []


async def test_only_what_is_due_runs_at_once(tmp_path: Path) -> None:
    intervals = {"people": {"interval": "1h"}, "places": {"interval": "5h"}}
    await first_process(tmp_path, Platform().target(collectors=intervals), age_seconds=2 * HOUR_SECONDS)

    assert await runs_after_restart(tmp_path, Platform(), collectors=intervals) == ["people"]


async def test_a_failed_run_counts_as_a_run_and_its_state_and_the_values_before_it_come_back(tmp_path: Path) -> None:
    refusing = Platform(UnauthorizedError("GET /things answered 401"))
    await first_process(tmp_path, Platform().target(interval="1h"), age_seconds=2 * HOUR_SECONDS)
    await first_process(tmp_path, refusing.target(interval="1h"))

    assert await runs_after_restart(tmp_path, Platform(), interval="1h") == []
    async with process(tmp_path, Platform().target(interval="1h")) as exporter:
        last = exporter.snapshot[PEOPLE_KEY].last
        assert last is not None
        assert (last.state, last.error) == (State.UNAUTHORIZED, "GET /things answered 401")
        assert last.remedy == UnauthorizedError.remedy
        assert series(exporter, "fake_people") == {("site",): 7}


async def hang(client: Client, settings: Any, now: datetime) -> list[Sample]:
    await asyncio.Event().wait()
    raise AssertionError


async def cut_off(folder: Path, target: Target, age_seconds: float = 0.0, *, is_killed: bool) -> None:
    """Begin every run in a process that ends before one has ended, `age_seconds` ago."""
    async with process(folder, target, age_seconds=age_seconds, is_killed=is_killed) as exporter:

        async def have_begun() -> bool:
            return len(exporter._collecting) == 2

        await until(have_begun)


def store(folder: Path, target: Target, begun_at: float, cut_off: int) -> None:
    """Store what is known of collectors that never ended a run."""
    with closing(Storage(folder)) as storage:
        storage.load({})
        for collector in target.platform.collectors:
            storage.save(Record(source_of(target.settings, collector), begun_at, {}, None, None, None, cut_off))


def seconds_until_runs(folder: Path, target: Target) -> list[float]:
    """Return in how long the next process would run each collector, without running one."""
    with closing(Storage(folder)) as storage:
        exporter = Exporter(Config((target,)), storage=storage)
        moments = [exporter.next_run_at(entry.key) for entry in exporter.snapshot]
    return [(moment - datetime.now(UTC)).total_seconds() for moment in moments if moment]


@pytest.mark.parametrize(("kills", "minutes"), [(1, 1), (2, 2), (3, 4), (4, 8), (7, 64)])
async def test_a_first_run_that_was_killed_is_repeated_after_1_2_4_minutes(
    tmp_path: Path, kills: int, minutes: int
) -> None:
    """Within a minute after its time, so that a thousand targets do not come at once."""
    target = make_target(hang, hang, interval="10h")
    for kill in reversed(range(kills)):  # so far apart that each process runs what the one before left
        await cut_off(tmp_path, target, kill * 20 * HOUR_SECONDS, is_killed=True)

    assert len(seconds_until_runs(tmp_path, target)) == 2
    for seconds in seconds_until_runs(tmp_path, target):
        assert 60 * minutes - 30 < seconds < 60 * minutes + 60


async def test_a_crash_loop_repeats_a_run_at_last_as_seldom_as_its_interval_says(tmp_path: Path) -> None:
    target = make_target(hang, hang, interval="1h")
    store(tmp_path, target, begun_at=time.time(), cut_off=1_000_000)

    assert all(1800 - 30 < seconds < 1.5 * HOUR_SECONDS for seconds in seconds_until_runs(tmp_path, target))
    assert await runs_after_restart(tmp_path, Platform(), interval="1h") == []


async def test_a_killed_run_with_a_complete_result_behind_it_waits_for_its_phase(tmp_path: Path) -> None:
    keys = {"interval": "1h", "max_age": "5h"}
    await first_process(tmp_path, Platform().target(**keys), age_seconds=2 * HOUR_SECONDS)
    await cut_off(tmp_path, make_target(hang, hang, **keys), is_killed=True)

    assert all(seconds > 1800 - 30 for seconds in seconds_until_runs(tmp_path, Platform().target(**keys)))


async def test_a_run_that_ends_makes_up_for_those_that_were_killed(tmp_path: Path) -> None:
    for hours in (9, 6, 3):
        await cut_off(tmp_path, make_target(hang, hang, interval="1h"), hours * HOUR_SECONDS, is_killed=True)
    refusing = Platform(UnauthorizedError("GET /things answered 401")).target(interval="1h")
    await first_process(tmp_path, refusing)

    async with process(tmp_path, refusing) as exporter:
        assert [entry.cut_off for entry in exporter.snapshot] == [0, 0]
    assert all(seconds > 1800 - 30 for seconds in seconds_until_runs(tmp_path, refusing))


async def test_a_run_that_an_orderly_stop_cut_off_is_due_again(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def hangs(client: Client, settings: Any, now: datetime) -> list[Sample]:
        begun.set()
        return await hang(client, settings, now)

    async with process(tmp_path, make_target(Platform().people, hangs, interval="1h")) as exporter:
        await until_ran(exporter, PEOPLE_KEY)
        await begun.wait()

    assert await runs_after_restart(tmp_path, Platform(), interval="1h") == ["places"]


async def test_orderly_restarts_in_a_row_do_not_begin_the_same_long_run_again_and_again(tmp_path: Path) -> None:
    target = make_target(hang, hang, interval="10h")
    await cut_off(tmp_path, target, is_killed=False)
    await cut_off(tmp_path, target, is_killed=False)

    assert await runs_after_restart(tmp_path, Platform(), interval="10h") == []
    assert all(120 - 30 < seconds < 120 + 60 for seconds in seconds_until_runs(tmp_path, target))


async def test_a_run_that_was_killed_is_explained_on_the_page(tmp_path: Path) -> None:
    target = make_target(hang, hang, interval="1h")
    await cut_off(tmp_path, target, is_killed=True)

    with closing(Storage(tmp_path)) as storage:
        exporter = Exporter(Config((target,)), storage=storage)
        page = StatusPage("/metrics").render(status(observe(exporter, time.time())))
    assert "The exporter ended before the first run did." in page
    assert "find out what ends the exporter" in page


async def test_values_that_grew_too_old_meanwhile_are_not_exposed_but_the_time_of_the_last_success_is(
    tmp_path: Path,
) -> None:
    keys = {"interval": "1h", "max_age": "2h"}
    await first_process(tmp_path, Platform().target(**keys), age_seconds=3 * HOUR_SECONDS)

    with closing(Storage(tmp_path)) as storage:
        exporter = Exporter(Config((Platform().target(**keys),)), storage=storage)
        assert series(exporter, "fake_people") == {}
        assert len(series(exporter, "engagement_collector_last_success_timestamp_seconds")) == 2


async def test_a_pause_that_is_still_open_holds(tmp_path: Path) -> None:
    """The run that met it was two hours ago, so both collectors are due, but the platform must not be asked."""
    limiting = Platform(RateLimitedError("GET /things answered 429"), pause_seconds=5 * HOUR_SECONDS)
    until_seconds = time.time() + 3 * HOUR_SECONDS
    async with process(tmp_path, limiting.target(interval="1h"), age_seconds=2 * HOUR_SECONDS) as exporter:
        await until_ran(exporter, PEOPLE_KEY)

    platform = Platform()
    async with process(tmp_path, platform.target(interval="1h")) as exporter:

        async def are_skipped() -> bool:
            return all(entry.skipped["paused"] for entry in exporter.snapshot)

        await until(are_skipped)
        [paused_until] = series(exporter, "engagement_api_paused_until_timestamp_seconds").values()
        assert abs(paused_until - until_seconds) < 60
        next_run_at = exporter.next_run_at(PEOPLE_KEY)
        assert next_run_at is not None
        assert next_run_at.timestamp() >= paused_until - 1
    assert platform.runs == []


async def test_the_pause_of_an_endpoint_outlives_a_restart_as_what_it_is(tmp_path: Path) -> None:
    async def refused(client: Client, settings: Any, now: datetime) -> list[Sample]:
        client.pace.pause(HOUR_SECONDS, "/people")
        raise RateLimitedError("GET /people answered 429")

    platform = Platform()
    async with process(tmp_path, make_target(refused, platform.places, limit=PER_ENDPOINT)) as exporter:
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)

    async with process(tmp_path, platform.target(limit=PER_ENDPOINT)) as exporter:
        assert exporter.pauses("site").keys() == {"/people"}
        assert exporter.pauses("site")["/people"] > time.time() + HOUR_SECONDS / 2


async def test_a_window_that_ended_meanwhile_is_not_shown_and_its_collector_is_due(tmp_path: Path) -> None:
    """Stored with their ends: of a day that is over, and of a month that is not."""
    now = time.time()

    async def windows(client: Client, settings: Any, _now: datetime) -> list[Sample]:
        return [PLACES.sample(1, now - 60, place="day"), PLACES.sample(2, now + HOUR_SECONDS, place="month")]

    target = make_target(Platform().people, windows, interval="1h")
    await first_process(tmp_path, target, age_seconds=600)

    with closing(Storage(tmp_path)) as storage:
        exporter = Exporter(Config((target,)), storage=storage)
        assert series(exporter, "fake_places") == {("month", "site"): 2}
        in_seconds = {key: exporter.next_run_at(key) - datetime.now(UTC) for key in (PEOPLE_KEY, PLACES_KEY)}
        assert in_seconds[PLACES_KEY] < timedelta(minutes=1)
        assert in_seconds[PEOPLE_KEY] > timedelta(minutes=19)


async def test_a_window_that_ends_after_a_restart_still_ends(tmp_path: Path) -> None:
    end = time.time() + 1800

    async def day(client: Client, settings: Any, now: datetime) -> list[Sample]:
        return [PLACES.sample(1, end, place="day")]

    target = make_target(Platform().people, day, interval="1h")
    await first_process(tmp_path, target)

    moment = end - 0.001
    with closing(Storage(tmp_path)) as storage:
        exporter = Exporter(Config((target,)), lambda: moment, storage)
        assert series(exporter, "fake_places") == {("day", "site"): 1}
        moment = end
        assert series(exporter, "fake_places") == {}
