"""What a platform module provides: one `PLATFORM` constant that says how to reach the platform and what to collect."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from exporter.api.client import Access, Client
from exporter.metrics import TARGET_LABEL, Family, Sample
from exporter.settings import CollectorSettings, TargetSettings

S = TypeVar("S", bound=TargetSettings)

ENTRY_POINTS = "engagement_exporter.platforms"

Collect = Callable[[Client, S, datetime], Awaitable[list[Sample]]]
"""Read what the collector needs within the client's session, and map it; `now` is the aware UTC time of the run.

Raises CollectError when the platform fails; every sample belongs to one of the collector's families.
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """The cheapest GET that needs the same right as the collector."""

    endpoint: str
    params: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collector(Generic[S]):
    """One unit of polling, with its own interval, failure and state.

    `right` is what the credential needs, in the platform's words; collectors that need no right of their own leave it
    empty. `planned_requests` says how many requests a run makes on a site of the size in `Platform.planned_for`.
    """

    name: str
    families: tuple[Family, ...]
    interval: timedelta
    collect: Collect[S]
    probe: Callable[[S], Probe]
    planned_requests: Callable[[S], int]
    enabled: bool = True
    right: str = ""


@dataclass(frozen=True, slots=True)
class Platform(Generic[S]):
    """A kind of platform. `credential` tells how to make the credential and what more than reading it can do.

    `access` raises nothing: the settings were checked. `planned_for` is the size of site that `check --plan` assumes.
    """

    name: str
    settings: type[S]
    access: Callable[[S], Access]
    collectors: tuple[Collector[S], ...]
    credential: str
    planned_for: str

    def __post_init__(self) -> None:
        """Raises ValueError when collectors, settings and families do not fit together."""
        names = [collector.name for collector in self.collectors]
        fields = list(self.settings.model_fields["collectors"].annotation.model_fields)  # type: ignore[union-attr]
        if names != fields:
            raise ValueError(
                f"{self.name}: collectors {names} and the fields of its collectors settings {fields} differ"
            )
        for collector in self.collectors:
            for family in collector.families:
                if not family.name.startswith(f"{self.name}_") or TARGET_LABEL in family.labels:
                    raise ValueError(
                        f"{family.name}: must start with {self.name}_ and leave the label target to the exporter"
                    )


def collector_settings(target: TargetSettings, collector: Collector[Any]) -> CollectorSettings:
    """Return the part of the target's settings that is the collector's."""
    settings: CollectorSettings = getattr(target.collectors, collector.name)
    return settings


def is_enabled(target: TargetSettings, collector: Collector[Any]) -> bool:
    """True if the collector runs for the target: as configured, else by its own default."""
    enabled = collector_settings(target, collector).enabled
    return collector.enabled if enabled is None else enabled


def interval(target: TargetSettings, collector: Collector[Any]) -> timedelta:
    """Return the time between two runs: the collector's setting, else the target's, else the collector's default."""
    return collector_settings(target, collector).interval or target.interval or collector.interval


def installed() -> dict[str, Platform[Any]]:
    """Load every platform that this or another distribution offers, by name."""
    platforms: list[Platform[Any]] = [point.load() for point in entry_points(group=ENTRY_POINTS)]
    return {platform.name: platform for platform in sorted(platforms, key=lambda platform: platform.name)}
