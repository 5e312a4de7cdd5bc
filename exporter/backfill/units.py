"""What a backfill does, in parts that are finished one after the other."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.config import Config, Target
from exporter.errors import ChoiceError
from exporter.metrics import Family
from exporter.platform import Collector, History, Platform, is_enabled


@dataclass(frozen=True, slots=True)
class Part:
    """A target, and the collectors of its whose series are wanted."""

    target: Target
    collectors: tuple[Collector[Any], ...]

    @property
    def families(self) -> tuple[Family, ...]:
        """All families of the collectors."""
        return tuple(family for collector in self.collectors for family in collector.families)


@dataclass(frozen=True, slots=True)
class Unit:
    """One history of a platform, for all the targets on it, so that each family stands in one piece in the output."""

    platform: Platform[Any]
    history: History[Any]
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """Platform and collectors."""
        return f"{self.platform.name}/{'+'.join(self.history.collectors)}"

    @property
    def families(self) -> tuple[Family, ...]:
        """The families of all parts, in the order of the catalogue."""
        wanted = {family for part in self.parts for family in part.families}
        families = (family for collector in self.platform.collectors for family in collector.families)
        return tuple(dict.fromkeys(family for family in families if family in wanted))


def units(config: Config, target_names: Collection[str], collector_names: Collection[str]) -> tuple[Unit, ...]:
    """Return what to do for the named targets and collectors; no names mean all targets, and what they have enabled.

    Raises ChoiceError for a name that nothing has, and when nothing of what is named has a history.
    """
    targets = _named(config.targets, target_names)
    _check_collectors(targets, collector_names)
    platforms = {target.platform.name: target.platform for target in targets}
    found = tuple(
        Unit(platforms[name], history, parts)
        for name in sorted(platforms)
        for history in platforms[name].histories
        if history.read is not None and (parts := tuple(_parts(targets, platforms[name], history, collector_names)))
    )
    if not found:
        raise ChoiceError("none of these collectors has a history; docs/history.md says why")
    return found


def _named(targets: Sequence[Target], names: Collection[str]) -> list[Target]:
    known = [target.settings.name for target in targets]
    for name in names:
        if name not in known:
            raise ChoiceError(f"no target is named {name}; there are {', '.join(known)}")
    return [target for target in targets if not names or target.settings.name in names]


def _check_collectors(targets: Iterable[Target], names: Collection[str]) -> None:
    known = sorted({collector.name for target in targets for collector in target.platform.collectors})
    for name in names:
        if name not in known:
            raise ChoiceError(f"no collector is named {name}; there are {', '.join(known)}")


def _parts(
    targets: Iterable[Target], platform: Platform[Any], history: History[Any], names: Collection[str]
) -> Iterator[Part]:
    for target in targets:
        if target.platform is not platform:
            continue
        collectors = tuple(
            collector
            for collector in platform.collectors
            if collector.name in history.collectors
            and (collector.name in names if names else is_enabled(target.settings, collector))
        )
        if collectors:
            yield Part(target, collectors)
