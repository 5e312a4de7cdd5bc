"""The configuration file: YAML text becomes frozen settings, or a ConfigError that lists every problem."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from exporter.errors import ConfigError, Problem
from exporter.platform import Platform, interval, is_enabled
from exporter.settings import Duration, Settings, TargetSettings, duration_text
from exporter.validation import did_you_mean, problems_of, read_file, unknown_key
from exporter.yaml_document import Document


class Defaults(Settings):
    """Values for the targets that do not give their own."""

    interval: Duration | None = Field(
        None, description="time between two runs of each collector; left out, each collector's own"
    )
    timeout: Duration = Field(
        timedelta(minutes=5), description="longest time that one run of a collector may take as a whole"
    )
    max_age: Duration = Field(
        timedelta(hours=24), description="age at which values are dropped when no run succeeds any more"
    )
    max_series: int = Field(20_000, ge=1, description="most series of one target")


@dataclass(frozen=True, slots=True)
class Target:
    """One configured platform; the defaults are filled in."""

    settings: TargetSettings
    platform: Platform[Any]


@dataclass(frozen=True, slots=True)
class Config:
    """The targets in the order of the file."""

    targets: tuple[Target, ...]


TOP_LEVEL_KEYS = ("defaults", "targets")


def load(path: Path, platforms: Mapping[str, Platform[Any]], environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check the file at `path`; `platforms` are the known ones by name. Raises ConfigError."""
    return parse(read_file(path, "--config.file", environment), path.parent, platforms)


def parse(document: Document, folder: Path, platforms: Mapping[str, Platform[Any]]) -> Config:
    """Turn a document into settings; files that it names are relative to `folder`. Raises ConfigError."""
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError((document.problem((), "must be a mapping with the key 'targets'; see config.example.yaml"),))
    problems = [document.problem((key,), unknown_key(key, TOP_LEVEL_KEYS)) for key in data if key not in TOP_LEVEL_KEYS]
    defaults, default_problems = _defaults(document, folder)
    targets, target_problems = _targets(document, folder, platforms, defaults)
    problems += [*default_problems, *target_problems]
    if problems:
        raise ConfigError(tuple(problems))
    return Config(tuple(targets))


def _defaults(document: Document, folder: Path) -> tuple[dict[str, object], list[Problem]]:
    """Return the defaults that the file sets, by key, for filling into targets."""
    raw = document.data.get("defaults", {})
    try:
        defaults = Defaults.model_validate(raw, context={"folder": folder})
    except ValidationError as error:
        return {}, list(problems_of(document, ("defaults",), error, Defaults))
    return {key: getattr(defaults, key) for key in defaults.model_fields_set}, []


def _targets(
    document: Document,
    folder: Path,
    platforms: Mapping[str, Platform[Any]],
    defaults: Mapping[str, object],
) -> tuple[list[Target], list[Problem]]:
    raw_targets = document.data.get("targets")
    if not isinstance(raw_targets, list) or not raw_targets:
        return [], [document.problem(("targets",), "must be a list of at least one target; see config.example.yaml")]
    targets: list[Target] = []
    problems: list[Problem] = []
    lines: dict[str, int] = {}
    for number, raw in enumerate(raw_targets):
        path = ("targets", number)
        target, found = _target(document, path, raw, folder, platforms, defaults)
        problems += found
        if target is None:
            continue
        targets.append(target)
        line, _ = document.positions[(*path, "name")]
        name = target.settings.name
        if name in lines:
            message = f"{name} is also the name of the target on line {lines[name]}; give each its own"
            problems.append(document.problem((*path, "name"), message))
        lines.setdefault(name, line)
    return targets, problems


def _target(
    document: Document,
    path: tuple[str, int],
    raw: object,
    folder: Path,
    platforms: Mapping[str, Platform[Any]],
    defaults: Mapping[str, object],
) -> tuple[Target | None, list[Problem]]:
    if not isinstance(raw, dict):
        return None, [document.problem(path, "must be a mapping with the keys name, platform and url")]
    name = raw.get("platform")
    if not isinstance(name, str) or name not in platforms:
        message = "is missing; add it" if name is None else f"no such platform{did_you_mean(name, platforms)}"
        message += f"; there are {', '.join(sorted(platforms))}"
        return None, [document.problem((*path, "platform"), message)]
    platform = platforms[name]
    try:
        settings = platform.settings.model_validate({**defaults, **raw}, context={"folder": folder})
    except ValidationError as error:
        return None, list(problems_of(document, path, error, platform.settings))
    problems = [*settings.problems(), *_age_problems(settings, platform)]
    return Target(settings, platform), [
        document.problem((*path, *key.split(".")), message) for key, message in problems
    ]


def _age_problems(settings: TargetSettings, platform: Platform[Any]) -> Iterator[tuple[str, str]]:
    """Values that are dropped before the next run can replace them would come and go."""
    for collector in platform.collectors:
        pause = interval(settings, collector)
        if is_enabled(settings, collector) and settings.max_age < 2 * pause:
            yield (
                "max_age",
                f"{duration_text(settings.max_age)} is less than two intervals of the collector {collector.name}"
                f" ({duration_text(pause)}), so that one failed run would empty its series; raise max_age",
            )
