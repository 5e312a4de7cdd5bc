"""One line per run, and of what goes wrong again and again in the same way only as many as somebody can read."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from exporter.collection import Result
from exporter.errors import State
from exporter.metrics import Family
from exporter.snapshot import Entry, Key

logger = structlog.get_logger()

FIRST_REMINDER_SECONDS = 3_600.0
LONGEST_SILENCE_SECONDS = 86_400.0
MOST_WAYS = 8
"""A collector that fails in ever new words is reminded of like one that repeats itself."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A collector's warnings since its last complete run: their number, and the ways in which it went wrong.

    Times are Unix seconds; nothing is said of a way already known before `quiet_until`.
    """

    since: float
    warnings: int = 0
    ways: frozenset[str] = frozenset()
    quiet_until: float = 0.0

    def is_news(self, way: str, now: float) -> bool:
        """True if a warning has to be told: of a new way at once, of a known one after 1, 2, 4, ... hours."""
        return now >= self.quiet_until or (way not in self.ways and len(self.ways) < MOST_WAYS)

    def told(self, way: str, now: float) -> "Trouble":
        """Return the trouble after a warning of it was told."""
        silence_seconds = min(max(now - self.since, FIRST_REMINDER_SECONDS), LONGEST_SILENCE_SECONDS)
        return replace(self, ways=self.ways | {way}, quiet_until=now + silence_seconds)

    def facts(self) -> dict[str, object]:
        """Say how many warnings there were since when; nothing before the second."""
        if not self.warnings:
            return {}
        return {"warnings": self.warnings, "since": datetime.fromtimestamp(int(self.since), UTC).isoformat()}


class RunLog:
    """Logs runs that ended and runs that were not started. What is held back at level warning is there at debug."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._troubles: dict[Key, Trouble] = {}
        self._unreadable: dict[Key, str] = {}
        self._left_out: dict[Key, tuple[Family, ...]] = {}

    def ended(self, key: Key, result: Result) -> None:
        """Log the end of a run; a complete one ends the collector's trouble and says what it was."""
        facts: dict[str, object] = {
            "run": result.run_id,
            "target": key.target,
            "collector": key.collector,
            "state": str(result.state),
            "duration_seconds": round(result.duration_seconds, 3),
            "pages": result.pages,
        }
        if result.state is State.OK:
            trouble = self._troubles.pop(key, None)
            logger.info("run", **facts, samples=len(result.samples), **(trouble.facts() if trouble else {}))
            self._tell_unreadable(key, result)
            return
        facts |= {"error": result.error, "remedy": result.remedy}
        if result.traceback:
            facts["traceback"] = result.traceback
        self._warn(key, f"{result.state} {without_numbers(result.error)}", "run", facts)

    def skipped(self, key: Key, reason: str, count: int = 1) -> None:
        """Log runs that were due and not started, in one line."""
        facts: dict[str, object] = {"target": key.target, "collector": key.collector, "reason": reason}
        self._warn(key, reason, "run skipped", facts if count == 1 else {**facts, "count": count})

    def _tell_unreadable(self, key: Key, result: Result) -> None:
        """Name the values that could not be read: once, as long as they are the same."""
        told = "; ".join(map(str, result.unreadable))
        if told:
            log = logger.debug if self._unreadable.get(key) == told else logger.warning
            log(
                "values could not be read",
                run=result.run_id,
                target=key.target,
                collector=key.collector,
                unreadable_values=sum([values.count for values in result.unreadable]),
                values=told,
                remedy="correct them on the platform; until then no series counts them",
            )
        self._unreadable[key] = told

    def left_out(self, entry: Entry) -> None:
        """Name the families that have no room within max_series: once, as long as they are the same."""
        left_out = entry.published.left_out if entry.published else ()
        if left_out and left_out != self._left_out.get(entry.key):
            logger.warning(
                "families left out",
                target=entry.key.target,
                collector=entry.key.collector,
                max_series=entry.max_series,
                families=", ".join(family.name for family in left_out),
                remedy="raise max_series of the target, or choose less to collect",
            )
        self._left_out[entry.key] = left_out

    def forget(self, keys: Iterable[Key]) -> None:
        """End the trouble of collectors that are no longer there, or no longer read the same source."""
        for key in keys:
            self._troubles.pop(key, None)
            self._unreadable.pop(key, None)
            self._left_out.pop(key, None)

    def _warn(self, key: Key, way: str, event: str, facts: Mapping[str, object]) -> None:
        now = self._now()
        trouble = self._troubles.get(key, Trouble(now))
        if trouble.is_news(way, now):
            logger.warning(event, **facts, **trouble.facts())
            trouble = trouble.told(way, now)
        else:
            logger.debug(event, **facts, **trouble.facts())
        self._troubles[key] = replace(trouble, warnings=trouble.warnings + 1)


def without_numbers(text: str) -> str:
    """Blank out what differs between two errors of one kind: counts, seconds, and which of the 5xx it was."""
    return re.sub(r"\d+", "#", text)
