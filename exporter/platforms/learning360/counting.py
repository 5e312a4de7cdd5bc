"""How counts become samples: state sets with their zeros, and the rolling windows that end at the poll."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from exporter.metrics import Family, Sample

WINDOWS = ("24h", "7d", "30d")
OUTSIDE = len(WINDOWS)


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the rolling windows start. A time after `now` is inside up to `latest`: a clock may be ahead of ours."""

    day: datetime
    week: datetime
    month: datetime
    latest: datetime

    @classmethod
    def ending(cls, now: datetime) -> "Windows":
        day = timedelta(days=1)
        return cls(now - day, now - 7 * day, now - 30 * day, now + day)

    def narrowest(self, at: datetime) -> int:
        """Return the position in WINDOWS of the narrowest one that holds `at`, OUTSIDE if none does."""
        if at < self.month or at > self.latest:
            return OUTSIDE
        if at < self.week:
            return 2
        return 1 if at < self.day else 0


def no_counts() -> list[int]:
    """Make counters for `Windows.narrowest`: one per window, and one for what lies outside."""
    return [0] * (OUTSIDE + 1)


def by_window(counts: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Yield each window with its count; `counts` are by narrowest window, and the wider ones hold the narrower."""
    return zip(WINDOWS, accumulate(counts[:OUTSIDE]), strict=True)


def state_samples(family: Family, known: Iterable[tuple[str, ...]], counts: Counter[tuple[str, ...]]) -> list[Sample]:
    """Make a sample per label values, also for `known` ones that nothing has.

    Where the platform left a label value open (empty), nobody can say that a known one has nothing: no zeros then.
    """
    told = all(all(labels) for labels in counts)
    states = {**dict.fromkeys(known, 0), **counts} if told else counts
    return [Sample(family, labels, value) for labels, value in states.items()]
