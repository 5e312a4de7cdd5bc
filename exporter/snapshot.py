"""The latest result of every collector: replaced as a whole, never changed, so that a reader always sees one state."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from exporter.collection import Result
from exporter.errors import State
from exporter.metrics import MOST_LABEL_CHARACTERS, Family, Sample, is_cut, shortened

Families = Mapping[Family, tuple[Sample, ...]]
"""Samples by family, each series once."""

FIRST_REPEAT_SECONDS = 60.0
"""A run that was cut off is repeated so long after it began; twice as long after each further one that is cut off."""

SKIP_REASONS = ("overlap", "missed", "paused")


@dataclass(frozen=True, slots=True)
class Key:
    """Names one collector of one target."""

    target: str
    collector: str


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Published:
    """The last complete result: what is exposed until a newer one replaces it or it grows too old.

    `families` are in the order in which the target's room goes to them. Those `left_out` have none and stay off the
    page until there is some; `illegal` counts what no page could hold, `unreadable` values that no series could use.
    """

    families: Families
    at: float
    illegal: int = 0
    unreadable: int = 0
    left_out: tuple[Family, ...] = ()
    ends_at: float = math.inf
    """When the first of the samples end."""
    cut_labels: int = 0
    """How many different label values were too long for a page."""

    @property
    def exposed(self) -> Families:
        """The families that have room."""
        return {family: samples for family, samples in self.families.items() if family not in self.left_out}

    @property
    def series(self) -> int:
        """How many series are exposed."""
        return sum(map(len, self.exposed.values()))

    @property
    def series_dropped(self) -> int:
        """How many samples are not exposed, for whichever reason."""
        return self.illegal + sum(len(self.families[family]) for family in self.left_out)

    def without_ended(self, now: float) -> "Published":
        """Return what has not ended; a family that lost nothing is the same object as before."""
        families = {}
        for family, samples in self.families.items():
            left = tuple([sample for sample in samples if sample.ends_at > now])
            if left:
                families[family] = samples if len(left) == len(samples) else left
        without_room = tuple(family for family in self.left_out if family in families)
        return Published(
            families, self.at, self.illegal, self.unreadable, without_room, first_end(families), self.cut_labels
        )


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
    cut_off: int = 0
    """How many runs in a row were cut off by the end of a process, or by a reload."""
    last: Result | None = None
    published: Published | None = None
    last_success_at: float | None = None
    windows_end_at: float = math.inf
    """When the first samples of the last complete result ended or will end, after which a run is due."""
    runs: int = 0
    failures: int = 0
    skipped: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(SKIP_REASONS, 0))

    @property
    def state(self) -> State:
        """State of the last run, `pending` before the first has ended."""
        return self.last.state if self.last else State.PENDING

    @property
    def drops_at(self) -> float:
        """When something of what is published has to leave the page."""
        if self.published is None:
            return math.inf
        return min(self.published.ends_at, self.published.at + self.max_age_seconds)

    @property
    def waits_for_border(self) -> bool:
        """True while no run has begun since the first samples of the last complete result ended."""
        return self.windows_end_at < math.inf and (self.begun_at is None or self.begun_at < self.windows_end_at)

    @property
    def repeat_at(self) -> float | None:
        """When a run that was cut off is to be repeated; None if none was, or if there are values to wait with."""
        if not self.cut_off or self.begun_at is None or self.published is not None:
            return None
        return self.begun_at + FIRST_REPEAT_SECONDS * 2.0 ** min(self.cut_off - 1, 20)


class Snapshot:
    """The entries of all collectors, in the order of the configuration."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = {entry.key: entry for entry in entries}
        self._keys_of_target: dict[str, list[Key]] = {}
        for key in self._entries:
            self._keys_of_target.setdefault(key.target, []).append(key)
        for target in self._keys_of_target:
            self._fit(target)
        self._drops_at = self._first_drop()

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def __getitem__(self, key: Key) -> Entry:
        return self._entries[key]

    def begin(self, key: Key, begun_at: float) -> None:
        """Take note of when a run began."""
        self._entries[key] = replace(self._entries[key], begun_at=begun_at)

    def cut_off(self, key: Key, begun_before: float | None) -> None:
        """Take note that a run did not end. The first in a row is as if it had not begun, and due again at once."""
        entry = self._entries[key]
        begun_at = entry.begun_at if entry.cut_off else begun_before
        self._entries[key] = replace(entry, begun_at=begun_at, cut_off=entry.cut_off + 1)

    def publish(self, key: Key, result: Result, complete: Published | None = None) -> Entry:
        """Take in a run's result: a complete one replaces what is exposed, any other leaves it as it is.

        Other collectors of the target may lose room to it, or get back what it does not need any more. `complete` is
        `published_by(result)`, where that is known already.
        """
        entry = self._entries[key]
        published = complete or published_by(result) or entry.published
        self._entries[key] = replace(
            entry,
            cut_off=0,
            last=replace(result, samples=()),
            published=published,
            windows_end_at=published.ends_at if published and result.state is State.OK else entry.windows_end_at,
            last_success_at=published.at if published else entry.last_success_at,
            runs=entry.runs + 1,
            failures=entry.failures + (result.state is not State.OK),
        )
        self._fit(key.target)
        self._drops_at = min(self._drops_at, self._entries[key].drops_at)
        return self._entries[key]

    def skip(self, key: Key, reason: str, count: int = 1) -> Entry:
        """Count runs that were not started; `reason` is one of SKIP_REASONS."""
        entry = self._entries[key]
        self._entries[key] = replace(entry, skipped={**entry.skipped, reason: entry.skipped[reason] + count})
        return self._entries[key]

    def expire(self, now: float) -> list[Entry]:
        """Drop results older than their target's max_age, and samples that have ended; returns what changed by it.

        Costs nothing before the moment when something is to be dropped.
        """
        if now < self._drops_at:
            return []
        before = dict(self._entries)
        for key, entry in before.items():
            if (published := entry.published) is None:
                continue
            if now - published.at > entry.max_age_seconds:
                self._entries[key] = replace(entry, published=None)
            elif published.ends_at <= now:
                self._entries[key] = replace(entry, published=published.without_ended(now))
        for target in {key.target for key, entry in before.items() if entry is not self._entries[key]}:
            self._fit(target)
        self._drops_at = self._first_drop()
        return [entry for key, entry in self._entries.items() if entry is not before[key]]

    def _first_drop(self) -> float:
        return min((entry.drops_at for entry in self._entries.values()), default=math.inf)

    def copy(self) -> "Snapshot":
        """Return another with the same entries."""
        other = Snapshot(())
        other._entries, other._keys_of_target = dict(self._entries), self._keys_of_target
        other._drops_at = self._drops_at
        return other

    def put(self, entries: Iterable[Entry]) -> None:
        """Let entries take the place of those of the same collectors."""
        for entry in entries:
            self._entries[entry.key] = entry
            self._drops_at = min(self._drops_at, entry.drops_at)

    def of_target(self, target: str) -> list[Entry]:
        """Return the entries of one target, in their order."""
        return [self._entries[key] for key in self._keys_of_target[target]]

    def _fit(self, target: str) -> None:
        """Give the target's room to families in the order of its collectors, whichever of them published last."""
        entries = self.of_target(target)
        published_families = [entry.published.families for entry in entries if entry.published]
        sizes = [{family: len(samples) for family, samples in families.items()} for families in published_families]
        without_room = left_out(sizes, entries[0].max_series)
        for entry in entries:
            if published := entry.published:
                own = tuple(family for family in published.families if family in without_room)
                if own != published.left_out:
                    self._entries[entry.key] = replace(entry, published=replace(published, left_out=own))


def by_target(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Return the entries of each target, by its name, in their order."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.key.target, []).append(entry)
    return found


def published_by(result: Result) -> Published | None:
    """Return what a result gives to expose, None unless it is complete."""
    if result.state is not State.OK:
        return None
    families, illegal = arranged(result.samples)
    unreadable = sum([values.count for values in result.unreadable])
    return Published(families, result.finished_at, illegal, unreadable, (), first_end(families), cut_labels(families))


def arranged(samples: Iterable[Sample]) -> tuple[Families, int]:
    """Return the samples by family, in the order in which families come first, and how many were dropped.

    Label values that are too long are cut. Dropped are samples that no page could hold (labels that are no text or not
    as many as declared, a value that is no finite number), and every repetition of a series.
    """
    found: dict[str, dict[tuple[str, ...], Sample]] = {}
    count = 0
    for sample in samples:
        count += 1
        if _is_legal(sample):
            fitting = _with_short_labels(sample)
            found.setdefault(sample.family.name, {}).setdefault(fitting.labels, fitting)
    families = [tuple(series.values()) for series in found.values()]
    return {family[0].family: family for family in families}, count - sum(map(len, families))


def _with_short_labels(sample: Sample) -> Sample:
    if max(map(len, sample.labels), default=0) <= MOST_LABEL_CHARACTERS:
        return sample
    return msgspec.structs.replace(sample, labels=tuple(map(shortened, sample.labels)))


def cut_labels(families: Families) -> int:
    """Return how many different label values of these were cut."""
    samples = (sample for family in families.values() for sample in family)
    return len({value for sample in samples for value in sample.labels if is_cut(value)})


def first_end(families: Families) -> float:
    """Return when the first samples end."""
    return min((sample.ends_at for samples in families.values() for sample in samples), default=math.inf)


def left_out(results: Iterable[Mapping[Family, int]], max_series: int) -> set[Family]:
    """Return the families for which `max_series` has no room, by the sizes of results; what comes first has it first.

    A family is left out whole, with the series that other collectors of the target have of it: a part would make sums
    over it wrong. A smaller one behind it may still have room.
    """
    sizes: Counter[Family] = Counter()
    for result in results:
        sizes.update(result)
    found = set()
    for family, size in sizes.items():
        if size > max_series:
            found.add(family)
        else:
            max_series -= size
    return found


def _is_legal(sample: Sample) -> bool:
    try:
        "".join(sample.labels).encode()
        return len(sample.labels) == len(sample.family.labels) and math.isfinite(sample.value)
    except (TypeError, UnicodeEncodeError, OverflowError):
        return False
