"""`check --plan`: what a target will ask for against its budget and the platform's limit, and what has no room."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.config import Config, Target
from exporter.jobs import enabled_collectors
from exporter.metrics import Family
from exporter.platform import Collector, Limit, interval
from exporter.settings import TargetSettings, duration_text
from exporter.snapshot import left_out

SECONDS_PER_HOUR = 3600.0
ALL_ENDPOINTS = "all endpoints"


@dataclass(frozen=True, slots=True)
class CollectorPlan:
    """What one collector will ask for; `requests` are those of a run, by endpoint."""

    collector: str
    interval_seconds: float
    interval: str
    requests: Mapping[str, int]
    shortest_run_seconds: float

    @property
    def requests_per_run(self) -> int:
        """Requests of a run."""
        return sum(self.requests.values())

    @property
    def requests_per_hour(self) -> float:
        """Requests of all runs of an hour."""
        return self.requests_per_run * SECONDS_PER_HOUR / self.interval_seconds


@dataclass(frozen=True, slots=True)
class Burst:
    """The most requests that may fall into one window of the platform's limit: of each collector alone, and of all.

    All are fewer than the sum where the target's pace holds them back.
    """

    endpoint: str
    alone: Mapping[str, int]
    requests: int
    limit: Limit

    @property
    def is_over(self) -> bool:
        """True if the platform would refuse some of them."""
        return self.requests > self.limit.requests


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """What a target's collectors will ask for and give together; `planned_for` is the size of site that was assumed.

    `without_room` are the families that `max_series` will leave out, with their sizes.
    """

    target: str
    planned_for: str
    collectors: tuple[CollectorPlan, ...]
    budget_per_hour: float
    timeout_seconds: float
    bursts: tuple[Burst, ...]
    series: int
    max_series: int
    without_room: Mapping[Family, int]

    @property
    def requests_per_hour(self) -> float:
        """Requests per hour of all collectors together."""
        return sum(collector.requests_per_hour for collector in self.collectors)

    @property
    def is_over(self) -> bool:
        """True if the budget, the platform's limit, a timeout or `max_series` will not do."""
        return (
            self.requests_per_hour > self.budget_per_hour
            or bool(self.too_long)
            or any(burst.is_over for burst in self.bursts)
            or bool(self.without_room)
        )

    @property
    def too_long(self) -> tuple[CollectorPlan, ...]:
        """The collectors whose runs cannot end within `timeout` at the target's pace."""
        return tuple(one for one in self.collectors if one.shortest_run_seconds > self.timeout_seconds)


def plan(config: Config) -> list[TargetPlan]:
    """Plan every target, in the order of the configuration."""
    return [plan_target(target) for target in config.targets]


def plan_target(target: Target) -> TargetPlan:
    """Plan the enabled collectors of one target."""
    settings = target.settings
    collectors = tuple(_collector_plans(target))
    results = [_planned_sizes(collector, settings) for collector in enabled_collectors(target)]
    sizes = Counter[Family]()
    for result in results:
        sizes.update(result)
    without_room = left_out(results, settings.max_series)
    limit = target.platform.limit
    return TargetPlan(
        settings.name,
        target.platform.planned_for,
        collectors,
        settings.requests_per_second * SECONDS_PER_HOUR,
        settings.timeout.total_seconds(),
        tuple(_bursts(collectors, limit, settings.requests_per_second, settings.concurrency)) if limit else (),
        sizes.total(),
        settings.max_series,
        {family: size for family, size in sizes.items() if family in without_room},
    )


def _collector_plans(target: Target) -> Iterator[CollectorPlan]:
    for collector in enabled_collectors(target):
        pause = interval(target.settings, collector)
        requests = collector.planned_requests(target.settings)
        shortest_run_seconds = sum(requests.values()) / target.settings.requests_per_second
        yield CollectorPlan(collector.name, pause.total_seconds(), duration_text(pause), requests, shortest_run_seconds)


def _planned_sizes(collector: Collector[Any], settings: TargetSettings) -> dict[Family, int]:
    """Return the families of a run in the order in which they have room."""
    planned = collector.planned_series(settings)
    return {family: planned[family] for family in collector.families if family in planned}


def _bursts(
    collectors: Sequence[CollectorPlan], limit: Limit, requests_per_second: float, concurrency: int
) -> Iterator[Burst]:
    """Count what a window may hold: every run of a collector that can begin in it, as far as the pace lets it."""
    window_seconds = limit.window.total_seconds()
    at_pace = concurrency + math.floor(requests_per_second * window_seconds)
    by_endpoint: dict[str, Counter[str]] = {}
    for collector in collectors:
        runs = math.ceil(window_seconds / collector.interval_seconds)
        for endpoint, requests in collector.requests.items():
            if endpoint.startswith(limit.under):
                place = limit.endpoint_of(endpoint) or ALL_ENDPOINTS
                by_endpoint.setdefault(place, Counter())[collector.collector] += runs * requests
    for endpoint, by_collector in by_endpoint.items():
        alone = {collector: min(requests, at_pace) for collector, requests in by_collector.items()}
        yield Burst(endpoint, alone, min(by_collector.total(), at_pace), limit)


def lines(target_plan: TargetPlan) -> Iterator[str]:
    """Write a target's plan as text."""
    yield f"{target_plan.target} (assuming {target_plan.planned_for})"
    for collector in target_plan.collectors:
        yield (
            f"  {collector.collector:<14} every {collector.interval:<8}"
            f"{collector.requests_per_run:>7} requests a run {collector.requests_per_hour:>9.0f} an hour"
        )
    share = target_plan.requests_per_hour / target_plan.budget_per_hour
    over = target_plan.requests_per_hour > target_plan.budget_per_hour
    verdict = "OVER BUDGET: lengthen intervals or turn collectors off" if over else "ok"
    yield (
        f"  {'total':<45} {target_plan.requests_per_hour:>9.0f} an hour,"
        f" {share:.0%} of the {target_plan.budget_per_hour:.0f} that requests_per_second allows: {verdict}"
    )
    for collector in target_plan.too_long:
        yield (
            f"  {collector.collector}: TOO LONG: a run takes {collector.shortest_run_seconds:.0f} s or more, and"
            f" timeout ends it after {target_plan.timeout_seconds:.0f} s: raise timeout or requests_per_second"
        )
    yield from map(_burst_line, target_plan.bursts)
    yield from _series_lines(target_plan)


def _burst_line(burst: Burst) -> str:
    window = duration_text(burst.limit.window)
    shares = ", ".join(
        f"{collector} {requests / burst.limit.requests:.0%}" for collector, requests in burst.alone.items()
    )
    verdict = "OVER LIMIT: lower requests_per_second, lengthen intervals or turn collectors off"
    return (
        f"  {burst.endpoint}: at most {burst.requests} requests in {window},"
        f" {burst.requests / burst.limit.requests:.0%} of the {burst.limit.requests} that the platform allows"
        f" ({shares} if alone): {verdict if burst.is_over else 'ok'}"
    )


def _series_lines(target_plan: TargetPlan) -> Iterator[str]:
    dropped = ", ".join(f"{family.name} ({size})" for family, size in target_plan.without_room.items())
    verdict = f"TOO MANY: left out will be {dropped}: raise max_series or turn collectors off" if dropped else "ok"
    yield f"  {target_plan.series} series, max_series is {target_plan.max_series}: {verdict}"
