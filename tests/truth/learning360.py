"""What `learning360_*` must say of the demo organisation, computed from its records and never through its API.

Version 1 of the API knows less. It gives no last logins, no dates of enrolments, no classrooms, skills and live
projects: those series are absent. It gives users without a status, which count as `other`, and courses without a type
and paths without a status, whose labels are empty.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import product

from exporter.demo.academy import Academy
from exporter.demo.attempts import Attempt
from exporter.demo.catalogue import Course, PathSession
from exporter.demo.obligations import Enrollment

Truth = dict[tuple[str, tuple[tuple[str, str], ...]], float]

_WINDOWS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_UNTOLD = ""
_ENROLLMENT_STATUSES = (
    "awaitingCorrection",
    "late",
    "notYetStarted",
    "onTime",
    "sessionNotOpened",
    "successful",
    "toRetake",
    "unsuccessful",
    "other",
)


def expected(academy: Academy, now: datetime, api_version: str = "v2", top: int = 100) -> Truth:
    """Every series of every collector, without the label `target`: (name, sorted label pairs) to value.

    `top` is how many courses have series of their own; all others are `course="other"`.
    """
    is_v1 = api_version == "v1"
    truth = (
        (_users_v1(academy, now) if is_v1 else _users(academy, now))
        | _courses(academy, now, is_v1)
        | _groups(academy, now)
        | _attempts(academy, now, is_v1, top)
        | _paths(academy, now, is_v1)
    )
    truth |= _path_stats(academy, now)
    return truth if is_v1 else truth | _path_stat_dates(academy, now) | _rest(academy, now)


def _key(name: str, /, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return f"learning360_{name}", tuple(sorted(labels.items()))


def _counts(name: str, label: str, values: Iterable[str], known: Iterable[str]) -> Truth:
    """One series per known value of the label, 0 included."""
    counts = Counter(values)
    return {_key(name, **{label: value}): counts[value] for value in known}


def _by_window(
    name: str, moments: Sequence[datetime | None], now: datetime, labels: dict[str, str] | None = None
) -> Truth:
    """How many of the moments lie in each rolling window."""
    return {
        _key(name, window=window, **(labels or {})): sum(
            moment is not None and moment >= now - length for moment in moments
        )
        for window, length in _WINDOWS.items()
    }


def _users(academy: Academy, now: datetime) -> Truth:
    people = academy.people(now)
    logins = [academy.last_login_at(person, now) for person in people]
    never = sum(person.status(now) == "active" and login is None for person, login in zip(people, logins, strict=True))
    statuses = [person.status(now) for person in people]
    present = [login for status, login in zip(statuses, logins, strict=True) if status != "deleted"]
    return (
        _counts("users", "status", statuses, ("active", "invited", "deleted", "other"))
        | _by_window("users_logged_in", present, now)
        | {_key("users_never_logged_in"): never}
    )


def _users_v1(academy: Academy, now: datetime) -> Truth:
    """The list of v1 has every account that is not deleted and does not tell the active from the invited."""
    return {_key("users", status="other"): sum(not person.has_left(now) for person in academy.people(now))}


def _courses(academy: Academy, now: datetime, is_v1: bool) -> Truth:
    kinds = Counter(
        (course.status(now), _type(course, is_v1))
        for course in academy.courses(now)
        if is_v1 or course.status(now) != "draft"
    )
    known = () if is_v1 else product(("archived", "deleted", "published"), ("elearning standard", "external", "native"))
    counts = dict.fromkeys(known, 0) | kinds
    return {_key("courses", status=status, type=type_): count for (status, type_), count in counts.items()}


def _type(course: Course, is_v1: bool) -> str:
    return _UNTOLD if is_v1 else course.type


def _groups(academy: Academy, now: datetime) -> Truth:
    visibilities = ("public" if group.public else "private" for group in academy.groups(now))
    return _counts("groups", "visibility", visibilities, ("public", "private"))


def _attempts(academy: Academy, now: datetime, is_v1: bool, top: int) -> Truth:
    attempts = list(academy.attempts(now))
    courses = {attempt.course.id: attempt.course for attempt in attempts}
    own_series = _top_courses(attempts, now, top)
    truth = _active_learners("active_learners", attempts, now, {})
    parts: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        label = attempt.course.id if attempt.course.id in own_series else "other"
        parts.setdefault(label, []).append(attempt)
    for label, part in parts.items():
        truth |= _course_series(label, part, now)
    for course_id in own_series:
        course = courses[course_id]
        if course.status(now) == "draft" and not is_v1:
            continue  # v2 lists no drafts, so nobody can tell the name of one that has attempts
        truth[_key("course_info", course=course_id, name=course.name, type=_type(course, is_v1))] = 1
    return truth


def _top_courses(attempts: Iterable[Attempt], now: datetime, top: int) -> set[str]:
    """The courses with most attempts active in the last 30 days, then most attempts, then the lowest id."""
    all_attempts: Counter[str] = Counter()
    active_attempts: Counter[str] = Counter()
    for attempt in attempts:
        all_attempts[attempt.course.id] += 1
        if attempt.last_activity_at and attempt.last_activity_at >= now - _WINDOWS["30d"]:
            active_attempts[attempt.course.id] += 1
    ranking = sorted(all_attempts, key=lambda one: (-active_attempts[one], -all_attempts[one], one))
    return set(ranking[:top])


def _course_series(label: str, attempts: Sequence[Attempt], now: datetime) -> Truth:
    states = Counter(_state(attempt) for attempt in attempts)
    scores = [attempt.score for attempt in attempts if attempt.score is not None]
    truth: Truth = {
        _key("course_attempts", course=label, state=state): states[state]
        for state in ("not_started", "in_progress", "completed")
    }
    truth[_key("course_time_spent_seconds", course=label)] = sum(one.time_spent_ms for one in attempts) / 1000
    truth[_key("course_attempts_scored", course=label)] = len(scores)
    if scores:
        truth[_key("course_score_ratio", course=label)] = sum(scores) / len(scores) / 100
    course = {"course": label}
    return (
        truth
        | _by_window("course_attempts_started", [one.first_activity_at for one in attempts], now, course)
        | _by_window("course_completions", [one.completed_at for one in attempts], now, course)
        | _active_learners("course_active_learners", attempts, now, course)
    )


def _state(attempt: Attempt) -> str:
    if attempt.completed_at:
        return "completed"
    return "in_progress" if attempt.first_activity_at else "not_started"


def _active_learners(name: str, attempts: Iterable[Attempt], now: datetime, labels: dict[str, str]) -> Truth:
    """Distinct people by their latest activity."""
    latest: dict[str, datetime] = {}
    for attempt in attempts:
        if attempt.last_activity_at:
            person = attempt.person.id
            latest[person] = max(latest.get(person, attempt.last_activity_at), attempt.last_activity_at)
    return _by_window(name, list(latest.values()), now, labels)


def _paths(academy: Academy, now: datetime, is_v1: bool) -> Truth:
    paths = academy.paths(now)
    phases = (_phase(session, now) for session in academy.path_sessions(now))
    truth = _counts("path_sessions", "phase", phases, ("upcoming", "open", "ended"))
    if is_v1:
        return truth | {_key("paths", status=_UNTOLD): len(paths)}
    return truth | _counts("paths", "status", (path.status(now) for path in paths), ("published", "archived"))


def _phase(session: PathSession, now: datetime) -> str:
    if now < session.start_at:
        return "upcoming"
    return "ended" if session.end_at is not None and session.end_at <= now else "open"


def _path_stats(academy: Academy, now: datetime) -> Truth:
    current = _current_enrollments(academy, now)
    completed = [one.judged_at for one in current if one.is_completed(now)]
    statuses = _counts("path_enrollments", "status", (one.status(now) for one in current), _ENROLLMENT_STATUSES)
    return statuses | _by_window("path_completions", completed, now)


def _path_stat_dates(academy: Academy, now: datetime) -> Truth:
    current = _current_enrollments(academy, now)
    overdue = sum(one.due_at is not None and one.due_at < now and not one.is_completed(now) for one in current)
    started = _by_window("path_enrollments_started", [one.created_at for one in current], now)
    return {_key("path_enrollments_overdue"): overdue} | started


def _current_enrollments(academy: Academy, now: datetime) -> list[Enrollment]:
    return [one for one in academy.enrollments(now) if not one.is_unenrolled(now)]


def _rest(academy: Academy, now: datetime) -> Truth:
    """Classrooms, skills and live projects."""
    skills = [skill.status(now) for skill in academy.skills(now)]
    powers = [power.status(now) for power in academy.skill_powers(now)]
    projects = ["true" if project.is_completed(now) else "false" for project in academy.live_projects(now)]
    return (
        {_key("classrooms"): len(academy.classrooms(now))}
        | _counts("skills", "status", skills, ("published", "archived"))
        | _counts("skill_powers", "status", powers, ("toAssess", "pendingValidation", "validated"))
        | _counts("live_projects", "completed", projects, ("true", "false"))
    )
