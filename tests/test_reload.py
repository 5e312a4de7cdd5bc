"""A reload: all or nothing, and undisturbed what does not change."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from prometheus_client.parser import text_string_to_metric_families

from exporter import jobs
from exporter.api.client import Client
from exporter.app import Exporter
from exporter.collection import Result
from exporter.config import Config, Target
from exporter.difference import Difference, difference
from exporter.errors import ConfigError, Problem, RateLimitedError, State
from exporter.exposition import Exposition, Format, Rendered
from exporter.jobs import Job
from exporter.metrics import Sample
from exporter.snapshot import Entry, Key
from exporter.storage import Storage
from tests.command import PATIENCE_SECONDS, until
from tests.fakes import PEOPLE, PER_ENDPOINT, PLACES, make_target

PEOPLE_KEY, PLACES_KEY = Key("site", "people"), Key("site", "places")
SUCCESS = "engagement_collector_last_success_timestamp_seconds"


class Platform:
    """Counts its runs; those after the first `free_runs` wait until `release` is set. Asks for a pause if told to."""

    def __init__(self, free_runs: int = 1_000, pause_seconds: float = 0.0) -> None:
        self.runs: list[str] = []
        self.clients: list[Client] = []
        self.cancelled = 0
        self.release = asyncio.Event()
        self._free_runs = free_runs
        self._pause_seconds = pause_seconds

    async def people(self, client: Client, settings: Any, now: datetime) -> list[Sample]:
        await self._run(client, "people")
        return [PEOPLE.sample(len(self.runs))]

    async def places(self, client: Client, settings: Any, now: datetime) -> list[Sample]:
        await self._run(client, "places")
        return [PLACES.sample(3, place="0")]

    async def _run(self, client: Client, name: str) -> None:
        self.runs.append(name)
        self.clients.append(client)
        if self._pause_seconds:
            client.pace.pause(self._pause_seconds)
            raise RateLimitedError("GET /things answered 429")
        if len(self.runs) > self._free_runs:
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise

    def target(self, name: str = "site", **keys: Any) -> Target:
        return make_target(self.people, self.places, name=name, **keys)


class File:
    """The configuration file: what a reload finds in it."""

    def __init__(self, *targets: Target) -> None:
        self.content: Config | Exception = Config(targets)

    def write(self, *targets: Target) -> None:
        self.content = Config(targets)

    def load(self) -> Config:
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


@asynccontextmanager
async def running(file: File, storage: Storage | None = None) -> AsyncIterator[Exporter]:
    exporter = Exporter(file.load(), time.time, storage, file.load)
    exporter.start()
    try:
        yield exporter
    finally:
        exporter.stop()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)


async def until_ran(exporter: Exporter, *keys: Key, runs: int = 1) -> None:
    async def have_run() -> bool:
        return all(exporter.snapshot[key].runs >= runs for key in keys)

    await until(have_run)


def series(exporter: Exporter, name: str, **labels: str) -> dict[tuple[str, ...], float]:
    """Return the values of a series with these labels, by all label values in order of their names."""
    page = b"".join(exporter.page(Format.TEXT)).decode()
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return {
        tuple(sample.labels.values()): sample.value
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    }


def lines(exporter: Exporter, target: str) -> list[bytes]:
    """Return the page's lines about a target."""
    page = b"".join(exporter.page(Format.TEXT))
    return sorted(line for line in page.splitlines() if f'target="{target}"'.encode() in line)


async def test_what_does_not_change_keeps_values_schedule_client_and_the_run_under_way() -> None:
    platform = Platform(free_runs=1)
    file = File(platform.target())
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY)
        before, next_run_at = lines(exporter, "site"), exporter.next_run_at(PEOPLE_KEY)
        file.write(platform.target(), Platform().target("other"))

        changes = await exporter.reload()

        assert changes == Difference(added=("other",), changed={}, removed=(), unchanged=("site",))
        assert lines(exporter, "site") == before
        assert exporter.next_run_at(PEOPLE_KEY) == next_run_at
        platform.release.set()
        await until_ran(exporter, PLACES_KEY, Key("other", "people"), Key("other", "places"))
        assert platform.runs == ["people", "places"]
        assert platform.cancelled == 0
        assert series(exporter, "engagement_up") == {("fake", "other"): 1, ("fake", "site"): 1}


async def test_a_removed_target_leaves_the_page_and_its_run_under_way_ends() -> None:
    platform, other = Platform(free_runs=1), Platform()
    file = File(platform.target(), other.target("other"))
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY, Key("other", "people"))
        file.write(other.target("other"))

        changes = await exporter.reload()

        assert changes.removed == ("site",)
        assert lines(exporter, "site") == []
        assert platform.cancelled == 1
        assert exporter.next_run_at(PEOPLE_KEY) is None
        assert series(exporter, "engagement_up") == {("fake", "other"): 1}


async def test_another_interval_keeps_the_values_and_the_client_and_runs_when_it_is_due() -> None:
    platform = Platform()
    file = File(platform.target(interval="1h"))
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)
        file.write(platform.target(interval="1h", collectors={"people": {"interval": "5h"}}))

        changes = await exporter.reload()

        assert changes.changed == {"site": ("collectors.people",)}
        assert series(exporter, "fake_people") == {("site",): 1}
        assert series(exporter, "engagement_collector_interval_seconds") == {
            ("people", "fake", "site"): 18_000,
            ("places", "fake", "site"): 3_600,
        }
        next_run_at = exporter.next_run_at(PEOPLE_KEY)
        assert next_run_at is not None
        assert next_run_at - datetime.now(UTC) > timedelta(hours=2)
        assert platform.runs == ["people", "places"]


async def test_more_room_shows_at_once_what_had_none() -> None:
    platform = Platform()
    file = File(platform.target(interval="1h", max_series=1))
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)
        assert (len(series(exporter, "fake_people")), len(series(exporter, "fake_places"))) == (1, 0)
        asked = len(platform.runs)
        file.write(platform.target(interval="1h", max_series=2))
        await exporter.reload()

        assert (len(series(exporter, "fake_people")), len(series(exporter, "fake_places"))) == (1, 1)
        assert len(platform.runs) == asked


async def test_another_credential_or_pace_keeps_the_values_and_runs_at_once_with_a_new_client() -> None:
    platform = Platform(free_runs=2)
    file = File(platform.target(interval="1h"))
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)
        file.write(platform.target(interval="1h", concurrency=3))

        await exporter.reload()

        assert series(exporter, "fake_people") == {("site",): 1}
        platform.release.set()
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY, runs=2)
        assert len(set(map(id, platform.clients))) == 2
        assert sum(series(exporter, "engagement_collector_skipped_runs_total").values()) == 0


async def test_a_run_of_a_replaced_client_does_not_make_the_next_one_overlap() -> None:
    platform = Platform(free_runs=0)
    file = File(platform.target(interval="1h"))
    async with running(file) as exporter:

        async def both_run() -> bool:
            return len(platform.runs) == 2

        await until(both_run)
        file.write(platform.target(interval="1h", concurrency=3))
        await exporter.reload()
        platform.release.set()
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)

        assert platform.cancelled == 2
        assert sum(series(exporter, "engagement_collector_skipped_runs_total").values()) == 0


async def test_values_of_another_site_never_stay_under_the_old_name() -> None:
    platform = Platform(free_runs=2)
    file = File(platform.target())
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)
        elsewhere = platform.target()
        file.write(Target(elsewhere.settings.model_copy(update={"url": "https://elsewhere.test"}), elsewhere.platform))

        await exporter.reload()

        assert series(exporter, "fake_people") == {}
        assert series(exporter, SUCCESS) == {}
        assert series(exporter, "engagement_collector_state", state="pending", collector="people") == {
            ("people", "fake", "pending", "site"): 1
        }


async def test_a_pause_that_the_platform_asked_for_outlives_the_client() -> None:
    platform = Platform(pause_seconds=120)
    file = File(platform.target())
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY)
        [paused_until] = series(exporter, "engagement_api_paused_until_timestamp_seconds").values()
        asked = len(platform.runs)
        file.write(platform.target(concurrency=3))

        with structlog.testing.capture_logs() as logs:
            await exporter.reload()

            async def are_skipped() -> bool:
                return sum(log["event"] == "run skipped" for log in logs) >= 2

            await until(are_skipped)

        [paused_until_now] = series(exporter, "engagement_api_paused_until_timestamp_seconds").values()
        assert paused_until_now == pytest.approx(paused_until, abs=1)
        assert len(platform.runs) == asked


async def test_a_result_that_is_being_published_is_published_whole_before_its_client_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendering, waiting, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    render, until_ended = Exposition.render, Exporter._until_ended

    async def until_ended_told(exporter: Exporter, jobs: Collection[Job]) -> None:
        waiting.set()
        await until_ended(exporter, jobs)

    async def slow_render(exposition: Exposition, entry: Entry) -> Rendered:
        if entry.key == PLACES_KEY and entry.published:
            rendering.set()
            await go_on.wait()
        return await render(exposition, entry)

    monkeypatch.setattr(Exposition, "render", slow_render)
    monkeypatch.setattr(Exporter, "_until_ended", until_ended_told)
    platform = Platform(free_runs=2)
    file = File(platform.target(interval="1h"))
    async with running(file) as exporter:
        await asyncio.wait_for(rendering.wait(), PATIENCE_SECONDS)
        file.write(platform.target(interval="1h", concurrency=3))
        reloading = asyncio.create_task(exporter.reload())
        await asyncio.wait_for(waiting.wait(), PATIENCE_SECONDS)
        go_on.set()
        await reloading

        assert series(exporter, "fake_places") == {("0", "site"): 3}


async def test_the_trouble_of_a_target_that_left_is_not_held_against_one_of_the_same_name() -> None:
    file = File(Platform(pause_seconds=1).target(interval="1h"))
    with structlog.testing.capture_logs() as logs:
        async with running(file) as exporter:
            await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)
            file.write(Platform().target("other"))
            await exporter.reload()
            file.write(Platform().target(interval="1h"))
            await exporter.reload()
            await until_ran(exporter, PEOPLE_KEY)

    [well] = [
        log
        for log in logs
        if log["event"] == "run" and log["state"] == "ok" and log["collector"] == "people" and log["target"] == "site"
    ]
    assert "warnings" not in well


async def test_a_wrong_file_changes_nothing_and_is_told() -> None:
    platform = Platform()
    file = File(platform.target())
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)
        before, next_run_at = lines(exporter, "site"), exporter.next_run_at(PEOPLE_KEY)
        [applied_at] = series(exporter, "engagement_config_last_reload_success_timestamp_seconds").values()
        file.content = ConfigError((Problem("config.yaml", 3, 5, "targets", "is wrong; make it right"),))

        with structlog.testing.capture_logs() as logs, pytest.raises(ConfigError):
            await exporter.reload()

        assert lines(exporter, "site") == before
        assert exporter.next_run_at(PEOPLE_KEY) == next_run_at
        assert series(exporter, "engagement_config_last_reload_successful") == {(): 0}
        assert series(exporter, "engagement_config_last_reload_success_timestamp_seconds") == {(): applied_at}
        [log] = logs
        assert log["event"] == "configuration not applied, the old one stays in force"
        assert log["error"].startswith("config.yaml:3:5: targets")

        file.write(platform.target())
        await exporter.reload()
        assert series(exporter, "engagement_config_last_reload_successful") == {(): 1}


async def test_a_dry_run_tells_and_touches_nothing() -> None:
    platform = Platform()
    file = File(platform.target())
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)
        config = exporter.config
        file.write(Platform().target("other"))

        assert await exporter.reload(dry_run=True) == Difference(("other",), {}, ("site",), ())
        file.content = ConfigError((Problem("config.yaml", 3, 5, "targets", "is wrong; make it right"),))
        with pytest.raises(ConfigError):
            await exporter.reload(dry_run=True)

        assert exporter.config is config
        assert series(exporter, "fake_people") == {("site",): 1}
        assert series(exporter, "engagement_config_last_reload_successful") == {(): 1}


async def test_a_target_that_comes_back_has_its_stored_values_at_once(tmp_path: Path) -> None:
    platform = Platform()
    file = File(platform.target(interval="1h"), Platform().target("other"))
    with closing(Storage(tmp_path)) as storage:
        async with running(file, storage) as exporter:
            await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)
            times = series(exporter, SUCCESS, target="site")
            file.write(Platform().target("other"))
            await exporter.reload()
            assert series(exporter, "fake_people", target="site") == {}
            file.write(platform.target(interval="1h"), Platform().target("other"))

            await exporter.reload()

            assert series(exporter, "fake_people", target="site") == {("site",): 1}
            assert series(exporter, SUCCESS, target="site") == times
            assert platform.runs == ["people", "places"]


async def test_of_many_reloads_at_the_same_time_one_waits_and_all_others_join_it() -> None:
    """Whoever asks after the file was written gets what it says then, and nobody's reload is one too many."""
    platform = Platform()
    file = File(platform.target())
    async with running(file) as exporter:
        loads, begun, go_on = 0, asyncio.Event(), threading.Event()
        load, loop = exporter._load_config, asyncio.get_running_loop()

        def slow() -> Config:
            nonlocal loads
            loads += 1
            config = load()
            loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(60)
            return config

        exporter._load_config = slow
        first = asyncio.create_task(exporter.reload())
        await begun.wait()
        file.write(platform.target(), Platform().target("other"))
        others = [asyncio.create_task(exporter.reload()) for _ in range(200)]
        for other in others[1:]:  # their clients have left
            other.cancel()
        go_on.set()
        assert (await first).added == ()
        changes = await others[0]

        assert loads == 2
        assert changes.added == ("other",)
        assert [target.settings.name for target in exporter.config.targets] == ["site", "other"]
        assert not exporter._next_reloads


async def test_a_dry_run_refuses_what_the_reload_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a TLS file that went away since the configuration was checked."""

    def no_clients(*_: object) -> dict[str, Client]:
        raise FileNotFoundError("ca.pem")

    file = File(Platform().target())
    async with running(file) as exporter:
        file.write(Platform().target(), Platform().target("other"))
        monkeypatch.setattr(jobs, "make_clients", no_clients)
        for dry_run in (True, False):
            with structlog.testing.capture_logs(), pytest.raises(FileNotFoundError):
                await exporter.reload(dry_run=dry_run)


async def test_a_reload_that_fails_at_last_leaves_pauses_gauges_schedule_and_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = Platform(pause_seconds=120)
    file = File(platform.target())
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY)
        pauses = series(exporter, "engagement_api_paused_until_timestamp_seconds")
        next_run_at = exporter.next_run_at(PEOPLE_KEY)
        file.write(platform.target(concurrency=3), Platform().target("other"))

        def fail(*_: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patched, structlog.testing.capture_logs():
            patched.setattr(Exposition, "prepare", fail)
            with pytest.raises(ZeroDivisionError):
                await exporter.reload()

        assert series(exporter, "engagement_api_paused_until_timestamp_seconds") == pytest.approx(pauses, abs=1)
        assert min(pauses.values()) > time.time()
        assert series(exporter, "engagement_api_retries_total") == {("fake", "site"): 0}
        assert lines(exporter, "other") == []
        assert exporter.next_run_at(PEOPLE_KEY) == next_run_at
        assert [entry.key.target for entry in exporter.snapshot] == ["site", "site"]


async def test_a_poll_that_is_due_when_its_parts_are_replaced_is_one_of_the_new_ones() -> None:
    """Its run was let start and has not begun; the new one runs at once, once, and does not overlap with it."""
    old, new = Platform(), Platform()
    file = File(old.target(interval="1h"))
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)
        elsewhere = new.target(interval="1h")
        settings = elsewhere.settings.model_copy(update={"url": "https://elsewhere.test"})
        file.write(Target(settings, elsewhere.platform))
        parts, changes = exporter._next_parts()
        for job_id in exporter.parts.jobs:
            exporter._schedule._scheduler.modify_job(job_id, next_run_time=datetime.now(UTC))
        exporter._schedule._scheduler._process_jobs()
        exporter._put_in_force(parts, changes, {}, {})
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)

        assert (len(old.runs), len(new.runs)) == (2, 2)
        assert sum(series(exporter, "engagement_collector_skipped_runs_total").values()) == 0


async def test_a_result_of_a_job_that_does_not_go_on_is_nobodys(tmp_path: Path) -> None:
    platform = Platform()
    file = File(platform.target(), Platform().target("other"))
    with closing(Storage(tmp_path)) as storage:
        async with running(file, storage) as exporter:
            ended, moved = exporter.parts.jobs["other/people"], exporter.parts.jobs["site/people"]
            target = platform.target()
            settings = target.settings.model_copy(update={"url": "https://elsewhere.test"})
            platform._free_runs = 0
            file.write(Target(settings, target.platform))
            await exporter.reload()
            for job in (ended, moved):
                await exporter.record(job, Result(State.OK, time.time(), 0.0, (PEOPLE.sample(99),)))

            assert series(exporter, "fake_people") == {}
            assert exporter.snapshot[PEOPLE_KEY].state is State.PENDING
        records = storage.load({job.source: (PEOPLE,) for job in exporter.parts.jobs.values()})
        assert not any(record.published for record in records.values())


async def test_the_pauses_of_a_target_are_told_for_the_endpoints_that_its_collectors_ask_now() -> None:
    platform = Platform()
    file = File(platform.target(limit=PER_ENDPOINT, collectors={"places": False}))
    async with running(file) as exporter:
        pauses = "engagement_api_paused_until_timestamp_seconds"
        assert series(exporter, pauses).keys() == {("", "fake", "site"), ("/people", "fake", "site")}
        file.write(platform.target(limit=PER_ENDPOINT, collectors={"people": False}))
        await exporter.reload()

        assert series(exporter, pauses).keys() == {("", "fake", "site"), ("/places", "fake", "site")}


async def test_a_reload_does_not_make_a_ready_exporter_unready() -> None:
    file = File(Platform().target())
    async with running(file) as exporter:
        await until_ran(exporter, PEOPLE_KEY, PLACES_KEY)
        assert exporter.is_ready()
        file.write(Platform().target(), Platform(free_runs=0).target("slow"))
        await exporter.reload()

        assert exporter.snapshot[Key("slow", "people")].state is State.PENDING
        assert exporter.is_ready()


def test_the_difference_names_keys_and_never_values() -> None:
    old, new = Platform().target(proxy="http://me:secret@proxy.test"), Platform().target(max_age="3d", interval="2h")

    changes = difference(Config((old,)), Config((new,)))

    assert changes.changed == {"site": ("interval", "max_age", "proxy")}
    assert "secret" not in repr(changes)


async def test_the_last_reload_is_remembered_with_what_was_wrong() -> None:
    file = File(Platform().target())
    async with running(file) as exporter:
        before = exporter.last_reload
        file.content = ConfigError((Problem("config.yaml", 3, 1, "targets", "is missing; add it"),))
        with pytest.raises(ConfigError):
            await exporter.reload()
        refused = exporter.last_reload
        file.content = RuntimeError("anything")
        with pytest.raises(RuntimeError):
            await exporter.reload()
        broken = exporter.last_reload
        with pytest.raises(RuntimeError):
            await exporter.reload(dry_run=True)
        file.write(Platform().target())
        await exporter.reload(dry_run=True)
        after_dry_run = exporter.last_reload
        await exporter.reload()

    assert before is None
    assert refused is not None
    assert refused.error == "config.yaml:3:1: targets: is missing; add it"
    assert abs(refused.at - time.time()) < 60
    assert broken is not None
    assert broken.error == "RuntimeError; the log has the traceback"
    assert after_dry_run is broken
    assert exporter.last_reload is not None
    assert exporter.last_reload.error == ""
