"""The academy: repeatable, with a past that never changes, and plausible enough to be shown."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from exporter.demo.academy import Academy

START = date(2025, 9, 1)
NOW = datetime(2026, 3, 18, 15, 30, tzinfo=UTC)
EARLIER = datetime(2026, 1, 14, 9, 0, tzinfo=UTC)
THE_EIGHT_STATUSES = {
    "awaitingCorrection",
    "late",
    "notYetStarted",
    "onTime",
    "sessionNotOpened",
    "successful",
    "toRetake",
    "unsuccessful",
}


@pytest.fixture(scope="module")
def academy() -> Academy:
    return Academy(1, START)


def everything(academy: Academy, now: datetime) -> tuple[object, ...]:
    """All that can be seen of the academy at a moment."""
    people = academy.people(now)
    return (
        academy.groups(now),
        people,
        academy.courses(now),
        academy.paths(now),
        academy.path_sessions(now),
        academy.enrollments(now),
        academy.classrooms(now),
        academy.skills(now),
        academy.skill_powers(now),
        academy.live_projects(now),
        academy.site_assignments(now),
        tuple(academy.attempts(now)),
        [academy.last_login_at(person, now) for person in people],
    )


def test_the_same_seed_and_start_give_the_same_data_and_another_seed_does_not() -> None:
    now = datetime(2025, 10, 1, tzinfo=UTC)
    assert everything(Academy(1, START), now) == everything(Academy(1, START), now)
    assert Academy(2, START).people(now) != Academy(1, START).people(now)


def test_asking_for_a_later_moment_never_changes_the_past() -> None:
    academy = Academy(1, START)
    before = everything(academy, datetime(2025, 10, 1, 11, tzinfo=UTC))
    everything(academy, datetime(2025, 12, 1, tzinfo=UTC))
    assert everything(academy, datetime(2025, 10, 1, 11, tzinfo=UTC)) == before


def test_nothing_from_the_future_is_visible(academy: Academy) -> None:
    academy.people(NOW)
    assert all(person.created_at <= EARLIER for person in academy.people(EARLIER))
    logins = [academy.last_login_at(person, EARLIER) for person in academy.people(EARLIER)]
    assert all(login <= EARLIER for login in logins if login)
    for attempt in academy.attempts(EARLIER):
        moments = (attempt.created_at, attempt.last_activity_at, attempt.completed_at)
        assert all(moment <= EARLIER for moment in moments if moment)


def test_ids_are_unique_and_grow_with_time(academy: Academy) -> None:
    for ids in (
        [attempt.id for attempt in academy.attempts(NOW)],
        [person.id for person in academy.people(NOW)],
        [enrollment.id for enrollment in academy.enrollments(NOW)],
        [skill.id for skill in academy.skills(NOW)],
    ):
        assert ids == sorted(set(ids))
        assert all(len(one) == 24 for one in ids)
    assert len({person.site_id for person in academy.people(NOW)}) == len(academy.people(NOW))


def test_attempts_can_be_continued_behind_any_of_them(academy: Academy) -> None:
    all_attempts = list(academy.attempts(NOW))
    assert list(academy.attempts(NOW, after=all_attempts[99].id)) == all_attempts[100:]


def test_working_days_are_busier_than_weekends(academy: Academy) -> None:
    by_weekday = Counter(attempt.created_at.weekday() for attempt in academy.attempts(NOW))
    assert 0 < max(by_weekday[5], by_weekday[6]) < min(by_weekday[day] for day in range(5)) / 2


def test_the_organisation_grows(academy: Academy) -> None:
    for records in (academy.people, academy.courses, academy.enrollments, academy.site_assignments):
        assert len(records(EARLIER)) < len(records(NOW))
    assert len(list(academy.attempts(EARLIER))) < len(list(academy.attempts(NOW)))


def test_attempts_come_in_all_the_forms_the_api_allows(academy: Academy) -> None:
    attempts = list(academy.attempts(NOW))
    assert any(attempt.first_activity_at is None and attempt.progress == 0 for attempt in attempts)
    assert any(attempt.completed_at and attempt.progress < 100 for attempt in attempts)
    assert any(attempt.completed_at and attempt.score is None for attempt in attempts)
    assert any(attempt.path_session for attempt in attempts)
    pairs = Counter((attempt.person.id, attempt.course.id) for attempt in attempts)
    assert max(pairs.values()) > 1


def test_an_attempt_only_moves_forward(academy: Academy) -> None:
    then = {attempt.id: attempt for attempt in academy.attempts(EARLIER)}
    now = {attempt.id: attempt for attempt in academy.attempts(NOW)}
    moved = [one for one in then if then[one] != now[one]]
    assert moved
    for one in moved:
        assert now[one].progress >= then[one].progress
        assert now[one].time_spent_ms >= then[one].time_spent_ms
        assert then[one].completed_at is None


def test_every_activity_has_a_login_of_the_thirty_days_before(academy: Academy) -> None:
    for attempt in academy.attempts(NOW):
        if attempt.last_activity_at:
            login = academy.last_login_at(attempt.person, attempt.last_activity_at)
            assert login is not None
            assert attempt.last_activity_at - login <= timedelta(days=30)


def test_every_state_of_every_kind_occurs(academy: Academy) -> None:
    assert {person.status(NOW) for person in academy.people(NOW)} == {"active", "invited", "deleted"}
    assert {"draft", "published"} <= {course.status(NOW) for course in academy.courses(NOW)}
    assert {course.type for course in academy.courses(NOW)} == {"elearning standard", "external", "native"}
    assert {one.status(NOW) for one in academy.enrollments(NOW)} == THE_EIGHT_STATUSES
    assert any(one.is_unenrolled(NOW) for one in academy.enrollments(NOW))
    powers = {power.status(NOW) for power in academy.skill_powers(NOW)}
    assert powers == {"toAssess", "pendingValidation", "validated"}
    assert {project.is_completed(NOW) for project in academy.live_projects(NOW)} == {True, False}
    assert any(one.is_expired(NOW) for one in academy.site_assignments(NOW))


def test_groups_form_one_tree_with_hostile_names(academy: Academy) -> None:
    groups = academy.groups(NOW)
    assert [group for group in groups if group.parent is None] == [groups[0]]
    assert all(group.parent.number < group.number for group in groups if group.parent)
    names = "".join(group.name for group in groups) + "".join(course.name for course in academy.courses(NOW))
    assert {'"', "\\", "\n", "ü", "\N{HELICOPTER}"} <= set(names)


def test_after_two_years_it_has_the_size_of_a_real_customer() -> None:
    academy = Academy(1, date(2024, 3, 18))
    now = datetime(2026, 3, 18, tzinfo=UTC)
    assert 2000 < len(academy.people(now)) < 2800
    assert 45_000 < sum(1 for _ in academy.attempts(now)) < 75_000
    assert 30 < len(academy.groups(now)) < 50
    assert 120 < len(academy.courses(now)) < 180
    assert 200 < len(academy.site_users(now)) < 400
