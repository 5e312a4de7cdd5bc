"""The engineering half of the demo organisation: repeatable, never rewriting its past, and plausible."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

from exporter.demo.engineering import AUDIT_EVENT_TYPES, Engineering, is_member

START = date(2024, 11, 20)
DAWN = datetime(2024, 11, 20, tzinfo=UTC)
EARLY = datetime(2025, 3, 12, 11, 30, tzinfo=UTC)
LATE = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)


def everything(engineering: Engineering, now: datetime) -> tuple[object, ...]:
    return (
        engineering.people(now),
        engineering.workspaces(now),
        engineering.apps(now),
        engineering.visits(DAWN, now),
        engineering.audit_events(now - timedelta(days=3), now),
    )


def test_the_same_seed_gives_the_same_organisation_and_another_seed_another_one() -> None:
    assert everything(Engineering(7, START), EARLY) == everything(Engineering(7, START), EARLY)
    assert everything(Engineering(7, START), EARLY) != everything(Engineering(8, START), EARLY)


def test_what_was_asked_first_does_not_matter() -> None:
    """An organisation first asked for a late moment shows an early one as it would have been shown then."""
    engineering = Engineering(7, START)
    everything(engineering, LATE)

    assert everything(engineering, EARLY) == everything(Engineering(7, START), EARLY)


def test_a_later_moment_only_adds() -> None:
    engineering = Engineering(7, START)
    for method in (engineering.people, engineering.workspaces, engineering.apps):
        early: tuple[object, ...] = method(EARLY)
        assert method(LATE)[: len(early)] == early
        assert len(method(LATE)) > len(early)
    assert set(engineering.visits(DAWN, EARLY)) < set(engineering.visits(DAWN, LATE))


def test_nothing_of_the_future_is_seen_within_the_day() -> None:
    engineering = Engineering(7, START)
    evening = EARLY.replace(hour=23)

    assert all(visit.at <= EARLY for visit in engineering.visits(DAWN, EARLY))
    assert len(engineering.visits(DAWN, EARLY)) < len(engineering.visits(DAWN, evening))


def test_there_was_no_activity_before_the_start() -> None:
    assert Engineering(7, START).visits(DAWN - timedelta(days=400), DAWN) == ()


def test_after_two_years_the_organisation_has_its_size() -> None:
    engineering = Engineering(7, START)
    people, workspaces = engineering.people(LATE), engineering.workspaces(LATE)

    assert 450 <= len(people) <= 550
    assert 40 <= sum(person.is_developer for person in people) <= 80
    assert 22 <= len(workspaces) <= 30
    assert {workspace.type for workspace in workspaces} == {"PROJECT", "PUBLIC", "TEST", "DEVELOPMENT"}
    assert {workspace.visibility for workspace in workspaces} == {"INTERNAL", "PRIVATE"}
    assert any(workspace.archived_at is not None and workspace.archived_at <= LATE for workspace in workspaces)
    assert any(person.left_at is not None and person.left_at <= LATE for person in people)


def test_apps_of_every_kind_exist_from_the_start() -> None:
    kinds = {
        (app.published_at is not None and app.published_at <= DAWN, app.archived_at is not None)
        for app in Engineering(7, START).apps(DAWN)
    }

    assert kinds == {(True, True), (True, False), (False, True), (False, False)}


def test_weekends_are_quiet() -> None:
    visits = Engineering(7, START).visits(DAWN, LATE)
    by_weekday = Counter(visit.at.weekday() for visit in visits)

    assert 0 < by_weekday[5] < by_weekday[1] / 3


def test_nobody_signs_in_to_a_public_workspace_and_only_developers_to_a_development_one() -> None:
    engineering = Engineering(7, START)
    visits = engineering.visits(DAWN, LATE)

    assert {visit.workspace.type for visit in visits} == {"PROJECT", "TEST", "DEVELOPMENT"}
    assert all(visit.person.is_developer for visit in visits if visit.workspace.type == "DEVELOPMENT")
    assert all(is_member(visit.person, visit.workspace) for visit in visits)


def test_nobody_visits_before_joining_or_after_leaving_or_an_archived_workspace() -> None:
    for visit in Engineering(7, START).visits(DAWN, LATE):
        day = visit.at.replace(hour=0, minute=0, second=0)
        assert visit.person.joined_at < visit.at
        assert visit.person.left_at is None or visit.person.left_at > day
        assert visit.workspace.archived_at is None or visit.workspace.archived_at > day


def test_audit_events_follow_from_the_visits_of_their_day() -> None:
    engineering = Engineering(7, START)
    since, until = LATE - timedelta(days=1), LATE
    events = engineering.audit_events(since, until)

    assert {event.event_type for event in events} <= set(AUDIT_EVENT_TYPES)
    assert all(since <= event.at <= until for event in events)
    entered = [event for event in events if event.event_type == "WORKSPACE.ENTER"]
    assert len(entered) == len(engineering.visits(since, until))


def test_some_names_are_hostile() -> None:
    names = "".join(workspace.name for workspace in Engineering(7, START).workspaces(LATE))

    assert all(character in names for character in '"\\\nü')
