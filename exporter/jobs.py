"""What a configuration becomes: a client for every target, and a job for every collector that runs."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import httpx

from exporter.api.client import Client
from exporter.api.pacing import WHOLE_TARGET, Pace
from exporter.api.tls import CurrentTls
from exporter.config import Config, Target
from exporter.difference import by_name, needs_new_client
from exporter.platform import Collector, interval, is_enabled
from exporter.self_metrics import ApiMetrics
from exporter.settings import TargetSettings
from exporter.snapshot import Entry, Key
from exporter.storage import Source, source_of


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

    @property
    def interval(self) -> timedelta:
        """Time between two runs."""
        return interval(self.settings, self.collector)

    @property
    def pauses(self) -> dict[str, float]:
        """The pauses that hold the job's runs up, with their ends (Unix time) by endpoint."""
        own = {WHOLE_TARGET, *self.collector.endpoints(self.settings)}
        return {endpoint: until for endpoint, until in self.client.pace.pauses.items() if endpoint in own}

    def remaining_pause_seconds(self) -> float:
        """Return how long the platform wants no run of the job yet, 0 without a pause."""
        return self.client.pace.remaining_pause_seconds(self.collector.endpoints(self.settings))

    def entry(self) -> Entry:
        """Return the entry of a collector that has not run yet."""
        return new_entry(self.settings, self.collector)

    def has_source_of(self, other: "Job | None") -> bool:
        """True if the values of the two mean the same."""
        return other is not None and self.source == other.source

    def goes_on_as(self, other: "Job | None") -> bool:
        """True if a run of this one gives what a run of the other would give."""
        return other is not None and self.source == other.source and self.client is other.client


@dataclass(frozen=True, slots=True)
class Parts:
    """A configuration with its clients by target and its jobs by id, in the order of the configuration."""

    config: Config
    clients: Mapping[str, Client]
    jobs: Mapping[str, Job]


NO_PARTS = Parts(Config(()), {}, {})


def make_parts(
    config: Config, metrics: ApiMetrics, now: Callable[[], float], monotonic: Callable[[], float], old: Parts = NO_PARTS
) -> Parts:
    """Build what the configuration needs; clients of `old` that ask in the same way as before are taken over.

    Raises OSError for a TLS file that went away since the configuration was checked.
    """
    olds = by_name(old.config)
    kept = {
        name: old.clients[name]
        for name, target in by_name(config).items()
        if name in olds and not needs_new_client(olds[name], target)
    }
    made = make_clients(
        (target for target in config.targets if target.settings.name not in kept), metrics, now, monotonic
    )
    clients = {**kept, **made}
    jobs = (
        Job(source_of(target.settings, collector), collector, target.settings, clients[target.settings.name])
        for target in config.targets
        for collector in enabled_collectors(target)
    )
    return Parts(config, clients, {id_of(job.key): job for job in jobs})


def new_entry(settings: TargetSettings, collector: Collector[Any]) -> Entry:
    """Return the entry of a collector that has not run yet."""
    return Entry(
        Key(settings.name, collector.name),
        settings.platform,
        interval(settings, collector).total_seconds(),
        settings.max_age.total_seconds(),
        settings.max_series,
    )


def goes_on(job: Job, parts: Parts) -> bool:
    """True if a job of this name is among the parts whose runs give what runs of this one give."""
    return job.goes_on_as(parts.jobs.get(id_of(job.key)))


def id_of(key: Key) -> str:
    """Name a job for the schedule."""
    return f"{key.target}/{key.collector}"


def enabled_collectors(target: Target) -> Iterator[Collector[Any]]:
    """Yield the target's collectors that run."""
    return (collector for collector in target.platform.collectors if is_enabled(target.settings, collector))


def make_clients(
    targets: Iterable[Target],
    metrics: ApiMetrics,
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, Client]:
    """Build one client per target, by name; targets with the same TLS files share one TLS context.

    Raises OSError for a TLS file that went away since the configuration was checked.
    """
    shared: dict[tuple[object, ...], CurrentTls] = {}
    clients = {}
    for target in targets:
        settings = target.settings
        files = (settings.ca_file, settings.client_cert_file, settings.client_key_file)
        if files not in shared:
            shared[files] = CurrentTls(settings)
        clients[settings.name] = make_client(target, shared[files], metrics, now, monotonic)
    return clients


def make_client(
    target: Target, tls: CurrentTls, metrics: ApiMetrics, now: Callable[[], float], monotonic: Callable[[], float]
) -> Client:
    """Build the client of one target."""
    settings = target.settings
    proxy = settings.proxy.get_secret_value() if settings.proxy else None
    pace = Pace(settings.requests_per_second, settings.concurrency, now, monotonic=monotonic)
    return Client(
        settings.name,
        target.platform.name,
        target.platform.access(settings),
        pace,
        transport=lambda: httpx.AsyncHTTPTransport(verify=tls.context(), trust_env=False, proxy=proxy),
        metrics=metrics,
        max_body_bytes=settings.max_body_bytes,
        limit_of=limit_of(target),
        now=now,
    )


def limit_of(target: Target) -> Callable[[str], str]:
    """Return what names the limit that counts requests to an endpoint: see `Client`."""
    return target.platform.limit.endpoint_of if target.platform.limit else lambda _endpoint: WHOLE_TARGET


def show_pauses(metrics: ApiMetrics, target: Target, client: Client) -> None:
    """Let the page tell the pauses of a client that came into force, by the limits that its collectors can meet."""
    asked = {endpoint for collector in enabled_collectors(target) for endpoint in collector.endpoints(target.settings)}
    limits = sorted({WHOLE_TARGET, *map(limit_of(target), asked)})
    until = {limit: partial(client.pace.paused_until, limit) for limit in limits}
    metrics.show_pauses(target.settings.name, target.platform.name, until)
