"""The demo organisation agrees with itself, whatever day it is born on and however long it has lived.

What somebody does is done by somebody who is there, with something that is listed, and in the order of time.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.demo.academy import Academy
from exporter.demo.crowd import CATEGORIES, Crowd, tasks
from exporter.demo.engineering import Engineering

MOST_DAYS = 120
TODAYS = (
    date(2026, 11, 28),  # on it, paths led to courses that nobody had published
    date(2027, 1, 1),
    date(2027, 3, 1),
    date(2028, 2, 29),
    date(2028, 12, 31),
)

Law = Callable[[date, int], None]


def on_many_days(law: Law) -> Law:
    """Check a law of an organisation and a moment, given as the day of birth and the age in days."""
    for today in TODAYS:
        law = example(today - timedelta(days=MOST_DAYS), MOST_DAYS)(law)
    return settings(max_examples=5)(given(st.dates(date(2024, 1, 1), date(2040, 1, 1)), st.integers(1, MOST_DAYS))(law))


def evening(birth: date, age_days: int) -> datetime:
    return datetime.combine(birth + timedelta(days=age_days), time(21), UTC)


def ascend(*moments: datetime | None) -> bool:
    """Whether those of the moments that there are come one after the other."""
    return all(earlier <= later for earlier, later in pairwise(moment for moment in moments if moment))


def all_listed(used: Iterable[object], catalogue: Collection[object]) -> bool:
    return {id(one) for one in used} <= {id(one) for one in catalogue}


@on_many_days
def test_what_the_academy_creates_builds_on_what_was_there(birth: date, age_days: int) -> None:
    academy, now = Academy(7, birth), evening(birth, age_days)

    for group in academy.groups(now):
        assert group.parent is None or group.parent.created_at < group.created_at
    for person in academy.people(now):
        assert ascend(person.group.created_at, person.created_at, person.activated_at, person.left_at)
    for course in academy.courses(now):
        assert max(course.group.created_at, course.author.created_at) < course.created_at
        assert not course.author.has_left(course.created_at)
        assert ascend(course.created_at, course.published_at, course.archived_at, course.deleted_at)
    for path in academy.paths(now):
        assert not path.author.has_left(path.created_at)
        assert {course.status(path.created_at) for course in path.courses} == {"published"}
        assert ascend(path.author.created_at, path.created_at, path.archived_at)
    for session in academy.path_sessions(now):
        assert session.path.status(session.created_at) == "published"
        assert not session.instructor.has_left(session.created_at)
        assert max(session.path.created_at, session.instructor.created_at) < session.created_at
        assert ascend(session.created_at, session.start_at, session.end_at)
    for one in (*academy.classrooms(now), *academy.live_projects(now)):
        assert one.group.created_at < one.created_at


@on_many_days
def test_people_of_the_academy_work_while_they_are_there_on_what_is_taught(birth: date, age_days: int) -> None:
    academy, now = Academy(7, birth), evening(birth, age_days)
    attempts = list(academy.attempts(now))

    for attempt in attempts:
        last_activity_at = attempt.last_activity_at or attempt.created_at
        for moment in (attempt.created_at, last_activity_at):
            assert attempt.person.status(moment) == "active"
            assert attempt.course.status(moment) == "published"
        assert ascend(attempt.created_at, attempt.first_activity_at, last_activity_at, attempt.completed_at, now)
        if session := attempt.path_session:
            assert any(course is attempt.course for course in session.path.courses)
            assert ascend(session.start_at, attempt.created_at, session.end_at)
    for enrollment in academy.enrollments(now):
        assert enrollment.person.status(enrollment.created_at) == "active"
        handed_in_at = enrollment.handed_in_at
        assert ascend(enrollment.created_at, enrollment.started_at, handed_in_at, enrollment.judged_at)
        assert ascend(enrollment.session.created_at, enrollment.created_at, enrollment.unenrolled_at)
        for end in (enrollment.session.end_at, enrollment.person.left_at):
            assert ascend(enrollment.started_at, handed_in_at, end)
    for power in academy.skill_powers(now):
        assert power.person.status(power.created_at) == "active"
        assert power.skill.status(power.created_at) == "published"
        assert ascend(power.skill.created_at, power.created_at, power.assessed_at, power.validated_at)
    for assignment in academy.site_assignments(now):
        assert assignment.person.status(assignment.created_at) == "active"
        assert assignment.course.status(assignment.created_at) == "published"
        assert ascend(assignment.created_at, assignment.started_at, assignment.finished_at)
        assert ascend(assignment.started_at, assignment.finished_at, assignment.person.left_at)
    for person in academy.people(now):
        login_at = academy.last_login_at(person, now)
        assert login_at is None or person.status(login_at) == "active"


@on_many_days
def test_whatever_is_used_at_the_academy_is_in_its_lists(birth: date, age_days: int) -> None:
    academy, now = Academy(7, birth), evening(birth, age_days)
    attempts, enrollments, assignments = (
        list(academy.attempts(now)),
        academy.enrollments(now),
        academy.site_assignments(now),
    )
    courses, sessions = academy.courses(now), academy.path_sessions(now)

    assert all_listed((attempt.course for attempt in attempts), [one for one in courses if one.status(now) != "draft"])
    assert all_listed((one.person for one in (*attempts, *enrollments, *assignments)), academy.people(now))
    assert all_listed((attempt.path_session for attempt in attempts if attempt.path_session), sessions)
    assert all_listed((enrollment.session for enrollment in enrollments), sessions)
    assert all_listed((session.path for session in sessions), academy.paths(now))
    assert all_listed((power.skill for power in academy.skill_powers(now)), academy.skills(now))
    assert all_listed((one.course for one in assignments), academy.site_courses(now))
    assert all_listed((one.person for one in assignments), academy.site_users(now))
    assert all_listed((one.group for one in (*academy.people(now), *courses)), academy.groups(now))


@on_many_days
def test_engineers_use_workspaces_and_apps_that_are_listed(birth: date, age_days: int) -> None:
    engineering, now = Engineering(7, birth), evening(birth, age_days)
    visits = engineering.visits(datetime.combine(birth, time(), UTC), now)
    people, workspaces, apps = engineering.people(now), engineering.workspaces(now), engineering.apps(now)

    assert all_listed((visit.person for visit in visits), people)
    assert all_listed((visit.workspace for visit in visits), workspaces)
    assert {workspace.app_id for workspace in workspaces} <= {app.id for app in apps}
    for visit in visits:
        assert ascend(visit.person.joined_at, visit.at, visit.person.left_at)
        assert ascend(visit.workspace.created_at, visit.at, visit.workspace.archived_at)
    for listed in (
        [person.joined_at for person in people],
        [workspace.created_at for workspace in workspaces],
        [app.created_at for app in apps],
    ):
        assert ascend(*listed, now)
    for event in engineering.audit_events(now - timedelta(days=2), now):
        assert ascend(event.person.joined_at, event.at, event.person.left_at)


@on_many_days
def test_volunteers_answer_tasks_of_projects_that_are_listed(birth: date, age_days: int) -> None:
    crowd, now = Crowd(7, birth), evening(birth, age_days)
    runs = crowd.task_runs(datetime.combine(birth, time(), UTC), now)
    projects, registered_at = crowd.projects(now), {user.id: user.created_at for user in crowd.users(now)}

    assert all_listed((run.project for run in runs), projects)
    assert ascend(*(user.created_at for user in crowd.users(now)), now)
    assert ascend(*(run.at for run in runs), now)
    for project in projects:
        assert project.category in CATEGORIES
        assert project.owner_id in registered_at
        assert ascend(project.created_at, project.published_at)
        tally = crowd.standing(now).projects.get(project.id)
        assert tally is None or 0 < tally.task_runs <= tasks(project, now) * project.n_answers
    for run in runs:
        assert run.project.created_at < run.at - timedelta(seconds=run.duration_seconds)
        assert run.user_id is None or registered_at[run.user_id] < run.at
