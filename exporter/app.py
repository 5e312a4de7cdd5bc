"""Composition root: builds the parts from a configuration, starts them, replaces them, and stops them."""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime

import structlog
from prometheus_client import CollectorRegistry

from exporter import collection
from exporter.api.client import Quota
from exporter.api.pacing import LONGEST_WAIT_SECONDS
from exporter.collection import Result
from exporter.config import Config
from exporter.difference import Difference, by_name, difference
from exporter.errors import ConfigError, State
from exporter.exposition import Exposition, Format
from exporter.jobs import NO_PARTS, Job, Parts, id_of, make_parts
from exporter.metrics import Family
from exporter.run_log import RunLog
from exporter.schedule import HEARTBEAT_SECONDS, Schedule
from exporter.self_metrics import ApiMetrics, ProcessMetrics
from exporter.snapshot import Entry, Key, Snapshot
from exporter.storage import Record, Storage
from exporter.web.status import Reload

logger = structlog.get_logger()

READY_WITHOUT_FIRST_RUNS_SECONDS = 30.0
HEARTBEAT_LOST_SECONDS = 12 * HEARTBEAT_SECONDS


class Exporter:
    """A running configuration. `now` gives Unix time and `monotonic` seconds of a clock that nobody sets.

    Without `storage` nothing survives a restart.

    `load_config` reads the configuration again for a reload, and raises ConfigError; without it there is no other.
    """

    def __init__(
        self,
        config: Config,
        now: Callable[[], float] = time.time,
        storage: Storage | None = None,
        load_config: Callable[[], Config] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.snapshot = Snapshot(())
        self.last_reload: Reload | None = None
        self._now = now
        self._monotonic = monotonic
        self._run_log = RunLog(now)
        self._storage = storage
        self._load_config = load_config or (lambda: config)
        self._started = self._heartbeat = monotonic()
        registry = CollectorRegistry()
        self._api_metrics = ApiMetrics(registry)
        self._process = ProcessMetrics(registry, os.environ.get("ENGAGEMENT_EXPORTER_REVISION", ""))
        self._exposition = Exposition((), registry)
        self._schedule = Schedule(self._skipped)
        self._was_ready = False
        self._parts = NO_PARTS
        self._polls: dict[str, asyncio.Task[object] | None] = {}
        self._collecting: set[str] = set()
        self._reloading = asyncio.Lock()
        parts = make_parts(config, self._api_metrics, now, monotonic)
        self._put_in_force(parts, self._stored(parts))

    def start(self) -> None:
        """Start polling in the running event loop."""
        self._beat_once()
        self._schedule.add_heartbeat(self._beat)
        self._schedule.start()

    def stop(self) -> None:
        """Stop polling; runs under way are cancelled, since their target keeps its last complete values anyway."""
        self._schedule.stop()

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._parts.config

    async def reload(self, *, dry_run: bool = False) -> Difference:
        """Read the configuration anew and, unless it is a `dry_run`, put it in force; returns what changes.

        What does not change goes on undisturbed: schedule, values, pauses, tokens, connections, runs under way. Raises
        ConfigError, after which everything is as it was.
        """
        async with self._reloading:
            try:
                config, changes = await asyncio.to_thread(self._next_config)
                if not dry_run:
                    await self._replace_parts(config)
            except Exception as error:
                if not dry_run:
                    self.last_reload = Reload(self._now(), _refusal(error))
                    self._process.reload_successful.set(0)
                    _log_refusal(error)
                raise
            if not dry_run:
                self.last_reload = Reload(self._now(), "")
                _log_reload(changes)
            return changes

    def _next_config(self) -> tuple[Config, Difference]:
        config = self._load_config()
        return config, difference(self.config, config)

    async def _replace_parts(self, config: Config) -> None:
        parts, records = await asyncio.to_thread(self._next_parts, config)
        ended = [job_id for job_id, job in self._parts.jobs.items() if not job.goes_on_as(parts.jobs.get(job_id))]
        for job_id in ended:
            self._schedule.remove(job_id)
        polls = {job_id: poll for job_id in ended if (poll := self._polls.get(job_id))}
        for job_id, poll in polls.items():
            if job_id in self._collecting:  # what is being published already is waited for
                poll.cancel()
        await asyncio.gather(*polls.values(), return_exceptions=True)
        self._was_ready = self.is_ready()
        self._put_in_force(parts, records)

    def _next_parts(self, config: Config) -> tuple[Parts, Mapping[Key, Record]]:
        parts = make_parts(config, self._api_metrics, self._now, self._monotonic, self._parts)
        return parts, self._stored(parts)

    def _put_in_force(self, parts: Parts, records: Mapping[Key, Record]) -> None:
        """Replace the parts at one moment; `records` are what is stored of collectors that are new.

        Jobs that do not go on are off the schedule by now, and their runs have ended.
        """
        old, old_snapshot, self._parts = self._parts, self.snapshot, parts
        self._retire_clients(old)
        for key, record in records.items():
            for endpoint, until in record.pauses.items():
                parts.clients[key.target].pace.pause(until - self._now(), endpoint)

        kept = {job.key for job_id, job in parts.jobs.items() if job.has_source_of(old.jobs.get(job_id))}
        self.snapshot = Snapshot(
            _continued(job.entry(), old_snapshot[job.key])
            if job.key in kept
            else _restored(job.entry(), records.get(job.key))
            for job in parts.jobs.values()
        )
        self.snapshot.expire(self._now())
        gone = [job.key for job in old.jobs.values() if job.key not in kept]
        self._exposition.arrange(_families(parts.config), gone)
        self._run_log.forget(gone)
        for entry in self.snapshot:
            self._exposition.publish(entry, {})

        for job_id, job in parts.jobs.items():
            before = old.jobs.get(job_id)
            last_run_at = self.snapshot[job.key].begun_at
            if before is not None and before.goes_on_as(job):
                if before.interval == job.interval:
                    continue
                self._schedule.remove(job_id)
            elif job.key in kept:
                last_run_at = None  # what was changed, such as a credential, should show what comes of it
            self._schedule.add(job_id, job.interval, self._poll, last_run_at)
            self._hasten(job)
        self._process.reload_successful.set(1)
        self._process.reload_timestamp.set(self._now())

    def page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]:
        """Return `/metrics` in pieces; with `keys`, only what belongs to these collectors."""
        self._expire()
        return self._exposition.page(form, keys)

    async def gzip_page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]:
        """Return `/metrics` as one gzip stream in pieces."""
        self._expire()
        return await self._exposition.gzip_page(form, keys)

    def next_run_at(self, key: Key) -> datetime | None:
        """Return when a collector runs next (aware UTC), None while it is not scheduled."""
        return self._schedule.next_run_at(id_of(key))

    def quotas(self, target: str) -> Mapping[str, Quota]:
        """Return what the target's platform last said of its rate limits, by endpoint; see `exporter.api.pacing`."""
        return self._parts.clients[target].quotas

    def pauses(self, target: str) -> Mapping[str, float]:
        """Return the Unix times at which pauses that the target's platform asked for end or ended, by endpoint."""
        return self._parts.clients[target].pace.pauses

    def is_healthy(self) -> bool:
        """True while event loop and scheduler live; the platforms' health is no concern of this."""
        return self._monotonic() - self._heartbeat < HEARTBEAT_LOST_SECONDS

    def is_ready(self) -> bool:
        """True once every collector has ended its first run or was restored, or after 30 s of waiting for that.

        A reload does not take it back.
        """
        if self._was_ready or self._monotonic() - self._started >= READY_WITHOUT_FIRST_RUNS_SECONDS:
            return True
        return all(entry.state is not State.PENDING for entry in self.snapshot)

    def _retire_clients(self, old: Parts) -> None:
        """Let new clients of the same site heed a pause that it asked for, and forget what was counted of others."""
        targets = by_name(self.config)
        for name, before in by_name(old.config).items():
            client, target = old.clients[name], targets.get(name)
            if target is None or target.platform.name != before.platform.name:
                self._api_metrics.forget(name, before.platform.name)
            elif client is not self._parts.clients[name]:
                self._api_metrics.forget_limits(name, target.platform.name)
                if target.settings.url == before.settings.url:
                    for endpoint, until in client.pace.pauses.items():
                        self._parts.clients[name].pace.pause(until - self._now(), endpoint)

    async def _poll(self, job_id: str) -> None:
        job = self._parts.jobs.get(job_id)
        if job is None:  # a reload removed it at the moment when it was due
            return
        if (pause_seconds := job.remaining_pause_seconds()) > LONGEST_WAIT_SECONDS:
            self._skipped(job_id, "paused")
            self._schedule.defer(job_id, pause_seconds)
            return
        self._polls[job_id] = asyncio.current_task()
        try:
            result = await self._run(job)
            await self.publish(job.key, result)
        finally:
            del self._polls[job_id]
        self._run_log.ended(job.key, result)
        for one in self.snapshot.of_target(job.key.target):  # what has room depends on all collectors of the target
            self._run_log.left_out(one)
        pause_seconds = job.remaining_pause_seconds()
        if result.state is State.RATE_LIMITED and pause_seconds > LONGEST_WAIT_SECONDS:
            self._schedule.defer(job_id, pause_seconds)
        else:
            self._hasten(job)

    def _hasten(self, job: Job) -> None:
        """Let a collector run before its phase where there is nothing to show until then.

        Nothing says what its windows are after their end, and one whose run was cut off may have no values at all.
        """
        entry = self.snapshot[job.key]
        due_at = entry.windows_end_at if entry.waits_for_border else entry.repeat_at
        if due_at is not None:
            self._schedule.hasten(id_of(job.key), due_at - self._now())

    async def _run(self, job: Job) -> Result:
        before = self.snapshot[job.key]
        self.snapshot.begin(job.key, self._now())
        self._save(job.key, cut_off=before.cut_off + 1)  # as it is if the process dies now
        self._collecting.add(id_of(job.key))
        try:
            return await collection.run(job.client, job.collector, job.settings, self._now)
        except asyncio.CancelledError:
            self.snapshot.cut_off(job.key, before.begun_at)
            self._save(job.key, cut_off=before.cut_off + 1)
            raise
        finally:
            self._collecting.remove(id_of(job.key))

    async def publish(self, key: Key, result: Result) -> None:
        """Take in a run's result. One collector's runs never overlap, so its results are published in their order."""
        self.snapshot.publish(key, result)
        self._save(key)
        self._expire()
        if result.state is not State.OK:
            self._exposition.update_status(self.snapshot[key])
            return
        # what the others of the target expose may have changed too; all of it is shown at one moment, as it is by then
        ready = {one.key: await self._exposition.render(one) for one in self.snapshot.of_target(key.target)}
        for one in self.snapshot.of_target(key.target):
            self._exposition.publish(one, ready.get(one.key, {}))

    def _stored(self, parts: Parts) -> dict[Key, Record]:
        """Return what is stored of the collectors that are not there yet."""
        if self._storage is None:
            return {}
        jobs = [job for job_id, job in parts.jobs.items() if not job.has_source_of(self._parts.jobs.get(job_id))]
        records = self._storage.load({job.source: job.collector.families for job in jobs})
        return {source.key: record for source, record in records.items()}

    def _save(self, key: Key, cut_off: int = 0) -> None:
        if self._storage is not None:
            job, entry = self._parts.jobs[id_of(key)], self.snapshot[key]
            told = (entry.last, entry.last_success_at, entry.published)
            self._storage.save(Record(job.source, entry.begun_at, job.pauses, *told, cut_off))

    def _skipped(self, job_id: str, reason: str, count: int = 1) -> None:
        if job := self._parts.jobs.get(job_id):
            self._exposition.update_status(self.snapshot.skip(job.key, reason, count))
            self._run_log.skipped(job.key, reason, count)

    async def _beat(self) -> None:
        self._beat_once()
        self._expire()

    def _expire(self) -> None:
        """Take from the page what is too old or has ended: at every scrape, so that none shows it a moment longer."""
        for entry in self.snapshot.expire(self._now()):
            self._exposition.publish(entry, {})
            if entry.published is None:
                logger.warning("values dropped for age", target=entry.key.target, collector=entry.key.collector)

    def _beat_once(self) -> None:
        self._heartbeat = self._monotonic()
        self._process.heartbeat.set(self._now())


def _families(config: Config) -> list[Family]:
    """Return the families of the platforms in use, in the order of the page."""
    platforms = {target.platform.name: target.platform for target in config.targets}
    collectors = [collector for name in sorted(platforms) for collector in platforms[name].collectors]
    return [family for collector in collectors for family in collector.families]


def _continued(entry: Entry, old: Entry) -> Entry:
    """Go on with an entry under new settings; the same object if they say the same."""
    new = replace(
        old,
        interval_seconds=entry.interval_seconds,
        max_age_seconds=entry.max_age_seconds,
        max_series=entry.max_series,
    )
    return old if new == old else new


def _restored(entry: Entry, record: Record | None) -> Entry:
    """Fill in what is stored of the entry's collector."""
    if record is None:
        return entry
    return replace(
        entry,
        begun_at=record.begun_at,
        cut_off=record.cut_off,
        last=record.last,
        last_success_at=record.last_success_at,
        published=record.published,
        windows_end_at=record.published.ends_at if record.published else entry.windows_end_at,
    )


def _log_reload(changes: Difference) -> None:
    logger.info(
        "configuration applied",
        added=len(changes.added),
        changed=len(changes.changed),
        removed=len(changes.removed),
        unchanged=len(changes.unchanged),
    )


def _refusal(error: Exception) -> str:
    """Say why a configuration was not applied. What a bug says may hold anything, so it is left to the log."""
    if isinstance(error, ConfigError):
        return str(error)
    return f"{type(error).__name__}; the log has the traceback"


def _log_refusal(error: Exception) -> None:
    event = "configuration not applied, the old one stays in force"
    if isinstance(error, ConfigError):
        for problem in error.problems:
            logger.error(event, error=str(problem))
    else:
        logger.error(event, exc_info=error)
