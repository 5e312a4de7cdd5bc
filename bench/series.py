"""The series of the scrape benchmark: gauges like those of a platform, the same for every server that is measured."""

import random

from exporter.metrics import Family, Sample

FAMILIES = tuple(
    Family(
        f"bench_workspace_value_{number}", f"Synthetic value number {number} of a workspace.", ("window", "workspace")
    )
    for number in range(10)
)
WINDOWS = ("7d", "30d")
LARGEST_TARGET = 20_000
"""Series of one target at most; the default of `max_series`."""


def series_per_target(series: int) -> int:
    """Return how many series each target has, of `series` in total: ten targets, or more of the largest size."""
    return min(LARGEST_TARGET, series // 10)


def target_names(series: int) -> list[str]:
    """Return the names of the targets that the series belong to."""
    return [f"site-{number}" for number in range(series // series_per_target(series))]


def samples_of(target: str, count: int) -> list[Sample]:
    """Return the target's samples, the same in every process: workspaces with random ids, whole values.

    As with real collectors, the series of one workspace stand next to each other within a family.
    """
    numbers = random.Random(target)
    workspaces = [f"{numbers.getrandbits(96):024x}" for _ in range(count // len(FAMILIES) // len(WINDOWS))]
    return [
        Sample(family, (window, workspace), float(numbers.randrange(10_000)))
        for family in FAMILIES
        for workspace in workspaces
        for window in WINDOWS
    ]
