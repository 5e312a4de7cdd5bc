"""`check --plan`: requests per hour of every target against its budget, before the first request is sent."""

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.config import Config, Target
from exporter.platform import interval, is_enabled
from exporter.settings import duration_text

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class CollectorPlan:
    """What one collector will ask for."""

    collector: str
    interval: str
    requests_per_run: int
    requests_per_hour: float
    shortest_run_seconds: float


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """What a target's collectors will ask for together; `planned_for` is the size of site that was assumed."""

    target: str
    planned_for: str
    collectors: tuple[CollectorPlan, ...]
    budget_per_hour: float
    timeout_seconds: float

    @property
    def requests_per_hour(self) -> float:
        """Requests per hour of all collectors together."""
        return sum(collector.requests_per_hour for collector in self.collectors)

    @property
    def is_over(self) -> bool:
        """True if the collectors ask for more than `requests_per_second` lets through, or a run is too long."""
        return self.requests_per_hour > self.budget_per_hour or bool(self.too_long)

    @property
    def too_long(self) -> tuple[CollectorPlan, ...]:
        """The collectors whose runs cannot end within `timeout` at the target's pace."""
        return tuple(one for one in self.collectors if one.shortest_run_seconds > self.timeout_seconds)


def plan(config: Config) -> list[TargetPlan]:
    """Plan every target, in the order of the configuration."""
    return [plan_target(target) for target in config.targets]


def plan_target(target: Target) -> TargetPlan:
    """Plan the enabled collectors of one target."""
    return TargetPlan(
        target.settings.name,
        target.platform.planned_for,
        tuple(_collector_plans(target)),
        target.settings.requests_per_second * SECONDS_PER_HOUR,
        target.settings.timeout.total_seconds(),
    )


def _collector_plans(target: Target) -> Iterator[CollectorPlan]:
    for collector in target.platform.collectors:
        if is_enabled(target.settings, collector):
            pause = interval(target.settings, collector)
            requests = collector.planned_requests(target.settings)
            per_hour = requests * SECONDS_PER_HOUR / pause.total_seconds()
            shortest_run_seconds = requests / target.settings.requests_per_second
            yield CollectorPlan(collector.name, duration_text(pause), requests, per_hour, shortest_run_seconds)


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
