"""`/config`: the settings in force, defaults filled in, as YAML in the form of the configuration file."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path

import yaml
from pydantic import BaseModel

from exporter.config import Config, Target
from exporter.platform import collector_settings, interval, is_enabled
from exporter.settings import CollectorSettings, duration_text

SECRET = "<secret>"  # noqa: S105 - what stands in a secret's place, as Prometheus writes it


def redacted_yaml(config: Config) -> str:
    """Return the targets with their effective settings; keys that are not set are left out."""
    # target by target, since the emitter lets no other thread run until it is done
    return "targets:\n" + "".join(_yaml([_target(target)]) for target in config.targets)


def _yaml(document: object) -> str:
    return str(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120))


def _target(target: Target) -> dict[str, object]:
    settings = target.settings
    collectors = {
        collector.name: {
            "enabled": is_enabled(settings, collector),
            "interval": duration_text(interval(settings, collector)),
            **_keys(collector_settings(settings, collector), CollectorSettings.model_fields),
        }
        for collector in target.platform.collectors
    }
    return {**_keys(settings, ("collectors",)), "collectors": collectors}


def _keys(settings: BaseModel, others: Collection[str] = ()) -> dict[str, object]:
    """Return the keys that are set, but for `others`."""
    values = {key: getattr(settings, key) for key in type(settings).model_fields if key not in others}
    return {key: redacted(value) for key, value in values.items() if value is not None}


def redacted(value: object) -> object:
    """Return a setting as YAML can hold it. What is not of a type known to be harmless is shown as a secret."""
    match value:
        case BaseModel():
            return _keys(value)
        case timedelta():
            return duration_text(value)
        case Path():
            return str(value)
        case str():
            return str(value)  # a plain one: YAML knows no enumerations
        case bool() | int() | float():
            return value
        case list() | tuple():
            return [redacted(item) for item in value]
        case Mapping():
            return {str(key): redacted(item) for key, item in value.items()}
        case _:
            return SECRET
