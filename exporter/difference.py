"""What changes from one configuration to the next: by name only, since values may be secrets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exporter.config import Config, Target

NOT_OF_THE_CLIENT = {"interval", "timeout", "max_age", "max_series", "collectors"}
"""Keys that say what is collected and when; all others say how the platform is asked."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Names of targets, in the order of their configuration; of changed ones also the keys that changed."""

    added: tuple[str, ...]
    changed: Mapping[str, tuple[str, ...]]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]


def difference(old: Config, new: Config) -> Difference:
    """Compare two configurations target by target."""
    olds, news = by_name(old), by_name(new)
    changes = {name: tuple(changed_keys(olds[name], target)) for name, target in news.items() if name in olds}
    return Difference(
        added=tuple(name for name in news if name not in olds),
        changed={name: keys for name, keys in changes.items() if keys},
        removed=tuple(name for name in olds if name not in news),
        unchanged=tuple(name for name, keys in changes.items() if not keys),
    )


def by_name(config: Config) -> dict[str, Target]:
    """Return the targets by name."""
    return {target.settings.name: target for target in config.targets}


def changed_keys(old: Target, new: Target) -> Iterator[str]:
    """Yield the keys that differ, collectors as `collectors.NAME`."""
    old_values, new_values = _values(old), _values(new)
    for key in {**old_values, **new_values}:
        if old_values.get(key) != new_values.get(key):
            yield key


def needs_new_client(old: Target, new: Target) -> bool:
    """True if the platform is asked at another address, with another credential, at another pace, or over other TLS."""
    return any(key.split(".")[0] not in NOT_OF_THE_CLIENT for key in changed_keys(old, new))


def _values(target: Target) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in target.settings:
        if key == "collectors":
            values |= {f"collectors.{name}": collector for name, collector in value}
        else:
            values[key] = value
    return values
