"""The status of every target and collector, as the status page and `/api/status` show it.

The fields are the keys of `/api/status`. Times are aware UTC, to the millisecond.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from exporter import __version__
from exporter.api.client import Quota
from exporter.api.pacing import WHOLE_TARGET
from exporter.config import Config, Target
from exporter.errors import State
from exporter.snapshot import Entry, Key, by_target
from exporter.web.status_words import words

LATE_INTERVALS = 2


class Level(StrEnum):
    """Whether somebody has to do something, from the least to the most urgent."""

    WELL = "well"
    WAITING = "waiting"
    ATTENTION = "attention"


URGENCY = {level: urgency for urgency, level in enumerate(Level)}


@dataclass(frozen=True, slots=True)
class Reload:
    """The last attempt to load the configuration anew: when (Unix time), and why it failed, empty if it did not."""

    at: float
    error: str


class Observed(Protocol):
    """The running exporter, as far as the status needs it."""

    @property
    def config(self) -> Config: ...

    @property
    def snapshot(self) -> Iterable[Entry]: ...

    @property
    def last_reload(self) -> Reload | None: ...

    def next_run_at(self, key: Key) -> datetime | None: ...

    def quotas(self, target: str) -> Mapping[str, Quota]: ...

    def pauses(self, target: str) -> Mapping[str, float]: ...


@dataclass(frozen=True, slots=True)
class Observation:
    """What the status is made of, all of one moment (`at`, Unix time), by target or by key."""

    at: float
    config: Config
    entries: Mapping[str, Sequence[Entry]]
    next_runs: Mapping[Key, datetime | None]
    quotas: Mapping[str, Mapping[str, Quota]]
    pauses: Mapping[str, Mapping[str, float]]
    last_reload: Reload | None


@dataclass(frozen=True, slots=True)
class CollectorStatus:
    """One collector of a target. `summary`, `meaning` and `remedy` are for people, `level` and `state` for programs."""

    name: str
    level: Level
    state: State
    summary: str
    meaning: str
    error: str
    remedy: str
    age_seconds: float | None
    is_late: bool
    interval_seconds: float
    max_age_seconds: float
    last_success_at: datetime | None
    last_run_at: datetime | None
    last_run_duration_seconds: float | None
    next_run_at: datetime | None
    samples: int
    series_dropped: int
    unreadable_values: int
    runs: int
    failures: int
    skipped_runs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """What the platform said, at a time, of the requests that it allows in one window."""

    limit: int | None
    remaining: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """An endpoint with a limit of its own; `paused_until` is None unless its platform wants no requests to it yet."""

    endpoint: str
    quota: QuotaStatus | None
    paused_until: datetime | None


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One target; `paused_until` is None unless its platform asked for a pause that still lasts.

    `quota` and `paused_until` are of all endpoints together, but for those in `endpoints`.
    """

    name: str
    platform: str
    url: str
    level: Level
    quota: QuotaStatus | None
    paused_until: datetime | None
    endpoints: tuple[EndpointStatus, ...]
    collectors: tuple[CollectorStatus, ...]


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """The last attempt to load the configuration anew; after a failed one the old configuration stays in force."""

    at: datetime
    is_successful: bool
    error: str


@dataclass(frozen=True, slots=True)
class Status:
    """All of it at one moment; targets and collectors in the order of the configuration."""

    version: str
    at: datetime
    headline: str
    targets_well: int
    targets_waiting: int
    targets_needing_attention: int
    last_reload: ReloadStatus | None
    targets: tuple[TargetStatus, ...]


def observe(exporter: Observed, now: float) -> Observation:
    """Take down what is there now; quick, since polling waits for it."""
    config = exporter.config
    names = [target.settings.name for target in config.targets]
    entries = by_target(exporter.snapshot)
    return Observation(
        at=now,
        config=config,
        entries=entries,
        next_runs={entry.key: exporter.next_run_at(entry.key) for own in entries.values() for entry in own},
        quotas={name: dict(exporter.quotas(name)) for name in names},
        pauses={name: dict(exporter.pauses(name)) for name in names},
        last_reload=exporter.last_reload,
    )


def status(observation: Observation, names: Collection[str] = ()) -> Status:
    """Work out the status; of the targets with these names only, if there are any."""
    targets = tuple(
        _target(target, observation)
        for target in observation.config.targets
        if not names or target.settings.name in names
    )
    levels = [target.level for target in targets]
    reload = observation.last_reload
    return Status(
        version=__version__,
        at=_time(observation.at),
        headline=headline(levels),
        targets_well=levels.count(Level.WELL),
        targets_waiting=levels.count(Level.WAITING),
        targets_needing_attention=levels.count(Level.ATTENTION),
        last_reload=ReloadStatus(_time(reload.at), not reload.error, reload.error) if reload else None,
        targets=targets,
    )


def headline(levels: Collection[Level]) -> str:
    """Say in a sentence how the targets are."""
    attention, waiting = (sum(level is sought for level in levels) for sought in (Level.ATTENTION, Level.WAITING))
    targets = f"{len(levels)} target" if len(levels) == 1 else f"{len(levels)} targets"
    if attention:
        return f"{attention} of {targets} {'needs' if attention == 1 else 'need'} attention"
    if waiting:
        return f"{waiting} of {targets} {'waits for its' if waiting == 1 else 'wait for their'} first runs"
    return "The target is well" if len(levels) == 1 else f"All {targets} are well"


def _target(target: Target, observation: Observation) -> TargetStatus:
    settings, now = target.settings, observation.at
    entries = observation.entries.get(settings.name, ())
    collectors = tuple(_collector(entry, observation.next_runs[entry.key], now) for entry in entries)
    quotas, pauses = observation.quotas[settings.name], observation.pauses[settings.name]
    limits = {
        endpoint: _limit(endpoint, quotas.get(endpoint), pauses.get(endpoint, 0.0), now)
        for endpoint in {WHOLE_TARGET, *quotas, *pauses}
    }
    return TargetStatus(
        name=settings.name,
        platform=target.platform.name,
        url=settings.url,
        level=max((collector.level for collector in collectors), key=URGENCY.__getitem__, default=Level.WELL),
        quota=limits[WHOLE_TARGET].quota,
        paused_until=limits[WHOLE_TARGET].paused_until,
        endpoints=tuple(limit for endpoint, limit in sorted(limits.items()) if endpoint != WHOLE_TARGET),
        collectors=collectors,
    )


def _limit(endpoint: str, quota: Quota | None, paused_until: float, now: float) -> EndpointStatus:
    said = QuotaStatus(quota.limit, quota.remaining, _time(quota.at)) if quota else None
    return EndpointStatus(endpoint, said, _time(paused_until) if paused_until > now else None)


def _collector(entry: Entry, next_run_at: datetime | None, now: float) -> CollectorStatus:
    age_seconds = None if entry.last_success_at is None else max(0.0, now - entry.last_success_at)
    is_late = age_seconds is not None and age_seconds > LATE_INTERVALS * entry.interval_seconds
    series_dropped = entry.published.series_dropped if entry.published else 0
    said = words(entry, is_late)
    return CollectorStatus(
        name=entry.key.collector,
        level=_level(entry.state, is_late or series_dropped > 0),
        state=entry.state,
        summary=said.summary,
        meaning=said.meaning,
        error=entry.last.error if entry.last else "",
        remedy=said.remedy,
        age_seconds=None if age_seconds is None else round(age_seconds, 3),
        is_late=is_late,
        interval_seconds=entry.interval_seconds,
        max_age_seconds=entry.max_age_seconds,
        last_success_at=None if entry.last_success_at is None else _time(entry.last_success_at),
        last_run_at=_time(entry.last.started_at) if entry.last else None,
        last_run_duration_seconds=round(entry.last.duration_seconds, 3) if entry.last else None,
        next_run_at=_time(next_run_at.timestamp()) if next_run_at else None,
        samples=entry.published.series if entry.published else 0,
        series_dropped=series_dropped,
        unreadable_values=entry.published.unreadable if entry.published else 0,
        runs=entry.runs,
        failures=entry.failures,
        skipped_runs=entry.skipped,
    )


def _level(state: State, is_in_trouble: bool) -> Level:
    if is_in_trouble or state not in (State.OK, State.PENDING):
        return Level.ATTENTION
    return Level.WELL if state is State.OK else Level.WAITING


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds, 3), UTC)
