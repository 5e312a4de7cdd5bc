"""The learning half of the demo organisation, simulated day by day from its founding for as long as asked.

360Learning and the smaller Konstantly site are two products of this one organisation. Days are simulated in
order and once; a later `now` adds days and changes nothing of the past. What is visible at a moment therefore
depends on the seed, the day of founding and that moment alone.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import accumulate
from operator import attrgetter
from random import Random
from typing import Protocol, TypeVar

from exporter.demo.attempts import Attempt, AttemptHistory, Opening, attempt_history
from exporter.demo.calendar import Day, activity_level, moment_of, moments_of
from exporter.demo.catalogue import (
    Classroom,
    Course,
    LiveProject,
    Path,
    PathSession,
    Skill,
    new_classrooms,
    new_courses,
    new_paths,
    new_projects,
    new_sessions,
    new_skills,
)
from exporter.demo.obligations import (
    Assignment,
    Enrollment,
    SkillPower,
    new_assignment,
    new_enrollment,
    new_power,
)
from exporter.demo.roster import Group, Person, new_groups, new_people

_LOGIN_SHARE = 0.11
_OPENINGS_OF_A_LOGIN = (0, 0, 1, 1, 1, 2)
_IN_PATH_SHARE = 0.25
_ENROLLMENTS_A_DAY = 8
_POWERS_A_DAY = 2
_ASSIGNMENTS_A_DAY = 5
_SITE_GROUPS = 24
_NEVER_ASSIGNED_EVERY = 35


class _Dated(Protocol):
    @property
    def created_at(self) -> datetime: ...


_RecordT = TypeVar("_RecordT", bound=_Dated)


class Academy:
    """The organisation founded on `start`; every method takes an aware UTC `now` and answers as of then.

    Records come in the order of their creation, which is the order of their ids. Their dates may lie in the
    future: ask their methods (`status(now)`, `is_finished(now)`) what is known already.
    """

    def __init__(self, seed: int, start: date) -> None:
        self._seed = seed
        self._start = start
        self._next_day = start
        self._groups: list[Group] = []
        self._people: list[Person] = []
        self._courses: list[Course] = []
        self._paths: list[Path] = []
        self._sessions: list[PathSession] = []
        self._classrooms: list[Classroom] = []
        self._skills: list[Skill] = []
        self._projects: list[LiveProject] = []
        self._enrollments: list[Enrollment] = []
        self._powers: list[SkillPower] = []
        self._attempts: list[AttemptHistory] = []
        self._assignments: list[Assignment] = []
        self._logins: defaultdict[int, list[datetime]] = defaultdict(list)
        self._last_session: dict[int, PathSession] = {}
        self._assigned: set[tuple[int, int]] = set()

    def groups(self, now: datetime) -> tuple[Group, ...]:
        """All groups, a parent always before its children."""
        return self._visible(self._groups, now)

    def people(self, now: datetime) -> tuple[Person, ...]:
        """All accounts, deleted ones included."""
        return self._visible(self._people, now)

    def courses(self, now: datetime) -> tuple[Course, ...]:
        """All courses: drafts, archived and deleted ones included."""
        return self._visible(self._courses, now)

    def paths(self, now: datetime) -> tuple[Path, ...]:
        """All learning paths, archived ones included."""
        return self._visible(self._paths, now)

    def path_sessions(self, now: datetime) -> tuple[PathSession, ...]:
        """All sessions of paths: upcoming, open and ended."""
        return self._visible(self._sessions, now)

    def enrollments(self, now: datetime) -> tuple[Enrollment, ...]:
        """All path enrolments, of people taken out again too."""
        return self._visible(self._enrollments, now)

    def classrooms(self, now: datetime) -> tuple[Classroom, ...]:
        """All classrooms."""
        return self._visible(self._classrooms, now)

    def skills(self, now: datetime) -> tuple[Skill, ...]:
        """All skills, archived ones included."""
        return self._visible(self._skills, now)

    def skill_powers(self, now: datetime) -> tuple[SkillPower, ...]:
        """All pairs of person and skill."""
        return self._visible(self._powers, now)

    def live_projects(self, now: datetime) -> tuple[LiveProject, ...]:
        """All live projects, completed ones included."""
        return self._visible(self._projects, now)

    def attempts(self, now: datetime, after: str = "") -> Iterator[Attempt]:
        """The attempts with an id above `after`, as they stand at `now`; nothing is done for those not taken."""
        self._simulate_until(now)
        first = bisect_right(self._attempts, after, key=attrgetter("id"))
        last = bisect_right(self._attempts, now, key=attrgetter("created_at"))
        return (self._attempts[index].at(now) for index in range(first, last))

    def last_login_at(self, person: Person, now: datetime) -> datetime | None:
        """The person's latest login, None before the first."""
        self._simulate_until(now)
        logins = self._logins.get(person.number, [])
        count = bisect_right(logins, now)
        return logins[count - 1] if count else None

    def site_groups(self, now: datetime) -> tuple[Group, ...]:
        """The groups that the Konstantly site knows."""
        return tuple(group for group in self.groups(now) if group.number < _SITE_GROUPS)

    def site_users(self, now: datetime) -> tuple[Person, ...]:
        """The people that the Konstantly site knows, banned ones included."""
        return tuple(person for person in self.people(now) if person.on_site)

    def site_courses(self, now: datetime) -> tuple[Course, ...]:
        """The courses that the Konstantly site knows, drafts included."""
        return tuple(course for course in self.courses(now) if course.on_site)

    def site_assignments(self, now: datetime) -> tuple[Assignment, ...]:
        """All course assignments of the Konstantly site, one at most of a user and course."""
        return self._visible(self._assignments, now)

    def _visible(self, records: Sequence[_RecordT], now: datetime) -> tuple[_RecordT, ...]:
        self._simulate_until(now)
        return tuple(records[: bisect_right(records, now, key=attrgetter("created_at"))])

    def _simulate_until(self, now: datetime) -> None:
        while self._next_day <= now.date():
            self._simulate(Day(self._seed, self._next_day, is_first=self._next_day == self._start))
            self._next_day += timedelta(days=1)

    def _simulate(self, day: Day) -> None:
        self._create(day)
        active = [person for person in self._people if _is_active_through(person, day.date)]
        if active:
            self._enroll(day, active)
            self._assess(day, active)
            self._assign(day, active)
            self._learn(day, active)

    def _create(self, day: Day) -> None:
        self._groups += new_groups(day, self._groups)
        self._people += new_people(day, self._groups, self._people)
        self._courses += new_courses(day, self._groups, self._people, self._courses)
        self._paths += new_paths(day, self._people, self._courses, self._paths)
        self._sessions += new_sessions(day, self._people, self._paths, self._sessions)
        self._classrooms += new_classrooms(day, self._groups)
        self._skills += new_skills(day)
        self._projects += new_projects(day, self._groups)

    def _enroll(self, day: Day, active: Sequence[Person]) -> None:
        rng = day.random("enrollments")
        sessions = [session for session in self._sessions if _is_open_to_enroll(session, day.date)]
        if not sessions:
            return
        for at in moments_of(day.date, _ENROLLMENTS_A_DAY * activity_level(day.date), rng):
            session, person = rng.choice(sessions), rng.choice(active)
            self._enrollments.append(new_enrollment(len(self._enrollments), session, person, at, rng))
            self._last_session[person.number] = session

    def _assess(self, day: Day, active: Sequence[Person]) -> None:
        rng = day.random("skill powers")
        skills = [skill for skill in self._skills if _is_assessable(skill, day.date)]
        for at in moments_of(day.date, _POWERS_A_DAY * activity_level(day.date), rng):
            skill, person = rng.choice(skills), rng.choice(active)
            self._powers.append(new_power(len(self._powers), skill, person, at, rng))

    def _assign(self, day: Day, active: Sequence[Person]) -> None:
        rng = day.random("assignments")
        users = [person for person in active if person.on_site]
        courses = [course for course in self._courses if _is_assignable(course, day.date)]
        if not users or not courses:
            return
        for at in moments_of(day.date, _ASSIGNMENTS_A_DAY * activity_level(day.date), rng):
            course, person = rng.choice(courses), rng.choice(users)
            if (course.number, person.number) not in self._assigned:
                self._assigned.add((course.number, person.number))
                self._assignments.append(new_assignment(len(self._assignments), course, person, at, rng))

    def _learn(self, day: Day, active: Sequence[Person]) -> None:
        rng = day.random("attempts")
        courses = [course for course in self._courses if _is_teachable(course, day.date)]
        logins = self._log_in(day.date, active, rng)
        first = len(self._attempts)
        openings = self._openings(logins, courses, rng) if courses else []
        self._attempts += [attempt_history(opening, first + n, rng) for n, opening in enumerate(openings)]

    def _log_in(self, day: date, active: Sequence[Person], rng: Random) -> list[tuple[datetime, Person]]:
        """The day's logins in order; everybody logs in once at most."""
        count = int(_LOGIN_SHARE * activity_level(day) * len(active))
        zeals = list(accumulate(person.zeal for person in active))
        chosen = {person.number: person for person in rng.choices(active, cum_weights=zeals, k=count)}
        logins = [(moment_of(day, rng), person) for person in chosen.values()]
        logins.sort(key=lambda login: login[0])
        for at, person in logins:
            self._logins[person.number].append(at)
        return logins

    def _openings(
        self, logins: Sequence[tuple[datetime, Person]], courses: Sequence[Course], rng: Random
    ) -> list[Opening]:
        """The courses opened by the people who logged in, in order of time."""
        appeals = list(accumulate(course.appeal for course in courses))
        openings = []
        for logged_in_at, person in logins:
            for _ in range(rng.choice(_OPENINGS_OF_A_LOGIN)):
                at = logged_in_at + timedelta(milliseconds=rng.randrange(600_000))
                session = self._session_of(person, at) if rng.random() < _IN_PATH_SHARE else None
                own = [course for course in session.path.courses if _is_teachable(course, at.date())] if session else []
                course = rng.choice(own) if own else rng.choices(courses, cum_weights=appeals)[0]
                openings.append(Opening(at, person, course, session if own else None))
        return sorted(openings, key=attrgetter("at"))

    def _session_of(self, person: Person, at: datetime) -> PathSession | None:
        """The session the person was enrolled in last, while it runs."""
        session = self._last_session.get(person.number)
        if session is None or at < session.start_at or (session.end_at is not None and session.end_at <= at):
            return None
        return session


def _is_active_through(person: Person, day: date) -> bool:
    """Whether the account can be used all day long."""
    if person.activated_at is None or person.activated_at.date() >= day:
        return False
    return person.left_at is None or person.left_at.date() > day


def _is_teachable(course: Course, day: date) -> bool:
    if course.published_at is None or course.published_at.date() >= day:
        return False
    return course.archived_at is None or course.archived_at.date() > day


def _is_assessable(skill: Skill, day: date) -> bool:
    if skill.created_at.date() >= day:
        return False
    return skill.archived_at is None or skill.archived_at.date() > day


def _is_assignable(course: Course, day: date) -> bool:
    return course.on_site and course.number % _NEVER_ASSIGNED_EVERY != 0 and _is_teachable(course, day)


def _is_open_to_enroll(session: PathSession, day: date) -> bool:
    return session.created_at.date() < day and (session.end_at is None or day < session.end_at.date())
