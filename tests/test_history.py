"""Step functions: what a series was at every moment, and how it falls onto the moments of a history."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.history import ABSENT, ALWAYS_MS, Span, Steps, by_family, counted, disagreeing, stepped
from exporter.metrics import Family, Sample

THINGS = Family("fake_things", "Things.")
SILENT = Family("fake_silent", "Of which no series tells.")
UNASKED = Family("fake_unasked", "Of which nobody asks.")
PLACES = Family("fake_places", "Places.", ("place",))

MINUTE_MS = 60_000
HOUR = Span(start_seconds=3600, end_seconds=7200, step_seconds=240)

changes = st.lists(st.tuples(st.integers(3_000_000, 8_000_000), st.sampled_from([ABSENT, 0.0, 1.0, 2.5])), max_size=30)


def steps_of(*changes: tuple[int, float]) -> Steps:
    steps = Steps(THINGS, ())
    for time_ms, value in changes:
        steps.set(time_ms, value)
    return steps


def on_moments(steps: Steps, span: Span) -> list[float | None]:
    """The value at every moment, from the runs."""
    values: list[float | None] = [None] * span.count
    for run in steps.runs(span):
        values[run.first : run.last] = [run.value] * (run.last - run.first)
    return values


@given(changes)
def test_runs_say_what_the_series_was_at_every_moment(drawn: list[tuple[int, float]]) -> None:
    steps = steps_of(*sorted(drawn, key=lambda change: change[0]))

    assert on_moments(steps, HOUR) == [steps.at(second * 1000) for second in HOUR.moments()]
    assert HOUR.count == len(HOUR.moments()) == 16


@given(changes)
def test_runs_touch_only_where_the_value_changes(drawn: list[tuple[int, float]]) -> None:
    """What is written for a run is written once, however many changes fell between two moments."""
    runs = list(steps_of(*sorted(drawn, key=lambda change: change[0])).runs(HOUR))

    assert all(run.first < run.last for run in runs)
    assert all(one.last <= other.first for one, other in pairwise(runs))


def test_a_value_holds_from_its_time_on_and_until_the_next() -> None:
    steps = steps_of((1000, 7.0), (2000, ABSENT), (3000, 8.0))

    assert [steps.at(time) for time in (999, 1000, 1999, 2000, 3000, 10**12)] == [None, 7.0, 7.0, None, 8.0, 8.0]


def test_the_last_value_of_a_millisecond_counts() -> None:
    assert steps_of((1000, 1.0), (1000, 2.0)).at(1000) == 2.0


def test_what_came_back_to_its_old_value_at_once_never_changed() -> None:
    steps = steps_of((1000, 1.0), (2000, 2.0), (2000, 1.0))

    assert list(steps.times_ms) == [1000]


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7))))
def test_counting_is_counting(periods: list[tuple[int, int]]) -> None:
    pairs = [(min(pair), max(pair)) for pair in periods]
    steps = counted(THINGS, (), ALWAYS_MS, [begin for begin, _ in pairs], [end for _, end in pairs])

    for second in HOUR.moments():
        assert steps.at(second * 1000) == sum(begin <= second * 1000 < end for begin, end in pairs)


def test_a_count_begins_with_the_series_and_not_with_the_first_thing() -> None:
    steps = counted(THINGS, (), 1000, [5000])

    assert [steps.at(time) for time in (999, 1000, 5000)] == [None, 0, 1]


def test_snapshots_become_series_that_come_and_go() -> None:
    found = stepped(
        [
            (1000, [PLACES.sample(1, place="a"), PLACES.sample(2, place="b")]),
            (2000, [PLACES.sample(1, place="a")]),
            (3000, [PLACES.sample(1, place="a"), PLACES.sample(3, place="b")]),
        ]
    )

    assert [(steps.labels, list(steps.times_ms)) for steps in found] == [(("a",), [1000]), (("b",), [1000, 2000, 3000])]
    assert [found[1].at(time) for time in (1500, 2500, 3500)] == [2, None, 3]


def test_series_stand_below_their_family_in_the_order_of_labels() -> None:
    series = [Steps(PLACES, ("b",)), Steps(THINGS, ()), Steps(PLACES, ("a",))]
    past = by_family(series, (PLACES,))

    assert {family: [steps.labels for steps in found] for family, found in past.items()} == {PLACES: [("a",), ("b",)]}


@pytest.mark.parametrize(
    ("samples", "families"),
    [
        ([PLACES.sample(1, place="a"), THINGS.sample(5)], set()),
        ([PLACES.sample(2, place="a"), THINGS.sample(5)], {PLACES}),
        ([THINGS.sample(5)], {PLACES}),
        ([PLACES.sample(1, place="a"), THINGS.sample(5), SILENT.sample(0)], {SILENT}),
        ([PLACES.sample(1, place="a"), THINGS.sample(5), UNASKED.sample(0)], set()),
        ([PLACES.sample(1, place="a"), PLACES.sample(0, place="b"), THINGS.sample(4)], {PLACES, THINGS}),
    ],
)
def test_a_family_disagrees_by_value_by_lack_and_by_excess(samples: list[Sample], families: set[Family]) -> None:
    places = Steps(PLACES, ("a",))
    places.set(1000, 1)
    things = Steps(THINGS, ())
    things.set(1000, 5)

    assert disagreeing([PLACES, THINGS, SILENT], [places, things], samples, 2000) == families


def test_moments_are_aligned_to_the_span() -> None:
    start = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
    span = Span(start, start + 86_400, 240)

    assert [span.index(start * 1000 + offset) for offset in (-1, 0, 1, 240_000, 240_001)] == [0, 0, 1, 1, 2]
    assert span.index(2**62) == span.count == 361
