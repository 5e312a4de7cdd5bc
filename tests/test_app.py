"""A running exporter over fake platforms: what it shows, when it is ready and healthy, and what harms whom."""

import asyncio
import gzip
import re
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

import pytest
import structlog.testing
from prometheus_client.parser import text_string_to_metric_families

from exporter import exposition, schedule
from exporter.api.client import Client
from exporter.app import HEARTBEAT_LOST_SECONDS, READY_WITHOUT_FIRST_RUNS_SECONDS, Exporter
from exporter.collection import Result
from exporter.config import Config
from exporter.errors import RateLimitedError, State, UnauthorizedError
from exporter.exposition import LARGE_SAMPLES, Exposition, Format, Rendered
from exporter.metrics import Sample
from exporter.platform import Collect
from exporter.run_log import RunLog
from exporter.snapshot import Entry, Key
from tests.command import PATIENCE_SECONDS
from tests.fakes import PEOPLE, PER_ENDPOINT, PLACES, Clock, make_target, record, running

PEOPLE_KEY, PLACES_KEY = Key("site", "people"), Key("site", "places")
SHORT = timedelta(milliseconds=20)


async def people(client: Client, settings: Any, now: datetime) -> list[Sample]:
    return [PEOPLE.sample(7)]


async def places(client: Client, settings: Any, now: datetime) -> list[Sample]:
    return [PLACES.sample(3, place="x")]


async def refused(client: Client, settings: Any, now: datetime) -> list[Sample]:
    raise UnauthorizedError("GET /things answered 401")


async def hang(client: Client, settings: Any, now: datetime) -> list[Sample]:
    await asyncio.Event().wait()
    raise AssertionError


def in_turn(*answers: Sample | Exception) -> Collect[Any]:
    """Collect one answer after the other, the last for ever."""
    left = list(answers)

    async def collect(client: Client, settings: Any, now: datetime) -> list[Sample]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    return collect


def pausing(seconds: float, error: Exception | None = None) -> Collect[Any]:
    """Meet a platform that asks for a pause, with or without giving its numbers first."""

    async def collect(client: Client, settings: Any, now: datetime) -> list[Sample]:
        client.pace.pause(seconds)
        if error:
            raise error
        return [PEOPLE.sample(7)]

    return collect


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop turn until the condition holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event to wait on
            await asyncio.sleep(0)


def states(exporter: Exporter) -> dict[Key, State]:
    return {entry.key: entry.state for entry in exporter.snapshot}


def all_ran(exporter: Exporter) -> bool:
    return State.PENDING not in states(exporter).values()


def series(exporter: Exporter, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a family's series on the page, by label values in order of label names."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(b"".join(exporter.page(Format.TEXT)).decode())
        for sample in family.samples
        if sample.name == name
    }


def runs(logs: list[MutableMapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(log) for log in logs if log["event"] == "run"]


def seconds_until_run(exporter: Exporter, key: Key) -> float:
    next_run_at = exporter.next_run_at(key)
    assert next_run_at is not None
    return (next_run_at - datetime.now(UTC)).total_seconds()


async def test_a_started_exporter_has_its_values_on_the_page_at_once() -> None:
    async with running(make_target(people, places), make_target(people, places, name="other")) as exporter:
        await until(lambda: all_ran(exporter))

        assert series(exporter, "fake_people") == {("site",): 7, ("other",): 7}
        assert series(exporter, "fake_places") == {("x", "site"): 3, ("x", "other"): 3}
        assert series(exporter, "engagement_up") == {("fake", "site"): 1, ("fake", "other"): 1}
        assert exporter.page(Format.OPENMETRICS)[-1].endswith(b"# EOF\n")


async def test_it_is_ready_once_every_collector_ended_a_first_run_good_or_bad() -> None:
    release = asyncio.Event()

    async def waiting(client: Client, settings: Any, now: datetime) -> list[Sample]:
        await release.wait()
        return []

    async with running(make_target(refused, waiting)) as exporter:
        assert not exporter.is_ready()
        await until(lambda: states(exporter)[PEOPLE_KEY] is State.UNAUTHORIZED)
        assert not exporter.is_ready()
        release.set()
        await until(lambda: all_ran(exporter))
        assert exporter.is_ready()


async def test_it_is_ready_after_half_a_minute_whatever_the_platforms_do() -> None:
    clock = Clock()
    async with running(make_target(hang, hang), clock=clock) as exporter:
        clock.seconds += READY_WITHOUT_FIRST_RUNS_SECONDS - 1
        assert not exporter.is_ready()
        clock.seconds += 1
        assert exporter.is_ready()


async def test_its_health_is_its_heartbeat_and_not_its_platforms() -> None:
    clock = Clock()
    async with running(make_target(refused, hang), clock=clock) as exporter:
        await until(lambda: states(exporter)[PEOPLE_KEY] is State.UNAUTHORIZED)
        assert exporter.is_healthy()
        assert series(exporter, "engagement_scheduler_heartbeat_timestamp_seconds") == {(): clock.now()}
        clock.seconds += HEARTBEAT_LOST_SECONDS
        assert not exporter.is_healthy()


async def test_the_heart_keeps_beating_beside_runs_that_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "HEARTBEAT_SECONDS", 0.01)
    clock = Clock()
    async with running(make_target(hang, hang), clock=clock) as exporter:
        clock.seconds += HEARTBEAT_LOST_SECONDS
        assert not exporter.is_healthy()
        await until(exporter.is_healthy)


async def test_values_too_old_are_dropped_by_the_heartbeat_and_the_drop_is_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedule, "HEARTBEAT_SECONDS", 0.01)
    clock = Clock()
    with structlog.testing.capture_logs() as logs:
        async with running(make_target(people, hang, max_age="1h"), clock=clock) as exporter:
            await until(lambda: series(exporter, "fake_people"))
            clock.seconds += 3605
            await until(lambda: not series(exporter, "fake_people"))
            assert series(exporter, "engagement_collector_last_success_timestamp_seconds")

    assert [log["collector"] for log in logs if log["event"] == "values dropped for age"] == ["people"]


async def test_every_run_is_one_line_in_the_log() -> None:
    with structlog.testing.capture_logs() as logs:
        async with running(make_target(people, refused)) as exporter:
            await until(lambda: all_ran(exporter))

    good, bad = sorted(runs(logs), key=lambda log: str(log["collector"]))
    assert good["run"] != bad["run"]
    for log in (good, bad):
        assert 0 <= log.pop("duration_seconds") < 5
        assert re.fullmatch("[0-9a-f]{8}", log.pop("run"))
    assert good == {
        "event": "run",
        "log_level": "info",
        "target": "site",
        "collector": "people",
        "state": "ok",
        "pages": 0,
        "samples": 1,
    }
    assert bad == {
        "event": "run",
        "log_level": "warning",
        "target": "site",
        "collector": "places",
        "state": "unauthorized",
        "pages": 0,
        "error": "GET /things answered 401",
        "remedy": UnauthorizedError.remedy,
    }


async def test_a_collector_that_keeps_failing_is_not_logged_each_time_but_its_recovery_tells_how_often_it_did() -> None:
    collect = in_turn(*[UnauthorizedError("GET /things answered 401")] * 4, PEOPLE.sample(7))
    with structlog.testing.capture_logs() as logs:
        async with running(make_target(collect, hang, interval=SHORT)) as exporter:
            await until(lambda: states(exporter).get(PEOPLE_KEY) is State.OK)

    told = [log for log in runs(logs) if log["log_level"] != "debug"]
    assert [(log["state"], log.get("warnings")) for log in told[:2]] == [("unauthorized", None), ("ok", 4)]


async def test_a_target_that_refuses_us_leaves_the_others_alone() -> None:
    async with running(make_target(refused, refused), make_target(people, places, name="other")) as exporter:
        await until(lambda: all_ran(exporter))

        assert series(exporter, "engagement_up") == {("fake", "site"): 0, ("fake", "other"): 1}
        assert series(exporter, "fake_people") == {("other",): 7}


async def test_a_bug_in_a_collector_leaves_the_others_alone_and_runs_again() -> None:
    collect = in_turn(ZeroDivisionError(), PEOPLE.sample(8))
    with structlog.testing.capture_logs():
        async with running(make_target(collect, places, interval=SHORT)) as exporter:
            await until(lambda: states(exporter)[PEOPLE_KEY] is State.INTERNAL_ERROR)
            await until(lambda: states(exporter)[PLACES_KEY] is State.OK)
            await until(lambda: states(exporter)[PEOPLE_KEY] is State.OK)

            assert series(exporter, "fake_people") == {("site",): 8}


async def test_a_long_pause_of_the_platform_defers_the_run_that_met_it_and_is_shown() -> None:
    clock = Clock()
    target = make_target(pausing(120, RateLimitedError("GET /things answered 429")), hang)
    async with running(target, clock=clock) as exporter:
        await until(lambda: states(exporter)[PEOPLE_KEY] is State.RATE_LIMITED)

        assert 119 < seconds_until_run(exporter, PEOPLE_KEY) < 130
        paused_until = "engagement_api_paused_until_timestamp_seconds"
        assert series(exporter, paused_until) == {("", "fake", "site"): clock.now() + 120}
        assert exporter.pauses("site") == {"": clock.now() + 120}
        clock.seconds += 121
        assert series(exporter, paused_until) == {("", "fake", "site"): 0}


async def test_a_run_that_falls_into_a_pause_is_not_started_but_counted_and_deferred() -> None:
    """The pause is the target's: it also holds up the other collector, whose first run is due a moment later."""
    started = 0

    async def counted(client: Client, settings: Any, now: datetime) -> list[Sample]:
        nonlocal started
        started += 1
        client.pace.pause(120)
        return []

    with structlog.testing.capture_logs() as logs:
        async with running(make_target(counted, hang, collectors={"people": {"interval": SHORT}})) as exporter:
            await until(lambda: exporter.snapshot[PEOPLE_KEY].skipped["paused"])
            assert 119 < seconds_until_run(exporter, PEOPLE_KEY) < 130

    assert started == 1
    skipped = {(log["collector"], log["reason"]) for log in logs if log["event"] == "run skipped"}
    assert skipped == {("people", "paused"), ("places", "paused")}


async def test_the_pause_of_an_endpoint_defers_only_collectors_that_ask_it() -> None:
    async def refused(client: Client, settings: Any, now: datetime) -> list[Sample]:
        client.pace.pause(120, "/people")
        raise RateLimitedError("GET /people answered 429")

    clock = Clock()
    target = make_target(refused, places, limit=PER_ENDPOINT, collectors={"places": {"interval": SHORT}})
    async with running(target, clock=clock) as exporter:
        await until(lambda: states(exporter)[PEOPLE_KEY] is State.RATE_LIMITED)
        runs = exporter.snapshot[PLACES_KEY].runs
        await until(lambda: exporter.snapshot[PLACES_KEY].runs > runs + 1)

        assert 119 < seconds_until_run(exporter, PEOPLE_KEY) < 130
        assert not exporter.snapshot[PLACES_KEY].skipped["paused"]
        assert series(exporter, "engagement_api_paused_until_timestamp_seconds") == {
            ("", "fake", "site"): 0,
            ("/people", "fake", "site"): clock.now() + 120,
            ("/places", "fake", "site"): 0,
        }


async def test_a_complete_run_that_used_up_the_window_is_not_repeated_before_its_time() -> None:
    """Its numbers are fresh; to ask again as soon as the window opens would use up the next one too."""
    async with running(make_target(pausing(60), hang, interval="1h")) as exporter:
        await until(lambda: states(exporter)[PEOPLE_KEY] is State.OK)

        assert seconds_until_run(exporter, PEOPLE_KEY) > 1700


async def test_a_short_pause_does_not_bring_the_next_run_forward() -> None:
    async with running(make_target(pausing(1, RateLimitedError("x")), hang, interval="1h")) as exporter:
        await until(lambda: states(exporter)[PEOPLE_KEY] is State.RATE_LIMITED)

        assert seconds_until_run(exporter, PEOPLE_KEY) > 1700


async def test_a_run_that_is_due_while_it_still_goes_is_counted_as_overlap() -> None:
    with structlog.testing.capture_logs():
        async with running(make_target(hang, places, interval=SHORT)) as exporter:
            await until(lambda: exporter.snapshot[PEOPLE_KEY].skipped["overlap"] >= 2)

            skipped = series(exporter, "engagement_collector_skipped_runs_total")
            assert skipped["people", "fake", "overlap", "site"] >= 2
            assert skipped["places", "fake", "overlap", "site"] == 0


async def test_a_collector_that_is_off_neither_runs_nor_shows() -> None:
    async with running(make_target(people, hang, collectors={"places": False})) as exporter:
        await until(lambda: all_ran(exporter))

        assert list(states(exporter)) == [PEOPLE_KEY]
        assert exporter.next_run_at(PLACES_KEY) is None
        assert series(exporter, "engagement_up") == {("fake", "site"): 1}


async def test_stopping_cancels_the_runs_under_way_and_keeps_the_page() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hangs(client: Client, settings: Any, now: datetime) -> list[Sample]:
        started.set()
        try:
            return await hang(client, settings, now)
        finally:
            cancelled.set()

    async with running(make_target(people, hangs)) as exporter:
        await asyncio.wait_for(started.wait(), PATIENCE_SECONDS)
    await asyncio.wait_for(cancelled.wait(), PATIENCE_SECONDS)

    assert series(exporter, "fake_people") == {("site",): 7}
    assert states(exporter)[PLACES_KEY] is State.PENDING


async def test_what_happens_while_a_large_result_is_rendered_is_not_lost() -> None:
    """Rendering takes place in a thread; skipped runs and the age limit go on meanwhile."""
    clock = Clock()
    samples = tuple(PLACES.sample(number, place=str(number)) for number in range(LARGE_SAMPLES))
    exporter = Exporter(Config((make_target(hang, hang, max_age="3h"),)), clock.now)

    publishing = asyncio.create_task(record(exporter, PLACES_KEY, Result(State.OK, clock.now(), 1.0, samples)))
    await asyncio.sleep(0)
    exporter.snapshot.skip(PLACES_KEY, "overlap")
    await publishing
    assert len(series(exporter, "fake_places")) == LARGE_SAMPLES
    assert series(exporter, "engagement_collector_skipped_runs_total")["places", "fake", "overlap", "site"] == 1

    publishing = asyncio.create_task(record(exporter, PLACES_KEY, Result(State.OK, clock.now(), 1.0, samples)))
    await asyncio.sleep(0)
    clock.seconds += 11_000
    await publishing
    assert series(exporter, "fake_places") == {}


async def test_the_page_gives_room_to_the_collectors_in_their_order_whichever_ended_its_run_last() -> None:
    clock = Clock()
    exporter = Exporter(Config((make_target(hang, hang, max_series=LARGE_SAMPLES),)), clock.now)
    large = tuple(PLACES.sample(number, place=str(number)) for number in range(LARGE_SAMPLES))
    await record(exporter, PLACES_KEY, Result(State.OK, clock.now(), 1.0, large))
    assert len(series(exporter, "fake_places")) == LARGE_SAMPLES

    await record(exporter, PEOPLE_KEY, Result(State.OK, clock.now(), 1.0, (PEOPLE.sample(7),)))
    assert (series(exporter, "fake_people"), series(exporter, "fake_places")) == ({("site",): 7}, {})
    dropped = series(exporter, "engagement_series_dropped")
    assert dropped == {("people", "fake", "site"): 0, ("places", "fake", "site"): LARGE_SAMPLES}

    await record(exporter, PEOPLE_KEY, Result(State.OK, clock.now(), 1.0))
    assert len(series(exporter, "fake_places")) == LARGE_SAMPLES


def until_midnight(*samples: tuple[str, float], end: float) -> Result:
    """What a run gave ten minutes before the end: places with their ends."""
    return Result(State.OK, end - 600, 1.0, tuple(PLACES.sample(3, ends_at, place=name) for name, ends_at in samples))


async def test_a_sample_leaves_the_page_at_the_very_moment_at_which_it_ends() -> None:
    """Whether a run succeeds then or not: the day that it spoke of is not yesterday any more."""
    clock = Clock()
    end = clock.now() + 600
    exporter = Exporter(Config((make_target(hang, hang),)), clock.now)
    await record(exporter, PLACES_KEY, until_midnight(("day", end), ("month", end + 1e6), ("always", inf), end=end))
    clock.seconds = end - 0.001
    assert {place for place, _ in series(exporter, "fake_places")} == {"day", "month", "always"}

    clock.seconds = end
    zipped = gzip.decompress(b"".join(await exporter.gzip_page(Format.TEXT))).decode()
    assert 'place="day"' not in zipped
    assert {place for place, _ in series(exporter, "fake_places")} == {"month", "always"}
    await record(exporter, PLACES_KEY, Result(State.UNREACHABLE, end, 1.0))
    assert {place for place, _ in series(exporter, "fake_places")} == {"month", "always"}
    assert series(exporter, "engagement_collector_samples")["places", "fake", "site"] == 2


async def test_a_run_that_went_on_past_the_end_of_a_window_never_shows_it() -> None:
    clock = Clock()
    exporter = Exporter(Config((make_target(hang, hang),)), clock.now)
    await record(exporter, PLACES_KEY, until_midnight(("day", clock.now() - 1), ("always", inf), end=clock.now()))

    assert set(series(exporter, "fake_places")) == {("always", "site")}


def ending(at: Callable[[], float], *, runs: list[float], clock: Clock, takes_seconds: float = 0.0) -> Collect[Any]:
    """Give a sample that ends then; `runs` takes down when they began."""

    async def collect(client: Client, settings: Any, now: datetime) -> list[Sample]:
        runs.append(clock.now())
        ends_at = at()
        clock.seconds += takes_seconds
        return [PEOPLE.sample(7, ends_at)]

    return collect


async def test_a_collector_is_due_within_a_minute_after_the_end_of_its_first_window() -> None:
    clock, runs = Clock(), list[float]()
    collect = ending(lambda: clock.now() + 120, runs=runs, clock=clock)
    async with running(make_target(collect, hang, interval="1h"), clock=clock) as exporter:
        await until(lambda: states(exporter)[PEOPLE_KEY] is State.OK)
        await until(lambda: seconds_until_run(exporter, PEOPLE_KEY) < 1700)

        assert 119 < seconds_until_run(exporter, PEOPLE_KEY) < 181


async def test_a_collector_whose_run_comes_before_the_end_of_its_windows_waits_for_its_phase() -> None:
    clock, runs = Clock(), list[float]()
    collect = ending(lambda: clock.now() + 7200, runs=runs, clock=clock)
    async with running(make_target(collect, hang, interval="1h"), clock=clock) as exporter:
        await until(lambda: states(exporter)[PEOPLE_KEY] is State.OK)

        assert 1700 < seconds_until_run(exporter, PEOPLE_KEY) < 5400


async def test_a_run_that_began_before_the_end_is_followed_by_one_that_tells_the_new_window() -> None:
    """Its samples ended while it ran; without another run there would be none for a whole interval."""
    clock, runs = Clock(), list[float]()
    collect = ending(lambda: clock.now() + 5, runs=runs, clock=clock, takes_seconds=10)
    async with running(make_target(collect, hang, interval="1h"), clock=clock) as exporter:
        await until(lambda: states(exporter)[PEOPLE_KEY] is State.OK)
        await until(lambda: seconds_until_run(exporter, PEOPLE_KEY) < 1700)

        assert series(exporter, "fake_people") == {}
        assert seconds_until_run(exporter, PEOPLE_KEY) < 61


async def test_a_platform_that_is_down_at_the_end_of_a_window_is_asked_again_after_an_interval_and_not_before() -> None:
    clock = Clock()
    exporter = Exporter(Config((make_target(hang, hang),)), clock.now)
    await record(exporter, PEOPLE_KEY, Result(State.OK, clock.now(), 0.0, (PEOPLE.sample(7, clock.now() + 60),)))
    assert exporter.snapshot[PEOPLE_KEY].waits_for_border

    clock.seconds += 70
    exporter.snapshot.begin(PEOPLE_KEY, clock.now())
    await record(exporter, PEOPLE_KEY, Result(State.UNREACHABLE, clock.now(), 1.0))
    assert not exporter.snapshot[PEOPLE_KEY].waits_for_border


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let what happens after a run fail: `rendering`, `saving` or `logging`."""

    class BugError(Exception):
        pass

    def fail(*_: Any) -> Any:
        raise BugError("@".join(("somebody", "example.test")))

    def set_up(what: str) -> None:
        if what == "rendering":
            monkeypatch.setattr(exposition, "rendered", fail)
        elif what == "saving":
            monkeypatch.setattr(Exporter, "_save", fail)
        else:
            monkeypatch.setattr(RunLog, "ended", fail)

    return set_up


@pytest.mark.parametrize("what", ["rendering", "saving", "logging"])
async def test_a_failure_after_a_run_is_logged_and_is_its_collectors(
    what: str, failing: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page and snapshot say the same of it at every moment, and what it left goes on to be served."""
    collect = in_turn(PEOPLE.sample(7), PEOPLE.sample(8))
    with structlog.testing.capture_logs() as logs:
        async with running(make_target(collect, hang, collectors={"people": {"interval": SHORT}})) as exporter:
            await until(lambda: series(exporter, "fake_people") == {("site",): 7})
            failing(what)
            await until(lambda: states(exporter)[PEOPLE_KEY] is State.INTERNAL_ERROR)

            def shown() -> bool:
                published = exporter.snapshot[PEOPLE_KEY].published
                assert published
                [sample] = published.exposed[PEOPLE]
                return series(exporter, "fake_people") == {("site",): sample.value}

            assert shown()
            state = series(exporter, "engagement_collector_state")
            assert state["people", "fake", "internal_error", "site"] == 1
            last = exporter.snapshot[PEOPLE_KEY].last
            assert last
            assert last.error == "a bug in the exporter (BugError); the log has the traceback"
            if what == "rendering":
                assert series(exporter, "fake_people") == {("site",): 7}
            monkeypatch.undo()
            await until(lambda: states(exporter)[PEOPLE_KEY] is State.OK)
            assert shown()
            assert series(exporter, "fake_people") == {("site",): 8}

    told = [log for log in logs if log.get("traceback") or log.get("exc_info")]
    assert told
    assert all("somebody@example.test" not in str(log.get("traceback")) for log in told)


async def test_a_failure_of_the_heartbeat_is_logged_and_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "HEARTBEAT_SECONDS", 0.01)
    beats = 0

    def fail(exporter: Exporter) -> None:
        nonlocal beats
        beats += 1
        raise ZeroDivisionError

    with structlog.testing.capture_logs() as logs:
        async with running(make_target(hang, hang)):
            monkeypatch.setattr(Exporter, "_expire", fail)
            await until(lambda: beats > 2)

    failures = [log for log in logs if log["event"] == "unexpected error"]
    assert failures
    assert {log["what"] for log in failures} == {"heartbeat"}


async def test_snapshot_and_page_change_at_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a result is rendered, both say what was there before."""
    clock = Clock()
    exporter = Exporter(Config((make_target(hang, hang),)), clock.now)
    first, second = (Result(State.OK, clock.now(), 1.0, (PEOPLE.sample(number),)) for number in (7, 8))
    await record(exporter, PEOPLE_KEY, first)
    rendering, go_on = asyncio.Event(), asyncio.Event()
    render = Exposition.render

    async def slow(self: Exposition, entry: Entry) -> Rendered:
        rendering.set()
        await go_on.wait()
        return await render(self, entry)

    monkeypatch.setattr(Exposition, "render", slow)
    before = exporter.snapshot[PEOPLE_KEY]
    recording = asyncio.create_task(record(exporter, PEOPLE_KEY, second))
    await rendering.wait()
    assert exporter.snapshot[PEOPLE_KEY] is before
    assert series(exporter, "fake_people") == {("site",): 7}
    go_on.set()
    await recording
    assert exporter.snapshot[PEOPLE_KEY].runs == before.runs + 1
    assert series(exporter, "fake_people") == {("site",): 8}
