"""What of a thousand equal warnings is told, and when; nothing is lost at level debug."""

from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from typing import Any

import pytest
import structlog.testing

from exporter.api.run import Unreadable
from exporter.api.unreadable import UnreadableValue
from exporter.collection import Result
from exporter.errors import State
from exporter.metrics import Family
from exporter.run_log import MOST_WAYS, RunLog
from exporter.snapshot import Entry, Key, Published
from tests.fakes import NOW_SECONDS, Clock
from tests.fakes import PEOPLE as PEOPLE_FAMILY
from tests.fakes import PLACES as PLACES_FAMILY

PEOPLE, PLACES = Key("site", "people"), Key("site", "places")
HOUR_SECONDS = 3600.0
GOOD = Result(State.OK, NOW_SECONDS, 1.0, run_id="5a", pages=2)
SINCE = "2027-01-15T08:00:00+00:00"


def bad(error: str = "GET /people answered 500", state: State = State.SERVER_ERROR) -> Result:
    return Result(state, NOW_SECONDS, 1.0, error=error, remedy="wait", run_id="5a")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock) -> RunLog:
    return RunLog(clock.now)


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


Lines = list[MutableMapping[str, Any]]


def unreadable(*ids: str) -> Unreadable:
    first = tuple(UnreadableValue(f"$[{n}].score", record_id, False) for n, record_id in enumerate(ids))
    return Unreadable("/people", "$[...].score", len(ids), first)


def told(lines: Lines) -> Lines:
    return [line for line in lines if line["log_level"] != "debug"]


def test_the_first_failure_is_told_in_full(log: RunLog, lines: Lines) -> None:
    log.ended(PEOPLE, bad())

    assert lines == [
        {
            "event": "run",
            "log_level": "warning",
            "run": "5a",
            "target": "site",
            "collector": "people",
            "state": "server_error",
            "duration_seconds": 1.0,
            "pages": 0,
            "error": "GET /people answered 500",
            "remedy": "wait",
        }
    ]


def test_a_day_of_failures_every_minute_is_told_six_times(log: RunLog, lines: Lines, clock: Clock) -> None:
    """So a thousand targets of a platform that is down for a day make 6,000 lines, not 1,440,000."""
    for _ in range(24 * 60):
        log.ended(PEOPLE, bad())
        clock.seconds += 60

    warnings = [line.get("warnings", 0) for line in told(lines)]
    assert warnings == [0, 60, 120, 240, 480, 960]
    assert {line["since"] for line in told(lines)[1:]} == {SINCE}
    assert len(lines) == 24 * 60


def test_after_the_first_day_there_is_one_line_each_day(log: RunLog, lines: Lines, clock: Clock) -> None:
    for _ in range(10 * 24):
        log.ended(PEOPLE, bad())
        clock.seconds += HOUR_SECONDS

    assert [line.get("warnings", 0) for line in told(lines)] == [
        0,
        1,
        2,
        4,
        8,
        16,
        32,
        56,
        80,
        104,
        128,
        152,
        176,
        200,
        224,
    ]


def test_a_complete_run_tells_what_it_ended_and_then_all_begins_anew(log: RunLog, lines: Lines, clock: Clock) -> None:
    for _ in range(3):
        log.ended(PEOPLE, bad())
        clock.seconds += 60
    log.ended(PEOPLE, GOOD)
    log.ended(PEOPLE, GOOD)
    log.ended(PEOPLE, bad())

    assert [(line["state"], line.get("warnings"), line.get("since")) for line in told(lines)] == [
        ("server_error", None, None),
        ("ok", 3, SINCE),
        ("ok", None, None),
        ("server_error", None, None),
    ]


def test_a_new_way_to_fail_is_told_at_once_with_what_was_before(log: RunLog, lines: Lines) -> None:
    log.ended(PEOPLE, bad())
    log.ended(PEOPLE, bad())
    log.ended(PEOPLE, bad("GET /people: no reply", State.UNREACHABLE))

    assert [(line["state"], line.get("warnings")) for line in told(lines)] == [
        ("server_error", None),
        ("unreachable", 2),
    ]


def test_two_ways_that_take_turns_are_told_once_each(log: RunLog, lines: Lines) -> None:
    for _ in range(10):
        log.ended(PEOPLE, bad("GET /people answered 500"))
        log.ended(PEOPLE, bad("GET /places answered 500"))

    assert len(told(lines)) == 2


def test_errors_that_differ_only_in_their_numbers_are_one_way(log: RunLog, lines: Lines) -> None:
    for seconds in range(500, 530):
        log.ended(PEOPLE, bad(f"the platform asked for a pause of {seconds} s more", State.RATE_LIMITED))

    assert len(told(lines)) == 1


def test_a_collector_that_finds_ever_new_words_does_not_fill_the_log(log: RunLog, lines: Lines) -> None:
    for word in "abcdefghijklmnopqrstuvwxyz":
        log.ended(PEOPLE, bad(word))

    assert len(told(lines)) == MOST_WAYS


def test_collectors_are_told_apart(log: RunLog, lines: Lines) -> None:
    log.ended(PEOPLE, bad())
    log.ended(PLACES, bad())
    log.ended(PLACES, GOOD)
    log.ended(PEOPLE, bad())

    assert [(line["collector"], line["log_level"]) for line in told(lines)] == [
        ("people", "warning"),
        ("places", "warning"),
        ("places", "info"),
    ]


def test_runs_that_were_not_started_are_told_in_the_same_way(log: RunLog, lines: Lines, clock: Clock) -> None:
    """A machine that slept for a day has missed every run of it."""
    for _ in range(1440):
        log.skipped(PEOPLE, "missed")
    log.skipped(PEOPLE, "overlap")
    clock.seconds += HOUR_SECONDS
    log.skipped(PEOPLE, "missed")

    assert [(line["event"], line["reason"], line.get("warnings")) for line in told(lines)] == [
        ("run skipped", "missed", None),
        ("run skipped", "overlap", 1440),
        ("run skipped", "missed", 1441),
    ]


def test_a_bug_has_its_traceback_in_its_line(log: RunLog, lines: Lines) -> None:
    log.ended(PEOPLE, Result(State.INTERNAL_ERROR, NOW_SECONDS, 1.0, error="a bug", remedy="x", traceback="line 7"))

    assert [line["traceback"] for line in lines] == ["line 7"]


def test_values_that_cannot_be_read_are_named_once_as_long_as_they_are_the_same(log: RunLog, lines: Lines) -> None:
    for values in [(unreadable("a1"),), (unreadable("a1"),), (unreadable("a1", "b2"),), (), (unreadable("a1"),)]:
        log.ended(PEOPLE, replace(GOOD, unreadable=values))
    log.ended(PLACES, replace(GOOD, unreadable=(unreadable("a1"),)))

    named = [line for line in lines if line["event"] == "values could not be read"]
    assert [(line["collector"], line["log_level"]) for line in named] == [
        ("people", "warning"),
        ("people", "debug"),
        ("people", "warning"),
        ("people", "warning"),
        ("places", "warning"),
    ]
    assert named[2] == {
        "event": "values could not be read",
        "log_level": "warning",
        "run": "5a",
        "target": "site",
        "collector": "people",
        "unreadable_values": 2,
        "values": "GET /people: $[0].score of record a1, $[1].score of record b2",
        "remedy": "correct them on the platform; until then no series counts them",
    }


def test_a_source_that_is_another_one_names_its_values_anew(log: RunLog, lines: Lines) -> None:
    log.ended(PEOPLE, replace(GOOD, unreadable=(unreadable("a1"),)))
    log.forget([PEOPLE])
    log.ended(PEOPLE, replace(GOOD, unreadable=(unreadable("a1"),)))

    assert [line["event"] for line in told(lines)].count("values could not be read") == 2


def test_families_that_max_series_leaves_out_are_named_once_as_long_as_they_are_the_same(
    log: RunLog, lines: Lines
) -> None:
    def entry(*left_out: Family) -> Entry:
        families = {PEOPLE_FAMILY: (PEOPLE_FAMILY.sample(7),), PLACES_FAMILY: (PLACES_FAMILY.sample(3, place="x"),)}
        published = Published(families, NOW_SECONDS, left_out=left_out)
        return Entry(PEOPLE, "fake", 60.0, HOUR_SECONDS, 1, published=published)

    for one in (entry(), entry(PLACES_FAMILY), entry(PLACES_FAMILY), entry(PEOPLE_FAMILY, PLACES_FAMILY), entry()):
        log.left_out(one)

    assert [(line["event"], line["max_series"], line["families"]) for line in lines] == [
        ("families left out", 1, "fake_places"),
        ("families left out", 1, "fake_people, fake_places"),
    ]
    log.left_out(entry(PLACES_FAMILY))
    assert len(lines) == 3
