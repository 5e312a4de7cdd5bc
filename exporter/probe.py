"""`check --probe`: ask every target a little of what a run asks, and tell which rights lack and which are in excess."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from exporter import collection
from exporter.api.client import Client
from exporter.collection import Result
from exporter.config import Target
from exporter.errors import State
from exporter.jobs import enabled_collectors
from exporter.metrics import Sample
from exporter.platform import Collector, Probe
from exporter.settings import TargetSettings


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about a collector, or about a right. `is_failure` says that the collector would not work."""

    target: str
    subject: str
    text: str
    is_failure: bool = False

    def __str__(self) -> str:
        return f"{self.target}: {self.subject}: {'FAILED: ' if self.is_failure else ''}{self.text}"


async def probe(target: Target, client: Client) -> AsyncIterator[Finding]:
    """Send each probe of the collectors that are on, then one for each right that only others need."""
    settings, platform = target.settings, target.platform
    enabled = list(enabled_collectors(target))
    answered: dict[tuple[str, str], Result] = {}
    async with client.session():
        for collector in enabled:
            failures = []
            for one in collector.probes:
                asked = (one.right, one.endpoint)
                if asked not in answered:
                    answered[asked] = await _ask(client, collector, one, settings)
                state = answered[asked].state
                if state is State.FORBIDDEN or not (one.only_right or state is State.OK):
                    failures.append(_failure(answered[asked], one.right))
            for text in failures:
                yield Finding(settings.name, collector.name, text, is_failure=True)
            if not failures:
                yield Finding(settings.name, collector.name, _good(collector, settings))
        if platform.has_rights(settings):
            needed = {right for collector in enabled for right in collector.rights}
            for right, (collector, one) in _rights_of_others(platform.collectors, needed).items():
                if (await _ask(client, collector, one, settings)).state is State.OK:
                    yield Finding(
                        settings.name,
                        right,
                        f"right in excess: only collectors that are off need it, such as {collector.name}",
                    )
    yield Finding(settings.name, "credential", platform.credential)


async def _ask(client: Client, collector: Collector[Any], one: Probe[Any], settings: TargetSettings) -> Result:
    """Run the probe in the collector's place, so that it has the deadline, the state and the remedy of a run."""

    async def collect(client: Client, settings: TargetSettings, now: datetime) -> list[Sample]:
        await one.ask(client, settings, now)
        return []

    return await collection.run(client, replace(collector, collect=collect), settings)


def _rights_of_others(
    collectors: tuple[Collector[Any], ...], needed: set[str]
) -> dict[str, tuple[Collector[Any], Probe[Any]]]:
    """Return the rights that are not `needed`, each with the first collector that would need it and its probe."""
    found: dict[str, tuple[Collector[Any], Probe[Any]]] = {}
    for collector in collectors:
        for one in collector.probes:
            if one.right and one.right not in needed:
                found.setdefault(one.right, (collector, one))
    return found


def _good(collector: Collector[Any], settings: TargetSettings) -> str:
    guessed = dict.fromkeys(
        basis.endpoint for basis in collector.guesses if basis.api_version in ("", getattr(settings, "api_version", ""))
    )
    return f"ok, though some of GET {' and '.join(guessed)} is a guess (docs/evidence.md)" if guessed else "ok"


def _failure(result: Result, right: str) -> str:
    lack = f"missing right ({right}): " if right and result.state is State.FORBIDDEN else ""
    return f"{result.state}: {lack}{result.error}; {result.remedy}"
