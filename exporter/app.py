"""Composition root: builds the parts from a configuration, starts them, and stops them."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog
import uvicorn
from prometheus_client import CollectorRegistry, disable_created_metrics

from exporter import collection
from exporter.api.client import Client
from exporter.api.pacing import LONGEST_WAIT_SECONDS, Pace
from exporter.collection import Result
from exporter.config import Config, Target
from exporter.errors import State
from exporter.exposition import Exposition, Format, published_lines, render
from exporter.platform import Collector, interval, is_enabled
from exporter.schedule import HEARTBEAT_SECONDS, Schedule
from exporter.self_metrics import ApiMetrics, ProcessMetrics
from exporter.settings import TargetSettings, tls_context
from exporter.snapshot import Entry, Key, Snapshot
from exporter.storage import Record, Source, Storage, source_of
from exporter.web.access import Access
from exporter.web.route_prefix import below
from exporter.web.routes import application

logger = structlog.get_logger()

READY_WITHOUT_FIRST_RUNS_SECONDS = 30.0
HEARTBEAT_LOST_SECONDS = 12 * HEARTBEAT_SECONDS
KEEP_ALIVE_SECONDS = 150
"""Above any sensible scrape interval, so that a scraper never meets a connection that was just closed."""
DRAIN_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Job:
    """One enabled collector of one target, ready to run."""

    source: Source
    collector: Collector[Any]
    settings: TargetSettings
    client: Client

    @property
    def key(self) -> Key:
        """Name of the job's entry in the snapshot."""
        return self.source.key


def make_clients(config: Config, metrics: ApiMetrics, now: Callable[[], float] = time.time) -> dict[str, Client]:
    """Build one client per target, by name; targets with the same TLS files share one TLS context."""
    contexts: dict[tuple[object, ...], ssl.SSLContext] = {}
    clients = {}
    for target in config.targets:
        settings = target.settings
        files = (settings.ca_file, settings.client_cert_file, settings.client_key_file)
        if files not in contexts:
            contexts[files] = tls_context(settings)
        clients[settings.name] = make_client(target, contexts[files], metrics, now)
    return clients


def make_client(target: Target, tls: ssl.SSLContext, metrics: ApiMetrics, now: Callable[[], float]) -> Client:
    """Build the client of one target."""
    settings = target.settings
    proxy = settings.proxy.get_secret_value() if settings.proxy else None
    labels = (settings.name, target.platform.name)
    pace = Pace(settings.requests_per_second, settings.concurrency, now)
    metrics.retries.labels(*labels)
    metrics.paused_until.labels(*labels).set_function(
        lambda: pace.paused_until if pace.remaining_pause_seconds() else 0.0
    )
    return Client(
        *labels,
        target.platform.access(settings),
        pace,
        transport=lambda: httpx.AsyncHTTPTransport(verify=tls, trust_env=False, proxy=proxy),
        metrics=metrics,
        max_body_bytes=settings.max_body_bytes,
        now=now,
    )


def enabled_collectors(target: Target) -> Iterator[Collector[Any]]:
    """Yield the target's collectors that run."""
    return (collector for collector in target.platform.collectors if is_enabled(target.settings, collector))


class Exporter:
    """A running configuration. `now` gives Unix time in seconds; without `storage` nothing survives a restart."""

    def __init__(self, config: Config, now: Callable[[], float] = time.time, storage: Storage | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # it would double the counters with their start times
        self._now = now
        self._storage = storage
        self._started_at = now()
        registry = CollectorRegistry()
        api_metrics = ApiMetrics(registry)
        self._process = ProcessMetrics(registry, os.environ.get("ENGAGEMENT_EXPORTER_REVISION", ""))
        self._process.reload_successful.set(1)
        self._process.reload_timestamp.set(self._started_at)
        clients = make_clients(config, api_metrics, now)
        self._jobs = {
            f"{target.settings.name}/{collector.name}": Job(
                source_of(target.settings, collector), collector, target.settings, clients[target.settings.name]
            )
            for target in config.targets
            for collector in enabled_collectors(target)
        }
        records = self._load()
        self._begun_at = {key: record.begun_at for key, record in records.items()}
        self.snapshot = Snapshot(
            _restored(_entry(target, collector), records, self._started_at)
            for target in config.targets
            for collector in enabled_collectors(target)
        )
        for key, record in records.items():
            clients[key.target].pace.pause(record.paused_until - now())
        platforms = {target.platform.name: target.platform for target in config.targets}
        families = [
            family
            for name in sorted(platforms)
            for collector in platforms[name].collectors
            for family in collector.families
        ]
        self._exposition = Exposition(families, registry)
        for entry in self.snapshot:
            self._exposition.publish(entry, published_lines(entry))
        self._schedule = Schedule(self._skipped)

    def start(self) -> None:
        """Start polling in the running event loop."""
        self._beat_once()
        self._schedule.add_heartbeat(self._beat)
        for job_id, job in self._jobs.items():
            self._schedule.add(job_id, interval(job.settings, job.collector), self._poll, self._last_run_at(job.key))
        self._schedule.start()

    def stop(self) -> None:
        """Stop polling; runs under way are cancelled, since their target keeps its last complete values anyway."""
        self._schedule.stop()

    def page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]:
        """Return `/metrics` in pieces; with `keys`, only what belongs to these collectors."""
        return self._exposition.page(form, keys)

    async def gzip_page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]:
        """Return `/metrics` as one gzip stream in pieces."""
        return await self._exposition.gzip_page(form, keys)

    def next_run_at(self, key: Key) -> datetime | None:
        """Return when a collector runs next (aware UTC), None while it is not scheduled."""
        return self._schedule.next_run_at(f"{key.target}/{key.collector}")

    def is_healthy(self) -> bool:
        """True while event loop and scheduler live; the platforms' health is no concern of this."""
        return self._now() - self._heartbeat_at < HEARTBEAT_LOST_SECONDS

    def is_ready(self) -> bool:
        """True once every collector has ended its first run or was restored, or after 30 s of waiting for that."""
        if self._now() - self._started_at >= READY_WITHOUT_FIRST_RUNS_SECONDS:
            return True
        return all(entry.state is not State.PENDING for entry in self.snapshot)

    async def _poll(self, job_id: str) -> None:
        job = self._jobs[job_id]
        if (pause_seconds := job.client.pace.remaining_pause_seconds()) > LONGEST_WAIT_SECONDS:
            self._skipped(job_id, "paused")
            self._schedule.defer(job_id, pause_seconds)
            return
        result = await self._run(job)
        await self.publish(job.key, result)
        _log_run(self.snapshot[job.key], result)
        pause_seconds = job.client.pace.remaining_pause_seconds()
        if result.state is State.RATE_LIMITED and pause_seconds > LONGEST_WAIT_SECONDS:
            self._schedule.defer(job_id, pause_seconds)

    async def _run(self, job: Job) -> Result:
        before = self.snapshot[job.key].last
        self._save(job.key, self._now())  # a run that dies with the process counts too: a crash loop must not repeat it
        try:
            return await collection.run(job.client, job.collector, job.settings, self._now)
        except asyncio.CancelledError:  # but one that an orderly stop cuts off is due again
            self._save(job.key, before.started_at if before else None)
            raise

    async def publish(self, key: Key, result: Result) -> None:
        """Take in a run's result. One collector's runs never overlap, so its results are published in their order."""
        entry = self.snapshot.publish(key, result)
        self._save(key, result.started_at)
        if result.state is not State.OK:
            self._exposition.update_status(entry)
            return
        lines = await render(entry)
        entry = self.snapshot[key]  # a skipped run may have been counted in the meantime, or the values dropped for age
        self._exposition.publish(entry, lines if entry.published else {})

    def _load(self) -> dict[Key, Record]:
        if self._storage is None:
            return {}
        records = self._storage.load({job.source: job.collector.families for job in self._jobs.values()})
        return {source.key: record for source, record in records.items()}

    def _save(self, key: Key, begun_at: float | None) -> None:
        if self._storage is not None:
            job, entry = self._jobs[f"{key.target}/{key.collector}"], self.snapshot[key]
            paused_until = job.client.pace.paused_until
            self._storage.save(
                Record(job.source, begun_at, paused_until, entry.last, entry.last_success_at, entry.published)
            )

    def _last_run_at(self, key: Key) -> datetime | None:
        begun_at = self._begun_at.get(key)
        return None if begun_at is None else datetime.fromtimestamp(begun_at, UTC)

    def _skipped(self, job_id: str, reason: str) -> None:
        if job := self._jobs.get(job_id):
            self._exposition.update_status(self.snapshot.skip(job.key, reason))
            logger.warning("run skipped", target=job.key.target, collector=job.key.collector, reason=reason)

    async def _beat(self) -> None:
        self._beat_once()
        for entry in self.snapshot.expire(self._now()):
            self._exposition.publish(entry, {})
            logger.warning("values dropped for age", target=entry.key.target, collector=entry.key.collector)

    def _beat_once(self) -> None:
        self._heartbeat_at = self._now()
        self._process.heartbeat.set(self._heartbeat_at)


def _entry(target: Target, collector: Collector[Any]) -> Entry:
    settings = target.settings
    return Entry(
        Key(settings.name, collector.name),
        target.platform.name,
        interval(settings, collector).total_seconds(),
        settings.max_age.total_seconds(),
        settings.max_series,
    )


def _restored(entry: Entry, records: Mapping[Key, Record], now: float) -> Entry:
    """Fill in what is stored of the entry's collector; values that have grown too old meanwhile are not exposed."""
    record = records.get(entry.key)
    if record is None:
        return entry
    published = record.published
    if published and now - published.at > entry.max_age_seconds:
        published = None
    return replace(entry, last=record.last, last_success_at=record.last_success_at, published=published)


def _log_run(entry: Entry, result: Result) -> None:
    facts: dict[str, object] = {
        "target": entry.key.target,
        "collector": entry.key.collector,
        "state": str(result.state),
        "duration_seconds": round(result.duration_seconds, 3),
    }
    if result.state is State.OK:
        logger.info("run", **facts, samples=len(result.samples))
    else:
        logger.warning("run", **facts, error=result.error, remedy=result.remedy)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would end the process by the signal instead of with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    exporter: Exporter,
    sockets: Sequence[socket.socket],
    telemetry_path: str = "/metrics",
    route_prefix: str = "",
    access: Access | None = None,
) -> None:
    """Poll and answer until SIGTERM or SIGINT, then let answers under way finish.

    `route_prefix` is the path below which the endpoints are, without its trailing slash; without `access` everyone may
    read them, over plain HTTP.
    """
    endpoints = below(route_prefix, application(exporter, telemetry_path))
    tls = access.tls() if access else None
    server = _Server(
        uvicorn.Config(
            access.guard(endpoints) if access else endpoints,
            lifespan="off",
            ws="none",
            ssl_context_factory=(lambda config, default: tls) if tls else None,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    exporter.start()
    for listener in sockets:
        host, port = listener.getsockname()[:2]
        logger.info("listening", host=host, port=port, tls=tls is not None)
    try:
        await server.serve(sockets=list(sockets))
    finally:
        exporter.stop()
        logger.info("stopped")


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Spare what a start builds from the garbage collector, now and later: all of it stays.

    With 10,000 targets, going through it again and again takes 2 s of the start and 0.3 s each time after it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def allow_many_sockets() -> None:
    """Raise the soft limit of open files to the hard one: a thousand targets need as many sockets at once."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
