"""The latest results: replaced as a whole, one collector at a time, and only by complete ones."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.run import Unreadable
from exporter.collection import Result
from exporter.errors import State
from exporter.history import Steps
from exporter.metrics import Family, Sample
from exporter.snapshot import SKIP_REASONS, Entry, Key, Published, Snapshot, arranged, cut_labels, left_out
from tests.fakes import PEOPLE, PLACES

SITE = Key("site", "people")
SITE_PLACES = Key("site", "places")
OTHER = Key("other", "people")


def snapshot(max_series: int = 100, max_age_seconds: float = 100.0) -> Snapshot:
    return Snapshot(Entry(key, "fake", 60.0, max_age_seconds, max_series) for key in (SITE, SITE_PLACES, OTHER))


def complete(*samples: Sample, at: float = 1000.0) -> Result:
    return Result(State.OK, at - 2.0, 2.0, samples)


def failed(state: State = State.SERVER_ERROR, at: float = 2000.0) -> Result:
    return Result(state, at - 2.0, 2.0, error="GET /things answered 500", remedy="wait")


def places(number: int) -> list[Sample]:
    return [PLACES.sample(n, place=str(n)) for n in range(number)]


FIRST, SECOND, THIRD = (Family(f"fake_{name}", "Things.", ("n",)) for name in ("z", "y", "x"))


def series(family: Family, number: int, begin: int = 0) -> list[Sample]:
    return [family.sample(1, n=str(n)) for n in range(begin, begin + number)]


def exposed(latest: Snapshot, target: str = "site") -> dict[str, int]:
    """Return how many series of each family are exposed."""
    return {
        family.name: len(samples)
        for entry in latest.of_target(target)
        if entry.published
        for family, samples in entry.published.exposed.items()
    }


def test_before_the_first_run_everything_is_pending() -> None:
    assert [(entry.key, entry.state, entry.published, entry.last_success_at) for entry in snapshot()] == [
        (SITE, State.PENDING, None, None),
        (SITE_PLACES, State.PENDING, None, None),
        (OTHER, State.PENDING, None, None),
    ]


def test_a_complete_result_is_published_with_the_time_at_which_it_ended() -> None:
    latest = snapshot()
    entry = latest.publish(SITE, complete(PEOPLE.sample(7)))

    assert entry == latest[SITE]
    assert entry.published == Published({PEOPLE: (PEOPLE.sample(7),)}, 1000.0)
    assert (entry.state, entry.last_success_at, entry.runs, entry.failures) == (State.OK, 1000.0, 1, 0)


def test_a_failed_run_changes_the_state_and_nothing_that_is_exposed() -> None:
    latest = snapshot()
    good = latest.publish(SITE, complete(PEOPLE.sample(7)))
    for state in set(State) - {State.OK, State.PENDING}:
        entry = latest.publish(SITE, failed(state))
        assert entry.state is state
        assert entry.published is good.published
        assert entry.last_success_at == 1000.0
        assert entry.last is not None
        assert (entry.last.error, entry.last.remedy) == ("GET /things answered 500", "wait")

    assert (entry.runs, entry.failures) == (len(State) - 1, len(State) - 2)


def test_a_failed_first_run_publishes_nothing() -> None:
    entry = snapshot().publish(SITE, failed())

    assert (entry.published, entry.last_success_at, entry.failures) == (None, None, 1)


def test_a_new_complete_result_replaces_the_old_one_as_a_whole() -> None:
    latest = snapshot()
    latest.publish(SITE_PLACES, complete(*places(3)))
    entry = latest.publish(SITE_PLACES, complete(PLACES.sample(9, place="9"), at=3000.0))

    assert entry.published == Published({PLACES: (PLACES.sample(9, place="9"),)}, 3000.0)


def test_an_empty_complete_result_is_a_result() -> None:
    latest = snapshot()
    latest.publish(SITE_PLACES, complete(*places(3)))
    entry = latest.publish(SITE_PLACES, complete(at=3000.0))

    assert entry.published == Published({}, 3000.0)


def test_entries_of_others_are_not_touched() -> None:
    latest = snapshot()
    others = {key: latest.publish(key, complete(*places(1))) for key in (OTHER, SITE_PLACES)}
    latest.publish(SITE, complete(PEOPLE.sample(7)))
    latest.publish(SITE, failed())
    latest.skip(SITE, "overlap")
    latest.expire(1001.0)

    assert all(latest[key] is entry for key, entry in others.items())


def test_a_reader_keeps_seeing_the_state_that_it_began_with() -> None:
    latest = snapshot()
    entries = iter(latest)
    first = next(entries)
    latest.publish(OTHER, complete(PEOPLE.sample(7)))

    assert first.key == SITE
    assert [entry.state for entry in entries] == [State.PENDING, State.PENDING]
    assert latest[OTHER].state is State.OK


def test_skipped_runs_are_counted_by_reason() -> None:
    latest = snapshot()
    for reason in (*SKIP_REASONS, "paused"):
        entry = latest.skip(SITE, reason)

    assert entry.skipped == {"overlap": 1, "missed": 1, "paused": 2}
    assert (entry.runs, entry.failures, entry.state) == (0, 0, State.PENDING)


def test_values_are_dropped_when_they_are_older_than_allowed_and_not_before() -> None:
    latest = snapshot(max_age_seconds=100.0)
    latest.publish(SITE, complete(PEOPLE.sample(7), at=1000.0))
    latest.publish(OTHER, complete(PEOPLE.sample(8), at=1050.0))
    latest.publish(SITE, failed(at=1090.0))
    assert latest.expire(1100.0) == []

    expired = latest.expire(1100.1)
    assert [(entry.key, entry.published) for entry in expired] == [(SITE, None)]
    assert latest.expire(1100.2) == []
    assert latest[OTHER].published is not None


def test_the_time_of_the_last_success_outlives_the_values_and_the_failures_after_them() -> None:
    latest = snapshot(max_age_seconds=100.0)
    latest.publish(SITE, complete(PEOPLE.sample(7), at=1000.0))
    latest.expire(2000.0)
    entry = latest.publish(SITE, failed())

    assert (entry.published, entry.last_success_at, entry.state) == (None, 1000.0, State.SERVER_ERROR)


def test_samples_are_dropped_when_they_end_and_what_stays_is_the_same_object() -> None:
    latest = snapshot(max_series=5, max_age_seconds=1000.0)
    samples = [*places(2), *(FIRST.sample(n, 1500.0 + 100 * n, n=str(n)) for n in range(3))]
    before = latest.publish(SITE, complete(*samples)).published
    assert latest.expire(1499.9) == []
    [entry] = latest.expire(1600.0)
    after = entry.published
    assert before
    assert after
    assert after.families == {PLACES: tuple(places(2)), FIRST: (samples[4],)}
    assert after.families[PLACES] is before.families[PLACES]
    assert (after.at, after.ends_at, entry.windows_end_at) == (1000.0, 1700.0, 1500.0)
    assert latest.expire(1600.0) == []


def test_room_of_samples_that_ended_goes_to_others() -> None:
    latest = snapshot(max_series=4, max_age_seconds=1000.0)
    latest.publish(SITE, complete(*(FIRST.sample(1, 1500.0, n=str(n)) for n in range(3))))
    latest.publish(SITE_PLACES, complete(*places(2)))
    assert exposed(latest) == {"fake_z": 3}

    assert {entry.key for entry in latest.expire(1500.0)} == {SITE, SITE_PLACES}
    assert exposed(latest) == {"fake_places": 2}


def test_a_run_is_due_once_after_the_end_of_the_first_window_of_the_last_complete_result() -> None:
    latest = snapshot(max_age_seconds=1000.0)
    assert not latest[SITE].waits_for_border
    latest.publish(SITE, complete(*places(2)))
    assert not latest[SITE].waits_for_border

    latest.begin(SITE, 1490.0)
    latest.publish(SITE, complete(PEOPLE.sample(7, 1500.0), at=1495.0))
    assert latest[SITE].waits_for_border
    latest.expire(1501.0)
    latest.publish(SITE, failed(at=1501.0))
    assert latest[SITE].waits_for_border
    latest.begin(SITE, 1502.0)
    assert not latest[SITE].waits_for_border


ILLEGAL: list[Any] = [
    Sample(PLACES, (None,), 1.0),  # type: ignore[arg-type]
    Sample(PLACES, (7,), 1.0),  # type: ignore[arg-type]
    Sample(PLACES, (["x"],), 1.0),  # type: ignore[arg-type]
    Sample(PLACES, (b"x",), 1.0),  # type: ignore[arg-type]
    Sample(PLACES, ("\ud800",), 1.0),
    Sample(PLACES, (), 1.0),
    Sample(PLACES, ("x", "y"), 1.0),
    Sample(PLACES, ("x",), math.nan),
    Sample(PLACES, ("x",), math.inf),
    Sample(PLACES, ("x",), -math.inf),
    Sample(PLACES, ("x",), 10**400),
    Sample(PLACES, ("x",), None),  # type: ignore[arg-type]
    Sample(PLACES, ("x",), "7"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("sample", ILLEGAL, ids=repr)
def test_a_sample_that_no_page_could_hold_is_dropped_and_its_neighbours_stay(sample: Sample) -> None:
    good = PLACES.sample(1, place="good")

    assert arranged([sample, good]) == ({PLACES: (good,)}, 1)


def test_of_a_series_that_comes_twice_the_first_stays() -> None:
    samples = [PLACES.sample(1, place="x"), PLACES.sample(2, place="y"), PLACES.sample(3, place="x")]

    assert arranged(samples) == ({PLACES: (samples[0], samples[1])}, 1)


def test_samples_come_out_grouped_by_family_and_else_in_their_order() -> None:
    samples = [PLACES.sample(2, place="b"), PEOPLE.sample(1), PLACES.sample(3, place="a")]
    families, _ = arranged(samples)

    assert list(families.items()) == [(PLACES, (samples[0], samples[2])), (PEOPLE, (samples[1],))]


def test_families_that_do_not_fit_are_left_out_whole_and_the_first_have_room_first() -> None:
    """A part of a family would make sums over it wrong; a smaller family behind it may still fit."""
    result = {FIRST: 5, SECOND: 3}

    assert left_out([result], 8) == set()
    assert left_out([result], 7) == {SECOND}
    assert left_out([result], 4) == {FIRST}
    assert left_out([result], 2) == {FIRST, SECOND}


def test_a_family_that_two_collectors_have_is_left_out_of_both_or_of_none() -> None:
    results = [{FIRST: 3}, {FIRST: 3, SECOND: 2}]

    assert left_out(results, 8) == set()
    assert left_out(results, 7) == {SECOND}
    assert left_out(results, 5) == {FIRST}


def test_the_limit_is_of_the_target_and_counts_all_its_collectors() -> None:
    latest = snapshot(max_series=5)
    latest.publish(SITE, complete(*series(FIRST, 4)))
    latest.publish(OTHER, complete(*places(5)))
    entry = latest.publish(SITE_PLACES, complete(*series(SECOND, 2), *series(THIRD, 1)))

    assert exposed(latest) == {"fake_z": 4, "fake_x": 1}
    assert exposed(latest, "other") == {"fake_places": 5}
    assert entry.state is State.OK
    assert entry.published
    assert (entry.published.left_out, entry.published.series, entry.published.series_dropped) == ((SECOND,), 1, 2)


def test_room_that_a_collector_takes_or_leaves_moves_to_and_from_the_others_at_once() -> None:
    latest = snapshot(max_series=5)
    latest.publish(SITE_PLACES, complete(*series(SECOND, 3)))
    assert exposed(latest) == {"fake_y": 3}

    latest.publish(SITE, complete(*series(FIRST, 3)))
    assert exposed(latest) == {"fake_z": 3}
    latest.publish(SITE, complete(*series(FIRST, 2), at=1100.0))
    assert exposed(latest) == {"fake_z": 2, "fake_y": 3}
    latest.publish(SITE, complete(*series(FIRST, 5), at=1101.0))
    assert exposed(latest) == {"fake_z": 5}
    latest.publish(SITE_PLACES, complete(*series(SECOND, 1), at=1190.0))
    latest.expire(1202.0)
    assert exposed(latest) == {"fake_y": 1}


RESULTS = st.lists(st.tuples(st.sampled_from([FIRST, SECOND, THIRD]), st.integers(1, 9)), max_size=3)


@given(
    st.lists(st.tuples(st.booleans(), RESULTS), max_size=12),
    st.integers(1, 20),
)
def test_what_is_left_out_does_not_depend_on_who_published_when(
    publishes: list[tuple[bool, list[tuple[Family, int]]]], max_series: int
) -> None:
    """It is what it would be if only the newest results had been published, in the order of the collectors."""
    lived, newest = snapshot(max_series), {}
    for is_first, result in publishes:
        key = SITE if is_first else SITE_PLACES
        begin = 0 if is_first else 100
        newest[key] = complete(*(one for family, number in result for one in series(family, number, begin)))
        lived.publish(key, newest[key])
    fresh = snapshot(max_series)
    for key in (SITE, SITE_PLACES):
        if key in newest:
            fresh.publish(key, newest[key])

    assert [entry.published for entry in lived] == [entry.published for entry in fresh]
    assert sum(entry.published.series for entry in lived if entry.published) <= max_series


FAMILIES = st.sampled_from([PEOPLE, PLACES])
SAMPLES = st.builds(
    Sample,
    FAMILIES,
    st.lists(st.text(max_size=2) | st.none() | st.integers(), max_size=2).map(tuple),
    st.floats() | st.integers() | st.none(),
)


@given(st.lists(SAMPLES, max_size=30))
def test_what_is_published_is_unique_finite_text_and_the_rest_is_counted(samples: list[Sample]) -> None:
    families, dropped = arranged(samples)
    published = [sample for family in families.values() for sample in family]

    assert len(published) + dropped == len(samples)
    assert len({(sample.family.name, sample.labels) for sample in published}) == len(published)
    for family, of_family in families.items():
        assert {sample.family for sample in of_family} == {family}
    for sample in published:
        assert math.isfinite(sample.value)
        assert len("".join(sample.labels).encode()) >= 0
        assert len(sample.labels) == len(sample.family.labels)


def test_values_that_could_not_be_read_stay_those_of_the_last_complete_result() -> None:
    values = Unreadable("/things", "$[...].score", 3, ())
    latest = snapshot()
    latest.publish(SITE, replace(complete(PEOPLE.sample(7)), unreadable=(values, values)))
    entry = latest.publish(SITE, failed())

    assert entry.published
    assert entry.published.unreadable == 6


def test_labels_that_are_too_long_are_cut_with_a_mark_and_stay_apart() -> None:
    """Prometheus refuses the whole page for one label above its label_value_length_limit."""
    long = "n" * 200_000
    names = ["x" * 256, "x" * 257, long, long + "!", "short"]
    families, dropped = arranged([PLACES.sample(number, place=name) for number, name in enumerate(names)])

    labels = [sample.labels[0] for sample in families[PLACES]]
    assert dropped == 0
    assert labels[0] == "x" * 256
    assert labels[4] == "short"
    assert all(len(label) == 256 and label[-9] == "…" for label in labels[1:4])
    assert len(set(labels)) == 5
    assert cut_labels(families) == 3


def test_a_label_is_cut_in_the_same_way_in_the_history() -> None:
    name = "n" * 1000
    live, _ = arranged([PLACES.sample(1, place=name)])

    assert Steps(PLACES, (name,)).labels == live[PLACES][0].labels
