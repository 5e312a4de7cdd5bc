"""The latest result of every collector: replaced as a whole, never changed, so that a reader always sees one state."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

from exporter.collection import Result
from exporter.errors import State
from exporter.metrics import Sample

SKIP_REASONS = ("overlap", "missed", "paused")


@dataclass(frozen=True, slots=True)
class Key:
    """Names one collector of one target."""

    target: str
    collector: str


@dataclass(frozen=True, slots=True)
class Published:
    """The last complete result: what is exposed until a newer one replaces it or it grows too old."""

    samples: tuple[Sample, ...]
    at: float
    series_dropped: int


@dataclass(frozen=True, slots=True)
class Entry:
    """All that is known of one collector of one target. Times are Unix seconds."""

    key: Key
    platform: str
    interval_seconds: float
    max_age_seconds: float
    max_series: int
    begun_at: float | None = None
    """When the last run began, one under way included."""
    last: Result | None = None
    published: Published | None = None
    last_success_at: float | None = None
    runs: int = 0
    failures: int = 0
    skipped: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(SKIP_REASONS, 0))

    @property
    def state(self) -> State:
        """State of the last run, `pending` before the first has ended."""
        return self.last.state if self.last else State.PENDING


class Snapshot:
    """The entries of all collectors, in the order of the configuration."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = {entry.key: entry for entry in entries}
        self._keys_of_target: dict[str, list[Key]] = {}
        for key in self._entries:
            self._keys_of_target.setdefault(key.target, []).append(key)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def __getitem__(self, key: Key) -> Entry:
        return self._entries[key]

    def begin(self, key: Key, begun_at: float | None) -> None:
        """Take note of when a run began."""
        self._entries[key] = replace(self._entries[key], begun_at=begun_at)

    def publish(self, key: Key, result: Result) -> Entry:
        """Take in a run's result: a complete one replaces what is exposed, any other leaves it as it is."""
        entry = self._entries[key]
        published = entry.published
        if result.state is State.OK:
            samples, dropped = admit(result.samples, entry.max_series - self._series_of_others(key))
            published = Published(samples, result.finished_at, dropped)
        self._entries[key] = replace(
            entry,
            last=replace(result, samples=()),
            published=published,
            last_success_at=published.at if published else entry.last_success_at,
            runs=entry.runs + 1,
            failures=entry.failures + (result.state is not State.OK),
        )
        return self._entries[key]

    def skip(self, key: Key, reason: str) -> Entry:
        """Count a run that was not started; `reason` is one of SKIP_REASONS."""
        entry = self._entries[key]
        self._entries[key] = replace(entry, skipped={**entry.skipped, reason: entry.skipped[reason] + 1})
        return self._entries[key]

    def expire(self, now: float) -> list[Entry]:
        """Drop what is older than its target's max_age; returns the entries that lost their samples."""
        expired = [entry for entry in self if entry.published and now - entry.published.at > entry.max_age_seconds]
        for entry in expired:
            self._entries[entry.key] = replace(entry, published=None)
        return [self._entries[entry.key] for entry in expired]

    def _series_of_others(self, key: Key) -> int:
        others = (self._entries[other].published for other in self._keys_of_target[key.target] if other != key)
        return sum(len(published.samples) for published in others if published)


def by_target(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Return the entries of each target, by its name, in their order."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.key.target, []).append(entry)
    return found


def admit(samples: Iterable[Sample], max_series: int) -> tuple[tuple[Sample, ...], int]:
    """Return the samples that may be exposed, grouped by family, and how many were dropped.

    Dropped are samples that no page could hold (labels that are no text or not as many as declared, a value that is no
    finite number), every repetition of a series, and whole families that would exceed `max_series`: a part of a family
    would make sums over it wrong.
    """
    legal: dict[tuple[object, ...], Sample] = {}
    count = 0
    for sample in samples:
        count += 1
        if _is_legal(sample):
            legal.setdefault((sample.family.name, sample.labels), sample)
    admitted: list[Sample] = []
    ordered = sorted(legal.values(), key=lambda sample: sample.family.name)
    for _, group in groupby(ordered, key=lambda sample: sample.family.name):
        family_samples = tuple(group)
        if len(admitted) + len(family_samples) <= max_series:
            admitted += family_samples
    return tuple(admitted), count - len(admitted)


def _is_legal(sample: Sample) -> bool:
    try:
        "".join(sample.labels).encode()
        return len(sample.labels) == len(sample.family.labels) and math.isfinite(sample.value)
    except (TypeError, UnicodeEncodeError, OverflowError):
        return False
