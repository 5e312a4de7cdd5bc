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
from exporter.collection import Result, bug
from exporter.config import Config
from exporter.difference import Difference, by_name, difference
from exporter.errors import ConfigError, State
from exporter.exposition import Exposition, Format, Rendered, rendered
from exporter.jobs import NO_PARTS, Job, Parts, goes_on, id_of, make_parts, show_pauses
from exporter.metrics import Family
from exporter.run_log import RunLog
from exporter.schedule import HEARTBEAT_SECONDS, Schedule
from exporter.self_metrics import ApiMetrics, ProcessMetrics
from exporter.snapshot import Entry, Key, Published, Snapshot, published_by
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
        self.parts = NO_PARTS
        self._polls: dict[str, asyncio.Task[object] | None] = {}
        self._collecting: set[str] = set()
        self._reloading = asyncio.Lock()
        self._next_reloads: dict[bool, asyncio.Task[Difference]] = {}
        """Those that wait for the one under way, by whether they are dry runs."""
        parts = make_parts(config, self._api_metrics, now, monotonic)
        self._put_in_force(parts, difference(NO_PARTS.config, config), *self._stored(parts))

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
        return self.parts.config

    async def reload(self, *, dry_run: bool = False) -> Difference:
        """Read the configuration anew and, unless it is a `dry_run`, put it in force; returns what changes.

        What does not change goes on undisturbed: schedule, values, pauses, tokens, connections, runs under way. Raises
        ConfigError, after which everything is as it was. At most one waits for the one before; who comes meanwhile
        joins it.
        """
        if dry_run not in self._next_reloads:
            self._next_reloads[dry_run] = asyncio.create_task(self._reload(dry_run=dry_run))
        return await asyncio.shield(self._next_reloads[dry_run])

    async def _reload(self, *, dry_run: bool) -> Difference:
        async with self._reloading:
            del self._next_reloads[dry_run]  # who comes from now on may have changed the file after it was read
            try:
                parts, changes = await asyncio.to_thread(self._next_parts)
                if not dry_run:
                    records, ready = await asyncio.to_thread(self._stored, parts)
                    await self._until_ended([job for job in self.parts.jobs.values() if not goes_on(job, parts)])
                    self._was_ready = self.is_ready()
                    self._put_in_force(parts, changes, records, ready)
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

    def _next_parts(self) -> tuple[Parts, Difference]:
        config = self._load_config()
        parts = make_parts(config, self._api_metrics, self._now, self._monotonic, self.parts)
        return parts, difference(self.config, config)

    async def _until_ended(self, jobs: Collection[Job]) -> None:
        """End the runs of jobs: at the moment of return none of them is going, and all are still scheduled."""
        ids = [id_of(job.key) for job in jobs]
        while polls := {job_id: poll for job_id in ids if (poll := self._polls.get(job_id))}:
            for job_id, poll in polls.items():
                if job_id in self._collecting:  # what is being published already is waited for
                    poll.cancel()
            await asyncio.wait(polls.values())

    def _put_in_force(
        self, parts: Parts, changes: Difference, records: Mapping[Key, Record], ready: Mapping[Key, Rendered]
    ) -> None:
        """Replace the parts at one moment.

        `records` are what is stored of collectors that are new, with their lines in `ready`. The runs of jobs that do
        not go on have ended by now. What may fail comes first, and has changed nothing then.
        """
        old, before = self.parts, self.snapshot
        kept = {job.key for job_id, job in parts.jobs.items() if job.has_source_of(old.jobs.get(job_id))}
        snapshot = Snapshot(
            _continued(job.entry(), before[job.key])
            if job.key in kept
            else _restored(job.entry(), records.get(job.key))
            for job in parts.jobs.values()
        )
        snapshot.expire(self._now())
        shown = [
            self._exposition.prepare(entry, ready.get(entry.key, {}))
            for entry in snapshot
            if entry.key not in kept or entry is not before[entry.key]
        ]

        self.parts, self.snapshot = parts, snapshot
        self._replace_clients(old, changes)
        for key, record in records.items():
            for endpoint, until in record.pauses.items():
                parts.clients[key.target].pace.pause(until - self._now(), endpoint)
        gone = [job.key for job in old.jobs.values() if job.key not in kept]
        self._exposition.arrange(_families(parts.config), gone)
        for change in shown:
            self._exposition.show(change)
        self._run_log.forget(gone)
        undisturbed = {
            job_id
            for job_id, job in old.jobs.items()
            if goes_on(job, parts) and job.interval == parts.jobs[job_id].interval
        }
        for job_id in old.jobs.keys() - undisturbed:
            self._schedule.remove(job_id)
        for job_id, job in parts.jobs.items():
            if job_id in undisturbed:
                continue
            # what was changed, such as a credential, should show what comes of it
            is_changed = job.key in kept and not goes_on(old.jobs[job_id], parts)
            last_run_at = None if is_changed else self.snapshot[job.key].begun_at
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
        return self.parts.clients[target].quotas

    def pauses(self, target: str) -> Mapping[str, float]:
        """Return the Unix times at which pauses that the target's platform asked for end or ended, by endpoint."""
        return self.parts.clients[target].pace.pauses

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

    def _replace_clients(self, old: Parts, changes: Difference) -> None:
        """Let new clients of the same site heed a pause that it asked for, and forget what was counted of others."""
        targets = by_name(self.config)
        for name, before in by_name(old.config).items():
            client, target = old.clients[name], targets.get(name)
            if target is None or target.platform.name != before.platform.name:
                self._api_metrics.forget(name, before.platform.name)
            elif client is not self.parts.clients[name]:
                self._api_metrics.forget_limits(name, target.platform.name)
                if target.settings.url == before.settings.url:
                    for endpoint, until in client.pace.pauses.items():
                        self.parts.clients[name].pace.pause(until - self._now(), endpoint)
        for name in (*changes.added, *changes.changed):
            show_pauses(self._api_metrics, targets[name], self.parts.clients[name])

    async def _poll(self, job_id: str) -> None:
        job = self.parts.jobs[job_id]  # what is in force is what is scheduled
        if (pause_seconds := job.remaining_pause_seconds()) > LONGEST_WAIT_SECONDS:
            self._skipped(job_id, "paused")
            self._schedule.defer(job_id, pause_seconds)
            return
        before = self.snapshot[job.key]
        result = Result(State.INTERNAL_ERROR, self._now(), 0.0)
        self._polls[job_id] = asyncio.current_task()
        try:
            result = await self._run(job)
            await self.record(job, result)
        except asyncio.CancelledError:
            self.snapshot.cut_off(job.key, before.begun_at)
            self._save(job, self.snapshot[job.key])
            raise
        except Exception as error:
            result = bug("the exporter", error, result)
            await self.record(job, result)
        finally:
            del self._polls[job_id]
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
        self.snapshot.begin(job.key, self._now())
        entry = self.snapshot[job.key]
        self._save(job, replace(entry, cut_off=entry.cut_off + 1))  # as it is if the process dies now
        self._collecting.add(id_of(job.key))
        try:
            return await collection.run(job.client, job.collector, job.settings, self._now)
        finally:
            self._collecting.remove(id_of(job.key))

    async def record(self, job: Job, result: Result) -> None:
        """Take in what a run gave, unless its job does not go on: into snapshot, page, log and storage at one moment.

        Nothing else does. One collector's runs never overlap, so its results come in their order. Whatever is raised
        before that moment leaves everything as it was.
        """
        if not goes_on(job, self.parts):
            return
        complete = published_by(result)
        _, preview = self._after(job.key, result, complete)
        ready = {entry.key: await self._exposition.render(entry) for entry in preview}
        if not goes_on(job, self.parts):  # nor while this was rendered
            return
        self._expire()
        recorded, after = self._after(job.key, result, complete)  # others may have changed while this was rendered
        changes = [
            self._exposition.prepare(entry, ready.get(entry.key, {}))
            for entry in after
            if entry is not self.snapshot[entry.key]
        ]
        self.snapshot.put(after)
        for change in changes:
            self._exposition.show(change)
        self._save(job, recorded)
        self._run_log.ended(job.key, result)
        for entry in after:  # what has room depends on all collectors of the target
            self._run_log.left_out(entry)

    def _after(self, key: Key, result: Result, complete: Published | None) -> tuple[Entry, Snapshot]:
        """Return a collector's entry with a result, and all of its target as they are then: less what has ended."""
        target = Snapshot(self.snapshot.of_target(key.target))
        recorded = target.publish(key, result, complete)
        target.expire(self._now())
        return recorded, target

    def _stored(self, parts: Parts) -> tuple[dict[Key, Record], dict[Key, Rendered]]:
        """Return what is stored of the collectors that are not there yet, and its lines."""
        if self._storage is None:
            return {}, {}
        jobs = [job for job_id, job in parts.jobs.items() if not job.has_source_of(self.parts.jobs.get(job_id))]
        found = self._storage.load({job.source: job.collector.families for job in jobs})
        records = {source.key: record for source, record in found.items()}
        return records, {
            key: rendered(key.target, record.published.families) for key, record in records.items() if record.published
        }

    def _save(self, job: Job, entry: Entry) -> None:
        if self._storage is not None:
            told = (entry.last, entry.last_success_at, entry.published, entry.cut_off)
            self._storage.save(Record(job.source, entry.begun_at, job.pauses, *told))

    def _skipped(self, job_id: str, reason: str, count: int = 1) -> None:
        if job := self.parts.jobs.get(job_id):
            self._exposition.update_status(self.snapshot.skip(job.key, reason, count))
            self._run_log.skipped(job.key, reason, count)

    async def _beat(self) -> None:
        self._beat_once()
        self._expire()

    def _expire(self) -> None:
        """Take from the page what is too old or has ended: at every scrape, so that none shows it a moment longer."""
        after = self.snapshot.copy()
        changes = [self._exposition.prepare(entry, {}) for entry in after.expire(self._now())]
        self.snapshot = after
        for change in changes:
            self._exposition.show(change)
            if (entry := change.entry).published is None:
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
