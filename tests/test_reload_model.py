"""Reload, due poll, running poll, publish, expiry, skip and failure in every order, turn by turn of the event loop.

Whatever happens when: page, snapshot and store say one collector's one result, under the configuration in force.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Coroutine, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from apscheduler.executors.base import MaxInstancesReachedError
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from prometheus_client.parser import text_string_to_metric_families

from exporter import exposition
from exporter.api.client import Client
from exporter.app import Exporter
from exporter.config import Config, Target
from exporter.errors import ConfigError, Problem, UnauthorizedError
from exporter.exposition import Exposition, Format
from exporter.jobs import Job
from exporter.metrics import Family, Sample
from exporter.run_log import RunLog
from exporter.snapshot import Entry
from exporter.storage import Record, Source, Storage, source_of
from tests.fakes import PEOPLE, PLACES, Clock, make_target

FAMILIES = {"people": PEOPLE, "places": PLACES}
DAY_ENDS_AFTER_SECONDS = 600.0


class BugError(Exception):
    """What happens to fail."""


class Inline(ThreadPoolExecutor):
    """Does at once what another thread would do; the event loop hears of it at its next turn."""

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


class Memory(Storage):
    """Keeps what is saved, in memory."""

    def __init__(self) -> None:
        super().__init__(Path())
        self.records: dict[Source, Record] = {}

    def load(self, families: Mapping[Source, Sequence[Family]]) -> dict[Source, Record]:
        return {source: self.records[source] for source in families if source in self.records}

    def save(self, record: Record) -> None:
        self.records[record.source] = record


@dataclass(frozen=True)
class Run:
    """A run that waits for its answer: None for numbers, or what is raised. Its values are its number."""

    number: int
    source: Source
    answer: asyncio.Future[Exception | None]


TARGET = st.fixed_dictionaries(
    {
        "url": st.sampled_from(["https://one.test", "https://two.test"]),
        "concurrency": st.sampled_from([1, 2]),
        "max_series": st.sampled_from([1, 2, 10]),
        "interval": st.sampled_from(["1h", "2h"]),
        "places": st.booleans(),
    }
)
CONFIGURATION = st.dictionaries(st.sampled_from(["a", "b"]), TARGET, min_size=1)
ANSWER = st.sampled_from([None, None, None, UnauthorizedError("401"), ZeroDivisionError()])


class Machine(RuleBasedStateMachine):
    """An exporter whose every wait ends when a rule says so."""

    @initialize(configuration=CONFIGURATION)
    def start(self, configuration: Mapping[str, Mapping[str, Any]]) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(Inline(1))
        self.clock, self.storage = Clock(), Memory()
        self.runs: list[Run] = []
        self.newest: dict[Source, int] = defaultdict(int)
        self.unsaved: set[Source] = set()
        self.to_fail: set[str] = set()
        self.reloads: list[asyncio.Task[Any]] = []
        self.unexpected: list[Any] = []
        self.loop.set_exception_handler(lambda _, context: self.unexpected.append(context))
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(exposition, "LARGE_SAMPLES", 1)
        self.fail_when_told("rendering", exposition, "rendered")
        self.fail_when_told("preparing", Exposition, "prepare")
        self.fail_when_told("saving", self.storage, "save")
        self.fail_when_told("logging", RunLog, "ended")
        structlog.configure(processors=[self.dropped])
        self.write(configuration)
        self.exporter = self.within(self.started())

    async def started(self) -> Exporter:
        exporter = Exporter(self.file, self.clock.now, self.storage, self.load, monotonic=self.clock.now)
        scheduler = exporter._schedule._scheduler
        self.patches.setattr(scheduler, "wakeup", lambda: None)  # nothing is due but by the rule
        scheduler.start()
        return exporter

    def within(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @staticmethod
    def dropped(*_: Any) -> Any:
        raise structlog.DropEvent

    def fail_when_told(self, what: str, owner: Any, name: str) -> None:
        works = getattr(owner, name)

        def function(*arguments: Any) -> Any:
            if what in self.to_fail:
                self.to_fail.remove(what)
                if what == "saving":
                    self.unsaved.add(arguments[0].source)
                raise BugError
            if what == "saving":
                self.unsaved.discard(arguments[0].source)
            return works(*arguments)

        self.patches.setattr(owner, name, function)

    def write(self, configuration: Mapping[str, Mapping[str, Any]]) -> None:
        self.file = Config(tuple(self.target(name, **keys) for name, keys in configuration.items()))
        self.is_wrong = False

    def load(self) -> Config:
        if self.is_wrong:
            raise ConfigError((Problem("config.yaml", 1, 1, "targets", "is wrong; make it right"),))
        return self.file

    def target(self, name: str, url: str, places: bool, **keys: Any) -> Target:
        collects = {collector: self.collect(collector) for collector in FAMILIES}
        made = make_target(**collects, name=name, collectors={"places": places}, **keys)
        return Target(made.settings.model_copy(update={"url": url}), made.platform)

    def collect(self, name: str) -> Any:
        async def collect(client: Client, settings: Any, now: datetime) -> list[Sample]:
            [collector] = [one for one in self.file_platform(settings).collectors if one.name == name]
            run = Run(len(self.runs) + 1, source_of(settings, collector), self.loop.create_future())
            self.runs.append(run)
            if (error := await run.answer) is not None:
                raise error
            if name == "people":
                return [PEOPLE.sample(run.number)]
            ends_at = self.clock.now() + DAY_ENDS_AFTER_SECONDS
            return [PLACES.sample(run.number, ends_at, place="day"), PLACES.sample(run.number, place="always")]

        return collect

    @staticmethod
    def file_platform(settings: Any) -> Any:
        return make_target(None, None, name=settings.name).platform  # type: ignore[arg-type] # never runs

    @rule(turns=st.sampled_from([1, 2, 4, 30]))
    def turn(self, turns: int) -> None:
        for _ in range(turns):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    @precondition(lambda self: self.exporter.parts.jobs)
    @rule(data=st.data())
    def due(self, data: st.DataObject) -> None:
        """Let the scheduler start a run, which begins at the next turn."""
        job_id = data.draw(st.sampled_from(sorted(self.exporter.parts.jobs)))
        schedule, now = self.exporter._schedule, datetime.now(UTC)
        schedule._due[job_id] = now
        executor: Executor = schedule._scheduler._lookup_executor("default")
        with suppress(MaxInstancesReachedError):
            executor.submit_job(schedule._scheduler.get_job(job_id), [now])  # type: ignore[attr-defined] # APScheduler's

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), error=ANSWER)
    def answer(self, data: st.DataObject, error: Exception | None) -> None:
        run = data.draw(st.sampled_from(self.waiting))
        run.answer.set_result(error)

    @precondition(lambda self: self.exporter.parts.jobs)
    @rule(data=st.data(), error=ANSWER, turns=st.integers(0, 6))
    def poll(self, data: st.DataObject, error: Exception | None, turns: int) -> None:
        """Let a run begin, and end some turns ago."""
        self.due(data)
        self.turn(8)
        if self.waiting:
            self.waiting[-1].answer.set_result(error)
        self.turn(turns)

    @property
    def waiting(self) -> list[Run]:
        return [run for run in self.runs if not run.answer.done()]

    @rule(
        configuration=CONFIGURATION,
        dry_run=st.booleans(),
        is_wrong=st.sampled_from([False, False, True]),
        is_failing=st.sampled_from([False, False, True]),
        turns=st.sampled_from([0, 3, 10]),
    )
    def reload(
        self,
        configuration: Mapping[str, Mapping[str, Any]],
        dry_run: bool,
        is_wrong: bool,
        is_failing: bool,
        turns: int,
    ) -> None:
        self.write(configuration)
        self.is_wrong = is_wrong
        if is_failing:
            self.to_fail.add("preparing")
        self.reloads.append(self.loop.create_task(self.exporter.reload(dry_run=dry_run)))
        self.turn(turns)

    @rule(what=st.sampled_from(["rendering", "preparing", "saving", "logging"]))
    def fail(self, what: str) -> None:
        """Let the next of these fail."""
        self.to_fail.add(what)

    @precondition(lambda self: self.exporter.parts.jobs)
    @rule(data=st.data())
    def skip(self, data: st.DataObject) -> None:
        self.exporter._skipped(data.draw(st.sampled_from(sorted(self.exporter.parts.jobs))), "missed", 1)

    @rule(seconds=st.sampled_from([1.0, 700.0, 20_000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.seconds += seconds

    @rule()
    def scrape(self) -> None:
        """Nothing that has ended or grew too old is on it."""
        with suppress(BugError):
            self.exporter.page(Format.TEXT)
            for entry in self.exporter.snapshot:
                assert self.clock.now() <= entry.drops_at
        with suppress(BugError):
            self.exporter.page(Format.TEXT)

    @invariant()
    def snapshot_says_what_one_run_of_the_job_in_force_gave(self) -> None:
        assert [entry.key for entry in self.exporter.snapshot] == [job.key for job in self.jobs]
        for job in self.jobs:
            if (number := self.number(self.entry(job), job.collector.name)) is not None:
                run = self.runs[number - 1]
                assert run.source == job.source
                assert run.answer.result() is None
                assert number >= self.newest[job.source]  # in their order
                self.newest[job.source] = number

    @invariant()
    def page_says_what_the_snapshot_says(self) -> None:
        values: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        text = b"".join(self.exporter._exposition.page(Format.TEXT)).decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                values[sample.name][tuple(sample.labels[name] for name in sorted(sample.labels))] = sample.value
        keys = [entry.key for entry in self.exporter.snapshot]
        for name, family in FAMILIES.items():
            exposed = {
                (*sample.labels, entry.key.target): sample.value
                for entry in self.exporter.snapshot
                if entry.key.collector == name and entry.published
                for sample in entry.published.exposed.get(family, ())
            }
            assert values[family.name] == exposed
        assert values["engagement_collector_runs_total"] == {
            (key.collector, "fake", key.target): self.exporter.snapshot[key].runs for key in keys
        }
        states = values["engagement_collector_state"]
        assert {labels for labels, value in states.items() if value} == {
            (key.collector, "fake", self.exporter.snapshot[key].state, key.target) for key in keys
        }
        targets = {target.settings.name for target in self.exporter.config.targets}
        assert {labels[-1] for labels in values["engagement_api_paused_until_timestamp_seconds"]} == targets
        assert {labels[-1] for labels in values["engagement_api_retries_total"]} == targets

    @invariant()
    def store_says_what_the_snapshot_says(self) -> None:
        for source, record in self.storage.records.items():
            number = self.number(record, source.key.collector)
            assert number is None or self.runs[number - 1].source == source
        for job in self.jobs:
            entry, record = self.entry(job), self.storage.records.get(job.source)
            if job.source in self.unsaved:
                continue
            told = (record.last, record.begun_at, record.last_success_at) if record else (None, None, None)
            assert told == (entry.last, entry.begun_at, entry.last_success_at)
            if entry.published:
                assert record
                assert self.number(record, job.collector.name) in (self.number(entry, job.collector.name), None)

    @property
    def jobs(self) -> Collection[Job]:
        return self.exporter.parts.jobs.values()

    def entry(self, job: Job) -> Entry:
        return self.exporter.snapshot[job.key]

    @staticmethod
    def number(said: Entry | Record, collector: str) -> int | None:
        """Return the number of the one run whose values these are."""
        numbers = {
            int(sample.value)
            for samples in (said.published.families.values() if said.published else ())
            for sample in samples
            if sample.family is FAMILIES[collector]
        }
        assert len(numbers) <= 1
        return numbers.pop() if numbers else None

    def teardown(self) -> None:
        if not hasattr(self, "exporter"):
            return
        try:
            self.finish()
        finally:
            self.exporter.stop()
            self.turn(5)
            self.patches.undo()
            structlog.reset_defaults()
            self.loop.close()

    def finish(self) -> None:
        """Once everything has ended, all that came is told, and the file is in force."""
        self.to_fail.clear()
        self.is_wrong = False
        self.reloads.append(self.loop.create_task(self.exporter.reload()))
        for _ in range(100):
            for run in self.waiting:
                run.answer.set_result(None)
            self.turn(1)
        for reload in self.reloads:
            assert reload.done()
            assert isinstance(reload.exception(), ConfigError | BugError | None)
        assert self.exporter.config is self.file
        assert not self.exporter._polls
        assert not self.exporter._next_reloads
        assert not self.unexpected
        self.snapshot_says_what_one_run_of_the_job_in_force_gave()
        self.page_says_what_the_snapshot_says()
        self.store_says_what_the_snapshot_says()


TestReloadModel = Machine.TestCase
TestReloadModel.settings = hypothesis_settings(max_examples=30, stateful_step_count=40, deadline=None)
