"""The status of targets and collectors: what is well, waits or needs attention, and what is said of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exporter.api.client import Quota
from exporter.collection import Result
from exporter.errors import IncompleteError, State, UnauthorizedError
from exporter.snapshot import Entry, Snapshot
from exporter.web.status import (
    CollectorStatus,
    EndpointStatus,
    Level,
    QuotaStatus,
    Reload,
    Status,
    headline,
    observe,
    status,
)
from exporter.web.status_words import MEANINGS, SUMMARIES, duration, span
from tests.fakes import NOW_SECONDS, PEOPLE, PLACES
from tests.shown import Shown, answer, failed, good, organisation, pending

REFUSED = UnauthorizedError("GET /things answered 401")
NEW = pending("crowd", "stats")  # every 15 minutes
MINUTE_SECONDS = 60


def seen(shown: Shown, *names: str) -> Status:
    """The status at NOW_SECONDS."""
    return status(observe(shown, NOW_SECONDS), names)


def of(entry: Entry) -> CollectorStatus:
    """The status of the only collector there is."""
    [target] = seen(Shown([entry])).targets
    [collector] = target.collectors
    return collector


def minutes_ago(minutes: float) -> float:
    return NOW_SECONDS - minutes * MINUTE_SECONDS


def test_before_the_first_run_a_collector_waits() -> None:
    collector = of(NEW)

    assert (collector.level, collector.summary) == (Level.WAITING, "Waiting")
    assert collector.meaning == "The first run has not ended yet."
    assert (collector.age_seconds, collector.last_success_at, collector.last_run_at) == (None, None, None)
    assert (collector.samples, collector.is_late, collector.remedy) == (0, False, "")


def test_a_first_run_that_was_cut_off_says_so_and_what_to_do() -> None:
    once, again = (of(replace(NEW, begun_at=minutes_ago(1), cut_off=times)) for times in (1, 3))

    assert (once.level, once.state, once.summary) == (Level.WAITING, State.PENDING, "Cut off")
    assert once.meaning == "The exporter ended before the first run did. There are no values yet."
    assert again.meaning == "The exporter ended before the first run did, 3 times in a row. There are no values yet."
    assert once.remedy.startswith("wait for the next run; ")


def test_a_good_run_makes_it_well_with_its_times() -> None:
    collector = of(good(NEW, minutes_ago(3), samples=7))

    assert (collector.level, collector.summary, collector.state) == (Level.WELL, "Up to date", State.OK)
    assert (collector.age_seconds, collector.samples, collector.interval_seconds) == (180.0, 7, 900.0)
    assert collector.last_success_at == datetime(2027, 1, 15, 7, 57, tzinfo=UTC)
    assert collector.last_run_duration_seconds == 0.4


@pytest.mark.parametrize(("minutes", "is_late"), [(15, False), (30, False), (30.1, True), (600, True)])
def test_values_are_late_after_two_intervals(minutes: float, is_late: bool) -> None:
    collector = of(good(NEW, minutes_ago(minutes)))

    assert collector.is_late is is_late
    assert collector.level is (Level.ATTENTION if is_late else Level.WELL)
    assert collector.summary == ("Late" if is_late else "Up to date")
    assert ("skipped runs" in collector.remedy) is is_late


def test_a_failed_run_says_what_it_means_why_and_what_to_do() -> None:
    collector = of(failed(NEW, minutes_ago(1), REFUSED))

    assert (collector.level, collector.summary) == (Level.ATTENTION, "Credential refused")
    assert collector.meaning == "The platform does not accept the credential. There are no values yet."
    assert collector.error == "GET /things answered 401"
    assert collector.remedy == UnauthorizedError.remedy


def test_it_says_whether_values_are_still_served() -> None:
    kept = failed(good(NEW, minutes_ago(16), samples=2), minutes_ago(1), REFUSED)
    dropped = replace(kept, published=None)

    assert of(kept).meaning.endswith("The last complete values are still served.")
    assert of(dropped).meaning.endswith("grew older than max_age and are no longer served.")
    assert of(dropped).age_seconds == 960.0


def test_it_says_that_calendar_windows_have_ended_since() -> None:
    latest = Snapshot([NEW])
    begun = minutes_ago(16)
    samples = (PEOPLE.sample(7), PLACES.sample(3, minutes_ago(5), place="yesterday"))
    latest.publish(NEW.key, Result(State.OK, begun, 1.0, samples))
    latest.publish(NEW.key, Result(State.UNREACHABLE, minutes_ago(1), 1.0))
    assert of(latest[NEW.key]).meaning.endswith("The last complete values are still served.")

    latest.expire(minutes_ago(0))
    assert of(latest[NEW.key]).meaning.endswith("but for those of calendar windows that have ended since.")
    assert of(latest[NEW.key]).samples == 1


def test_a_failed_run_is_said_before_late_values() -> None:
    collector = of(failed(good(NEW, minutes_ago(90)), minutes_ago(1), REFUSED))

    assert (collector.summary, collector.is_late) == ("Credential refused", True)


def test_series_left_out_need_attention() -> None:
    collector = of(good(NEW, minutes_ago(1), samples=5, dropped=3))

    assert (collector.level, collector.summary, collector.series_dropped) == (Level.ATTENTION, "Series left out", 3)
    assert "max_series" in collector.remedy


def test_families_without_room_are_named() -> None:
    latest = Snapshot([replace(NEW, max_series=1)])
    samples = (PEOPLE.sample(7), PLACES.sample(3, place="x"), PLACES.sample(4, place="y"))
    latest.publish(NEW.key, Result(State.OK, minutes_ago(1), 1.0, samples))

    assert of(latest[NEW.key]).meaning.endswith("Without room: fake_places.")


def test_values_that_cannot_be_read_are_counted_and_no_trouble() -> None:
    collector = of(good(NEW, minutes_ago(1), samples=5, unreadable=2))

    assert (collector.level, collector.summary, collector.unreadable_values) == (Level.WELL, "Up to date", 2)


@pytest.mark.parametrize("state", State)
def test_every_state_is_said_in_words(state: State) -> None:
    entry = replace(NEW, last=None if state is State.PENDING else Result(state, minutes_ago(1), 1.0))

    assert of(entry).summary == SUMMARIES[state]
    assert of(entry).meaning.startswith(MEANINGS[state])
    assert (of(entry).level is Level.ATTENTION) is (state not in (State.OK, State.PENDING))


def test_a_target_is_as_its_worst_collector() -> None:
    well, refused = good(NEW, minutes_ago(1)), failed(pending("crowd", "projects"), minutes_ago(1), REFUSED)
    waiting = pending("crowd", "queues")

    levels = [seen(Shown(entries)).targets[0].level for entries in ([well], [well, waiting], [waiting, refused, well])]

    assert levels == [Level.WELL, Level.WAITING, Level.ATTENTION]


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        ("w", "The target is well"),
        ("www", "All 3 targets are well"),
        ("a", "1 of 1 target needs attention"),
        ("waa.", "2 of 4 targets need attention"),
        (".", "1 of 1 target waits for its first runs"),
        ("w..", "2 of 3 targets wait for their first runs"),
    ],
)
def test_the_headline_counts(levels: str, text: str) -> None:
    meanings = {"w": Level.WELL, "a": Level.ATTENTION, ".": Level.WAITING}

    assert headline([meanings[level] for level in levels]) == text


def test_targets_stand_in_the_order_of_the_configuration_and_can_be_chosen() -> None:
    shown = organisation(NOW_SECONDS)

    assert [target.name for target in seen(shown).targets] == [
        "bridges", "academy", "learning", "crowd", "library", "workshop",
    ]  # fmt: skip
    assert [target.name for target in seen(shown, "crowd", "academy").targets] == ["academy", "crowd"]
    assert (seen(shown).targets_well, seen(shown).targets_waiting, seen(shown).targets_needing_attention) == (1, 1, 4)
    assert seen(shown, "bridges").headline == "The target is well"


def test_quota_and_pause_are_the_targets() -> None:
    shown = Shown(
        [NEW],
        limits={"crowd": {"": Quota(None, 12, minutes_ago(2)), "/places": Quota(300, 3, minutes_ago(1))}},
        paused={"crowd": {"": NOW_SECONDS + 90, "/people": NOW_SECONDS + 120, "/places": NOW_SECONDS - 1}},
        others=["empty"],
    )

    crowd, empty = seen(shown).targets

    said = [datetime(2027, 1, 15, 7, 58, tzinfo=UTC), datetime(2027, 1, 15, 7, 59, tzinfo=UTC)]
    assert crowd.quota == QuotaStatus(None, 12, said[0])
    assert crowd.paused_until == datetime(2027, 1, 15, 8, 1, 30, tzinfo=UTC)
    assert crowd.endpoints == (
        EndpointStatus("/people", None, datetime(2027, 1, 15, 8, 2, tzinfo=UTC)),
        EndpointStatus("/places", QuotaStatus(300, 3, said[1]), None),
    )
    assert (empty.quota, empty.paused_until, empty.endpoints, empty.level) == (None, None, (), Level.WELL)


def test_a_pause_that_has_ended_is_none() -> None:
    assert seen(Shown([NEW], paused={"crowd": {"": NOW_SECONDS - 1}})).targets[0].paused_until is None


def test_a_reload_is_told_with_its_error() -> None:
    bad, fine = (seen(Shown([NEW], last_reload=Reload(NOW_SECONDS, error))).last_reload for error in ("line 3", ""))

    assert seen(Shown([NEW])).last_reload is None
    assert bad is not None
    assert fine is not None
    assert (bad.is_successful, bad.error) == (False, "line 3")
    assert (fine.is_successful, fine.error) == (True, "")


KEYS = {
    "version", "at", "headline", "targets_well", "targets_waiting", "targets_needing_attention", "last_reload",
    "targets",
}  # fmt: skip
TARGET_KEYS = {"name", "platform", "url", "level", "quota", "paused_until", "endpoints", "collectors"}
COLLECTOR_KEYS = {
    "name", "level", "state", "summary", "meaning", "error", "remedy", "age_seconds", "is_late", "interval_seconds",
    "max_age_seconds", "last_success_at", "last_run_at", "last_run_duration_seconds", "next_run_at", "samples",
    "series_dropped", "unreadable_values", "runs", "failures", "skipped_runs",
}  # fmt: skip


async def json(path: str, shown: Shown) -> Any:
    response = await answer(path, shown)
    assert response.headers["content-type"] == "application/json"
    return response.json()


async def test_the_keys_of_the_json_are_a_promise() -> None:
    """A program that reads /api/status breaks when one is renamed; a new one is harmless."""
    found = await json("/api/status", organisation(NOW_SECONDS))
    learning = found["targets"][2]

    assert found.keys() == KEYS
    assert {key for target in found["targets"] for key in target} == TARGET_KEYS
    assert {key for target in found["targets"] for collector in target["collectors"] for key in collector} == (
        COLLECTOR_KEYS
    )
    assert learning["quota"].keys() == {"limit", "remaining", "at"}
    assert learning["collectors"][0]["skipped_runs"] == {"overlap": 0, "missed": 0, "paused": 0}


async def test_times_in_the_json_are_rfc_3339_in_utc() -> None:
    next_run = datetime(2027, 1, 15, 9, 30, tzinfo=UTC) + timedelta(microseconds=1_499)
    shown = Shown([failed(good(NEW, NOW_SECONDS), NOW_SECONDS, IncompleteError("<b>"))], next_run=next_run)

    [target] = (await json("/api/status?target=crowd", shown))["targets"]
    [collector] = target["collectors"]

    assert collector["last_success_at"] == "2027-01-15T08:00:00Z"
    assert collector["next_run_at"] == "2027-01-15T09:30:00.001000Z"
    assert (collector["state"], collector["error"]) == ("incomplete", "<b>")
    assert collector["remedy"] == IncompleteError.remedy


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0.9, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_spans_are_in_their_largest_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0042, "4 ms"), (1, "1.0 s"), (9.94, "9.9 s"), (10, "10 s"), (180, "3 min")]
)
def test_durations_keep_what_counts(seconds: float, text: str) -> None:
    assert duration(seconds) == text
