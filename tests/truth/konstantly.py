"""What `konstantly_*` must say of the demo organisation, computed from its records and never through its API."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime

from exporter.demo.academy import Academy
from exporter.demo.obligations import Assignment
from exporter.demo.roster import Person

Truth = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def expected(academy: Academy, now: datetime) -> Truth:
    """Every series of every collector, without the label `target`: (name, sorted label pairs) to value."""
    return _statistics(academy, now) | _groups(academy, now) | _users(academy, now) | _courses(academy, now)


def _key(name: str, /, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return f"konstantly_{name}", tuple(sorted(labels.items()))


def _statistics(academy: Academy, now: datetime) -> Truth:
    users, assignments = academy.site_users(now), academy.site_assignments(now)
    assigned = {assignment.course.site_id for assignment in assignments}
    unassigned = [course for course in academy.site_courses(now) if course.site_id not in assigned]
    drafts = sum(course.status(now) == "draft" for course in unassigned)
    truth = {
        _key("users"): len(users),
        _key("courses"): len(academy.site_courses(now)),
        _key("groups"): len(academy.site_groups(now)),
        _key("course_assignments"): len(assignments),
        _key("users_without_activity"): _without_activity(users, assignments, now),
        _key("users_without_results"): _without_results(users, assignments, now),
        _key("unassigned_courses", status="draft"): drafts,
        _key("unassigned_courses", status="published"): len(unassigned) - drafts,
    }
    return truth | _leaders(assignments, now)


def _leaders(assignments: Iterable[Assignment], now: datetime) -> Truth:
    """The leaders, by completed courses and then by mean result, which the API gives in whole percent."""
    results: defaultdict[str, list[int]] = defaultdict(list)
    for assignment in assignments:
        if assignment.is_finished(now):
            results[assignment.person.site_id].append(assignment.result_percent)
    ranking = sorted(((len(own), round(sum(own) / len(own))) for own in results.values()), reverse=True)
    truth: Truth = {_key("leaders"): len(ranking)}
    for rank, (completed_courses, result_percent) in enumerate(ranking[:10], start=1):
        truth[_key("leader_completed_courses", rank=str(rank))] = completed_courses
        truth[_key("leader_result_ratio", rank=str(rank))] = result_percent / 100
    return truth


def _without_activity(users: Iterable[Person], assignments: Iterable[Assignment], now: datetime) -> int:
    starters = {assignment.person.number for assignment in assignments if assignment.is_started(now)}
    return sum(user.number not in starters for user in users)


def _without_results(users: Iterable[Person], assignments: Iterable[Assignment], now: datetime) -> int:
    finishers = {assignment.person.number for assignment in assignments if assignment.is_finished(now)}
    return sum(user.number not in finishers for user in users)


def _groups(academy: Academy, now: datetime) -> Truth:
    truth: Truth = {}
    assignments = academy.site_assignments(now)
    for group in academy.site_groups(now):
        label = str(group.number + 1)
        parent = str(group.parent.number + 1) if group.parent else ""
        members = [user for user in academy.site_users(now) if user.group == group]
        numbers = {member.number for member in members}
        courses = {one.course.site_id for one in assignments if one.person.number in numbers}
        truth |= {
            _key("group_info", group=label, name=group.name, parent=parent): 1,
            _key("group_users", group=label): len(members),
            _key("group_courses", group=label): len(courses),
            _key("group_users_without_activity", group=label): _without_activity(members, assignments, now),
            _key("group_users_without_results", group=label): _without_results(members, assignments, now),
        }
    return truth


def _users(academy: Academy, now: datetime) -> Truth:
    accounts = Counter((user.role, user.has_left(now)) for user in academy.site_users(now))
    return {
        _key("user_accounts", role=role, banned=banned): accounts[role, banned == "true"]
        for role in {role for role, _ in accounts}
        for banned in ("true", "false")
    }


def _courses(academy: Academy, now: datetime) -> Truth:
    courses = academy.site_courses(now)
    drafts = sum(course.status(now) == "draft" for course in courses)
    truth: Truth = {
        _key("catalog_courses", status="draft"): drafts,
        _key("catalog_courses", status="published"): len(courses) - drafts,
    }
    for course in courses:
        own = [one for one in academy.site_assignments(now) if one.course.site_id == course.site_id]
        truth[_key("course_info", course=str(course.site_id), name=course.name)] = 1
        truth |= _learners(str(course.site_id), own, now)
    return truth


def _learners(course: str, assignments: list[Assignment], now: datetime) -> Truth:
    states = Counter(_state(assignment, now) for assignment in assignments)
    truth: Truth = {
        _key("course_learners", course=course, state=state): states[state]
        for state in ("not_started", "in_progress", "finished", "expired")
    }
    if assignments:
        progress_percent = sum(assignment.progress_percent(now) for assignment in assignments)
        truth[_key("course_progress_ratio", course=course)] = progress_percent / len(assignments) / 100
    results = [assignment.result_percent for assignment in assignments if assignment.is_finished(now)]
    if results:
        truth[_key("course_result_ratio", course=course)] = sum(results) / len(results) / 100
    return truth


def _state(assignment: Assignment, now: datetime) -> str:
    if assignment.is_finished(now):
        return "finished"
    if assignment.is_expired(now):
        return "expired"
    return "in_progress" if assignment.is_started(now) else "not_started"
