"""A page of metrics, read by the official parsers into what the truth of the demo is written in."""

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def series(page: str, prefix: str = "", **labels: str) -> Series:
    """Return the samples whose name has the prefix and that carry `labels`, which are then left out of the key.

    The key is the name with the sorted label pairs. Fails when a series stands twice.
    """
    found: Series = {}
    for family in families(page):
        for sample in family.samples:
            if sample.name.startswith(prefix) and labels.items() <= sample.labels.items():
                others = tuple(sorted(pair for pair in sample.labels.items() if pair[0] not in labels))
                assert (sample.name, others) not in found, f"{sample.name}{sample.labels} stands twice"
                found[sample.name, others] = sample.value
    return found


def families(page: str) -> list[Metric]:
    """Parse a page of either format."""
    if page.endswith("# EOF\n"):
        return list(openmetrics_families(page))  # type: ignore[no-untyped-call]
    return list(text_families(page))
