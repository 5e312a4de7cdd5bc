"""Course attempts: what is added up, for which courses, and that nothing is lost or counted twice."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from exporter.metrics import Sample
from exporter.platforms.learning360 import PLATFORM
from exporter.platforms.learning360.attempts import AttemptTotals, attempt_samples, chosen_courses
from exporter.platforms.learning360.counting import Windows
from exporter.platforms.learning360.records import Attempt
from exporter.platforms.learning360.settings import CourseChoice
from tests.platforms.learning360.academy import COLLECTORS, NOW, V1_KEYS, Academy, documented, settings

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def attempt(course: str = "c1", user: str = "u1", **keys: Any) -> Attempt:
    keys = {"time_spent": 0.0, "progress": 0.0, **keys}
    return Attempt("", course, user, **keys)


def active(course: str, user: str, days: float = 0.5) -> Attempt:
    return attempt(course, user, last_activity_at=NOW - days * DAY)


def samples_of(attempts: Iterable[Attempt], **choice: Any) -> list[Sample]:
    totals = AttemptTotals(Windows.ending(NOW))
    totals.add(list(attempts))
    return attempt_samples(totals.courses, chosen_courses(totals.courses, CourseChoice(**choice)))


def values(samples: Iterable[Sample], family: str) -> dict[tuple[str, ...], float]:
    return {sample.labels: sample.value for sample in samples if sample.family.name == f"learning360_{family}"}


def own_courses(samples: Iterable[Sample]) -> set[str]:
    return {course for course, _ in values(samples, "course_attempts")}


@pytest.mark.parametrize(
    ("keys", "state"),
    [
        ({}, "not_started"),
        ({"progress": 1.0}, "in_progress"),
        ({"first_activity_at": NOW}, "in_progress"),
        ({"completed_at": NOW}, "completed"),
        ({"completed_at": NOW, "first_activity_at": NOW, "progress": 9.0}, "completed"),
    ],
)
def test_the_state_of_an_attempt(keys: dict[str, Any], state: str) -> None:
    """The vendor's own sample has a completion date at progress 9, so that progress does not decide."""
    states = dict.fromkeys(["not_started", "in_progress", "completed"], 0)

    assert values(samples_of([attempt(**keys)]), "course_attempts") == {
        ("c1", name): value for name, value in {**states, state: 1}.items()
    }


@pytest.mark.parametrize(
    ("at", "counts"),
    [
        (NOW, (1, 1, 1)),
        (NOW + DAY, (1, 1, 1)),
        (NOW - DAY, (1, 1, 1)),
        (NOW - DAY - SECOND, (0, 1, 1)),
        (NOW - 7 * DAY, (0, 1, 1)),
        (NOW - 7 * DAY - SECOND, (0, 0, 1)),
        (NOW - 30 * DAY, (0, 0, 1)),
        (NOW - 30 * DAY - SECOND, (0, 0, 0)),
        ((NOW - DAY).astimezone(timezone(timedelta(hours=9))), (1, 1, 1)),
    ],
)
def test_windows_roll_and_hold_their_first_moment_and_what_a_fast_clock_dates_ahead(
    at: datetime, counts: tuple[int, int, int]
) -> None:
    samples = samples_of([attempt(first_activity_at=at, last_activity_at=at, completed_at=at)])

    expected = {("c1", window): count for window, count in zip(("24h", "7d", "30d"), counts, strict=True)}
    assert values(samples, "course_attempts_started") == expected
    assert values(samples, "course_completions") == expected
    assert values(samples, "course_active_learners") == expected
    assert values(samples, "active_learners") == {(window,): count for (_, window), count in expected.items()}


def test_a_learner_counts_once_with_the_newest_activity() -> None:
    samples = samples_of(
        [active("c1", "u1", 20), active("c1", "u1", 0.5), active("c1", "u1", 3), active("c2", "u1", 5)]
    )

    assert values(samples, "active_learners") == {("24h",): 1, ("7d",): 1, ("30d",): 1}
    assert values(samples, "course_active_learners") == {
        ("c1", "24h"): 1,
        ("c1", "7d"): 1,
        ("c1", "30d"): 1,
        ("c2", "24h"): 0,
        ("c2", "7d"): 1,
        ("c2", "30d"): 1,
    }


def test_time_spent_is_in_seconds_and_scores_are_the_mean_of_those_given() -> None:
    attempts = [attempt(time_spent=1500.0, score=80.0), attempt(time_spent=500.0, score=50.0), attempt(), attempt("c2")]

    samples = samples_of(attempts)

    assert values(samples, "course_time_spent_seconds") == {("c1",): 2.0, ("c2",): 0.0}
    assert values(samples, "course_attempts_scored") == {("c1",): 2, ("c2",): 0}
    assert values(samples, "course_score_ratio") == {("c1",): 0.65}


def test_a_score_of_0_is_a_score() -> None:
    assert values(samples_of([attempt(score=0.0)]), "course_score_ratio") == {("c1",): 0.0}


def test_courses_rank_by_recent_attempts_then_all_attempts_then_id() -> None:
    attempts = [
        *(attempt("idle", f"u{n}") for n in range(9)),
        active("a", "u1"),
        active("b", "u1"),
        attempt("b"),
        active("busy", "u1"),
        active("busy", "u1"),
        active("aa", "u1"),
    ]

    assert [own_courses(samples_of(attempts, top=top)) - {"other"} for top in range(1, 6)] == [
        {"busy"},
        {"busy", "b"},
        {"busy", "b", "a"},
        {"busy", "b", "a", "aa"},
        {"busy", "b", "a", "aa", "idle"},
    ]


def test_others_are_added_up_and_their_learners_are_distinct_among_them() -> None:
    attempts = [
        *(active("top", f"u{n}") for n in range(4)),
        attempt("x", "u1", last_activity_at=NOW - 3 * DAY, score=40.0, time_spent=1000.0, completed_at=NOW - 3 * DAY),
        attempt("y", "u1", last_activity_at=NOW, first_activity_at=NOW, score=80.0, time_spent=2000.0),
        attempt("y", "u9", last_activity_at=NOW - 20 * DAY, progress=3.0),
        attempt("y", "u9"),
    ]

    samples = samples_of(attempts, top=1)

    def other(family: str) -> dict[str, float]:
        return {labels[-1]: value for labels, value in values(samples, family).items() if labels[0] == "other"}

    assert own_courses(samples) == {"top", "other"}
    assert other("course_attempts") == {"not_started": 1, "in_progress": 2, "completed": 1}
    assert other("course_active_learners") == {"24h": 1, "7d": 1, "30d": 2}
    assert other("course_completions") == {"24h": 0, "7d": 1, "30d": 1}
    assert other("course_attempts_started") == {"24h": 1, "7d": 1, "30d": 1}
    assert other("course_time_spent_seconds") == {"other": 3.0}
    assert other("course_attempts_scored") == {"other": 2}
    assert other("course_score_ratio") == {"other": pytest.approx(0.6)}


def test_without_further_courses_there_are_no_others() -> None:
    assert own_courses(samples_of([attempt("a"), attempt("b")], top=2)) == {"a", "b"}


def test_courses_named_in_the_configuration_have_series_once_each_and_only_if_somebody_knows_them() -> None:
    samples = samples_of([active("a", "u1"), attempt("b"), attempt("c")], ids=("b", "nowhere", "b"))

    assert own_courses(samples) == {"b", "other"}
    assert len(values(samples, "course_attempts")) == 6


moments = st.none() | st.datetimes(datetime(2026, 10, 1), datetime(2026, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    attempts=st.lists(
        st.builds(
            Attempt,
            st.just(""),
            st.sampled_from("abcdefgh"),
            st.sampled_from("uvwxyz"),
            st.integers(0, 10**7),
            st.sampled_from([0, 50, 100]),
            st.none() | st.integers(0, 100),
            moments,
            moments,
            moments,
        )
    ),
    top=st.integers(1, 9),
    page_size=st.integers(1, 7),
)
def test_sums_over_courses_are_the_whole_however_many_have_their_own_and_however_pages_are_cut(
    attempts: list[Attempt], top: int, page_size: int
) -> None:
    totals = AttemptTotals(Windows.ending(NOW))
    for start in range(0, len(attempts), page_size):
        totals.add(attempts[start : start + page_size])
    samples = attempt_samples(totals.courses, chosen_courses(totals.courses, CourseChoice(top=top)))

    assert sum(values(samples, "course_attempts").values()) == len(attempts)
    assert sum(values(samples, "course_time_spent_seconds").values()) == pytest.approx(
        sum(attempt.time_spent for attempt in attempts) / 1000
    )
    for window, days in (("24h", 1), ("7d", 7), ("30d", 30)):
        start_of_window = NOW - days * DAY

        def inside(at: datetime | None, start_of_window: datetime = start_of_window) -> bool:
            return at is not None and start_of_window <= at <= NOW + DAY

        completions = [value for labels, value in values(samples, "course_completions").items() if window in labels]
        assert sum(completions) == sum(inside(attempt.completed_at) for attempt in attempts)
        learners = {attempt.user_id for attempt in attempts if inside(attempt.last_activity_at)}
        assert values(samples, "active_learners")[window,] == len(learners)


async def collected(client_for: Any, academy: Academy, **keys: Any) -> list[Sample]:
    target = settings(**keys)
    async with client_for(PLATFORM.access(target), academy).session() as client:
        return await COLLECTORS["attempts"].collect(client, target, NOW)


@pytest.mark.parametrize("version", [{}, V1_KEYS])
async def test_a_course_named_in_the_configuration_that_nobody_began_has_zeros(
    client_for: Any, version: dict[str, str]
) -> None:
    academy = Academy()
    for path in ("/api/v1/courses", "/api/v2/courses"):
        academy.replies[path].append({"_id": "c0ffee", "name": "New", "status": "published", "type": "native"})
    own = {"attempts": {"courses": {"ids": ["c0ffee", "nowhere"]}}}

    samples = await collected(client_for, academy, collectors=own, **version)

    ours = [sample for sample in samples if "c0ffee" in sample.labels]
    assert own_courses(samples) == {"c0ffee", "other"}
    assert [sample.value for sample in ours if sample.family.name != "learning360_course_info"] == [0.0] * 14
    assert values(samples, "course_info") == {("c0ffee", "New", "native"): 1}


async def test_names_are_those_of_courses_with_series_that_the_list_knows(client_for: Any) -> None:
    """Attempts of the fixture are at four courses; one of these is gone from the list of courses."""
    courses = documented("courses")
    samples = await collected(client_for, Academy(), collectors={"attempts": {"courses": {"top": 3}}})

    assert values(samples, "course_info") == {(c["_id"], c["name"], c["type"]): 1 for c in courses[:2]}
    assert len(own_courses(samples)) == 4


async def test_an_attempt_that_comes_twice_counts_once(client_for: Any) -> None:
    academy = Academy()
    academy.replies["/api/v2/courses/stats"].insert(3, documented("courses_stats")[0])

    assert values(await collected(client_for, academy), "course_attempts") == values(
        await collected(client_for, Academy()), "course_attempts"
    )


async def test_times_with_another_offset_are_understood(client_for: Any) -> None:
    academy = Academy()
    stats = academy.replies["/api/v2/courses/stats"][0]
    stats["lastActivityAt"] = "2026-11-20T17:21:00.000+09:00"

    assert values(await collected(client_for, academy), "active_learners")["24h",] == 2


def test_courses_are_chosen_by_number_or_by_list_not_both() -> None:
    with pytest.raises(ValidationError, match="either top or ids"):
        CourseChoice(top=5, ids=("a",))
    with pytest.raises(ValidationError):
        CourseChoice(top=0)
    with pytest.raises(ValidationError):
        CourseChoice(ids=())
    assert CourseChoice().top == 100


@given(seconds=st.floats(-40 * 86_400, 40_000 * 86_400))
def test_a_window_holds_what_happened_in_it_up_to_a_day_ahead_of_our_clock(seconds: float) -> None:
    at = NOW + timedelta(seconds=seconds)
    narrowest = Windows.ending(NOW).narrowest(at)

    for position, days in enumerate((1, 7, 30)):
        assert (narrowest <= position) == (NOW - days * DAY <= at <= NOW + DAY)
