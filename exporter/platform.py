"""What a platform module provides: one `PLATFORM` constant that says how to reach the platform and what to collect."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from exporter.api.client import Access, Client
from exporter.api.pacing import WHOLE_TARGET
from exporter.evidence import Basis
from exporter.history import Fidelity, Known, Span, Told
from exporter.metrics import TARGET_LABEL, Family, Sample
from exporter.settings import CollectorSettings, TargetSettings

S = TypeVar("S", bound=TargetSettings)

ENTRY_POINTS = "engagement_exporter.platforms"

Collect = Callable[[Client, S, datetime], Awaitable[list[Sample]]]
"""Read what the collector needs within the client's session, and map it; `now` is the aware UTC time of the run.

Raises CollectError when the platform fails; every sample belongs to one of the collector's families.
"""


@dataclass(frozen=True, slots=True)
class Probe(Generic[S]):
    """One request out of a run: `ask` sends, decodes and fails as the run does, and its samples are thrown away.

    An answer proves that the credential has `right`, in the platform's words; empty for what needs no right of its
    own. Of probes with the same endpoint and right, one is sent for all. `only_right` marks what a collector's runs do
    not ask: nothing but a missing right counts against it.
    """

    endpoint: str
    ask: Collect[S]
    right: str = ""
    only_right: bool = False


@dataclass(frozen=True, slots=True)
class Collector(Generic[S]):
    """One unit of polling, with its own interval, failure and state.

    `probes` show whether a run would succeed, and between them need every right that a run needs. `planned_requests`
    by endpoint and `planned_series` by family are those of a run on a site of the size in
    `Platform.planned_for`. `bases` say of every endpoint what the shape of its replies rests on.
    """

    name: str
    families: tuple[Family, ...]
    interval: timedelta
    collect: Collect[S]
    probes: tuple[Probe[S], ...]
    planned_requests: Callable[[S], Mapping[str, int]]
    planned_series: Callable[[S], Mapping[Family, int]]
    enabled: bool = True
    bases: tuple[Basis, ...] = ()

    def endpoints(self, settings: S) -> frozenset[str]:
        """Return the path templates that a run asks."""
        return frozenset(self.planned_requests(settings))

    @property
    def rights(self) -> tuple[str, ...]:
        """What the credential needs, in the platform's words."""
        return tuple(probe.right for probe in self.probes if probe.right)

    @property
    def guesses(self) -> tuple[Basis, ...]:
        """What of the replies is inferred."""
        return tuple(basis for basis in self.bases if basis.is_guess)


@dataclass(frozen=True, slots=True)
class Limit:
    """The most requests that a platform documents for a window, of each endpoint under `under` or of all together."""

    requests: int
    window: timedelta
    is_per_endpoint: bool = False
    under: str = "/"

    def endpoint_of(self, endpoint: str) -> str:
        """Return the endpoint if its requests have a limit of their own, else that of all together, WHOLE_TARGET."""
        return endpoint if self.is_per_endpoint and endpoint.startswith(self.under) else WHOLE_TARGET


ReadHistory = Callable[[Client, S, Span, Callable[[], float]], Awaitable[Told]]
"""Read within the client's session what is known of the past; the function at the end gives the present Unix time.

Moments of the span only bound what to ask for: series may reach beyond it. Raises CollectError when the platform fails.
"""


@dataclass(frozen=True, slots=True)
class History(Generic[S]):
    """The past of one or several collectors that one walk through the platform's records can tell.

    `known` speaks of every family of these collectors. `read` is None when the platform dates nothing of theirs.
    """

    collectors: tuple[str, ...]
    known: tuple[Known, ...]
    read: ReadHistory[S] | None = None


def no_history(collector: Collector[S], why: str) -> History[S]:
    """Say why nothing is known of a collector's past."""
    return History((collector.name,), tuple(Known(family, Fidelity.UNKNOWN, why) for family in collector.families))


@dataclass(frozen=True, slots=True)
class Platform(Generic[S]):
    """A kind of platform. `credential` tells how to make the credential and what more than reading it can do.

    `access` raises nothing: the settings were checked. `planned_for` is the size of site that `check --plan` assumes.
    `histories` say what can be told of the past; a collector that none of them names has no history. `has_rights` is
    false for a target whose credential, if any, opens everything or nothing. `limit` is None where none is documented.
    """

    name: str
    settings: type[S]
    access: Callable[[S], Access]
    collectors: tuple[Collector[S], ...]
    credential: str
    planned_for: str
    histories: tuple[History[S], ...] = ()
    has_rights: Callable[[S], bool] = lambda _settings: True
    limit: Limit | None = None

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
        for history in self.histories:
            told = {known.family for known in history.known}
            families = {
                family
                for collector in self.collectors
                if collector.name in history.collectors
                for family in collector.families
            }
            if told != families:
                names = sorted(family.name for family in told ^ families)
                raise ValueError(f"{self.name}: the history of {history.collectors} must speak of {names} too, or not")


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
