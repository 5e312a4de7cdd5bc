"""Nights of the demo organisation: nothing happens in one, and much between two, so that every number has its truth.

The exporter's clock is moved to a night by libfaketime, the demo's is an argument and stands still in it.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from exporter.demo.organisation import Organisation
from exporter.platform import installed
from tests.e2e.test_truth import TRUTHS
from tests.page import Series, families
from tests.truth import viktor

SUCCESS = "engagement_collector_last_success_timestamp_seconds"
CHANGES_BY_THE_MINUTE = "pybossa_queue_jobs"
UNREADABLE = "engagement_collector_unreadable_values"
SHARED = "viktor_statistics_newest_point_timestamp_seconds"
"""A family of several collectors; its label `scope` names them."""

WINDOW_START = "viktor_window_start_timestamp_seconds"
"""A series of every collector with numbers of the window, which the page shows once."""

CALENDAR_WINDOWS = viktor.windows(date(2026, 1, 1)).keys()

Labels = Iterable[tuple[str, str]]

COLLECTORS = {
    family.name: collector.name
    for platform in installed().values()
    for collector in platform.collectors
    for family in collector.families
}


def collector_of(name: str, labels: Mapping[str, str]) -> str | None:
    """Return whose series this is, None for one of the exporter itself or of several collectors."""
    if name == SHARED:
        return labels["scope"]
    return None if name == WINDOW_START else COLLECTORS.get(name)


@dataclass(frozen=True, slots=True)
class Night:
    """A moment in which the demo stands still, and the true series by target and collector."""

    at: datetime
    truth: Mapping[tuple[str, str], Series]


def night(demo: Organisation, day: datetime, length: timedelta) -> Night:
    """The first moment after two in the morning from which on, for `length`, no series changes."""
    at = day.replace(hour=2, minute=0, second=0, microsecond=0, tzinfo=UTC)
    while any(_quiet(expected(demo, at)) != _quiet(expected(demo, at + length)) for expected in TRUTHS.values()):
        at += timedelta(minutes=1)
    truth: dict[tuple[str, str], Series] = {}
    for target, expected in TRUTHS.items():
        for (name, labels), value in expected(demo, at).items():
            if name == WINDOW_START:
                continue
            collector = collector_of(name, dict(labels))
            assert collector is not None, name
            truth.setdefault((target, collector), {})[name, labels] = value
    return Night(at, truth)


def _quiet(truth: Series) -> Series:
    return {key: value for key, value in truth.items() if key[0] != CHANGES_BY_THE_MINUTE}


def shifted_clock(ahead: timedelta) -> dict[str, str]:
    """The environment in which a program's clock is ahead of the real one; a negative time puts it back."""
    [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{ahead.total_seconds():+.3f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # it makes Python's threads wait for each other for seconds
        "NO_FAKE_STAT": "1",
        "TZ": "UTC",
    }


@dataclass(frozen=True, slots=True)
class Scrape:
    """What a page says: the series of every target and collector, when each was collected (Unix time), the rest."""

    series: Mapping[tuple[str, str], Series]
    collected_at: Mapping[tuple[str, str], float]
    own: Series

    @property
    def targets(self) -> set[str]:
        return {dict(labels)["target"] for name, labels in self.own if name == "engagement_up"}


def parsed(page: str) -> Scrape:
    """Read a page of either format with the official parsers; fails on what they refuse and on a repeated series."""
    found: dict[tuple[str, str], Series] = {}
    collected_at: dict[tuple[str, str], float] = {}
    own: Series = {}
    for family in families(page):
        for sample in family.samples:
            labels = dict(sample.labels)
            if sample.name == SUCCESS:
                collected_at[labels["target"], labels["collector"]] = sample.value
            collector = collector_of(sample.name, labels)
            part = own if collector is None else found.setdefault((labels.pop("target"), collector), {})
            key = (sample.name, tuple(sorted(labels.items())))
            assert key not in part, f"{sample.name}{sample.labels} stands twice"
            part[key] = sample.value
    return Scrape(found, collected_at, own)


def wrong(scrape: Scrape, nights: Sequence[Night], now: datetime) -> Iterator[str]:
    """Yield what is not true: of values that were collected in no night yet, in another one, or that are not those.

    Of a calendar window that has ended since, nothing is left.
    """
    for key in scrape.series.keys() - scrape.collected_at.keys():
        yield f"{key}: values that were never collected, such as {sorted(scrape.series[key])[:3]}"
    for (target, collector), at in scrape.collected_at.items():
        past = [night for night in nights if night.at.timestamp() <= at]
        if not past or at > now.timestamp():
            yield f"{target}/{collector}: collected at {at}, which is no time of a night so far"
            continue
        truth = past[-1].truth.get((target, collector), {})
        expected = {
            key: value for key, value in truth.items() if not _has_ended(key[1], past[-1].at.date(), now.date())
        }
        served = scrape.series.get((target, collector), {})
        if collector == "courses":
            expected = _without_unreadable(expected, served, scrape.own, target)
        if not _same(served, expected):
            differing = {name for name, _ in served.items() ^ expected.items()}
            yield f"{target}/{collector} of {past[-1].at}, {len(differing)} series such as {sorted(differing)[:3]}"
    starts = {tuple(dict(labels).values()): at for (name, labels), at in scrape.own.items() if name == WINDOW_START}
    told = {
        (target, window): _start(window, now.date())
        for (target, _), series in scrape.series.items()
        for _, labels in series
        if (window := _window(labels))
    }
    if starts != told:
        yield f"windows start at {starts} instead of {told}"


def _without_unreadable(expected: Series, served: Series, own: Series, target: str) -> Series:
    """The truth without the courses that are not served, if the page counts as many details that could not be read."""
    missing = _courses(expected) - _courses(served)
    unreadable = sum(
        value
        for (name, labels), value in own.items()
        if name == UNREADABLE and {("target", target), ("collector", "courses")} <= set(labels)
    )
    if len(missing) > unreadable:
        return expected
    return {key: value for key, value in expected.items() if dict(key[1]).get("course") not in missing}


def _courses(series: Series) -> set[str]:
    return {course for _, labels in series if (course := dict(labels).get("course"))}


def _window(labels: Labels) -> str | None:
    """Return which calendar window the labels name, if any."""
    name = dict(labels).get("window")
    return name if name in CALENDAR_WINDOWS else None


def _start(window: str, today: date) -> float:
    first, _ = viktor.windows(today)[window]
    return datetime.combine(first, time(), UTC).timestamp()


def _has_ended(labels: Labels, collected: date, today: date) -> bool:
    """True if the calendar window that the labels name is another one by now."""
    window = _window(labels)
    return window is not None and _start(window, collected) != _start(window, today)


def _same(served: Series, expected: Series) -> bool:
    return served.keys() == expected.keys() and all(
        math.isclose(value, expected[key], rel_tol=1e-9) for key, value in served.items()
    )


def resident_bytes(pid: int) -> int:
    """Memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
