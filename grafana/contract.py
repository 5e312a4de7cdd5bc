"""The series that dashboards may use: those of the exporter's registry, and the one that Prometheus itself adds."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from exporter import self_metrics
from exporter.metrics import TARGET_LABEL, Kind
from exporter.platform import installed

ADDED_LABELS = frozenset({"job", "instance"})

NOT_ON_A_DASHBOARD = {
    "engagement_api_request_duration_seconds_sum": "the quantile says more than the mean",
    "process_max_fds": "a constant of the system",
    "process_start_time_seconds": "restarts show as steps of the other process panels",
    "process_virtual_memory_bytes": "address space, not memory in use",
    "python_gc_collections_total": "for those who work on the exporter",
    "python_gc_objects_collected_total": "for those who work on the exporter",
    "python_gc_objects_uncollectable_total": "for those who work on the exporter",
    "python_info": "engagement_build_info has the version of Python",
}
"""Series of the contract that no dashboard shows, with the reason."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What can be selected under one name."""

    name: str
    kind: Kind
    labels: frozenset[str]

    @property
    def of_target(self) -> bool:
        """True if each of its series belongs to a target."""
        return TARGET_LABEL in self.labels


def exposed() -> dict[str, Metric]:
    """Return every series of the exporter by name; a histogram has three names."""
    return {metric.name: metric for metric in (*_of_platforms(), *_of_exporter(), *_of_process())}


def selectable() -> dict[str, Metric]:
    """Return what a query may select: the exporter's series, and whether Prometheus reached it."""
    return {"up": Metric("up", Kind.GAUGE, frozenset()), **exposed()}


def _of_platforms() -> Iterator[Metric]:
    for platform in installed().values():
        for collector in platform.collectors:
            for family in collector.families:
                yield Metric(family.name, family.kind, frozenset({TARGET_LABEL, *family.labels}))


def _of_exporter() -> Iterator[Metric]:
    for family in self_metrics.FAMILIES:
        labels = frozenset(family.labels)
        if family.kind is not Kind.HISTOGRAM:
            yield Metric(family.name, family.kind, labels)
            continue
        yield Metric(f"{family.name}_bucket", Kind.COUNTER, labels | {"le"})
        yield Metric(f"{family.name}_count", Kind.COUNTER, labels)
        yield Metric(f"{family.name}_sum", Kind.COUNTER, labels)


def _of_process() -> Iterator[Metric]:
    """Those that prometheus-client knows, whatever it calls them."""
    registry = CollectorRegistry()
    self_metrics.ProcessMetrics(registry, revision="")
    for family in registry.collect():
        for sample in family.samples:
            if not sample.name.startswith("engagement_"):
                kind = Kind.COUNTER if sample.name.endswith("_total") else Kind.GAUGE
                yield Metric(sample.name, kind, frozenset(sample.labels))
