"""What a series was at every moment of the past: step functions, and how faithfully a collector can tell them.

Times are whole milliseconds of Unix time, since that is how finely platforms date things.
"""

import math
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from exporter.metrics import Family, Sample, shortened

ABSENT = math.nan
"""Stands in `Steps.values` while there is no series; no platform reports a NaN."""

ALWAYS_MS = -(2**62)
"""The start of a series that has been there for as long as anybody can ask."""

MS_PER_SECOND = 1000


class Fidelity(Enum):
    """What the history of a family promises about a moment T; the value is how documents say it."""

    EXACT = "exact"
    """What a poll at T exposed."""

    EXCEPT_DELETED = "exact except for deleted objects"
    """What a poll at T exposed, without what the platform has forgotten since."""

    FROM_FIRST_USE = "exact from first use on, except for deleted objects"
    """What a poll at T exposed of objects that had been used, without what the platform has forgotten since."""

    MIDNIGHT = "exact at 00:00 UTC"
    """What a poll at the midnight before T exposed: the platform keeps one number a day."""

    PRESENT = "with present properties"
    """The names and properties of now, for as long as the object has numbers."""

    UNKNOWN = "not reconstructable"
    """Left out."""


@dataclass(frozen=True, slots=True)
class Known:
    """How faithful the history of a family is, or of its series with the label value `window` when that is given."""

    family: Family
    fidelity: Fidelity
    why: str = ""
    windows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """The moments of a history: `start_seconds` and every `step_seconds` from there until `end_seconds` itself."""

    start_seconds: int
    end_seconds: int
    step_seconds: int

    @property
    def count(self) -> int:
        """How many moments there are."""
        return (self.end_seconds - self.start_seconds) // self.step_seconds + 1

    def moments(self) -> range:
        """All moments in Unix seconds."""
        return range(self.start_seconds, self.end_seconds + 1, self.step_seconds)

    def index(self, time_ms: int) -> int:
        """Return the position of the first moment at or after the time; `count` when there is none."""
        if time_ms <= self.start_seconds * MS_PER_SECOND:
            return 0
        if time_ms > self.end_seconds * MS_PER_SECOND:
            return self.count
        return -((self.start_seconds * MS_PER_SECOND - time_ms) // (self.step_seconds * MS_PER_SECOND))


class Run(NamedTuple):
    """The moments `first` to `last`, exclusive and by position in a span, at which a series has one value."""

    first: int
    last: int
    value: float


@dataclass(slots=True)
class Steps:
    """The past of one series: `values[i]` holds from `times_ms[i]` on, and before the first there is no series."""

    family: Family
    labels: tuple[str, ...]
    times_ms: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def __post_init__(self) -> None:
        """Cut labels as those of a page are."""
        self.labels = tuple(map(shortened, self.labels))

    def set(self, time_ms: int, value: float) -> None:
        """Let the value hold from a time on that is not before the last one; the same value again is no change."""
        if self.times_ms and self.times_ms[-1] == time_ms:
            self.times_ms.pop()
            self.values.pop()
        if not self._ends_with(value):
            self.times_ms.append(time_ms)
            self.values.append(value)

    def _ends_with(self, value: float) -> bool:
        if not self.values:
            return math.isnan(value)
        return self.values[-1] == value or (math.isnan(value) and math.isnan(self.values[-1]))

    def at(self, time_ms: int) -> float | None:
        """Return the value at a time, None while there is no series."""
        position = bisect_right(self.times_ms, time_ms) - 1
        if position < 0 or math.isnan(self.values[position]):
            return None
        return self.values[position]

    def runs(self, span: Span) -> Iterator[Run]:
        """Yield the span's moments in order, as runs of one value; moments without a value are left out."""
        first, value = 0, ABSENT
        for last, next_value in zip(map(span.index, self.times_ms), self.values, strict=True):
            if last > first:
                if value == value:  # noqa: PLR0124 - it is no NaN, told in a tenth of the time of math.isnan
                    yield Run(first, last, value)
                first = last
            value = next_value
        if first < span.count and not math.isnan(value):
            yield Run(first, span.count, value)


Past = Mapping[Family, Iterable[Steps]]
"""The series of each family, sorted by label values. Iterables may compute them one at a time; take them once."""


class Told(NamedTuple):
    """What a platform tells of its past: the series, and for people what of it is left out, and what is in doubt.

    A family is told whole or not at all, since a part of it would be a wrong number; texts count what is missing.
    """

    past: Past
    left_out: Sequence[str] = ()
    doubts: Sequence[str] = ()


def summed(family: Family, labels: tuple[str, ...], since_ms: int, changes: Iterable[tuple[int, float]]) -> Steps:
    """Add up changes, given as (time, difference) in the order of time, as a series that is 0 from `since_ms` on."""
    steps = Steps(family, labels)
    steps.set(since_ms, 0)
    value = 0.0
    for time_ms, group in groupby(changes, key=itemgetter(0)):
        value += sum([difference for _, difference in group])
        steps.set(max(time_ms, since_ms), value)
    return steps


def counted(
    family: Family, labels: tuple[str, ...], since_ms: int, begins_ms: Iterable[int], ends_ms: Iterable[int] = ()
) -> Steps:
    """Count what has begun and not ended, as a series that is 0 from `since_ms` on. Times come in any order."""
    begins = ((time, 1) for time in _sorted(begins_ms))
    ends = ((time, -1) for time in _sorted(ends_ms))
    return summed(family, labels, since_ms, merge(begins, ends, key=itemgetter(0)))


def _sorted(times_ms: Iterable[int]) -> "array[int]":
    """Sort into 8 bytes for each, where a list of numbers takes 40."""
    return array("q", sorted(times_ms))


def stepped(snapshots: Iterable[tuple[int, Iterable[Sample]]]) -> list[Steps]:
    """Turn the samples of successive times into series; one that a snapshot lacks is absent from there on."""
    found: dict[tuple[Family, tuple[str, ...]], Steps] = {}
    present: set[tuple[Family, tuple[str, ...]]] = set()
    for time_ms, samples in snapshots:
        seen = set()
        for sample in samples:
            key = (sample.family, sample.labels)
            seen.add(key)
            if key not in found:
                found[key] = Steps(*key)
            found[key].set(time_ms, sample.value)
        for key in present - seen:
            found[key].set(time_ms, ABSENT)
        present = seen
    return list(found.values())


def by_family(series: Iterable[Steps], families: Sequence[Family]) -> Past:
    """Arrange series of any order; those of other families are left out."""
    past: dict[Family, list[Steps]] = {family: [] for family in families}
    for steps in series:
        if steps.family in past:
            past[steps.family].append(steps)
    for found in past.values():
        found.sort(key=lambda steps: steps.labels)
    return past


def disagreeing(
    families: Collection[Family], series: Iterable[Steps], samples: Iterable[Sample], time_ms: int
) -> set[Family]:
    """Return those of the families of which the series say anything else of a time than the samples do."""
    told = {(steps.family, steps.labels, steps.at(time_ms)) for steps in series if steps.at(time_ms) is not None}
    live = {(sample.family, sample.labels, sample.value) for sample in samples}
    return {family for family, _, _ in told ^ live if family in families}
