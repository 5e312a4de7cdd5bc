"""What happened on a 360Learning platform, when, and what of it lay in a rolling window at any later moment."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from exporter.history import MS_PER_SECOND, Steps, counted
from exporter.metrics import Family

WINDOWS_MS = {"24h": 86_400_000, "30d": 30 * 86_400_000, "7d": 7 * 86_400_000}
"""Lengths of the rolling windows, which hold what happened exactly so long ago too, in the order of labels."""

NEVER_MS = 2**62


AHEAD_MS = WINDOWS_MS["24h"]
"""How far a platform's clock may be ahead of ours; `counting.Windows` allows as much."""


def milliseconds(moment: datetime) -> int:
    """Return Unix time."""
    return round(moment.timestamp() * MS_PER_SECOND)


def happened_ms(moment: datetime, now_ms: int) -> int:
    """Return when something happened, by our clock: what the platform knows already did not happen after now.

    More than a day ahead, it is no clock that is wrong but the date: that never lies in the past.
    """
    time_ms = milliseconds(moment)
    return now_ms if now_ms < time_ms <= now_ms + AHEAD_MS else time_ms


@dataclass(slots=True)
class Events:
    """When things were listed first, happened, and left the list, in Unix milliseconds; 24 bytes for each."""

    listed_ms: "array[int]" = field(default_factory=lambda: array("q"))
    happened_ms: "array[int]" = field(default_factory=lambda: array("q"))
    gone_ms: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, listed_ms: int, happened_ms: int, gone_ms: int) -> None:
        """Keep an event; what never happened is none."""
        if happened_ms != NEVER_MS and listed_ms < gone_ms:
            self.listed_ms.append(listed_ms)
            self.happened_ms.append(happened_ms)
            self.gone_ms.append(gone_ms)

    def steps(self, family: Family, labels: tuple[str, ...], since_ms: int) -> Iterator[Steps]:
        """Count in each rolling window what had happened in it."""
        for window, length_ms in WINDOWS_MS.items():
            left_ms = map(min, (happened_ms + length_ms + 1 for happened_ms in self.happened_ms), self.gone_ms)
            ends_ms = array("q", map(max, self.listed_ms, left_ms))
            yield counted(family, (*labels, window), since_ms, self.listed_ms, ends_ms)
