"""What people of the demo organisation have to learn: path enrolments, skill powers, course assignments.

Enrolments and powers are 360Learning's; assignments, with their certificates, are the Konstantly site's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from exporter.demo.catalogue import Course, PathSession, Skill
from exporter.demo.object_id import object_id
from exporter.demo.roster import Person


@dataclass(frozen=True, slots=True)
class Enrollment:
    """One person's place in a path session; the dates are of its whole life, the future included.

    `judged_at` is when a trainer or the system decided on the work handed in at `handed_in_at`; only a
    `successful` outcome completes the path, a `toRetake` leaves it open for ever.
    """

    id: str
    session: PathSession
    person: Person
    created_at: datetime
    self_enrolled: bool
    started_at: datetime | None
    handed_in_at: datetime | None
    judged_at: datetime | None
    outcome: str
    due_at: datetime | None
    unenrolled_at: datetime | None
    score: int

    def is_started(self, now: datetime) -> bool:
        """Whether the learner had begun by then."""
        return _is_past(self.started_at, now)

    def is_completed(self, now: datetime) -> bool:
        """Whether the path was passed by then."""
        return self.outcome == "successful" and _is_past(self.judged_at, now)

    def is_unenrolled(self, now: datetime) -> bool:
        """Whether the person had been taken out of the session by then."""
        return _is_past(self.unenrolled_at, now)

    def status(self, now: datetime) -> str:
        """One of the eight status types of 360Learning's path statistics."""
        if now < self.session.start_at:
            return "sessionNotOpened"
        if _is_past(self.judged_at, now):
            return self.outcome
        if _is_past(self.handed_in_at, now):
            return "awaitingCorrection"
        if _is_past(self.session.end_at, now):
            return "unsuccessful"
        if _is_past(self.due_at, now):
            return "late"
        return "onTime" if self.is_started(now) else "notYetStarted"


@dataclass(frozen=True, slots=True)
class SkillPower:
    """How good one person is at one skill, once assessed."""

    id: str
    skill: Skill
    person: Person
    created_at: datetime
    assessed_at: datetime
    validated_at: datetime

    def status(self, now: datetime) -> str:
        """`toAssess`, `pendingValidation` or `validated`."""
        if self.validated_at <= now:
            return "validated"
        return "pendingValidation" if self.assessed_at <= now else "toAssess"


@dataclass(frozen=True, slots=True)
class Assignment:
    """A course that one user of the Konstantly site has to take; the dates are of its whole life."""

    number: int
    course: Course
    person: Person
    created_at: datetime
    started_at: datetime | None
    deadline_at: datetime | None
    finished_at: datetime | None
    percent_a_day: int
    result_percent: int

    def is_started(self, now: datetime) -> bool:
        """Whether the course was opened by then."""
        return _is_past(self.started_at, now)

    def is_finished(self, now: datetime) -> bool:
        """Whether the course was completed by then."""
        return _is_past(self.finished_at, now)

    def is_expired(self, now: datetime) -> bool:
        """Whether the deadline passed without completion."""
        return _is_past(self.deadline_at, now) and not self.is_finished(now)

    def progress_percent(self, now: datetime) -> int:
        """0 before the start, 100 at the end, and below 100 in between."""
        if self.is_finished(now):
            return 100
        if self.started_at is None or now < self.started_at:
            return 0
        return min(95, 5 + (now - self.started_at).days * self.percent_a_day)


def new_enrollment(number: int, session: PathSession, person: Person, created_at: datetime, rng: Random) -> Enrollment:
    """A new enrolment whose further course is drawn from `rng`.

    Nobody works after they have left, or after the session. Only those who never hand in are taken out again, and
    not before six weeks.
    """
    opened_at = max(created_at, session.start_at)
    ends = (session.end_at, person.left_at)
    started_at = _before(_later(opened_at, 12, rng), ends) if rng.random() < 0.85 else None
    handed_in_at = _before(_later(started_at, 35, rng), ends) if started_at and rng.random() < 0.75 else None
    judged_at = _later(handed_in_at, 4, rng) if handed_in_at else None
    leaves = handed_in_at is None and rng.random() < 0.3
    return Enrollment(
        id=object_id(created_at, "enrollment", number),
        session=session,
        person=person,
        created_at=created_at,
        self_enrolled=rng.random() < 0.2,
        started_at=started_at,
        handed_in_at=handed_in_at,
        judged_at=judged_at,
        outcome=rng.choice(("successful",) * 8 + ("toRetake", "unsuccessful")),
        due_at=opened_at + timedelta(days=rng.randint(14, 60)) if rng.random() < 0.8 else None,
        unenrolled_at=_later(created_at + timedelta(days=42), 60, rng) if leaves else None,
        score=rng.randint(50, 100),
    )


def new_power(number: int, skill: Skill, person: Person, created_at: datetime, rng: Random) -> SkillPower:
    """A new skill power whose further course is drawn from `rng`."""
    assessed_at = _later(created_at, 60, rng)
    power_id = object_id(created_at, "skill power", number)
    return SkillPower(power_id, skill, person, created_at, assessed_at, _later(assessed_at, 30, rng))


def new_assignment(number: int, course: Course, person: Person, created_at: datetime, rng: Random) -> Assignment:
    """A new assignment whose further course is drawn from `rng`; nobody learns after they have left."""
    ends = (person.left_at,)
    started_at = _before(_later(created_at, 14, rng), ends) if rng.random() < 0.8 else None
    return Assignment(
        number=number,
        course=course,
        person=person,
        created_at=created_at,
        started_at=started_at,
        deadline_at=created_at + timedelta(days=rng.randint(14, 60)) if rng.random() < 0.7 else None,
        finished_at=_before(_later(started_at, 30, rng), ends) if started_at and rng.random() < 0.8 else None,
        percent_a_day=rng.randint(1, 12),
        result_percent=rng.randint(45, 100),
    )


def _later(moment: datetime, most_days: int, rng: Random) -> datetime:
    """A moment after `moment` by at most `most_days`, in whole milliseconds."""
    return moment + timedelta(milliseconds=rng.randint(3_600_000, most_days * 86_400_000))


def _before(moment: datetime, ends: Iterable[datetime | None]) -> datetime | None:
    """The moment, or None if it is not before every end that there is."""
    return moment if all(end is None or moment < end for end in ends) else None


def _is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now
